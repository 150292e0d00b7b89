"""The rules by which the scripted server answers. Pure: the same request, the same answer.

* A forced tool choice calls that tool, `required` one that the conversation has not called yet.
* With tools on offer and nothing forced, a tool is called when the prompt mentions it by a word
  of its name, once per user message.
* After a tool result the answer quotes it. A schema is filled from the prompt. Else the prompt
  is said back, with reasoning first where thinking is switched on.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from dataclasses import dataclass, field
from typing import Any

from langchain_hf_inference.testing.fill import Filler

_TOKEN = re.compile(r"\s*\S+|\s+$")
_WORD = re.compile(r"\w+", re.UNICODE)
_COMMON = frozenset({"my", "get", "tool", "function", "the", "a", "no", "args", "call", "make"})


@dataclass(slots=True)
class Answer:
    """One answer: text or calls, and why it ended."""

    text: str = ""
    reasoning: str = ""
    calls: list[dict[str, Any]] = field(default_factory=list)
    finish_reason: str = "stop"


def tokens(text: str) -> list[str]:
    """Cut text into the pieces that count as tokens: words with the blanks before them."""
    return _TOKEN.findall(text)


def text_of(content: Any) -> str:
    """Give the text of a message's content."""
    if isinstance(content, str):
        return content
    return " ".join(part.get("text", f"[{part.get('type')}]") for part in content or [])


def prompt_pieces(body: dict[str, Any]) -> list[str]:
    """Give the tokens of what the server was given, tools included."""
    said = [text_of(m.get("content", "")) + json.dumps(m.get("tool_calls", "")) for m in body["messages"]]
    return [piece for text in [*said, json.dumps(body.get("tools", ""))] for piece in tokens(text)]


def chat_answer(body: dict[str, Any], position: int = 0) -> Answer:
    """Answer a chat-completion request; `position` tells the `n` answers apart."""
    messages, filler = body["messages"], Filler(_asked(body["messages"]))
    if call := _wanted_call(body, filler):
        answer = Answer(calls=[call], finish_reason="tool_calls")
    elif schema := _schema(body.get("response_format", {})):
        answer = Answer(json.dumps(filler.value(schema), ensure_ascii=False))
    elif body.get("response_format", {}).get("type") in ("json_object", "json"):
        answer = Answer(json.dumps(filler.keys(), ensure_ascii=False))
    elif messages[-1]["role"] == "tool":
        answer = Answer(f"The result is: {text_of(messages[-1]['content'])}")
    else:
        answer = Answer(f"You said: {_asked(messages)}")
    if position:
        answer.text += f" ({position + 1})"
    if body.get("chat_template_kwargs", {}).get("enable_thinking") or body.get("reasoning_effort", "none") != "none":
        answer.reasoning = f"I was asked: {_asked(messages)}"
    return limited(answer, body.get("stop", []), body.get("max_tokens") or body.get("max_completion_tokens"))


def limited(answer: Answer, stop: Any, max_tokens: int | None) -> Answer:
    """Cut the text at the first stop string and at `max_tokens`."""
    places = [at for text in ([stop] if isinstance(stop, str) else stop) if (at := answer.text.find(text)) >= 0]
    if places:
        answer.text = answer.text[: min(places)]
    pieces = tokens(answer.text)
    if max_tokens is not None and len(pieces) > max_tokens:
        answer.text, answer.finish_reason = "".join(pieces[:max_tokens]), "length"
    return answer


def _asked(messages: list[dict[str, Any]]) -> str:
    return next(
        (text_of(m["content"]) for m in reversed(messages) if m["role"] == "user"), text_of(messages[-1].get("content"))
    )


def _schema(response_format: dict[str, Any]) -> Any:
    nested = response_format.get("json_schema", {})
    return nested.get("schema") or response_format.get("schema") or response_format.get("value")


def _wanted_call(body: dict[str, Any], filler: Filler) -> dict[str, Any] | None:
    functions = {tool["function"]["name"]: tool["function"] for tool in body.get("tools", [])}
    choice = body.get("tool_choice", "auto")
    if not functions or choice == "none":
        return None
    since = _since_last_user(body["messages"])
    called = [call["function"]["name"] for message in since for call in message.get("tool_calls", [])]
    if isinstance(choice, dict):
        name = choice["function"]["name"]
    else:
        fresh = [name for name in functions if name not in called]
        mentioned = sorted(fresh, key=lambda n: -_mentions(n, _asked(body["messages"])))
        if choice == "required":
            name = (mentioned or list(functions))[0]
        elif called or not mentioned or not _mentions(mentioned[0], _asked(body["messages"])):
            return None
        else:
            name = mentioned[0]
    arguments = filler.value(functions[name]["parameters"] or {"type": "object"})
    written = json.dumps(arguments, ensure_ascii=False)
    identity = "call_" + hashlib.sha256(f"{len(body['messages'])}{name}{written}".encode()).hexdigest()[:24]
    return {"id": identity, "type": "function", "function": {"name": name, "arguments": written}}


def _since_last_user(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    last = max((i for i, message in enumerate(messages) if message["role"] == "user"), default=0)
    return messages[last:]


def _mentions(name: str, prompt: str) -> int:
    text = prompt.lower()
    words = [w for w in re.split(r"[_\W]+|(?<=[a-z])(?=[A-Z])", name) if w.lower() not in _COMMON]
    return 10 * (name.lower() in text) + sum(word.lower() in text for word in words if word)


def embedding(text: str, dimensions: int, *, normalize: bool = True) -> list[float]:
    """Give a vector of the words of `text`: texts that share words are near each other."""
    vector = [0.0] * dimensions
    for word in _WORD.findall(text.lower()) or [text]:
        digest = hashlib.sha256(word.encode()).digest()
        vector[int.from_bytes(digest[:4]) % dimensions] += 1.0 if digest[4] % 2 else -1.0
    vector[0] += 1e-3  # no text is without direction
    length = math.sqrt(sum(x * x for x in vector)) if normalize else 1.0
    return [x / length for x in vector]


def overlap(one: str, other: str) -> float:
    """Give the share of words that two texts have in common, from 0 to 1."""
    a, b = (set(_WORD.findall(text.lower())) for text in (one, other))
    return len(a & b) / max(1, len(a | b))

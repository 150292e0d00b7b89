"""Every recorded chat exchange through the whole model: nothing lost, no exception but our errors."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import recorded
from langchain_core.messages import AIMessage, AIMessageChunk, convert_to_messages
from recorded import Exchange

from langchain_hf_inference import APIStatusError, ChatHFInference, HFInferenceError, StreamError

EXCHANGES = recorded.chat_exchanges()
URL = "http://recorded.example/v1"


def left_out(exchange: Exchange) -> str | None:
    """Say why an exchange cannot be replayed, if it cannot."""
    if b'"kind": "binary"' in exchange.content:
        return "the recording kept a reference to the answer, not the answer"
    if exchange.content == b"null":
        return "the recorded answer is null"
    if exchange.is_stream and (exchange.asked.get("n") or 1) > 1:
        return "n > 1 is not streamed: LangChain's stream is one message (asked for whole instead)"
    return None


REPLAYED = [exchange for exchange in EXCHANGES if left_out(exchange) is None]

pytestmark = pytest.mark.skipif(not EXCHANGES, reason="HF_RECORDINGS is not there")


def answered(exchange: Exchange) -> AIMessage:
    """Put the recorded messages to a model whose server answers what was recorded."""

    def answer(request: httpx.Request) -> httpx.Response:
        sent = [row.get("content") for row in json.loads(request.content)["messages"]]
        said = [row["content"] for row in _messages(exchange) if row["role"] in ("user", "system")]
        assert [text for text in said if isinstance(text, str) and text not in sent] == []
        headers = {
            k: v
            for k, v in exchange.headers.items()
            if k not in ("content-encoding", "content-length", "transfer-encoding")
        }
        return httpx.Response(exchange.status, headers=headers, content=exchange.content)

    model = ChatHFInference(
        model="recorded", endpoint_url=URL, engine="openai", api_key=False, max_retries=0,
        http_client=httpx.Client(transport=httpx.MockTransport(answer)), stop=exchange.asked.get("stop") or None,
    )  # fmt: skip
    messages = convert_to_messages(_messages(exchange)) or "Hello"
    if not exchange.is_stream:
        return model.invoke(messages)
    total: AIMessageChunk | None = None
    for chunk in model.stream(messages):
        total = chunk if total is None else total + chunk
    assert total is not None
    return total


def _messages(exchange: Exchange) -> list[dict[str, Any]]:
    rows = []
    asked = exchange.asked.get("messages")
    for row in asked if isinstance(asked, list) else []:
        if not isinstance(row, dict):
            return []  # a request that was meant to be refused
        row = {key: value for key, value in row.items() if value is not None}
        row.setdefault("content", "")
        rows.append(row)
    return rows


@pytest.mark.parametrize("exchange", REPLAYED, ids=lambda e: e.name)
def test_nothing_is_lost(exchange: Exchange) -> None:
    """Text, reasoning, tool calls and usage of the recording arrive; a recorded failure is one of our errors."""
    if exchange.status >= 400:
        with pytest.raises(APIStatusError) as failure:
            answered(exchange)
        assert failure.value.status_code == exchange.status
        assert _words(exchange) in " ".join(str(failure.value).split())
        return
    expected = _Expected(exchange)
    if expected.error:
        with pytest.raises(HFInferenceError) as broken:
            answered(exchange)
        if isinstance(broken.value, StreamError) and broken.value.partial is not None:
            assert broken.value.partial.text == expected.text
        return

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        message = answered(exchange)

    assert message.text == expected.text
    assert message.additional_kwargs.get("reasoning_content", "") == expected.reasoning
    found = [(call["name"], call["args"]) for call in message.tool_calls]
    found += [(bad["name"], bad["args"]) for bad in message.invalid_tool_calls]
    assert found == expected.calls
    assert len({call["id"] for call in message.tool_calls}) == len(message.tool_calls)
    usage = message.usage_metadata
    assert (usage and (usage["input_tokens"], usage["output_tokens"])) == expected.usage
    if expected.finished:
        assert message.response_metadata["finish_reason"] in ("stop", "length", "tool_calls", "content_filter")


def _words(exchange: Exchange) -> str:
    """Find the words of a recorded error, roughly: the first string of the body that is a sentence."""
    try:
        body = exchange.body
    except ValueError:
        return " ".join(exchange.content.decode().split())[:100]
    found = body.get("error") if isinstance(body, dict) else None
    if isinstance(found, dict) and isinstance(found.get("message"), str):
        return " ".join(found["message"].split())[:100]
    strings = [text for text in _strings(body) if " " in text] or list(_strings(body))
    return " ".join(strings[0].split())[:100]


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _strings(item)


class _Expected:
    """What a recording says, read the plain way: a second opinion that shares no code with ours."""

    def __init__(self, exchange: Exchange) -> None:
        self.text = self.reasoning = ""
        self.usage: tuple[int, int] | None = None
        self.finished = False
        self.error = False
        calls: dict[Any, list[str]] = {}
        bodies = list(recorded.events_of(exchange.content)) if exchange.is_stream else [exchange.body]
        for body in bodies:
            if body.get("error"):
                self.error = True
                break
            usage = body.get("usage") or (body.get("x_groq") or {}).get("usage") or {}
            if usage.get("prompt_tokens") is not None:
                self.usage = (usage["prompt_tokens"], usage.get("completion_tokens") or 0)
            for choice in body.get("choices") or []:
                self._choice(choice, calls)
        self.text = self._cut(self.text, exchange)
        self.calls = [(name, _arguments(text)) for name, text in calls.values()]

    def _choice(self, choice: dict[str, Any], calls: dict[Any, list[str]]) -> None:
        said = choice.get("delta") or choice.get("message") or {}
        content = said.get("content")
        if isinstance(content, dict):
            self.text += json.dumps(content, ensure_ascii=False)
        for part in [content] if isinstance(content, str) else content if isinstance(content, list) else []:
            if isinstance(part, str):
                self.text += part
            elif part["type"] == "thinking":
                self.reasoning += "".join(piece["text"] for piece in part["thinking"])
            else:
                self.text += part["text"]
        details = "".join(d.get("text") or d.get("summary") or "" for d in said.get("reasoning_details") or [])
        self.reasoning += said.get("reasoning_content") or said.get("reasoning") or details
        self.finished = self.finished or bool(choice.get("finish_reason"))
        deltas = said.get("tool_calls") or []
        for position, call in enumerate(deltas if isinstance(deltas, list) else [deltas]):
            function = call.get("function") or {}
            key = call.get("index", position)
            slot = calls.setdefault(key, ["", ""])
            slot[0] = slot[0] or function.get("name") or ""
            arguments = function.get("arguments")
            slot[1] += arguments if isinstance(arguments, str) else "" if arguments is None else json.dumps(arguments)

    def _cut(self, text: str, exchange: Exchange) -> str:
        places = [text.find(stop) for stop in exchange.asked.get("stop") or [] if stop in text]
        return text[: min(places)] if places else text


def _arguments(text: str) -> Any:
    """Give the arguments as they should arrive: an object, or the text of what is none."""
    try:
        value = json.loads(text or "{}", strict=False)
    except ValueError:
        cut = text[: text.rfind("}") + 1]
        try:
            value = json.loads(cut)
        except ValueError:
            return text
    if isinstance(value, dict) and set(value) == {"function"} and "_name" in value["function"]:
        return {key: item for key, item in value["function"].items() if key != "_name"}
    return value if isinstance(value, dict) else text


def test_count() -> None:
    """All recordings are replayed but those left out for a reason that is known."""
    reasons = [reason for exchange in EXCHANGES if (reason := left_out(exchange))]

    assert len(REPLAYED) + len(reasons) == len(EXCHANGES)
    assert len(REPLAYED) >= 450

"""How a response ended: decided here alone, for whole chat responses, streams, v3 events, text and structured output.

Parsers collect what a server sent, in whatever pieces; then they ask this module for the finish reason, the usage, the valid
and the invalid tool calls, truncation, and errors that were reported under status 200. The rules, with their evidence:

1. *Errors.* An `error` at the top, in a choice, in its message or delta, and a finish reason of `FAILED_REASONS` end a
   response as an error, whatever else it holds (OpenRouter: `{"error": {"code": 502}, "choices": […]}` after text, with
   finish_reason null or "stop"). `read_stream_error` finds them; what had come before is the error's `partial`.
2. *Finish reason.* OpenAI's words (`usage.finish_reason`). Tool calls make it "tool_calls" (TGI sends "stop"), but never
   hide "length" or "content_filter". A stop string that we found makes it "stop". TGI streams nothing at all when
   `max_tokens` truncates a call before its name, only `[DONE]`: "length" (live 3.3.6).
3. *Truncation.* A finish reason is evidence of truncation, its absence is none: some vLLM versions report "tool_calls", and
   other servers "stop", for a call that `max_tokens` truncated. Whether a value is complete is therefore decided by the
   value: JSON counts only if it is closed, and nothing is ever repaired. `{"age": 4` may have been 42.
4. *Arguments* of a tool call: an empty text, white space and `null` mean `{}`, except in the last call of a truncated
   response. An object sent as a JSON string is decoded once more. `{}` before another value is a placeholder (deltas `{}`,
   then `{"a": 1}`). The wrapper `{"function": {"_name": …}}` of TGI 2 is removed, and so is an end-of-turn marker behind the
   last brace. Everything else that is not a JSON object makes the call invalid.
5. *The one exception* (row `leaves_empty_arguments_open`): TGI streams a call without arguments as `{` and never closes it
   (live 3.3.6); unless the response was truncated, that is `{}`.
6. *Calls.* Without a name and without arguments, it is no call; without a name alone, it is an invalid one. Ids are unique
   within a response: missing, meaningless and repeated ones are replaced by nine letters and digits, which is the only form
   that Mistral's chat templates accept.
7. *Structured output* follows rule 3: the text must be closed JSON, whatever the finish reason says, and a scalar in a
   truncated response is not trusted. The error names max_tokens where the server says that it was reached.
8. *Two generations.* Where the model chose text although tools were sent, TGI generates twice, and a whole response has the text
   of the second generation with the finish reason, the count and the log probabilities of the first (live 3.3.6). The header
   `x-generated-tokens` counts the second: it is taken, and "length" where it reaches `max_tokens`.

How an invalid call stays invalid when langchain-core adds up chunks: `invalid_calls.py`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from langchain_core.messages.content import InvalidToolCall
from langchain_core.messages.tool import ToolCall, invalid_tool_call, tool_call

from langchain_hf_inference._protocol.dialects import responding_dialect
from langchain_hf_inference._protocol.lenient_json import loads
from langchain_hf_inference._protocol.usage import TRUNCATED_REASONS, finish_reason
from langchain_hf_inference._protocol.wire import JSON, WireRequest, as_list, as_object

TRUNCATED = "arguments are truncated"
"""Begins the error of a truncated call."""
CUSTOM_INPUT = "__arg1"
"""The argument that holds the text of an OpenAI custom tool call, as in langchain-openai."""

_PLACEHOLDER = re.compile(r'\s*\{\s*\}\s*(?=[{"])')
_AFTER_LAST_BRACE = re.compile(r'[^{}\[\]"]*\Z')
_FENCE = re.compile(r"```(?:json)?(.*)", re.DOTALL | re.IGNORECASE)
_DECODER = json.JSONDecoder(strict=False)
_ID_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_MEANINGLESS_IDS = frozenset({"", "0", "none", "null", "undefined"})
"""TGI numbers every call "0", so that ids would repeat between the turns of a conversation."""


@dataclass(frozen=True, slots=True)
class CollectedCall:
    """A tool call as it was received: its arguments are text, complete or not."""

    name: str
    id: str
    arguments: str
    is_custom: bool = False
    """Whether the arguments are the free text of an OpenAI custom tool."""


class CallIds:
    """The ids of the calls of one response: each is usable, and no two are the same."""

    def __init__(self) -> None:
        self._used: set[str] = set()

    def take(self, raw: Any) -> str:
        """Return the server's id if it can tell calls apart, else a new one."""
        identity = usable_id(raw)
        if identity is None or identity in self._used:
            identity = new_call_id()
        self._used.add(identity)
        return identity


def new_call_id() -> str:
    """Return an id of nine letters and digits, the form that Mistral's chat templates require."""
    return "".join(_ID_ALPHABET[byte % len(_ID_ALPHABET)] for byte in uuid4().bytes[-9:])


def usable_id(raw: Any) -> str | None:
    """Return the server's id if it can tell calls apart, else None."""
    text = str(raw).strip() if isinstance(raw, str | int) and not isinstance(raw, bool) else ""
    return None if text.lower() in _MEANINGLESS_IDS else text


def parse_arguments(
    text: str, *, truncated: str | None = None, open_is_empty: bool = False
) -> tuple[JSON | None, str | None]:
    """Return the arguments that `text` holds, or None and the reason why they are not valid (rules 3 to 5).

    Args:
        text: The arguments as received.
        truncated: The finish reason, where the response was truncated and this is its last call.
        open_is_empty: Read `{`, never closed, as no arguments.
    """
    text = without_placeholder(text)
    if not (stripped := text.strip()) or (stripped == "{" and open_is_empty and not truncated):
        return (None, truncated_error(truncated)) if truncated else ({}, None)
    problem = ""
    for candidate in (text, cleaned_arguments(text)):
        try:
            value = loads(candidate, strict=False)  # models write raw line breaks into strings
        except ValueError as error:
            problem = problem or f"arguments are not JSON: {error}"
            continue
        if isinstance(value, str):  # encoded twice
            return parse_arguments(value, truncated=truncated)
        if value is None:
            return {}, None
        if isinstance(value, dict):
            if not _is_wrapper(value):
                return value, None
            problem = "arguments are wrapped in a function"
        else:
            problem = f"arguments are a {type(value).__name__}, not an object"
    return None, truncated_error(truncated) if truncated else problem


def truncated_error(reason: str | None) -> str:
    """Return the error of a call that was truncated, by the finish reason."""
    return f"{TRUNCATED}: {TRUNCATED_REASONS.get(reason or '', 'the response ended too early')}"


def _is_wrapper(value: JSON) -> bool:
    function = value.get("function")
    return len(value) == 1 and isinstance(function, dict) and "_name" in function


def cleaned_arguments(text: str) -> str:
    """Return `text` without what follows its last brace, and without the wrapper `{"function": {"_name": …}}` (TGI 2).

    Text that is not such an object comes back unchanged.
    """
    end = text.rfind("}") + 1
    if not _AFTER_LAST_BRACE.match(text, end):
        return text
    try:
        value = loads(text[:end], strict=False)
    except ValueError:
        return text
    if isinstance(value, dict) and _is_wrapper(value):
        return json.dumps({k: v for k, v in value["function"].items() if k != "_name"}, ensure_ascii=False)
    return text[:end]


def without_placeholder(text: str) -> str:
    """Return `text` without a leading `{}` that another value follows (rule 4)."""
    found = _PLACEHOLDER.match(text)
    return text[found.end() :] if found else text


def end_calls(
    calls: Sequence[CollectedCall], reason: str | None, *, open_is_empty: bool = False
) -> tuple[list[ToolCall], list[InvalidToolCall]]:
    """Return the valid and the invalid calls of a response (rules 3 to 6).

    Args:
        calls: The calls as collected.
        reason: The finish reason, in OpenAI's words.
        open_is_empty: See `parse_arguments`.
    """
    valid: list[ToolCall] = []
    invalid: list[InvalidToolCall] = []
    for position, call in enumerate(calls):
        truncated = reason if reason in TRUNCATED_REASONS and position == len(calls) - 1 else None
        arguments, problem = end_call(call, truncated, open_is_empty=open_is_empty)
        if arguments is not None:
            valid.append(tool_call(name=call.name, args=arguments, id=call.id))
        elif call.name or call.arguments.strip():
            text = without_placeholder(call.arguments)
            invalid.append(invalid_tool_call(name=call.name, args=text, id=call.id, error=problem))
    return valid, sorted(invalid, key=lambda bad: not bad["name"])  # streams can show those without a name last only


def end_call(
    call: CollectedCall, truncated: str | None, *, open_is_empty: bool = False
) -> tuple[JSON | None, str | None]:
    """Return the arguments of one call, or None and the reason why it is not valid."""
    if not call.name:
        return None, "the call has no name"
    if call.is_custom:  # free text: nothing in it shows whether it is complete
        return (None, truncated_error(truncated)) if truncated else ({CUSTOM_INPUT: call.arguments}, None)
    return parse_arguments(call.arguments, truncated=truncated, open_is_empty=open_is_empty)


def end_reason(raw: Any, *, has_calls: bool, was_cut: bool) -> str | None:
    """Return the finish reason in OpenAI's words (rule 2); `was_cut` says that we found a stop string."""
    reason = finish_reason(None if raw is None else str(raw), has_calls=has_calls)
    return "stop" if was_cut and reason not in ("tool_calls", "content_filter") else reason


def reason_of_nothing(request: WireRequest, fingerprint: str) -> str | None:
    """Return the finish reason of a stream that ended without one, and without any output (rule 2)."""
    dropped = responding_dialect(request.dialect, fingerprint).drops_truncated_calls and request.body.get("tools")
    return "length" if dropped else None


def opens_empty_arguments(request: WireRequest, fingerprint: str) -> bool:
    """Return whether `{` alone means no arguments in this response (rule 5)."""
    return responding_dialect(request.dialect, fingerprint).leaves_empty_arguments_open


def of_last_generation(body: JSON, headers: Mapping[str, str], request: WireRequest) -> JSON:
    """Return a whole response that describes its last generation (rule 8)."""
    counted, usage = headers.get("x-generated-tokens", ""), body.get("usage")
    if not (counted.isdecimal() and isinstance(usage, dict) and request.body.get("tools")):
        return body
    if int(counted) == usage.get("completion_tokens") or not _generates_twice(request, body):
        return body
    prompt, limit = usage.get("prompt_tokens"), request.body.get("max_tokens")
    usage = {**usage, "completion_tokens": int(counted)}
    if isinstance(prompt, int):
        usage["total_tokens"] = prompt + int(counted)
    reason = {"finish_reason": "length"} if int(counted) == limit else {}
    choices = [{**as_object(choice), **reason, "logprobs": None} for choice in as_list(body.get("choices"))]
    return {**body, "usage": usage, "choices": choices}


def _generates_twice(request: WireRequest, body: JSON) -> bool:
    row = responding_dialect(request.dialect, str(body.get("system_fingerprint") or ""))
    return row.generates_twice


def completion_problem(metadata: Mapping[str, Any]) -> str | None:
    """Return why a response is not complete, by its finish reason; None if nothing says so."""
    return TRUNCATED_REASONS.get(str(metadata.get("finish_reason")))


def parse_complete_json(text: str, metadata: Mapping[str, Any]) -> Any:
    """Return the JSON value that the text of a structured response holds, in a Markdown code block or not (rule 7).

    What follows a closed object or list is ignored: end-of-turn markers, remarks.

    Raises:
        ValueError: It is not JSON, or not complete.
    """
    fenced = _FENCE.search(text)
    problem, first_error = completion_problem(metadata), None
    for candidate in [text, *([fenced.group(1)] if fenced else [])]:
        try:
            value, end = _DECODER.raw_decode(candidate := candidate.strip(" \n\r\t`"))
            if isinstance(value, str) and value.lstrip().startswith(("{", "[")):  # encoded twice
                value = loads(value, strict=False)
            is_closed = isinstance(value, dict | list) or (end == len(candidate) and not problem)
        except (ValueError, RecursionError) as error:
            first_error = first_error or error
            continue
        if is_closed:
            return value
    raise ValueError(problem or f"the response is not complete JSON: {first_error or repr(text[:50])}")

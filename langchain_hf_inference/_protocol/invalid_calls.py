"""How an invalid tool call stays invalid when langchain-core adds up the chunks of a stream.

Langchain-core parses the arguments of added-up chunks with `parse_partial_json`, which repairs what is truncated:
`{"path": "/home/us` becomes a valid call, and an agent runs it. Core offers no way for a chunk to declare a call invalid:
`AIMessageChunk.__add__` builds the sum from `tool_call_chunks` alone, and drops `invalid_tool_calls`. What was tried:

* the raw text in `invalid_tool_calls` of the last chunk: dropped by the sum;
* arguments held back until they are complete: the raw text still has to be handed over, and is repaired all the same;
* a subclass of `str` for the arguments: pydantic makes a plain `str` of it when it validates the sum;
* a subclass of `AIMessageChunk` with a stricter validator: works, but every chunk would have to be one, since a sum has
  the class of its first chunk, and `type(chunk)`, serialized ids and tracers would see a class that is not core's;
* an error at the end of the stream: takes the message away from an agent that could deal with an invalid call.

So the last piece of an invalid call that core would repair is `/* invalid JSON */`, of a truncated one `/* truncated */`, and a
bracket that closes nothing, which core's parser, like every other, refuses: the sum has the call in `invalid_tool_calls`, its
arguments ending in that mark. `restore_invalid_calls` removes it again wherever the message passes through our hands: in
`invoke(streaming=True)`, v3 events, content blocks, and when the message is sent back.
"""

from __future__ import annotations

import json

from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.messages.tool import tool_call_chunk

from langchain_hf_inference._protocol.response_end import CollectedCall, end_call, truncated_error
from langchain_hf_inference._protocol.wire import JSON

INVALID_MARK, TRUNCATED_MARK = " /* invalid JSON */", " /* truncated */"
"""End the arguments of an invalid call in added-up chunks; see above."""


def invalidating_piece(call: CollectedCall, *, truncated: bool = False) -> str:
    """Return what has to follow the arguments of an invalid call in a stream; "" if nothing.

    A truncated call is always marked as such, another only where langchain-core would repair its arguments.
    """
    mark = TRUNCATED_MARK if truncated else INVALID_MARK
    pieces = [mark, mark + "]", mark + "}", mark + '"]', mark + '"}']
    for piece in pieces if truncated else ["", *pieces]:
        if _core_arguments(call.name, call.arguments + piece) is None:
            return piece
    raise AssertionError("a bracket that closes nothing is invalid JSON")  # pragma: no cover


def is_read_alike(call: CollectedCall, arguments: JSON) -> bool:
    """Return whether langchain-core reads the text of a valid call as `arguments`."""
    found = _core_arguments(call.name, call.arguments)
    return found is not None and json.dumps(found) == json.dumps(arguments)


def _core_arguments(name: str, text: str) -> JSON | None:
    chunk = AIMessageChunk(content="", tool_call_chunks=[tool_call_chunk(name=name, args=text, id="c", index=0)])
    return chunk.tool_calls[0]["args"] if chunk.tool_calls else None


def unmarked(text: str | None) -> str | None:
    """Return the arguments of an invalid call as the server sent them."""
    for mark in (INVALID_MARK, TRUNCATED_MARK):
        if text and mark in text:
            return text.rpartition(mark)[0]
    return text


def invalid_reason(name: str, text: str, reason: str | None) -> str:
    """Return why a streamed call is invalid, from its arguments with the mark."""
    truncated = reason if TRUNCATED_MARK in text else None
    problem = end_call(CollectedCall(name, "", unmarked(text) or ""), truncated)[1]
    return problem or truncated_error(truncated)


def restore_invalid_calls(message: AIMessage) -> None:
    """Set the invalid calls of an added-up message to the arguments that were sent, and the reason why they are invalid."""
    for call in message.invalid_tool_calls:
        if call["error"] is None:
            reason = message.response_metadata.get("finish_reason")
            call["error"] = invalid_reason(call["name"] or "", call["args"] or "", reason)
        call["args"] = unmarked(call["args"])
    if (
        isinstance(message.content, list) and message.invalid_tool_calls
    ):  # v1 content, in which core leaves them as chunks
        known = {call["id"]: {**call, "type": "invalid_tool_call"} for call in message.invalid_tool_calls}
        message.content = [
            known.get(block.get("id"), block)
            if isinstance(block, dict) and "tool_call" in str(block.get("type"))
            else block
            for block in message.content
        ]

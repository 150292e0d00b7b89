"""_protocol/invalid_calls.py: what is invalid stays invalid through langchain-core's merging, and comes back as it was sent."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.messages.tool import tool_call_chunk

from langchain_hf_inference._protocol.invalid_calls import (
    INVALID_MARK,
    TRUNCATED_MARK,
    invalidating_piece,
    restore_invalid_calls,
    unmarked,
)
from langchain_hf_inference._protocol.response_end import CollectedCall

texts = st.text(st.sampled_from('{}[]",:\\/ \nabu0123'), max_size=20)


@given(texts, st.booleans())
@example('{"a": "x\\', False)
@example('{"a": [{"b": "', False)
@example("", True)
def test_core_cannot_repair_it(text: str, truncated: bool) -> None:
    """Whatever the text is, core reads its sum with the piece as invalid; the text comes back."""
    piece = invalidating_piece(CollectedCall("f", "c1", text), truncated=truncated)
    first = AIMessageChunk(content="", tool_call_chunks=[tool_call_chunk(name="f", args=text, id="c1", index=0)])
    last = AIMessageChunk(content="", tool_call_chunks=[tool_call_chunk(name=None, args=piece, id=None, index=0)])

    total = first + last + AIMessageChunk(content="", chunk_position="last")

    assert total.tool_calls == []
    assert unmarked(total.invalid_tool_calls[0]["args"]) == text


@pytest.mark.parametrize("mark", [INVALID_MARK, TRUNCATED_MARK])
def test_restored(mark: str) -> None:
    """A restored call has its arguments and the reason; to restore it again changes nothing."""
    call = {"name": "f", "args": '{"a": 4' + mark + "]", "id": "c1", "error": None}
    message = AIMessage("", invalid_tool_calls=[call], response_metadata={"finish_reason": "length"})
    restore_invalid_calls(message)
    once = dict(message.invalid_tool_calls[0])
    restore_invalid_calls(message)

    assert message.invalid_tool_calls == [once]
    assert once["args"] == '{"a": 4'
    assert ("max_tokens" in str(once["error"])) == (mark == TRUNCATED_MARK)

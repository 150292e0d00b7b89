"""_protocol/chunks.py: chunks made by hand are what the constructors make, in every respect."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
from langchain_core.load import dumps
from langchain_core.messages import AIMessageChunk
from langchain_core.messages.tool import tool_call_chunk
from langchain_core.outputs import ChatGenerationChunk

from langchain_hf_inference._protocol import chunks
from langchain_hf_inference._protocol.chunks import call_chunk, chat_chunk

CASES: dict[str, tuple[str, dict[str, Any], dict[str, Any] | None]] = {
    "text": ("Hi", {}, None),
    "nothing": ("", {}, None),
    "reasoning": ("", {"reasoning_content": "Hm"}, None),
    "log probabilities": ("Hi", {}, {"logprobs": {"content": [{"token": "Hi"}]}}),
}


def constructed(text: str, extra: dict[str, Any], info: dict[str, Any] | None) -> ChatGenerationChunk:
    message = AIMessageChunk(content=text, additional_kwargs=extra, response_metadata={"model_provider": "huggingface"})
    return ChatGenerationChunk(message=message, generation_info=info)


@pytest.mark.parametrize("case", CASES)
def test_same_as_constructed(case: str) -> None:
    """Equal, shown, dumped, pickled, copied and added like the constructors' own; and made by hand here."""
    text, extra, info = CASES[case]
    one, other = chat_chunk(text, extra=dict(extra), info=info), constructed(text, extra, info)

    assert chunks.IS_FAST
    assert one == other
    assert one.message == other.message
    assert vars(one.message) == vars(other.message)
    assert one.message.model_fields_set == other.message.model_fields_set
    for act in (repr, dumps, lambda c: c.model_dump(), lambda c: c.message.model_dump_json(), lambda c: c + other, lambda c: other + c,
                lambda c: pickle.loads(pickle.dumps(c)), copy.deepcopy, lambda c: c.message.content_blocks):  # fmt: skip
        assert act(one) == act(other)


def test_nothing_is_shared() -> None:
    """What is done to one chunk is seen in no other."""
    one, other = chat_chunk("a"), chat_chunk("b")
    one.message.id = "x"
    one.message.response_metadata["y"] = 1
    one.message.additional_kwargs["z"] = 1
    one.message.tool_calls.append({"name": "f", "args": {}, "id": None})

    assert other == constructed("b", {}, None)
    assert "id" not in other.message.model_fields_set


def test_calls_add_up() -> None:
    """A call's pieces, the first constructed and the others by hand, add up to the call."""
    pieces = [call_chunk([tool_call_chunk(name="f", args="", id="c1", index=0)])]
    pieces += [call_chunk([tool_call_chunk(name=None, args=part, id=None, index=0)]) for part in ('{"a"', ": 1", "}")]

    total = sum(pieces[1:], pieces[0])

    assert total.message.tool_calls == [{"name": "f", "args": {"a": 1}, "id": "c1", "type": "tool_call"}]
    assert pieces[1].message.tool_call_chunks[0]["args"] == '{"a"'


def test_constructors_where_it_is_not_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """With another langchain-core or pydantic the constructors are used, and nothing else changes."""
    fast = chat_chunk("Hi")
    monkeypatch.setattr(chunks, "IS_FAST", False)

    assert chat_chunk("Hi") == fast
    assert (
        call_chunk([tool_call_chunk(name=None, args="x", id=None, index=0)]).message.tool_call_chunks[0]["args"] == "x"
    )

"""The chunks of a chat stream, made at a third of what their constructors cost.

A stream is thousands of small messages, and pydantic's constructors are most of what each costs. The usual ones (text,
reasoning, a call's arguments) are therefore made by hand: the same object that the constructor makes, field by field. That it
is the same is checked when this module is imported, with the langchain-core and pydantic that are there; where it is
not, the constructors are used.
"""

from __future__ import annotations

from typing import Any

from langchain_core.messages import AIMessageChunk
from langchain_core.messages.tool import ToolCallChunk
from langchain_core.outputs import ChatGenerationChunk
from pydantic import BaseModel

from langchain_hf_inference._protocol.wire import JSON

MODEL_PROVIDER = "huggingface"
"""`response_metadata["model_provider"]` of every message and chunk, and `ls_provider` of traces."""

_FIELDS = frozenset({"content", "additional_kwargs", "response_metadata"})
_CALL_FIELDS = _FIELDS | {"tool_call_chunks"}
_set_values = BaseModel.__dict__["__dict__"].__set__
_set_fields = BaseModel.__dict__["__pydantic_fields_set__"].__set__
_set_extra = BaseModel.__dict__["__pydantic_extra__"].__set__
_set_private = BaseModel.__dict__["__pydantic_private__"].__set__
_new = object.__new__


def _constructed(text: str, extra: JSON, info: JSON | None, calls: list[ToolCallChunk]) -> ChatGenerationChunk:
    metadata = {"model_provider": MODEL_PROVIDER}
    if calls:
        message = AIMessageChunk(
            content=text, additional_kwargs=extra, response_metadata=metadata, tool_call_chunks=calls
        )
    else:
        message = AIMessageChunk(content=text, additional_kwargs=extra, response_metadata=metadata)
    return ChatGenerationChunk(message=message, generation_info=info)


def _by_hand(text: str, extra: JSON, info: JSON | None, calls: list[ToolCallChunk]) -> ChatGenerationChunk:
    message = _new(AIMessageChunk)
    values = {"content": text, "additional_kwargs": extra, "response_metadata": {"model_provider": MODEL_PROVIDER},
              "type": "AIMessageChunk", "name": None, "id": None, "tool_calls": [], "invalid_tool_calls": [],
              "usage_metadata": None, "tool_call_chunks": calls, "chunk_position": None}  # fmt: skip
    _set_values(message, values)
    _set_fields(message, set(_CALL_FIELDS if calls else _FIELDS))
    _set_extra(message, {})
    _set_private(message, None)
    chunk = _new(ChatGenerationChunk)
    _set_values(chunk, {"text": text, "generation_info": info, "type": "ChatGenerationChunk", "message": message})
    _set_fields(chunk, {"message", "generation_info", "text"})
    _set_extra(chunk, None)
    _set_private(chunk, None)
    return chunk


def _state(model: BaseModel) -> list[Any]:
    """Give all there is to a model: the values, in order, and what pydantic keeps beside them."""
    return [
        list(model.__dict__.items()),
        model.__pydantic_fields_set__,
        model.__pydantic_extra__,
        model.__pydantic_private__,
    ]


def _is_same() -> bool:
    """Tell whether what is made by hand is what the constructors make."""
    cases: tuple[tuple[str, JSON, JSON | None], ...] = (
        ("Hi", {}, None),
        ("", {"reasoning_content": "Hm"}, None),
        ("Hi", {}, {"logprobs": {"content": []}}),
    )
    try:
        for text, extra, info in cases:
            one, other = _by_hand(text, extra, info, []), _constructed(text, extra, info, [])
            if _state(one.message) != _state(other.message):
                return False
            if _state(one)[1:] != _state(other)[1:] or list(one.__dict__) != list(other.__dict__) or one != other:
                return False
    except Exception:  # noqa: BLE001 - whatever a later version does to this, the constructors stay
        return False
    return True


IS_FAST = _is_same()
"""Whether chunks are made by hand here."""


def chat_chunk(text: str, *, extra: JSON | None = None, info: JSON | None = None) -> ChatGenerationChunk:
    """Give a chunk of text, or of what `extra` holds."""
    if IS_FAST:
        return _by_hand(text, {} if extra is None else extra, info, [])
    return _constructed(text, {} if extra is None else extra, info, [])


def call_chunk(calls: list[ToolCallChunk]) -> ChatGenerationChunk:
    """Give a chunk of tool calls.

    Of a call's further arguments the constructor would try to parse each piece by itself, at five times the cost of
    all else, and find nothing that is meant: `tool_calls` is empty in these pieces, and is told where chunks are added up.
    """
    if IS_FAST and all(call["name"] is None for call in calls):
        return _by_hand("", {}, None, calls)
    return _constructed("", {}, None, calls)

"""LangChain messages -> the `messages` of a chat-completion request."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)

from langchain_hf_inference._protocol.content_parts import PRIVATE_BLOCKS, wire_part
from langchain_hf_inference._protocol.dialects import Dialect
from langchain_hf_inference._protocol.invalid_calls import unmarked
from langchain_hf_inference._protocol.lenient_json import sendable
from langchain_hf_inference._protocol.reasoning_details import THINKING
from langchain_hf_inference._protocol.wire import JSON, as_list, as_object
from langchain_hf_inference.errors import ConfigurationError

ERROR_PREFIX = "Error: "
"""Put before a failed tool's words, unless they say so themselves: the wire has no field for it."""


def wire_messages(
    messages: Sequence[BaseMessage], dialect: Dialect, *, replay_reasoning: bool = False
) -> tuple[list[JSON], list[str]]:
    """Give the wire form of a conversation, and notes on what the engine cannot take beside it.

    Content that is not text stays in user messages only: what a tool returned as an image follows
    the tool results in a user message, since no open engine reads parts in a tool message.
    `replay_reasoning` sends the assistant's earlier reasoning back, by both names that engines have for it.

    Raises:
        ConfigurationError: A message or content block cannot be sent to this engine.
    """
    if not messages:
        raise ConfigurationError("there are no messages; give at least one")
    wire: list[JSON] = []
    notes: list[str] = []
    attachments: list[JSON] = []
    has_parts = False
    for message in messages:
        if attachments and not isinstance(message, ToolMessage):
            wire.append({"role": "user", "content": attachments})
            attachments = []
        values, kind = message.__dict__, type(message)
        if type(text := values["content"]) is str and not values["name"]:  # what most of a long history is
            if kind is HumanMessage:
                wire.append({"role": "user", "content": text})
                continue
            if kind is AIMessage and not (
                values["tool_calls"] or values["invalid_tool_calls"] or values["additional_kwargs"]
            ):
                wire.append({"role": "assistant", "content": text})
                continue
        has_parts = True
        if isinstance(message, ToolMessage):
            row, more = _tool_message(message)
            wire.append(row)
            attachments += more
        elif isinstance(message, AIMessage):
            wire.append(_assistant_message(message, dialect, replay_reasoning, notes))
        else:
            wire += _spoken_messages(message, dialect)
    if attachments:
        wire.append({"role": "user", "content": attachments})
    if has_parts:
        _check_parts(wire, dialect)
    return wire, notes


def has_media(messages: Iterable[BaseMessage]) -> bool:
    """Tell whether any message holds more than text, so that it matters which engine reads it."""
    return any(
        isinstance(block, dict) and block.get("type") not in (None, "text", "text-plain", *PRIVATE_BLOCKS)
        for message in messages
        if isinstance(message.content, list)
        for block in message.content
    )


def _role(message: BaseMessage, dialect: Dialect) -> str:
    if isinstance(message, HumanMessage):
        return "user"
    if isinstance(message, SystemMessage):
        role = str(message.additional_kwargs.get("__openai_role__", "system"))
    elif isinstance(message, FunctionMessage):
        role = "function"
    elif isinstance(message, ChatMessage):
        role = message.role
    else:
        raise ConfigurationError(f"a {type(message).__name__} cannot be sent to a model; remove it from the messages")
    return "system" if role == "developer" and not dialect.developer_role else role


def _spoken_messages(message: BaseMessage, dialect: Dialect) -> list[JSON]:
    """Give the rows of a user, system or free-role message: Anthropic's `tool_result` blocks become tool messages."""
    role = _role(message, dialect)
    blocks = as_list(message.content)
    results = [b for b in blocks if isinstance(b, dict) and b.get("type") == "tool_result"]
    rest = [b for b in blocks if b not in results] if results else blocks
    rows = [
        {
            "role": "tool",
            "tool_call_id": str(b.get("tool_use_id", "")),
            "content": _tool_text(as_list(b.get("content"))),
        }
        for b in results
    ]
    if rest or not results:
        parts = [wire_part(block) for block in rest]
        row: JSON = {"role": role, "content": _text_or_parts(parts, keep_parts=role == "user")}
        if message.name:
            row["name"] = message.name
        rows.append(row)
    return rows


def _text_or_parts(parts: list[JSON], *, keep_parts: bool) -> str | list[JSON]:
    if keep_parts and any(part["type"] != "text" for part in parts):
        return parts
    for part in parts:
        if part["type"] != "text":
            raise ConfigurationError(f"a {part['type']!r} content block can only stand in a user message")
    return "\n".join(part["text"] for part in parts)


def _tool_message(message: ToolMessage) -> tuple[JSON, list[JSON]]:
    parts = [wire_part(block) for block in as_list(message.content)]
    media = [part for part in parts if part["type"] != "text"]
    content = "\n".join(part["text"] for part in parts if part["type"] == "text")
    if message.status == "error" and "error" not in content[:200].lower():
        content = ERROR_PREFIX + content
    row: JSON = {"role": "tool", "tool_call_id": message.tool_call_id, "content": content}
    if message.name:
        row["name"] = message.name
    return row, media


def _tool_text(blocks: list[Any]) -> str:
    parts = [wire_part(block) for block in blocks]
    return "\n".join(part["text"] if part["type"] == "text" else json.dumps(part) for part in parts)


def _assistant_message(message: AIMessage, dialect: Dialect, replay_reasoning: bool, notes: list[str]) -> JSON:
    blocks = as_list(message.content)
    texts = []
    for block in blocks:
        kind = block.get("type") if isinstance(block, dict) else "text"
        if kind in PRIVATE_BLOCKS:
            continue
        part = wire_part(block)
        if part["type"] == "text":
            texts.append(part["text"])
        else:
            notes.append(f"a {kind!r} block of an assistant message was left out: models read media from users only")
    content, calls = "".join(texts), _calls(message, blocks)
    row: JSON = {"role": "assistant"}
    if content and calls and not dialect.content_with_calls:
        notes.append(f"{dialect.title} reads either text or tool calls of an assistant message; the text was left out")
    elif content or not calls:
        row["content"] = content
    if calls:
        row["tool_calls"] = calls
    if message.name:
        row["name"] = message.name
    if replay_reasoning:
        _add_reasoning(row, message, blocks)
    return row


def _calls(message: AIMessage, blocks: list[Any]) -> list[JSON]:
    calls = [
        _call(call.get("id"), call["name"], json.dumps(sendable(call["args"]), ensure_ascii=False))
        for call in message.tool_calls
    ]
    # Arguments that are no JSON would make llama.cpp and transformers serve fail with 500: wrap them.
    calls += [
        _call(bad.get("id"), bad.get("name") or "unknown", _invalid_arguments(bad.get("args")))
        for bad in message.invalid_tool_calls
    ]
    if not calls:  # a message of another provider that was built by hand
        calls = [
            _call(b.get("id"), str(b.get("name")), json.dumps(sendable(b.get("input") or {}), ensure_ascii=False))
            for b in blocks
            if isinstance(b, dict) and b.get("type") == "tool_use"
        ]
    for position, call in enumerate(calls):
        call["id"] = call["id"] or f"call{position:05d}"  # nine letters and digits, as Mistral's templates require
    return calls


def _invalid_arguments(text: str | None) -> str:
    return json.dumps({"invalid_arguments": sendable(unmarked(text))})


def _call(identity: str | None, name: str, arguments: str) -> JSON:
    return {"id": identity, "type": "function", "function": {"name": name, "arguments": arguments}}


def _add_reasoning(row: JSON, message: AIMessage, blocks: list[Any]) -> None:
    """Put the reasoning of an earlier response where its server wants it back."""
    details = [
        detail for detail in map(as_object, as_list(message.additional_kwargs.get("reasoning_details"))) if detail
    ]
    thinking = [detail for detail in details if detail.get("type") == THINKING]
    if thinking:  # Mistral, which knows none of the other keys
        row["content"] = [*thinking, *([{"type": "text", "text": row["content"]}] if row.get("content") else [])]
    elif reasoning := _reasoning(message, blocks):
        row["reasoning_content"] = row["reasoning"] = reasoning
    if others := [detail for detail in details if detail.get("type") != THINKING]:
        row["reasoning_details"] = others


def _reasoning(message: AIMessage, blocks: list[Any]) -> str:
    if reasoning := message.additional_kwargs.get("reasoning_content"):
        return str(reasoning)
    return "".join(str(as_object(b).get("reasoning") or as_object(b).get("thinking") or "") for b in blocks)


def _check_parts(wire: list[JSON], dialect: Dialect) -> None:
    for row in wire:
        for part in row["content"] if isinstance(row.get("content"), list) else ():
            if part["type"] not in dialect.parts and row["role"] != "assistant":  # of it: thinking parts alone
                raise ConfigurationError(
                    f"{dialect.title} cannot read content of type {part['type']!r}; "
                    f"it reads {', '.join(sorted(dialect.parts))}"
                )

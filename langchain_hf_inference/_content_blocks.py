"""Our messages -> LangChain's standard content blocks, each with a stable index.

Registered with langchain-core for `model_provider` "huggingface" when the chat model is imported.
Without it core guesses, and numbers the blocks of a stream itself: its number 0 for reasoning then
meets the provider's tool call 0, and the two are merged into one broken block.
"""

from __future__ import annotations

from typing import Any, cast

from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.messages import content as types
from langchain_core.messages.block_translators import register_translator

from langchain_hf_inference._protocol.chat_response import MODEL_PROVIDER

TEXT, REASONING, CALL = "lc_text", "lc_reasoning", "lc_tc_{}"
"""Indices of blocks in a stream; core merges equal ones that begin with "lc_"."""


def content_blocks(message: AIMessage) -> list[types.ContentBlock]:
    """Give the blocks of a whole message: reasoning, text, tool calls, refusal."""
    blocks: list[dict[str, Any]] = [*_spoken(message)]
    blocks += [{"type": "tool_call", "name": c["name"], "args": c["args"], "id": c["id"]} for c in message.tool_calls]
    blocks += [
        {"type": "invalid_tool_call", "name": c["name"], "args": c["args"], "id": c["id"], "error": c["error"]}
        for c in message.invalid_tool_calls
    ]
    return cast("list[types.ContentBlock]", blocks)


def chunk_blocks(message: AIMessageChunk) -> list[types.ContentBlock]:
    """Give the blocks of a piece of a stream, numbered; of a stream that is complete, its whole tool calls."""
    if message.chunk_position == "last":
        return content_blocks(message)
    blocks: list[dict[str, Any]] = [
        {**block, "index": REASONING if block["type"] == "reasoning" else TEXT} for block in _spoken(message)
    ]
    blocks += [
        {
            "type": "tool_call_chunk",
            "id": c["id"],
            "name": c["name"],
            "args": c["args"],
            "index": CALL.format(c["index"]),
        }
        for c in message.tool_call_chunks
    ]
    return cast("list[types.ContentBlock]", blocks)


def _spoken(message: AIMessage) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = []
    if reasoning := message.additional_kwargs.get("reasoning_content"):
        blocks.append({"type": "reasoning", "reasoning": reasoning})
    content = message.content
    if isinstance(content, str):
        blocks += [{"type": "text", "text": content}] if content else []
    else:  # written by hand, or by another model
        known = types.KNOWN_BLOCK_TYPES
        for block in content:
            if isinstance(block, str):
                blocks.append({"type": "text", "text": block})
            elif block.get("type") not in ("tool_call", "tool_call_chunk", "tool_use", "invalid_tool_call"):
                blocks.append(block if block.get("type") in known else {"type": "non_standard", "value": block})
    return blocks


register_translator(MODEL_PROVIDER, content_blocks, chunk_blocks)

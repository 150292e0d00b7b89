"""Our messages -> LangChain's standard content blocks, each with a stable index.

Registered with langchain-core for `model_provider` "huggingface" when the chat model is imported.
Without it core guesses, and numbers the blocks of a stream itself: its number 0 for reasoning then
meets the provider's tool call 0, and the two are merged into one broken block.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Any, cast

from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.messages import content as types
from langchain_core.messages.block_translators import register_translator

from langchain_hf_inference._protocol.chunks import MODEL_PROVIDER
from langchain_hf_inference._protocol.invalid_calls import unmarked
from langchain_hf_inference._protocol.wire import JSON, as_list, as_object

TEXT, REASONING, REFUSAL, AUDIO = "lc_text", "lc_reasoning", "lc_refusal", "lc_audio"
CALL, IMAGE = "lc_tc_{}", "lc_image_{}"
"""Indices of blocks in a stream; core merges equal ones that begin with "lc_"."""


def content_blocks(message: AIMessage) -> list[types.ContentBlock]:
    """Give the blocks of a whole message: reasoning, text, tool calls, pictures, sound, refusal."""
    blocks: list[JSON] = [*_spoken(message)]
    blocks += [{"type": "tool_call", "name": c["name"], "args": c["args"], "id": c["id"]} for c in message.tool_calls]
    blocks += [
        {
            "type": "invalid_tool_call",
            "name": c["name"],
            "args": unmarked(c["args"]),
            "id": c["id"],
            "error": c["error"],
        }
        for c in message.invalid_tool_calls
    ]
    blocks += [{k: v for k, v in b.items() if k != "index"} for b in other_blocks(message.additional_kwargs)]
    return cast("list[types.ContentBlock]", blocks)


def chunk_blocks(message: AIMessageChunk) -> list[types.ContentBlock]:
    """Give the blocks of a piece of a stream, numbered; of a stream that is complete, its whole tool calls."""
    if message.chunk_position == "last":
        return content_blocks(message)
    numbers = {"text": TEXT, "reasoning": REASONING}
    blocks: list[JSON] = [{**block, "index": numbers.get(block["type"], TEXT)} for block in _spoken(message)]
    blocks += [
        {"type": "tool_call_chunk", "id": c["id"], "name": c["name"], "args": c["args"],
         "index": CALL.format(c["index"])}
        for c in message.tool_call_chunks
    ]  # fmt: skip
    blocks += other_blocks(message.additional_kwargs)
    return cast("list[types.ContentBlock]", blocks)


def other_blocks(extra: Mapping[str, Any]) -> list[JSON]:
    """Give, numbered, the blocks of what an answer holds beside text, reasoning and tool calls."""
    if not extra.keys() & {"refusal", "images", "audio"}:
        return []
    blocks: list[JSON] = []
    for image in as_list(extra.get("images")):
        url = str(as_object(as_object(image).get("image_url")).get("url") or as_object(image).get("url") or "")
        if url:
            number = IMAGE.format(zlib.crc32(url.encode()))  # the same picture, the same block
            blocks.append({"type": "image", **_located(url), "index": number})
    if audio := as_object(extra.get("audio")):
        more = {k: v for k, v in audio.items() if k != "data" and v is not None}
        sound: JSON = {"type": "audio", "base64": audio.get("data") or "", "index": AUDIO}
        blocks.append({**sound, "extras": more} if more else sound)
    if refusal := extra.get("refusal"):
        if "refusal" in types.KNOWN_BLOCK_TYPES:  # since langchain-core 1.7.5
            blocks.append({"type": "refusal", "refusal": refusal, "index": REFUSAL})
        else:
            blocks.append({"type": "non_standard", "value": {"refusal": refusal}, "index": REFUSAL})
    return blocks


def _located(url: str) -> JSON:
    """Give a picture's place: its bytes where the URL holds them."""
    if not url.startswith("data:"):
        return {"url": url}
    head, _, data = url.removeprefix("data:").partition(",")
    kind = head.partition(";")[0]
    return {"base64": data, "mime_type": kind} if kind else {"base64": data}


def _spoken(message: AIMessage) -> list[JSON]:
    blocks: list[JSON] = []
    extra = message.additional_kwargs
    if reasoning := extra.get("reasoning_content"):
        blocks.append({"type": "reasoning", "reasoning": reasoning})
    content = message.content
    sources = citations(extra)
    if isinstance(content, str):
        if content or sources:
            text: JSON = {"type": "text", "text": content}
            blocks.append({**text, "annotations": sources} if sources else text)
    else:  # written by hand, or by another model
        known = types.KNOWN_BLOCK_TYPES
        for block in content:
            if isinstance(block, str):
                blocks.append({"type": "text", "text": block})
            elif block.get("type") not in ("tool_call", "tool_call_chunk", "tool_use", "invalid_tool_call"):
                blocks.append(block if block.get("type") in known else {"type": "non_standard", "value": block})
    return blocks


def citations(extra: Mapping[str, Any]) -> list[JSON]:
    """Give the sources of a text, as annotations of its block."""
    return [_citation(as_object(row)) for row in as_list(extra.get("annotations"))]


def _citation(row: JSON) -> JSON:
    source = as_object(row.get("url_citation"))
    if not source:
        return {"type": "non_standard_annotation", "value": row}
    names = ("url", "title", "start_index", "end_index")
    return {"type": "citation", **{name: source[name] for name in names if source.get(name) is not None}}


register_translator(MODEL_PROVIDER, content_blocks, chunk_blocks)

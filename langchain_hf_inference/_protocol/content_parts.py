"""Content blocks of every shape -> the content parts of the chat-completion API.

Read are: plain strings, OpenAI's parts, LangChain's standard blocks (v1: `{"type": "image",
"base64": …, "mime_type": …}`; v0: `{"type": "image", "source_type": "base64", "data": …}`) and
Anthropic's (`{"type": "image", "source": {…}}`), which stand in histories of other models.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import Any

from langchain_hf_inference._protocol.wire import JSON, as_object
from langchain_hf_inference.errors import ConfigurationError

PRIVATE_BLOCKS = frozenset(
    {"reasoning", "thinking", "redacted_thinking", "tool_use", "tool_call", "tool_call_chunk", "invalid_tool_call",
     "function_call", "server_tool_call", "server_tool_call_chunk", "server_tool_result", "server_tool_use",
     "web_search_tool_result", "refusal", "non_standard", "executable_code", "code_execution_result"}
)  # fmt: skip
"""Blocks of an assistant's history that belong to the model that wrote them, or are sent as tool calls."""

_MAGIC = (
    ("iVBORw0KGgo", "image/png"), ("/9j/", "image/jpeg"), ("R0lGOD", "image/gif"), ("UklGR", "image/webp"),
    ("JVBERi", "application/pdf"), ("SUQz", "audio/mpeg"), ("AAAA", "video/mp4"),
)  # fmt: skip
"""The first characters of files in base64, for blocks that do not name their type."""

_AUDIO_FORMATS = {"mpeg": "mp3", "x-wav": "wav", "wave": "wav", "vnd.wave": "wav", "x-m4a": "m4a", "mp4": "m4a"}


def wire_part(block: Any) -> JSON:
    """Give the content part that says what `block` says.

    Raises:
        ConfigurationError: The block is of a kind that no engine reads, or incomplete.
    """
    if isinstance(block, str):
        return {"type": "text", "text": block}
    if not isinstance(block, Mapping):
        raise ConfigurationError(f"a content block is a {type(block).__name__}; it must be a str or a dict with a type")
    kind = block.get("type") or ("text" if "text" in block else None)
    reader = _READERS.get(str(kind))
    if reader is None:
        raise ConfigurationError(
            f"content block of type {kind!r} cannot be sent to a model; "
            f"types that can are {', '.join(sorted(_READERS))}"
        )
    return reader(block)


def _text(block: Mapping[str, Any]) -> JSON:
    text = block.get("text")
    if not isinstance(text, str):
        raise ConfigurationError(f"a {block.get('type')!r} content block has no text")
    return {"type": "text", "text": text}


def _image_url(block: Mapping[str, Any]) -> JSON:
    value = block.get("image_url")
    # OpenAI wants an object; a bare string works on some servers only.
    image = {"url": value} if isinstance(value, str) else dict(as_object(value))
    if not image.get("url"):
        raise ConfigurationError("an 'image_url' content block has no url")
    return {"type": "image_url", "image_url": image}


def _image(block: Mapping[str, Any]) -> JSON:
    detail = block.get("detail") or as_object(block.get("extras")).get("detail")
    image = {"url": _location(block, "image/png"), **({"detail": detail} if detail else {})}
    return {"type": "image_url", "image_url": image}


def _video(block: Mapping[str, Any]) -> JSON:
    return {"type": "video_url", "video_url": {"url": _location(block, "video/mp4")}}


def _audio(block: Mapping[str, Any]) -> JSON:
    url = _location(block, "audio/wav")
    if not url.startswith("data:"):
        return {"type": "audio_url", "audio_url": {"url": url}}
    header, _, data = url.partition(",")
    subtype = header.removeprefix("data:").partition(";")[0].partition("/")[2]
    return {"type": "input_audio", "input_audio": {"data": data, "format": _AUDIO_FORMATS.get(subtype, subtype)}}


def _file(block: Mapping[str, Any]) -> JSON:
    if "file" in block:  # OpenAI's own form
        return {"type": "file", "file": block["file"]}
    if isinstance(block.get("text"), str):
        return _text(block)
    source = as_object(block.get("source"))
    if source.get("type") == "text":
        return {"type": "text", "text": str(source.get("data", ""))}
    extras = as_object(block.get("extras"))
    name = block.get("filename") or extras.get("filename") or extras.get("name") or block.get("title") or "file.pdf"
    if file_id := block.get("file_id") or block.get("id") if "file_id" in block else None:
        return {"type": "file", "file": {"file_id": file_id}}
    return {"type": "file", "file": {"filename": name, "file_data": _location(block, "application/pdf")}}


def _as_given(key: str) -> Callable[[Mapping[str, Any]], JSON]:
    def part(block: Mapping[str, Any]) -> JSON:
        value = block.get(key)
        if value is None:
            raise ConfigurationError(f"a {key!r} content block has no {key!r}")
        return {"type": key, key: {"url": value} if isinstance(value, str) else value}

    return part


def _location(block: Mapping[str, Any], default_type: str) -> str:
    """Give a block's URL, or its data as a `data:` URL."""
    source = as_object(block.get("source"))  # Anthropic
    url = block.get("url") or source.get("url")
    if url:
        return str(url)
    data = block.get("base64") or block.get("data") or source.get("data")
    if isinstance(data, bytes | bytearray):
        data = base64.b64encode(data).decode()
    if not data:
        known = ", ".join(map(repr, block))
        raise ConfigurationError(f"a {block.get('type')!r} content block needs 'url' or 'base64'; it has {known}")
    mime = block.get("mime_type") or block.get("media_type") or source.get("media_type")
    mime = mime or next((m for start, m in _MAGIC if str(data).startswith(start)), default_type)
    return f"data:{mime};base64,{data}"


_READERS: dict[str, Callable[[Mapping[str, Any]], JSON]] = {
    "text": _text, "text-plain": _text, "input_text": _text, "output_text": _text,
    "image_url": _image_url, "image": _image,
    "video": _video, "video_url": _as_given("video_url"),
    "audio": _audio, "audio_url": _as_given("audio_url"), "input_audio": _as_given("input_audio"),
    "file": _file, "document": _file,
}  # fmt: skip

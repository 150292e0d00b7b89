"""_protocol/messages.py and content_parts.py: LangChain messages of every kind to the wire."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    RemoveMessage,
    SystemMessage,
    ToolMessage,
)

from langchain_hf_inference import ConfigurationError
from langchain_hf_inference._protocol.dialects import DIALECTS
from langchain_hf_inference._protocol.messages import has_media, wire_messages

PNG = "iVBORw0KGgoAAAANSUhEUg=="
CALL = {"name": "f", "args": {"a": "集团"}, "id": "c1"}
WIRE_CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a": "集团"}'}}


def wire(*messages: BaseMessage, dialect: str = "openai", **options: Any) -> list[dict[str, Any]]:
    return wire_messages(messages, DIALECTS[dialect], **options)[0]


@pytest.mark.parametrize(
    ("message", "row"),
    [
        (HumanMessage("hi"), {"role": "user", "content": "hi"}),
        (HumanMessage("hi", name="ann"), {"role": "user", "content": "hi", "name": "ann"}),
        (HumanMessage(""), {"role": "user", "content": ""}),
        (SystemMessage("be brief"), {"role": "system", "content": "be brief"}),
        (SystemMessage([{"type": "text", "text": "a"}, "b"]), {"role": "system", "content": "a\nb"}),
        (SystemMessage("x", additional_kwargs={"__openai_role__": "developer"}), {"role": "developer", "content": "x"}),
        (ChatMessage("x", role="developer"), {"role": "developer", "content": "x"}),
        (FunctionMessage("7", name="f"), {"role": "function", "content": "7", "name": "f"}),
        (AIMessage("yes"), {"role": "assistant", "content": "yes"}),
        (AIMessage(""), {"role": "assistant", "content": ""}),
        (AIMessage("", tool_calls=[CALL]), {"role": "assistant", "tool_calls": [WIRE_CALL]}),
        (AIMessage("so", tool_calls=[CALL]), {"role": "assistant", "content": "so", "tool_calls": [WIRE_CALL]}),
        (AIMessage([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]), {"role": "assistant", "content": "ab"}),
        (AIMessage([{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "a", "index": 0}]), {"role": "assistant", "content": "a"}),
        (AIMessage([{"type": "reasoning", "reasoning": "hm"}, {"type": "tool_call", **CALL}], tool_calls=[CALL]),
         {"role": "assistant", "tool_calls": [WIRE_CALL]}),
        (AIMessage([{"type": "tool_use", "id": "c1", "name": "f", "input": {"a": "集团"}}]), {"role": "assistant", "tool_calls": [WIRE_CALL]}),
        (AIMessage("", invalid_tool_calls=[{"name": "f", "args": '{"a"', "id": "c1", "error": "cut"}]),
         {"role": "assistant", "tool_calls": [{"id": "c1", "type": "function",
                                               "function": {"name": "f", "arguments": '{"invalid_arguments": "{\\"a\\""}'}}]}),
        (ToolMessage("7", tool_call_id="c1"), {"role": "tool", "tool_call_id": "c1", "content": "7"}),
        (ToolMessage("7", tool_call_id="c1", name="f"), {"role": "tool", "tool_call_id": "c1", "content": "7", "name": "f"}),
        (ToolMessage([{"type": "text", "text": "7"}, "8"], tool_call_id="c1"), {"role": "tool", "tool_call_id": "c1", "content": "7\n8"}),
        (ToolMessage("not there", tool_call_id="c1", status="error"), {"role": "tool", "tool_call_id": "c1", "content": "Error: not there"}),
        (ToolMessage("Error: gone", tool_call_id="c1", status="error"), {"role": "tool", "tool_call_id": "c1", "content": "Error: gone"}),
    ],
)  # fmt: skip
def test_roles(message: BaseMessage, row: dict[str, Any]) -> None:
    """Each kind of message becomes its row."""
    assert wire(message) == [row]


IMAGE = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}


@pytest.mark.parametrize(
    ("block", "part"),
    [
        ({"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}, "id": "x"}, {"type": "text", "text": "a"}),
        ({"type": "image_url", "image_url": {"url": "https://x/y.png", "detail": "low"}},
         {"type": "image_url", "image_url": {"url": "https://x/y.png", "detail": "low"}}),
        ({"type": "image_url", "image_url": "https://x/y.png"}, {"type": "image_url", "image_url": {"url": "https://x/y.png"}}),
        ({"type": "image", "url": "https://x/y.png"}, {"type": "image_url", "image_url": {"url": "https://x/y.png"}}),
        ({"type": "image", "base64": PNG, "mime_type": "image/png"}, IMAGE),
        ({"type": "image", "base64": PNG}, IMAGE),
        ({"type": "image", "source_type": "base64", "data": PNG, "mime_type": "image/png"}, IMAGE),
        ({"type": "image", "source_type": "url", "url": "https://x/y.png"}, {"type": "image_url", "image_url": {"url": "https://x/y.png"}}),
        ({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}, IMAGE),
        ({"type": "image", "source": {"type": "url", "url": "https://x/y.png"}}, {"type": "image_url", "image_url": {"url": "https://x/y.png"}}),
        ({"type": "image", "base64": b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"},
         {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgoAAAANSUhEUg=="}}),
        ({"type": "audio", "base64": "UklGRg==", "mime_type": "audio/wav"}, {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}}),
        ({"type": "audio", "base64": "SUQz", "mime_type": "audio/mpeg"}, {"type": "input_audio", "input_audio": {"data": "SUQz", "format": "mp3"}}),
        ({"type": "audio", "url": "https://x/y.wav"}, {"type": "audio_url", "audio_url": {"url": "https://x/y.wav"}}),
        ({"type": "input_audio", "input_audio": {"data": "x", "format": "wav"}}, {"type": "input_audio", "input_audio": {"data": "x", "format": "wav"}}),
        ({"type": "video", "url": "https://x/y.mp4"}, {"type": "video_url", "video_url": {"url": "https://x/y.mp4"}}),
        ({"type": "video_url", "video_url": "https://x/y.mp4"}, {"type": "video_url", "video_url": {"url": "https://x/y.mp4"}}),
        ({"type": "file", "base64": "JVBERi0=", "mime_type": "application/pdf", "filename": "a.pdf"},
         {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0="}}),
        ({"type": "file", "file": {"file_id": "f1"}}, {"type": "file", "file": {"file_id": "f1"}}),
        ({"type": "file", "file_id": "f1"}, {"type": "file", "file": {"file_id": "f1"}}),
        ({"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="}, "title": "a.pdf"},
         {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0="}}),
        ({"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "words"}}, {"type": "text", "text": "words"}),
        ({"type": "text-plain", "text": "words"}, {"type": "text", "text": "words"}),
    ],
)  # fmt: skip
def test_blocks(block: dict[str, Any], part: dict[str, Any]) -> None:
    """Each form of a content block becomes the part of the API; text beside it keeps its place."""
    beside = {"type": "image_url", "image_url": {"url": "https://x/1.png"}}

    assert wire(HumanMessage([block, beside])) == [{"role": "user", "content": [part, beside]}]


def test_text_parts_are_one_string() -> None:
    """Parts that are all text are sent as a string, which every template reads."""
    assert wire(HumanMessage(["a", {"type": "text", "text": "b"}])) == [{"role": "user", "content": "a\nb"}]


@pytest.mark.parametrize(
    ("block", "words"),
    [
        ({"type": "hologram"}, "type 'hologram' cannot be sent to a model; types that can are audio,"),
        ({"type": "image"}, "needs 'url' or 'base64'"),
        ({"type": "image_url"}, "has no url"),
        ({"type": "text"}, "has no text"),
        ({"type": "video_url"}, "has no 'video_url'"),
        ({"type": "non_standard", "value": 1}, "cannot be sent"),
    ],
)
def test_bad_blocks(block: dict[str, Any], words: str) -> None:
    """What no engine reads is refused before anything is sent."""
    with pytest.raises(ConfigurationError, match=words):
        wire(HumanMessage([block]))


def test_bad_messages() -> None:
    """So are messages that are none."""
    with pytest.raises(ConfigurationError, match="there are no messages"):
        wire()
    with pytest.raises(ConfigurationError, match="RemoveMessage cannot be sent"):
        wire(RemoveMessage(id="1"))
    with pytest.raises(ConfigurationError, match="'image_url' content block can only stand in a user message"):
        wire(SystemMessage([{"type": "image", "url": "https://x"}]))


def test_same_roles_in_a_row() -> None:
    """Messages of one role after another stay apart."""
    rows = wire(
        SystemMessage("a"), SystemMessage("b"), HumanMessage("c"), HumanMessage("d"), AIMessage("e"), AIMessage("f")
    )

    assert [(r["role"], r["content"]) for r in rows] == [
        ("system", "a"), ("system", "b"), ("user", "c"), ("user", "d"), ("assistant", "e"), ("assistant", "f")]  # fmt: skip


def test_picture_from_a_tool() -> None:
    """A tool's picture follows the results of all tools in a user message."""
    two = [CALL, {**CALL, "id": "c2"}]
    rows = wire(
        AIMessage("", tool_calls=two),
        ToolMessage([{"type": "text", "text": "see"}, {"type": "image", "base64": PNG}], tool_call_id="c1"),
        ToolMessage("7", tool_call_id="c2"),
        HumanMessage("And?"),
    )

    assert [row["role"] for row in rows] == ["assistant", "tool", "tool", "user", "user"]
    assert (rows[1]["content"], rows[3]["content"]) == ("see", [IMAGE])


def test_anthropic_tool_result() -> None:
    """Anthropic's tool results inside a user message become tool messages before the rest of it."""
    blocks = [
        {"type": "tool_result", "tool_use_id": "c1", "content": [{"type": "text", "text": "7"}]},
        {"type": "text", "text": "And?"},
    ]

    assert wire(HumanMessage(blocks)) == [
        {"role": "tool", "tool_call_id": "c1", "content": "7"},
        {"role": "user", "content": "And?"},
    ]


def test_reasoning_is_replayed_on_demand() -> None:
    """Earlier reasoning goes back only when asked, under both names."""
    ours = AIMessage("so", additional_kwargs={"reasoning_content": "why"})
    block = AIMessage([{"type": "reasoning", "reasoning": "why"}, {"type": "text", "text": "so"}])
    row = {"role": "assistant", "content": "so"}

    assert wire(ours, block) == [row, row]
    assert wire(ours, block, replay_reasoning=True) == [{**row, "reasoning_content": "why", "reasoning": "why"}] * 2


def test_tgi() -> None:
    """TGI gets `system` for `developer`, and calls without text beside them, which is noted."""
    rows, notes = wire_messages(
        [ChatMessage("x", role="developer"), AIMessage("so", tool_calls=[CALL])], DIALECTS["tgi"]
    )  # fmt: skip

    assert rows == [{"role": "system", "content": "x"}, {"role": "assistant", "tool_calls": [WIRE_CALL]}]
    assert "the text was left out" in notes[0]


@pytest.mark.parametrize(
    ("dialect", "fits"), [("tgi", False), ("vllm", True), ("mlx", False), ("router", True), ("llama.cpp", True)]
)
def test_parts_of_engines(dialect: str, fits: bool) -> None:
    """A sound for an engine without ears is refused, with what it can read."""
    message = HumanMessage([{"type": "audio", "base64": "UklGRg==", "mime_type": "audio/wav"}])
    if fits:
        assert wire(message, dialect=dialect)[0]["content"][0]["type"] == "input_audio"
    else:
        with pytest.raises(ConfigurationError, match="cannot read content of type 'input_audio'; it reads"):
            wire(message, dialect=dialect)


def test_has_media() -> None:
    """Media make the engine matter; text, and blocks that stay private, do not."""
    assert has_media([HumanMessage([{"type": "image", "url": "https://x"}])])
    assert not has_media(
        [HumanMessage(["a", {"type": "text", "text": "b"}]), AIMessage([{"type": "reasoning", "reasoning": "c"}])]
    )


def test_arguments_are_unchanged() -> None:
    """The messages given stay as they were."""
    message = HumanMessage([{"type": "image_url", "image_url": "https://x"}])
    before = message.model_dump()

    wire(message)

    assert message.model_dump() == before

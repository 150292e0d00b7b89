"""_content_blocks.py: what a message holds, as LangChain's standard blocks, whole and in pieces."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from calling import Call, both_ways
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.messages import content as types
from langchain_core.messages.block_translators import get_translator

from conftest import FarEnd
from langchain_hf_inference import ChatHFInference
from langchain_hf_inference.testing import InferenceServer

FarEndMaker = Callable[..., FarEnd]
OURS = {"model_provider": "huggingface"}
HAS_REFUSALS = "refusal" in types.KNOWN_BLOCK_TYPES


def get_weather(city: str) -> str:
    """Tell the weather."""
    return city


def test_registered() -> None:
    """The translator stands in core's table under the provider that our messages name."""
    assert get_translator("huggingface") is not None


@both_ways
def test_stable_indices(call: Call, server: InferenceServer) -> None:
    """Version 1 content of a stream is numbered by us, so that reasoning and calls stay apart when added up."""
    model = ChatHFInference(
        endpoint_url=server.url, engine="openai", model="m", reasoning_effort="low", output_version="v1"
    )

    chunks = call.stream(model.bind_tools([get_weather]), "What is the weather in Paris?")
    total = sum(chunks[1:], chunks[0])

    assert {block["index"] for one in chunks for block in one.content} == {"lc_reasoning", "lc_tc_0"}
    assert [block["type"] for block in total.content_blocks] == ["reasoning", "tool_call"]
    assert total.tool_calls[0]["args"] == {"city": "Paris"}


@both_ways
def test_v1_is_asked_again(call: Call, server: InferenceServer) -> None:
    """An answer with version 1 content goes back into the conversation, as text and calls."""
    model = ChatHFInference(endpoint_url=server.url, engine="openai", model="m", output_version="v1")
    answer = call.invoke(model.bind_tools([get_weather]), "What is the weather in Paris?")
    from langchain_core.messages import HumanMessage, ToolMessage

    talk = [
        HumanMessage("What is the weather in Paris?"),
        answer,
        ToolMessage("sun", tool_call_id=answer.tool_calls[0]["id"]),
    ]

    assert call.invoke(model, talk).content == [{"type": "text", "text": "The result is: sun"}]
    assert server.requests[-1].body["messages"][1]["tool_calls"][0]["function"]["name"] == "get_weather"


def test_everything_has_a_block() -> None:
    """Reasoning, text with its sources, calls, broken calls, pictures, sound, refusal."""
    source = {
        "type": "url_citation",
        "url_citation": {"url": "https://a", "title": "A", "start_index": 0, "end_index": 2},
    }
    message = AIMessage(
        "Hi",
        additional_kwargs={
            "reasoning_content": "Hm", "annotations": [source, {"type": "odd"}], "refusal": "no",
            "images": [{"type": "image_url", "image_url": {"url": "https://h/p.png"}}, {"odd": 1}],
            "audio": {"id": "a1", "data": "QUJD", "transcript": "Hi", "expires_at": None},
        },
        tool_calls=[{"name": "f", "args": {}, "id": "c1"}],
        invalid_tool_calls=[{"name": "g", "args": "{", "id": "c2", "error": "broken"}],
        response_metadata=OURS,
    )  # fmt: skip

    refusal: Any = {"type": "refusal", "refusal": "no"}
    assert message.content_blocks == [
        {"type": "reasoning", "reasoning": "Hm"},
        {"type": "text", "text": "Hi", "annotations": [
            {"type": "citation", "url": "https://a", "title": "A", "start_index": 0, "end_index": 2},
            {"type": "non_standard_annotation", "value": {"type": "odd"}}]},
        {"type": "tool_call", "name": "f", "args": {}, "id": "c1"},
        {"type": "invalid_tool_call", "name": "g", "args": "{", "id": "c2", "error": "broken"},
        {"type": "image", "url": "https://h/p.png"},
        {"type": "audio", "base64": "QUJD", "extras": {"id": "a1", "transcript": "Hi"}},
        refusal if HAS_REFUSALS else {"type": "non_standard", "value": {"refusal": "no"}},
    ]  # fmt: skip


@both_ways
def test_refusal_in_pieces(call: Call, far_end: FarEndMaker) -> None:
    """A refusal that is streamed is one block in the end, and two pictures are two."""
    lines = [{"refusal": "I "}, {"refusal": "cannot"}, {"images": [{"image_url": {"url": "https://h/1.png"}}]},
             {"images": [{"image_url": {"url": "data:;base64,QUJD"}}]}]  # fmt: skip
    body = b"".join(
        b"data: " + str({"choices": [{"delta": d}]}).replace("'", '"').encode() + b"\n\n" for d in lines
    ) + b"data: [DONE]\n\n"  # fmt: skip

    total = call.total(far_end(body).model(output_version="v1"), "Hello")

    kinds = [block["type"] for block in total.content]
    assert kinds == ["refusal" if HAS_REFUSALS else "non_standard", "image", "image"]
    assert "I cannot" in str(total.content[0])
    assert (total.content[1]["url"], total.content[2]["base64"]) == ("https://h/1.png", "QUJD")


def test_content_of_others() -> None:
    """Lists that people, or other models, wrote: known blocks stay, calls are taken from the message."""
    blocks = [{"type": "text", "text": "a"}, "b", {"type": "tool_use", "id": "1"}, {"type": "odd", "x": 1}]
    message = AIMessage(blocks, response_metadata=OURS)
    piece = AIMessageChunk(blocks, response_metadata=OURS)

    assert message.content_blocks == [{"type": "text", "text": "a"}, {"type": "text", "text": "b"},
                                      {"type": "non_standard", "value": {"type": "odd", "x": 1}}]  # fmt: skip
    assert [block["index"] for block in piece.content_blocks] == ["lc_text"] * 3

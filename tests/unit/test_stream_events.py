"""_stream_events.py: LangChain's events (v3), made by us, against the lifecycle's validator and core's own bridge."""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import Callable
from typing import Any

import pytest
from calling import Call, both_ways
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.language_models._compat_bridge import chunks_to_events
from langchain_core.messages import AIMessageChunk
from langchain_core.outputs import ChatGenerationChunk
from langchain_tests.utils.stream_lifecycle import assert_valid_event_stream
from recorded import chat_exchanges
from test_fixtures import CHATS, exchange_of

from conftest import FarEnd
from langchain_hf_inference import ChatHFInference, StreamError
from langchain_hf_inference._protocol.chat_response import ReadOptions
from langchain_hf_inference._protocol.chat_stream import ChatStreamReader
from langchain_hf_inference._protocol.sse import SSEDecoder
from langchain_hf_inference._protocol.wire import WireRequest
from langchain_hf_inference._stream_events import StreamEventWriter
from langchain_hf_inference.errors import HFInferenceError
from langchain_hf_inference.testing import InferenceServer

FarEndMaker = Callable[..., FarEnd]


def get_weather(city: str) -> str:
    """Tell the weather."""
    return city


def events_of(call: Call, model: Any, asked: Any, **kwargs: Any) -> tuple[list[Any], Any]:
    """Give the events of a stream and the message at its end."""

    async def collected() -> tuple[list[Any], Any]:
        stream = await model.astream_events(asked, version="v3", **kwargs)
        return [event async for event in stream], await stream.output

    if call.is_async:
        return asyncio.run(collected())
    stream = model.stream_events(asked, version="v3", **kwargs)
    return list(stream), stream.output


def written(chunks: list[ChatGenerationChunk]) -> list[Any]:
    writer = StreamEventWriter()
    return [event for chunk in chunks for event in writer.write(chunk)] + list(writer.close())


def chunk(content: str = "", **kwargs: Any) -> ChatGenerationChunk:
    kwargs.setdefault("response_metadata", {"model_provider": "huggingface"})
    return ChatGenerationChunk(message=AIMessageChunk(content=content, **kwargs))


@both_ways
def test_text_and_reasoning(call: Call, server: InferenceServer) -> None:
    """Reasoning, then text, each a block of its own; usage and facts at the end; the message has v1 content."""
    model = ChatHFInference(endpoint_url=server.url, engine="openai", model="m", reasoning_effort="low")

    events, output = events_of(call, model, "Hello")

    assert_valid_event_stream(events)
    kinds = [
        (e["event"], e.get("index")) for e in events if e["event"] in ("content-block-start", "content-block-finish")
    ]
    assert kinds == [
        ("content-block-start", 0),
        ("content-block-start", 1),
        ("content-block-finish", 0),
        ("content-block-finish", 1),
    ]
    assert [block["type"] for block in output.content] == ["reasoning", "text"]
    assert (output.text, output.response_metadata["finish_reason"]) == ("You said: Hello", "stop")
    assert output.usage_metadata["output_tokens"] > 0
    assert output.id.startswith("lc_run-")


@both_ways
def test_tool_calls(call: Call, server: InferenceServer) -> None:
    """A call's id and name come with its start, its arguments in pieces, the parsed call with its end."""
    model = ChatHFInference(endpoint_url=server.url, engine="openai", model="m").bind_tools([get_weather])

    events, output = events_of(call, model, "What is the weather in Paris?")

    assert_valid_event_stream(events)
    start = next(e["content"] for e in events if e["event"] == "content-block-start")
    finish = next(e["content"] for e in events if e["event"] == "content-block-finish")
    assert (start["type"], start["name"], start["args"]) == ("tool_call_chunk", "get_weather", "")
    assert finish == {"type": "tool_call", "id": start["id"], "name": "get_weather", "args": {"city": "Paris"}}
    assert output.tool_calls[0]["args"] == {"city": "Paris"}


@both_ways
def test_handlers_hear_tokens(call: Call, server: InferenceServer) -> None:
    """Handlers of the older kind hear each token, once, also while events are streamed."""
    heard: list[str] = []

    class Handler(BaseCallbackHandler):
        def on_llm_new_token(self, token: str, **kwargs: Any) -> None:
            heard.append(token)

    model = ChatHFInference(endpoint_url=server.url, engine="openai", model="m")
    events_of(call, model, "Hello", config={"callbacks": [Handler()]})

    assert "".join(heard) == "You said: Hello"


@both_ways
def test_failure_comes_through(call: Call, far_end: FarEndMaker) -> None:
    """A stream that breaks off raises our error, with what had come."""
    far = far_end(b'data: {"choices": [{"delta": {"content": "Hal"}}]}\n\n')

    with pytest.raises(StreamError) as caught:
        events_of(call, far.model(), "Hello")

    assert caught.value.partial.content == "Hal"


def test_all_kinds_of_blocks() -> None:
    """Text, reasoning and two calls may take turns; a broken call and what comes at once are told at the end."""
    calls = [{"name": "f", "args": "", "id": "c0", "index": 0}, {"name": "g", "args": '{"a"', "id": "c1", "index": 1}]
    chunks = [
        chunk(additional_kwargs={"reasoning_content": "Hm"}),
        chunk("Yes"),
        chunk(tool_call_chunks=calls),
        chunk(additional_kwargs={"reasoning_content": "m"}),
        chunk(tool_call_chunks=[{"name": None, "args": '{"b": 1}', "id": None, "index": 0}]),
        chunk(", no", additional_kwargs={"images": [{"image_url": {"url": "data:image/png;base64,QUJD"}}]}),
        chunk(additional_kwargs={"refusal": "I "}),
        chunk(
            additional_kwargs={"refusal": "cannot"},
            usage_metadata={"input_tokens": 1, "output_tokens": 2, "total_tokens": 3},
        ),
    ]

    events = written(chunks)

    assert_valid_event_stream(events)
    done = [e["content"] for e in events if e["event"] == "content-block-finish"]
    assert done[:3] == [
        {"type": "reasoning", "reasoning": "Hmm"},
        {"type": "text", "text": "Yes, no"},
        {"type": "tool_call", "id": "c0", "name": "f", "args": {"b": 1}},
    ]
    assert (done[3]["type"], done[3]["args"]) == ("invalid_tool_call", '{"a"')
    assert done[4] == {"type": "image", "base64": "QUJD", "mime_type": "image/png"}
    assert "I cannot" in json.dumps(done[5])
    assert events[-1]["usage"] == {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}


def test_nothing_gives_nothing() -> None:
    """Without a chunk there is no event: core tells of that itself."""
    assert written([]) == []


RECORDED = [exchange_of(path) for path in CHATS] + chat_exchanges()


@pytest.mark.parametrize("exchange", [e for e in RECORDED if e.is_stream and e.status == 200], ids=lambda e: e.name)
def test_like_the_bridge(exchange: Any) -> None:
    """Over every recorded stream our events say what core's own bridge says of the same chunks."""
    decoder, reader = SSEDecoder(), ChatStreamReader(WireRequest("http://h/v1", {}), exchange.headers, ReadOptions())
    chunks: list[ChatGenerationChunk] = []
    try:
        for event in decoder.feed(exchange.content) + decoder.close():
            chunks += reader.read(event)
        chunks += reader.close(decoder.stray)
    except HFInferenceError:
        pass  # recorded failures: the chunks up to there count

    ours, theirs = written(chunks), [copy.deepcopy(event) for event in chunks_to_events(iter(chunks))]

    assert_valid_event_stream(ours)
    assert told(ours) == told(theirs)
    if chunks:
        total = sum(chunks[1:], chunks[0])
        done = [e["content"] for e in ours if e["event"] == "content-block-finish"]
        assert ours[-1]["metadata"].get("logprobs") == (total.generation_info or {}).get("logprobs")
        assert [c["args"] for c in done if c["type"] == "tool_call"] == [
            call["args"]
            for call in total.message.tool_calls  # type: ignore[attr-defined]
        ]


def told(events: list[Any]) -> Any:
    """Return what events say, in whatever order; the bridge forgets all sources and log probabilities but the last."""
    blocks = sorted(json.dumps({k: v for k, v in e["content"].items() if k not in ("error", "index", "annotations")}, sort_keys=True)
                    for e in events if e["event"] == "content-block-finish")  # fmt: skip
    pieces = [e["delta"] for e in events if e["event"] == "content-block-delta"]
    deltas = sorted(json.dumps(d, sort_keys=True) for d in pieces if d["type"] != "block-delta")
    # langchain-core 1.6: arguments so far, by its bridge also of pieces that bring nothing
    deltas += sorted({json.dumps(d["fields"], sort_keys=True) for d in pieces if d.get("fields", {}).get("args")})
    ends = [
        {**e, "metadata": {k: v for k, v in e["metadata"].items() if k != "logprobs"}}
        for e in events
        if e["event"] == "message-finish"
    ]
    return blocks, deltas, ends

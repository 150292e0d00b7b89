"""_protocol/chat_stream.py and chat_response.py: what servers answer, as messages."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, AIMessageChunk

from langchain_hf_inference import APIStatusError, HFInferenceError, ResponseFormatError, ServerError, StreamError
from langchain_hf_inference._protocol.chat_response import ReadOptions, header_facts, read_chat_response
from langchain_hf_inference._protocol.chat_stream import ChatStreamReader
from langchain_hf_inference._protocol.sse import SSEDecoder
from langchain_hf_inference._protocol.usage import finish_reason, read_usage
from langchain_hf_inference._protocol.wire import WireRequest

REQUEST = WireRequest("http://h/v1/chat/completions", {})


def sse(*bodies: Any, done: bool = True) -> bytes:
    return b"".join(b"data: " + json.dumps(body).encode() + b"\n\n" for body in bodies) + (
        b"data: [DONE]\n\n" if done else b""
    )


def delta(finish: str | None = None, **said: Any) -> dict[str, Any]:
    return {"model": "m", "choices": [{"index": 0, "delta": said, "finish_reason": finish}]}


def chunks(stream: bytes, *, headers: dict[str, str] | None = None, **options: Any) -> list[AIMessageChunk]:
    decoder, reader = SSEDecoder(), ChatStreamReader(REQUEST, headers or {}, ReadOptions(**options))
    found = [chunk for event in decoder.feed(stream) + decoder.close() for chunk in reader.read(event)]
    found += reader.close(decoder.stray)
    for chunk in found:  # as core does
        chunk.message.response_metadata = {**(chunk.generation_info or {}), **chunk.message.response_metadata}
    return [chunk.message for chunk in found]  # type: ignore[misc]


def streamed(stream: bytes, **options: Any) -> AIMessageChunk:
    first, *rest = chunks(stream, **options)
    return sum(rest, first)


def whole(message: dict[str, Any], *, finish: str | None = "stop", headers: dict[str, str] | None = None,
          body: dict[str, Any] | None = None, **options: Any) -> AIMessage:  # fmt: skip
    raw = {"model": "m", "choices": [{"index": 0, "message": message, "finish_reason": finish}], **(body or {})}
    return read_chat_response(raw, headers or {}, ReadOptions(**options), REQUEST).generations[0].message  # type: ignore[return-value]


MESSAGES: dict[str, tuple[dict[str, Any], str, str]] = {
    "text": ({"content": "a"}, "a", ""),
    "null": ({"content": None}, "", ""),
    "absent": ({}, "", ""),
    "reasoning_content": ({"content": "a", "reasoning_content": "r"}, "a", "r"),
    "reasoning": ({"content": "a", "reasoning": "r"}, "a", "r"),
    "both names (vLLM)": ({"content": "a", "reasoning": "r", "reasoning_content": "r"}, "a", "r"),
    "details": ({"content": "a", "reasoning_details": [{"type": "reasoning.text", "text": "r"}]}, "a", "r"),
    "reasoning beside details": (
        {"content": "a", "reasoning": "r", "reasoning_details": [{"type": "reasoning.text", "text": "r"}]},
        "a",
        "r",
    ),
    "list (Mistral)": (
        {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "r"}]}, {"type": "text", "text": "a"}]},
        "a",
        "r",
    ),
    "object (Cloudflare)": ({"content": {"k": "ä"}}, '{"k": "ä"}', ""),
    "tags": ({"content": "<think>r</think>a"}, "<think>r</think>a", ""),
}


@pytest.mark.parametrize(("message", "text", "reasoning"), MESSAGES.values(), ids=MESSAGES)
def test_text_and_reasoning(message: dict[str, Any], text: str, reasoning: str) -> None:
    """Each form of content and reasoning is read alike, whole and streamed."""
    for found in (whole(message), streamed(sse(delta(**message), delta("stop")))):
        assert (found.text, found.additional_kwargs.get("reasoning_content", "")) == (text, reasoning)


@pytest.mark.parametrize("think_tags", [True, "open"])
def test_think_tags(think_tags: bool | str) -> None:
    """Tags in the text are split off on demand, whole and streamed in pieces."""
    text = ("" if think_tags == "open" else "<think>") + "why</think>\n\nso"
    deltas = [delta(content=letter) for letter in text]

    for found in (
        whole({"content": text}, think_tags=think_tags),
        streamed(sse(*deltas, delta("stop")), think_tags=think_tags),
    ):
        assert (found.text, found.additional_kwargs["reasoning_content"]) == ("so", "why")


@pytest.mark.parametrize(
    ("raw", "calls", "reason"),
    [
        ("stop", False, "stop"), ("length", False, "length"), ("eos_token", False, "stop"), ("stop_sequence", False, "stop"),
        ("eos", False, "stop"), ("end_turn", False, "stop"), ("max_tokens", False, "length"), ("tool_calls", True, "tool_calls"),
        ("stop", True, "tool_calls"), ("length", True, "length"), ("content_filter", True, "content_filter"), (None, True, "tool_calls"),
        (None, False, None), ("new_reason", False, "new_reason"),
    ],
)  # fmt: skip
def test_finish_reason(raw: str | None, calls: bool, reason: str | None) -> None:
    """Every engine's word comes out as OpenAI's; being cut or filtered beats tool calls."""
    assert finish_reason(raw, has_calls=calls) == reason


def test_native_reason_is_kept() -> None:
    """The engine's own word stays beside ours, whole and streamed."""
    for found in (whole({"content": "a"}, finish="eos_token"), streamed(sse(delta(content="a"), delta("eos_token")))):
        assert found.response_metadata["finish_reason"] == "stop"
        assert found.response_metadata["native_finish_reason"] == "eos_token"


def test_stop_is_cut() -> None:
    """A stop string that the server left in is cut, whole and streamed across chunks; the reason is stop."""
    message = whole({"content": "one STOP two"}, finish="stop_sequence", stop=["STOP"])
    stream = streamed(
        sse(delta(content="one S"), delta(content="TO"), delta(content="P two"), delta("length")), stop=["STOP"]
    )

    assert (message.text, stream.text) == ("one ", "one ")
    assert (message.response_metadata["finish_reason"], stream.response_metadata["finish_reason"]) == ("stop", "stop")


USAGE = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
COUNTS = {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7}


@pytest.mark.parametrize(
    ("raw", "counts"),
    [
        (USAGE, COUNTS),
        ({"prompt_tokens": 3, "completion_tokens": 4}, COUNTS),
        ({**USAGE, "prompt_tokens_details": {"cached_tokens": 2}, "completion_tokens_details": {"reasoning_tokens": 1}},
         {**COUNTS, "input_token_details": {"cache_read": 2}, "output_token_details": {"reasoning": 1}}),
        ({**USAGE, "cached_tokens": 0, "reasoning_tokens": 1}, {**COUNTS, "input_token_details": {"cache_read": 0}, "output_token_details": {"reasoning": 1}}),
        ({**USAGE, "prompt_tokens_details": None, "completion_tokens_details": {"reasoning_tokens": None}}, COUNTS),
        ({**USAGE, "prompt_tokens_details": {"cached_tokens": 99}}, {**COUNTS, "input_token_details": {"cache_read": 3}}),
        (None, None), ({}, None), ({"prompt_tokens": None}, None), ("x", None),
    ],
)  # fmt: skip
def test_usage(raw: Any, counts: Any) -> None:
    """Counts and their details are read, nulls left out, no part above its whole."""
    assert read_usage(raw) == counts


@pytest.mark.parametrize(
    "bodies",
    [
        [delta(content="a"), delta("stop"), {"choices": [], "usage": USAGE}],
        [delta(content="a"), {**delta("stop"), "usage": USAGE}],
        [
            {**delta(content="a"), "usage": {"prompt_tokens": 3, "completion_tokens": 1}},
            {**delta("stop"), "usage": USAGE},
        ],
        [delta(content="a"), {**delta("stop"), "usage": USAGE}, {"choices": [], "usage": USAGE}],
        [delta(content="a"), delta("stop"), {"usage": USAGE}],
        [{**delta(content="a"), "usage": None}, delta("stop"), {"choices": [], "usage": USAGE}],
    ],
)
def test_stream_usage_once(bodies: list[Any]) -> None:
    """Wherever and however often a stream counts, the last count arrives, once."""
    found = chunks(sse(*bodies))

    assert [c.usage_metadata for c in found if c.usage_metadata] == [COUNTS]
    assert [c.chunk_position for c in found][-1] == "last"
    assert streamed(sse(*bodies)).response_metadata == {
        "model_provider": "huggingface",
        "model_name": "m",
        "finish_reason": "stop",
        "token_usage": USAGE,
    }


@pytest.mark.parametrize(
    "stream",
    [
        sse(delta(content="a"), delta("stop"), done=False),
        sse(delta(content="a")),
        sse({**delta(content="a"), "choices": [{"delta": {"content": "a"}, "finish_reason": "eos_token"}]}, done=False),
        b'data: {"choices":[{"delta":{"content":"a"},"finish_reason":"stop"}]}',
    ],
)
def test_ends(stream: bytes) -> None:
    """A finish_reason or [DONE] ends a stream; many servers send only one of them."""
    assert streamed(stream).text == "a"


def test_tgi_tool_stream_without_end() -> None:
    """A TGI tool stream ends with neither; a whole call is the end."""
    call = {"index": 0, "id": "0", "function": {"name": "f", "arguments": "{}"}}
    found = streamed(sse(delta(tool_calls=[call]), done=False))

    assert (found.tool_calls[0]["name"], found.response_metadata["finish_reason"]) == ("f", "tool_calls")


@pytest.mark.parametrize(
    "bodies",
    [
        [delta(content="a")],
        [delta(tool_calls=[{"index": 0, "id": "c", "function": {"name": "f", "arguments": '{"a'}}])],
    ],
)
def test_short_streams_raise(bodies: list[Any]) -> None:
    """A stream that just stops raises, with what had come; half an answer does not pass for whole."""
    with pytest.raises(StreamError, match="broke off before its end") as failure:
        chunks(sse(*bodies, done=False))

    partial = failure.value.partial
    assert partial is not None
    assert partial.text == "a" or partial.tool_call_chunks[0]["args"] == '{"a'


@pytest.mark.parametrize(
    "bad",
    [
        {"error": "gone", "error_type": "generation"},
        {"error": {"message": "gone", "http_status_code": 422}},
        {"error": {"message": "gone", "type": "InternalServerError", "param": None, "code": 500}},
        {"error": {"message": "gone", "code": "tool_use_failed", "status_code": 400}},
        {"id": "x", "error": {"code": 502, "message": "gone"}, "choices": [{"delta": {"content": ""}}]},
        {"error_type": "x", "error_message": "gone"},
    ],
)
def test_failures_inside(bad: dict[str, Any]) -> None:
    """A failure reported in the middle is StreamError with the partial message; at once it is what its status says."""
    with pytest.raises(StreamError, match="gone") as failure:
        chunks(sse(delta(content="a"), bad))
    assert failure.value.partial.text == "a"  # type: ignore[union-attr]
    assert isinstance(failure.value.__cause__, APIStatusError)

    with pytest.raises(APIStatusError, match="gone"):
        chunks(sse(delta(role="assistant", content=""), bad))


@pytest.mark.parametrize(
    "raw",
    [
        b'error: {"code":400,"message":"gone","type":"invalid_request_error"}\n\ndata: [DONE]\n\n',
        b'event: error\ndata: {"error":{"message":"gone"}}\n\n',
        b'data: {"error": "gone with "quotes""}\n\n',
        b'{"error": "gone"}',
        b'{\n  "error": {\n    "message": "gone"\n  }\n}\n',
    ],
)
def test_failures_in_odd_framing(raw: bytes) -> None:
    """So is one in a field named error, in an event of that name, badly escaped, or in a bare body."""
    with pytest.raises(HFInferenceError, match="gone"):
        chunks(raw)


@pytest.mark.parametrize("reason", ["error", "abort", "insufficient_system_resource"])
def test_failed_reasons(reason: str) -> None:
    """An answer that the server gave up on is an error, whole and streamed."""
    with pytest.raises(StreamError, match=reason):
        chunks(sse(delta(content="a"), delta(reason)))
    with pytest.raises(ServerError, match=reason):
        whole({"content": "a"}, finish=reason)


def test_whole_answer_to_a_stream() -> None:
    """A server that answers a stream with a whole completion gives one chunk with all of it."""
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
    raw = {
        "model": "m",
        "choices": [{"message": {"content": "x", "tool_calls": [call]}, "finish_reason": "tool_calls"}],
        "usage": USAGE,
    }

    (found,) = chunks(json.dumps(raw).encode())

    assert (found.text, found.tool_calls[0]["args"], found.usage_metadata) == ("x", {"a": 1}, COUNTS)


@pytest.mark.parametrize("raw", [b"", b"{}", b"<html>login</html>", b": only comments\n\n"])
def test_no_events(raw: bytes) -> None:
    """A body without events is an error that quotes it."""
    with pytest.raises(StreamError, match="the stream was empty|sent no events"):
        chunks(raw)


def test_events_without_blank_line() -> None:
    """Events between which the blank line was lost are read one by one."""
    one, two = json.dumps(delta(content="a")), json.dumps(delta("stop", content="b"))

    assert streamed(f"data: {one}\ndata: {two}\n\n".encode()).text == "ab"


def test_other_output() -> None:
    """Refusals, annotations and what else a message holds arrive, whole and streamed."""
    said = {"content": "", "refusal": "no", "annotations": [{"type": "url_citation"}]}

    for found in (whole(said), streamed(sse(delta(**said), delta("stop")))):
        assert found.additional_kwargs == {"refusal": "no", "annotations": [{"type": "url_citation"}]}


def test_opaque_reasoning_is_kept() -> None:
    """Reasoning details that hold more than text are kept whole."""
    details = [{"type": "reasoning.encrypted", "data": "xyz"}]

    for found in (
        whole({"content": "", "reasoning_details": details}),
        streamed(sse(delta(reasoning_details=details), delta("stop"))),
    ):
        assert found.additional_kwargs["reasoning_details"] == details


def test_logprobs() -> None:
    """Log probabilities of a stream add up to those of the whole."""
    rows = [{"token": t, "logprob": -0.5, "top_logprobs": []} for t in "ab"]
    bodies = [{"choices": [{"delta": {"content": r["token"]}, "logprobs": {"content": [r]}}]} for r in rows]
    message = read_chat_response(
        {"choices": [{"message": {"content": "ab"}, "logprobs": {"content": rows}}]}, {}, ReadOptions(), REQUEST
    ).generations[0].message  # fmt: skip

    assert streamed(sse(*bodies, delta("stop"))).response_metadata["logprobs"] == {"content": rows}
    assert message.response_metadata["logprobs"] == {"content": rows}


def test_several_answers() -> None:
    """n answers come in the order of their indices, the count with the first of them."""
    choices = [{"index": i, "message": {"content": str(i)}, "finish_reason": "stop"} for i in (1, 0)]
    result = read_chat_response({"choices": choices, "usage": USAGE}, {}, ReadOptions(), REQUEST)

    assert [g.text for g in result.generations] == ["0", "1"]
    assert [g.message.usage_metadata for g in result.generations] == [COUNTS, None]  # type: ignore[attr-defined]


def test_facts() -> None:
    """What body and headers tell is in response_metadata, alike whole and streamed."""
    headers = {"x-inference-provider": "together", "x-request-id": "r1", "x-queue-time": "3", "x-compute-type": "gpu"}
    body = {"id": "c1", "created": 5, "system_fingerprint": "fp", "service_tier": None}
    expected = {
        "model_provider": "huggingface", "model_name": "m", "served_provider": "together", "request_id": "r1", "id": "c1", "created": 5,
        "system_fingerprint": "fp", "finish_reason": "stop", "timings_ms": {"queue_time": "3", "compute_type": "gpu"},
    }  # fmt: skip

    assert whole({"content": "a"}, headers=headers, body=body).response_metadata == expected
    assert streamed(sse({**delta(content="a"), **body}, delta("stop")), headers=headers).response_metadata == expected
    assert header_facts({}) == {}


@pytest.mark.parametrize(
    "raw", [None, [], {}, {"choices": []}, {"choices": [{}]}, {"choices": None}, {"choices": [{"text": "x"}]}]
)
def test_no_message(raw: Any) -> None:
    """An answer without a message is told as such."""
    with pytest.raises(ResponseFormatError, match="holds no chat completion"):
        read_chat_response(raw, {}, ReadOptions(), REQUEST)


keys = st.sampled_from(["choices", "delta", "message", "content", "tool_calls", "usage", "finish_reason", "error", "function", "index",
                        "id", "model", "reasoning", "arguments", "name", "text", "type", "logprobs", "created"])  # fmt: skip
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4),
)


@given(st.lists(json_values, max_size=4), st.booleans())
def test_any_answer(bodies: list[Any], think: bool) -> None:
    """Whatever a server sends, messages come out or one of our errors."""
    for attempt in (
        lambda: chunks(sse(*bodies), think_tags=think),
        lambda: read_chat_response(bodies, {}, ReadOptions(), REQUEST),
    ):
        try:
            attempt()
        except HFInferenceError:
            pass
    for body in bodies:
        try:
            read_chat_response(
                {"choices": [{"message": body}], "usage": body}, {}, ReadOptions(think_tags=think), REQUEST
            )
        except HFInferenceError:
            pass

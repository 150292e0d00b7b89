"""For random responses, split at random into deltas, the streamed message is the whole one: truncated or not."""

from __future__ import annotations

import json
import os
from typing import Any

from hypothesis import event, given, settings
from hypothesis import strategies as st
from langchain_core.language_models.chat_models import generate_from_stream
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.outputs import ChatGenerationChunk

from langchain_hf_inference._protocol.chat_response import ReadOptions, read_chat_response
from langchain_hf_inference._protocol.chat_stream import ChatStreamReader
from langchain_hf_inference._protocol.invalid_calls import restore_invalid_calls
from langchain_hf_inference._protocol.sse import SSEDecoder
from langchain_hf_inference._protocol.wire import WireRequest
from langchain_hf_inference._stream_events import StreamEventWriter

EXAMPLES = int(os.environ.get("EXAMPLES", "400"))
REQUEST = WireRequest("http://h/v1/chat/completions", {})
OPTIONS = ReadOptions()

texts = st.text(
    st.characters(codec=None, categories=None) | st.sampled_from('{}[]",:\\/ \n\ud83d\ude00<>'), max_size=12
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
objects = st.dictionaries(texts, json_values, max_size=3)


@st.composite
def argument_texts(draw: st.DrawFn) -> str:
    """Draw the arguments of a call: an object, one of the quirks, or nonsense; whole or truncated."""
    text: str = json.dumps(draw(objects), ensure_ascii=draw(st.booleans()))
    quirk = draw(st.sampled_from(["plain", "plain", "plain", "placeholder", "double", "wrapped", "marker", "odd"]))
    if quirk == "placeholder":
        text = "{}" + text
    elif quirk == "double":
        text = json.dumps(text)
    elif quirk == "wrapped":
        text = '{"function": {"_name": "f", "x": ' + text + "}}"
    elif quirk == "marker":
        text += draw(st.sampled_from(["<|eot_id|>", "</s>", "\n", "}", "]", '"', " more"]))
    elif quirk == "odd":
        text = draw(st.sampled_from(["", " ", "null", "[]", "7", "{", "}", "x", '"', "{]", '{"a": NaN}']) | texts)
    if draw(st.booleans()):
        text = text[: draw(st.integers(0, len(text)))]
    return text


@st.composite
def responses(draw: st.DrawFn) -> dict[str, Any]:
    """Draw a whole response."""
    message: dict[str, Any] = {"role": "assistant", "content": draw(texts | st.none())}
    if draw(st.booleans()):
        message[draw(st.sampled_from(["reasoning", "reasoning_content"]))] = draw(texts)
    names = draw(st.lists(st.sampled_from(["add", "mul", ""]), max_size=3))
    ids = st.sampled_from(["", "0", "null", "c1", "c1", "c2", "c3"])
    calls = [
        {"id": draw(ids), "type": "function", "function": {"name": name, "arguments": draw(argument_texts())}}
        for name in names
    ]
    if calls:
        message["tool_calls"] = calls
    finish = draw(st.sampled_from(["stop", "length", "tool_calls", "content_filter", "eos_token", "max_tokens"]))
    usage = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7, "cost": 0.5}
    return {
        "id": "r",
        "model": "m",
        "choices": [{"index": 0, "message": message, "finish_reason": finish}],
        "usage": usage,
    }


def cuts(draw: st.DrawFn, text: str) -> list[str]:
    """Split a text at random places."""
    places = sorted(draw(st.lists(st.integers(0, len(text)), max_size=4)))
    return [text[a:b] for a, b in zip([0, *places], [*places, len(text)], strict=True)]


@st.composite
def streams(draw: st.DrawFn, response: dict[str, Any]) -> bytes:
    """Draw a stream that says the same."""
    message, finish = response["choices"][0]["message"], response["choices"][0]["finish_reason"]
    deltas: list[dict[str, Any]] = [{"role": "assistant"}]
    for key in ("reasoning", "reasoning_content", "content"):
        deltas += [{key: piece} for piece in cuts(draw, message.get(key) or "")]
    queues: list[list[dict[str, Any]]] = []
    for index, call in enumerate(message.get("tool_calls", ())):
        function = call["function"]
        first, *rest = cuts(draw, function["arguments"])
        head = {
            "index": index,
            "id": call["id"],
            "type": "function",
            "function": {"name": function["name"], "arguments": first},
        }
        deltas.append({"tool_calls": [head]})
        queues.append([{"tool_calls": [{"index": index, "function": {"arguments": piece}}]} for piece in rest])
    while waiting := [queue for queue in queues if queue]:
        deltas.append(draw(st.sampled_from(waiting)).pop(0))
    rows = [
        {"id": "r", "model": "m", "choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas
    ]
    rows[-1]["choices"][0]["finish_reason"] = finish  # type: ignore[index]
    rows.append({"id": "r", "model": "m", "choices": [], "usage": response["usage"]})
    raw = b"".join(b"data: " + json.dumps(row).encode() + b"\n\n" for row in rows)
    return raw + (b"data: [DONE]\n\n" if draw(st.booleans()) else b"")


def said(message: AIMessage, *, with_errors: bool = True) -> Any:
    """Return all that a message says, in a form that compares; ids that we generate differ."""
    kept = {"c1", "c2", "c3"}
    calls = [(c["name"], json.dumps(c["args"]), c["id"] if c["id"] in kept else None) for c in message.tool_calls]
    bad = [(c["name"], c["args"], c["id"] if c["id"] in kept else None, c["error"] if with_errors else None)
           for c in message.invalid_tool_calls]  # fmt: skip
    return message.text, message.additional_kwargs, message.response_metadata, message.usage_metadata, calls, bad


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.data())
def test_stream_equals_whole(data: st.DataObject) -> None:
    """Text, reasoning, calls, invalid calls with their reasons, metadata and usage are the same."""
    response = data.draw(responses())
    content = data.draw(streams(response))
    body = json.dumps(response).encode()
    result = read_chat_response(_decoded(body), {}, OPTIONS, REQUEST)
    whole = result.generations[0].message
    assert isinstance(whole, AIMessage)
    whole.response_metadata = {**(result.llm_output or {}), **whole.response_metadata}  # as core does
    event("invalid calls" if whole.invalid_tool_calls else "valid calls" if whole.tool_calls else "no calls")

    chunks = _chunks(content)
    total = generate_from_stream(iter(chunks)).generations[0].message
    assert isinstance(total, AIMessage)
    restore_invalid_calls(total)
    assert said(total) == said(whole)

    pieces = [c.message for c in chunks]
    added: Any = pieces[0]
    for piece in pieces[1:]:
        added = added + piece
    assert isinstance(added, AIMessageChunk)
    assert [c["name"] for c in added.invalid_tool_calls] == [c["name"] for c in whole.invalid_tool_calls]
    assert json.dumps([c["args"] for c in added.tool_calls]) == json.dumps([c["args"] for c in whole.tool_calls])

    writer = StreamEventWriter()
    events = [e for chunk in chunks for e in writer.write(chunk)] + list(writer.close())
    done = [e["content"] for e in events if e["event"] == "content-block-finish"]
    assert [(c["name"], json.dumps(c["args"])) for c in done if c["type"] == "tool_call"] == [
        (c["name"], json.dumps(c["args"])) for c in whole.tool_calls]  # fmt: skip
    assert [(c["name"], c["args"], c["error"]) for c in done if c["type"] == "invalid_tool_call"] == [
        (c["name"], c["args"], c["error"]) for c in whole.invalid_tool_calls]  # fmt: skip


def _decoded(body: bytes) -> Any:
    from langchain_hf_inference._protocol.wire import decoded

    return decoded(body)


def _chunks(content: bytes) -> list[ChatGenerationChunk]:
    decoder, reader = SSEDecoder(), ChatStreamReader(REQUEST, {}, OPTIONS)
    chunks = [chunk for sse in decoder.feed(content) + decoder.close() for chunk in reader.read(sse)]
    return chunks + reader.close(decoder.stray)

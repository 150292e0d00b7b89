"""testing/: the scripted server, strict about requests, the same each time, failing on demand."""

from __future__ import annotations

import base64
import json
import struct
from typing import Any

import httpx
import pytest

from langchain_hf_inference.testing import Fault, InferenceServer
from langchain_hf_inference.testing.fill import Filler

HELLO = {"model": "m", "messages": [{"role": "user", "content": "Hello there"}]}
TOOL = {
    "type": "function",
    "function": {"name": "get_weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}},
}
CALL = {"id": "c1", "type": "function", "function": {"name": "get_weather", "arguments": "{}"}}


def post(server: InferenceServer, body: Any, path: str = "/v1/chat/completions", **more: Any) -> httpx.Response:
    return httpx.post(server.url + path, json=body, **more)


def test_says_that_it_is_scripted(server: InferenceServer) -> None:
    """The model of its answers says that there is none."""
    answer = post(server, HELLO).json()

    assert (answer["model"], answer["system_fingerprint"]) == ("scripted/m", "scripted")
    assert post(server, HELLO).json() == answer


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"messages": []}, "non-empty list"), ({"messages": [{"role": "wizard", "content": "x"}]}, "role 'wizard'"),
        ({"messages": [{"role": "user"}]}, "neither content nor tool_calls"), ({"messages": [{"role": "user", "content": None}]}, "content is null"),
        ({"messages": [{"role": "user", "content": [{"type": "image", "base64": "x"}]}]}, "part of type 'image'"),
        ({"messages": [{"role": "tool", "tool_call_id": "c9", "content": "x"}]}, "which no call before it asked"),
        ({"messages": [{"role": "assistant", "tool_calls": [CALL]}]}, "without results"),
        ({"messages": [{"role": "assistant", "tool_calls": [{**CALL, "function": {"name": "f", "arguments": {}}}]}]}, "not JSON text"),
        ({"messages": [{"role": "assistant", "tool_calls": [CALL]}, {"role": "user", "content": "x"}]}, "must come first"),
        ({"temperature": 3}, "temperature must be in"), ({"temperature": "hot"}, "must be a number"), ({"seed": None}, "seed is null"),
        ({"temprature": 1}, "unknown field 'temprature'"), ({"tools": []}, "tools is empty"), ({"tool_choice": "auto"}, "without tools"),
        ({"tools": [TOOL], "tool_choice": "any"}, "'any' is not known"), ({"tools": [TOOL, TOOL]}, "the same name"),
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "has no parameters"), ({"stop": []}, "non-empty strings"),
        ({"stream_options": {}}, "needs stream"), ({"top_logprobs": 2}, "needs logprobs"), ({"max_tokens": 1, "max_completion_tokens": 1}, "duplicate"),
    ],
)  # fmt: skip
def test_strict(server: InferenceServer, change: dict[str, Any], reason: str) -> None:
    """A request that some server would refuse is refused, with the reason."""
    answer = post(server, {**HELLO, **change})

    assert answer.status_code == 400
    assert reason in answer.json()["error"]["message"]


def test_rules(server: InferenceServer) -> None:
    """stop, max_tokens, n, logprobs and thinking are kept to."""
    ask = lambda **more: post(server, {**HELLO, **more}).json()  # noqa: E731

    assert ask(stop=["there"])["choices"][0]["message"]["content"] == "You said: Hello "
    assert ask(max_tokens=1)["choices"][0] == {
        "index": 0,
        "message": {"role": "assistant", "content": "You"},
        "finish_reason": "length",
    }
    assert len(ask(n=3)["choices"]) == 3
    assert [row["token"] for row in ask(logprobs=True)["choices"][0]["logprobs"]["content"]] == [
        "You",
        " said:",
        " Hello",
        " there",
    ]
    assert ask(reasoning_effort="low")["choices"][0]["message"]["reasoning_content"] == "I was asked: Hello there"


def test_fill() -> None:
    """Schemas are filled from the prompt: quoted texts, numbers, places, choices, references."""
    schema = {
        "type": "object",
        "properties": {
            "name": {"type": "string"}, "age": {"type": "integer"}, "style": {"enum": ["Pirate", "Robot"]}, "tags": {"type": "array", "items": {"type": "string"}},
            "inner": {"$ref": "#/$defs/Inner"}, "maybe": {"anyOf": [{"type": "null"}, {"type": "integer"}]}, "none": {"anyOf": [{"type": "string"}, {"type": "null"}]},
            "day": {"type": "string", "format": "date"}, "ok": {"type": "boolean"}, "fixed": {"const": 7}, "big": {"type": "integer", "minimum": 100},
        },
        "$defs": {"Inner": {"type": "object", "properties": {"x": {"type": "number"}}}},
    }  # fmt: skip
    found = Filler("'Ann' is 5 and 6.5, a robot with no none").value(schema)

    assert (found["name"], found["age"], found["style"], found["inner"]) == ("Ann", 5, "Robot", {"x": 6.5})
    assert (found["none"], found["day"], found["ok"], found["fixed"], found["big"]) == (
        None,
        "2026-01-01",
        True,
        7,
        100,
    )


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        (Fault.rate_limited(0.5), 429),
        (Fault.loading(3), 503),
        (Fault.of_status(418, "tea"), 418),
        (Fault.in_stream("boom"), 500),
    ],
)
def test_faults(server: InferenceServer, fault: Fault, status: int) -> None:
    """A fault is shown to so many requests, and then no more."""
    server.fail(fault, times=2)

    assert [post(server, HELLO).status_code for _ in range(3)] == [status, status, 200]
    assert len(server.requests) == 3


def test_retry_after(server: InferenceServer) -> None:
    """429 says how long to wait."""
    server.fail(Fault.rate_limited(0.5))

    assert post(server, HELLO).headers["retry-after"] == "0.5"


def test_records(server: InferenceServer) -> None:
    """Requests are kept as they came."""
    post(server, HELLO, headers={"X-Mine": "1"})

    (request,) = server.requests
    assert (request.method, request.path, request.headers["x-mine"], request.body) == (
        "POST",
        "/v1/chat/completions",
        "1",
        HELLO,
    )


def test_key_and_models() -> None:
    """A key is demanded and models are known where that is set up."""
    with InferenceServer(api_key="secret", models=["a"]) as server:
        assert post(server, HELLO).status_code == 401
        assert post(server, HELLO, headers={"Authorization": "Bearer secret"}).status_code == 404
        assert post(server, {**HELLO, "model": "a"}, headers={"Authorization": "Bearer secret"}).status_code == 200
        assert [m["id"] for m in httpx.get(server.url + "/v1/models").json()["data"]] == ["a"]


def test_completions(server: InferenceServer) -> None:
    """Text completions, whole and streamed, for one prompt and several."""
    answer = post(server, {"model": "m", "prompt": ["a b", "c"], "max_tokens": 3}, "/v1/completions").json()
    assert [(c["text"], c["finish_reason"]) for c in answer["choices"]] == [(" and so on,", "length")] * 2
    stream = post(server, {"model": "m", "prompt": "a", "stream": True}, "/v1/completions").text
    texts = [json.loads(line[6:])["choices"] for line in stream.split("\n") if line.startswith("data: {")]
    assert "".join(c[0]["text"] for c in texts if c) == " and so on, said the scripted server after 1 words."
    assert stream.endswith("data: [DONE]\n\n")
    assert post(server, {"model": "m", "prompt": 5}, "/v1/completions").status_code == 400


def test_tgi(server: InferenceServer) -> None:
    """TGI's own API: object, list at the root, events without [DONE], its bounds."""
    body = {"inputs": "a b", "parameters": {"max_new_tokens": 2, "details": True, "decoder_input_details": True}}
    answer = post(server, body, "/generate").json()
    assert answer["generated_text"] == " and so"
    assert (answer["details"]["finish_reason"], len(answer["details"]["prefill"])) == ("length", 2)
    assert post(server, body, "/").json() == [answer]
    stream = post(server, body, "/generate_stream").text
    assert "[DONE]" not in stream
    assert json.loads(stream.strip().rpartition("\n\n")[2][6:])["generated_text"] == " and so"
    for bad in ({"temperature": 0}, {"top_p": 1.0}, {"max_new_tokens": 0}):
        assert post(server, {"inputs": "a", "parameters": bad}, "/generate").status_code == 400


def test_embeddings(server: InferenceServer) -> None:
    """OpenAI's and TEI's embeddings agree; base64 is little-endian float32; batches are limited."""
    texts = ["a cat", "a cat", "dogs"]
    vectors = post(server, {"inputs": texts}, "/embed").json()
    rows = post(server, {"model": "m", "input": texts, "encoding_format": "base64"}, "/v1/embeddings").json()["data"]
    raw = base64.b64decode(rows[2]["embedding"])

    assert vectors[0] == vectors[1] != vectors[2]
    assert struct.unpack(f"<{len(raw) // 4}f", raw) == pytest.approx(vectors[2])
    assert sum(x * x for x in vectors[0]) == pytest.approx(1)
    assert post(server, {"inputs": ["x"] * 33}, "/embed").status_code == 422


def test_tei_others(server: InferenceServer) -> None:
    """Reranking by common words, and two labels."""
    ranked = post(
        server, {"query": "cats purr", "texts": ["dogs bark", "cats purr loudly"], "return_text": True}, "/rerank"
    ).json()
    assert [row["index"] for row in ranked] == [1, 0]
    assert post(server, {"inputs": "this is bad"}, "/predict").json()[0]["label"] == "negative"
    assert len(post(server, {"inputs": [["good"], ["bad"]]}, "/predict").json()) == 2


@pytest.mark.parametrize(("engine", "word"), [("tgi", "router"), ("tei", "model_type")])
def test_info(engine: str, word: str) -> None:
    """It says that it is TGI or TEI where it is set up so; else it has no /info."""
    with InferenceServer(engine=engine) as server:
        assert word in httpx.get(server.url + "/info").json()
    with InferenceServer() as server:
        assert httpx.get(server.url + "/info").status_code == 404
        assert httpx.get(server.url + "/health").status_code == 200
        assert post(server, HELLO, "/nowhere").status_code == 404


def test_not_running() -> None:
    """Its address is asked for while it runs."""
    with pytest.raises(RuntimeError, match="is not running"):
        _ = InferenceServer().url


def test_paced() -> None:
    """Events can be paced."""
    import time

    with InferenceServer(chunk_delay=0.02) as server:
        begun = time.monotonic()
        post(server, {**HELLO, "stream": True})
        assert time.monotonic() - begun > 0.08

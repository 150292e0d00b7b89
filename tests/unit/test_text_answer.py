"""_protocol/text_answer.py, completion.py, generate.py: how responses of text generation end, on every path."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest

from langchain_hf_inference import HFInferenceError, HFInferenceLLM, RateLimitError, ServerError, StreamError

PATHS = ("invoke", "ainvoke", "stream", "astream", "invoke streaming", "ainvoke streaming")
STREAMED = PATHS[2:]
all_paths = pytest.mark.parametrize("path", PATHS)
streamed_paths = pytest.mark.parametrize("path", STREAMED)


def llm_of(whole: Any, events: list[Any] | bytes, engine: str, **kwargs: Any) -> HFInferenceLLM:
    """Return a model whose server sends `whole`, or `events` where a stream is asked for."""

    def answer(request: httpx.Request) -> httpx.Response:
        if json.loads(request.content).get("stream") or request.url.path.endswith("generate_stream"):
            content = events if isinstance(events, bytes) else sse(*events)
            return httpx.Response(200, headers={"content-type": "text/event-stream"}, content=content)
        return httpx.Response(200, content=json.dumps(whole).encode())

    transport = httpx.MockTransport(answer)
    clients = {
        "http_client": httpx.Client(transport=transport),
        "http_async_client": httpx.AsyncClient(transport=transport),
    }
    given = {"model": "m", "endpoint_url": "http://h:1", "engine": engine, "api_key": False, "max_retries": 0}
    return HFInferenceLLM(**{**given, **clients, **kwargs})


def sse(*events: Any) -> bytes:
    return b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events)


def read(path: str, whole: Any, events: list[Any] | bytes, engine: str = "vllm") -> str:
    llm = llm_of(whole, events, engine, streaming="streaming" in path)

    async def streamed() -> str:
        return "".join([chunk async for chunk in llm.astream("Go")])

    if path == "stream":
        return "".join(llm.stream("Go"))
    if path == "astream":
        return asyncio.run(streamed())
    return asyncio.run(llm.ainvoke("Go")) if path.startswith("a") else llm.invoke("Go")


def choice(text: str | None = None, finish: str | None = None, **more: Any) -> dict[str, Any]:
    given = {} if text is None else {"text": text}
    return {"choices": [{"index": 0, **given, "finish_reason": finish, **more}]}


FAILURES: dict[str, tuple[dict[str, Any], type[HFInferenceError], int]] = {
    "top level": ({**choice("", "stop"), "error": {"message": "GPU on fire", "code": 502}}, ServerError, 502),
    "in the choice": (choice("", error={"message": "GPU on fire", "code": "429"}), RateLimitError, 429),
    "in the choice, finished": (choice("", "error", error={"message": "GPU on fire", "code": 502}), ServerError, 502),
    "finish_reason": (choice("", "error"), ServerError, 500),
    "finish_reason of SGLang": (choice("", "abort"), ServerError, 500),
}


@all_paths
@pytest.mark.parametrize("failure", FAILURES)
def test_errors_under_status_200(path: str, failure: str) -> None:
    """An error is raised with the server's message and status, and the text that came before it."""
    body, kind, status = FAILURES[failure]
    whole = {**body, "choices": [{**body["choices"][0], "text": "Hal"}]}

    with pytest.raises(HFInferenceError, match="GPU on fire|ended the answer with") as caught:
        read(path, whole, [choice("Hal"), body])

    error: Any = caught.value
    assert (error.partial.text, error.status_code) == ("Hal", status)
    assert isinstance(error.__cause__ if isinstance(error, StreamError) else error, kind)


@all_paths
def test_generate_errors_under_status_200(path: str) -> None:
    """So are the errors that TGI's own API reports."""
    body = {"error": "Request failed during generation", "error_type": "generation"}

    with pytest.raises(HFInferenceError, match="failed during generation") as caught:
        read(path, {"generated_text": "Hal", **body}, [{"token": {"text": "Hal"}}, body], "tgi")

    error: Any = caught.value
    assert (error.partial.text, error.status_code) == ("Hal", 424)


@all_paths
def test_chat_shaped_completions(path: str) -> None:
    """A server that answers `/completions` in the shape of chat completions is read."""
    events = [{"choices": [{"delta": {"role": "assistant", "content": piece}}]} for piece in ("Hel", "lo")]
    last = {"choices": [{"delta": {}, "message": {"content": "Hello"}, "finish_reason": "stop"}]}

    assert read(path, {"choices": [{"message": {"content": "Hello"}}]}, [*events, last]) == "Hello"


@streamed_paths
@pytest.mark.parametrize("engine", ["vllm", "tgi"])
def test_events_without_blank_line(path: str, engine: str) -> None:
    """Events between which the blank line was lost are read one by one."""
    events = {
        "vllm": [choice("Hel"), choice("lo", "stop")],
        "tgi": [{"token": {"text": "Hel"}}, {"token": {"text": "lo"}, "generated_text": "Hello"}],
    }[engine]
    lines = "".join(f"data: {json.dumps(event)}\n" for event in events) + (
        "data: [DONE]\n\n" if engine == "vllm" else "\n"
    )

    assert read(path, None, lines.encode(), engine) == "Hello"


@all_paths
@pytest.mark.parametrize("engine", ["vllm", "tgi"])
@pytest.mark.parametrize(
    ("pieces", "text"), [(["\ud83d", "\ude00"], "😀"), (["a\ud83d"], "a\ufffd"), (["\ude00b"], "\ufffdb")]
)
def test_lone_surrogates(path: str, engine: str, pieces: list[str], text: str) -> None:
    """Halves of a surrogate pair in two events are joined; one that stays alone is U+FFFD."""
    joined = "".join(pieces)
    if engine == "vllm":
        whole: Any = choice(joined, "length")
        events = [*map(choice, pieces), choice("", "length")]
    else:
        whole = {"generated_text": joined}
        events = [
            *({"token": {"text": piece}} for piece in pieces),
            {"token": {"text": "", "special": True}, "generated_text": joined},
        ]

    assert read(path, whole, events, engine) == text


@all_paths
def test_usage(path: str) -> None:
    """Usage is read wherever it stands."""
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    for place in ({"usage": usage}, {"x_groq": {"usage": usage}}):
        llm = llm_of(
            {**choice("Hi", "stop"), **place},
            [choice("Hi"), {**choice("", "stop"), **place}],
            "vllm",
            streaming="streaming" in path,
        )
        result = asyncio.run(llm.agenerate(["Go"])) if path.startswith("a") else llm.generate(["Go"])
        assert result.llm_output is not None
        assert result.llm_output["token_usage"] == usage


def test_truncation_is_reported() -> None:
    """Text that max_tokens truncated is text; its finish reason says so."""
    llm = llm_of(choice("Hal", "length"), [choice("Hal", "length")], "vllm")

    info = llm.generate(["Go"]).generations[0][0].generation_info
    assert info is not None
    assert info["finish_reason"] == "length"

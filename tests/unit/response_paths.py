"""Every path on which a chat response is read: `read(path, response)` returns the message that the path ends with."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

import httpx
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.runnables.utils import AddableDict

from langchain_hf_inference import ChatHFInference

WHOLE = ("invoke", "ainvoke")
STREAMED = ("stream", "astream", "invoke streaming", "ainvoke streaming", "v3", "async v3")
PATHS = (*WHOLE, *STREAMED)


@dataclass
class Response:
    """What a server sends, in both forms.

    Args:
        message: The message of the whole response.
        deltas: The deltas of the stream; by default the message at once.
        finish: The finish_reason.
        body: More keys of the whole response, and of the last event of the stream.
        choice: More keys of the choice, and of the last one of the stream.
    """

    message: dict[str, Any]
    deltas: list[dict[str, Any]] | None = None
    finish: str | None = "stop"
    body: dict[str, Any] = field(default_factory=dict)
    choice: dict[str, Any] = field(default_factory=dict)

    def whole(self) -> dict[str, Any]:
        choice = {"index": 0, "message": {"role": "assistant", **self.message}, "finish_reason": self.finish}
        return {"id": "r1", "model": "m", "choices": [{**choice, **self.choice}], **self.body}

    def events(self) -> list[dict[str, Any]]:
        deltas = [self.message] if self.deltas is None else self.deltas
        rows = [
            {"id": "r1", "model": "m", "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
            for delta in deltas
        ]
        last = {"index": 0, "delta": {}, "finish_reason": self.finish, **self.choice}
        return [*rows, {"id": "r1", "model": "m", "choices": [last], **self.body}]

    def stream(self) -> bytes:
        return b"".join(b"data: " + json.dumps(row).encode() + b"\n\n" for row in self.events()) + b"data: [DONE]\n\n"


def model_of(response: Response | bytes, sent: list[Any] | None = None, **kwargs: Any) -> ChatHFInference:
    """Return a model whose server responds with `response`, streamed where a stream is asked for."""

    def answer(request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content)
        if sent is not None:
            sent.append(body)
        if isinstance(response, bytes):
            return httpx.Response(200, headers={"content-type": "text/event-stream"}, content=response)
        if body.get("stream"):
            return httpx.Response(200, headers={"content-type": "text/event-stream"}, content=response.stream())
        return httpx.Response(200, content=json.dumps(response.whole()).encode(), headers={"x-request-id": "req-1"})

    transport = httpx.MockTransport(answer)
    clients = {
        "http_client": httpx.Client(transport=transport),
        "http_async_client": httpx.AsyncClient(transport=transport),
    }
    given = {"model": "m", "endpoint_url": "http://h/v1", "engine": "openai", "api_key": False, "max_retries": 0}
    return ChatHFInference(**{**given, **clients, **kwargs})


def read(path: str, response: Response | bytes, given: Any = "Hello", **kwargs: Any) -> AIMessage:
    """Return the message at the end of `path`."""
    return read_from(path, model_of(response, **streaming_of(path), **kwargs), given)


def streaming_of(path: str) -> dict[str, Any]:
    """Return the setting that makes `invoke` read a stream, for the paths that do so."""
    return {"streaming": True} if path.endswith("streaming") else {}


def read_from(path: str, model: Any, given: Any = "Hello") -> Any:
    """Return what `model` ends with on `path`: chunks are added up, of all else the last counts."""

    async def streamed() -> Any:
        return _added([chunk async for chunk in model.astream(given)])

    async def v3() -> Any:
        stream = await model.astream_events(given, version="v3")
        _ = [event async for event in stream]
        return await stream.output

    match path:
        case "invoke" | "invoke streaming":
            return model.invoke(given)
        case "ainvoke" | "ainvoke streaming":
            return asyncio.run(model.ainvoke(given))
        case "stream":
            return _added(list(model.stream(given)))
        case "astream":
            return asyncio.run(streamed())
        case "v3":
            stream = model.stream_events(given, version="v3")
            _ = list(stream)
            return stream.output
        case "async v3":
            return asyncio.run(v3())
    raise ValueError(path)


def _added(chunks: list[Any]) -> Any:
    total, *rest = chunks
    for chunk in rest:
        total = total + chunk if isinstance(chunk, AIMessageChunk | AddableDict) else chunk
    return total


def call_delta(arguments: Any, name: str | None = None, index: int | None = 0, identity: Any = None) -> dict[str, Any]:
    """Return a delta of a tool call."""
    function = {key: value for key, value in {"name": name, "arguments": arguments}.items() if value is not None}
    place = {} if index is None else {"index": index}
    known = {} if identity is None else {"id": identity}
    return {"tool_calls": [{**place, **known, "type": "function", "function": function}]}


def call(name: str | None, arguments: Any, identity: Any = "c1") -> dict[str, Any]:
    """Return a tool call of a whole message."""
    return {"id": identity, "type": "function", "function": {"name": name, "arguments": arguments}}

"""Who is measured. A subject is a function of a base URL (`http://host:port/m/<mode>`) that gives a LangChain model, or
for the floors and raw clients an object with the same four methods.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

os.environ.setdefault("OPENAI_API_KEY", "k")
os.environ.pop("HF_TOKEN", None)


def ours(url: str) -> Any:
    """ChatHFInference."""
    from langchain_hf_inference import ChatHFInference

    return ChatHFInference(endpoint_url=url, model="org/name", engine="openai", api_key="k")


def chat_huggingface(url: str) -> Any:
    """langchain-huggingface's ChatHuggingFace."""
    from langchain_huggingface import ChatHuggingFace, HuggingFaceEndpoint

    return ChatHuggingFace(llm=HuggingFaceEndpoint(endpoint_url=url), stream_usage=True)


def chat_openai(url: str) -> Any:
    """langchain-openai's ChatOpenAI."""
    from langchain_openai import ChatOpenAI

    return ChatOpenAI(base_url=url + "/v1", api_key="k", model="org/name", stream_usage=True)


def chat_groq(url: str) -> Any:
    """langchain-groq's ChatGroq."""
    from langchain_groq import ChatGroq

    return ChatGroq(base_url=url + "/v1", api_key="k", model="org/name")


class Raw:
    """httpx and orjson, nothing else: what the exchange itself costs."""

    def __init__(self, url: str) -> None:
        import httpx
        import orjson

        self._json, self._url = orjson, url + "/v1/chat/completions"
        limits = httpx.Limits(max_connections=1000, max_keepalive_connections=20)
        self._client, self._async = (
            httpx.Client(limits=limits, timeout=60),
            httpx.AsyncClient(limits=limits, timeout=60),
        )

    def _body(self, messages: Any, *, stream: bool = False) -> bytes:
        rows = [
            {"role": "user", "content": m if isinstance(m, str) else m.text}
            for m in (messages if isinstance(messages, list) else [messages])
        ]
        return self._json.dumps({"model": "org/name", "messages": rows, "stream": stream})

    def invoke(self, messages: Any) -> Any:
        return self._json.loads(self._client.post(self._url, content=self._body(messages)).content)

    async def ainvoke(self, messages: Any) -> Any:
        return self._json.loads((await self._async.post(self._url, content=self._body(messages))).content)

    def stream(self, messages: Any) -> Iterator[Any]:
        with self._client.stream("POST", self._url, content=self._body(messages, stream=True)) as response:
            rest = b""
            for chunk in response.iter_bytes():
                *lines, rest = (rest + chunk).split(b"\n\n")
                for line in lines:
                    if line != b"data: [DONE]":
                        yield self._json.loads(line[6:])

    async def astream(self, messages: Any) -> AsyncIterator[Any]:
        async with self._async.stream("POST", self._url, content=self._body(messages, stream=True)) as response:
            rest = b""
            async for chunk in response.aiter_bytes():
                *lines, rest = (rest + chunk).split(b"\n\n")
                for line in lines:
                    if line != b"data: [DONE]":
                        yield self._json.loads(line[6:])


def floor(url: str) -> Any:
    """BaseChatModel over the same bytes, from memory, parsed by orjson and the ordinary constructors: no I/O."""
    import orjson
    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import AIMessage, AIMessageChunk
    from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
    from server import burst, events, whole

    kind, count, _ = url.rsplit("/", 1)[1].split("-")
    lines = events(kind if kind == "tools" else "text", int(count))
    content = whole(int(count)).split(b"\r\n\r\n", 1)[1]
    assert burst

    def piece(line: bytes) -> Any:
        row = orjson.loads(line[6:-2])
        usage = row.get("usage")
        if not row["choices"]:
            counts = {
                "input_tokens": usage["prompt_tokens"],
                "output_tokens": usage["completion_tokens"],
                "total_tokens": usage["total_tokens"],
            }
            return ChatGenerationChunk(message=AIMessageChunk(content="", usage_metadata=counts))
        delta = row["choices"][0]["delta"]
        calls = [{"name": c["function"].get("name"), "args": c["function"]["arguments"], "id": c.get("id"), "index": c["index"], "type": "tool_call_chunk"}
                 for c in delta.get("tool_calls") or ()]  # fmt: skip
        return ChatGenerationChunk(message=AIMessageChunk(content=delta.get("content") or "", tool_call_chunks=calls))

    class Floor(BaseChatModel):
        @property
        def _llm_type(self) -> str:
            return "floor"

        def _generate(self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any) -> ChatResult:
            text = orjson.loads(content)["choices"][0]["message"]["content"]
            return ChatResult(generations=[ChatGeneration(message=AIMessage(content=text))])

        async def _agenerate(
            self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any
        ) -> ChatResult:
            return self._generate(messages)

        def _stream(self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any) -> Iterator[Any]:
            for line in lines[:-1]:
                yield piece(line)

        async def _astream(
            self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any
        ) -> AsyncIterator[Any]:
            for line in lines[:-1]:
                yield piece(line)

        def bind_tools(self, tools: Any, **kwargs: Any) -> Any:
            return self.bind(tools=tools, **kwargs)

    return Floor()


SUBJECTS: dict[str, Callable[[str], Any]] = {
    "floor": floor, "httpx": Raw, "ours": ours, "ChatHuggingFace": chat_huggingface, "ChatOpenAI": chat_openai, "ChatGroq": chat_groq,
}  # fmt: skip

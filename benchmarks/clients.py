"""Clients that are no part of LangChain, dressed in its four methods: raw httpx, huggingface_hub, Haystack, LiteLLM.

Messages reach them as they want them: what LangChain pays for its own is not theirs to pay.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from typing import Any

os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
os.environ.setdefault("HAYSTACK_TELEMETRY_ENABLED", "False")


def rows_of(messages: Any) -> list[dict[str, str]]:
    """Give OpenAI's messages of a text, or of a conversation in LangChain's."""
    if isinstance(messages, str):
        return [{"role": "user", "content": messages}]
    return [{"role": "assistant" if m.type == "ai" else "user", "content": m.content} for m in messages]


class RawClient:
    """httpx and orjson, nothing else: what the exchange itself costs."""

    def __init__(self, url: str) -> None:
        import httpx
        import orjson

        self._json, self._url, self._tei_url = orjson, url + "/v1/chat/completions", url + "/embed"
        limits = httpx.Limits(max_connections=1000, max_keepalive_connections=20)
        self._client = httpx.Client(limits=limits, timeout=60)
        self._async = httpx.AsyncClient(limits=limits, timeout=60)

    def _body(self, messages: Any, *, stream: bool = False) -> bytes:
        body = {"model": "org/name", "messages": rows_of(messages)}
        return self._json.dumps({**body, "stream": True} if stream else body)

    def embed_tei(self, texts: list[str]) -> Any:
        """Return vectors as a plain loop over batches of TEI's default size gets them."""
        batches = (texts[start : start + 32] for start in range(0, len(texts), 32))
        answers = [self._client.post(self._tei_url, json={"inputs": batch}).json() for batch in batches]
        return [vector for vectors in answers for vector in vectors]

    def invoke(self, messages: Any) -> Any:
        return self._json.loads(self._client.post(self._url, content=self._body(messages)).content)

    async def ainvoke(self, messages: Any) -> Any:
        return self._json.loads((await self._async.post(self._url, content=self._body(messages))).content)

    def _rows(self, tail: bytes, chunk: bytes) -> tuple[list[Any], bytes]:
        *lines, tail = (tail + chunk).split(b"\n\n")
        return [self._json.loads(line[6:]) for line in lines if line != b"data: [DONE]"], tail

    def stream(self, messages: Any) -> Iterator[Any]:
        with self._client.stream("POST", self._url, content=self._body(messages, stream=True)) as response:
            tail = b""
            for chunk in response.iter_bytes():
                rows, tail = self._rows(tail, chunk)
                yield from rows

    async def astream(self, messages: Any) -> AsyncIterator[Any]:
        async with self._async.stream("POST", self._url, content=self._body(messages, stream=True)) as response:
            tail = b""
            async for chunk in response.aiter_bytes():
                rows, tail = self._rows(tail, chunk)
                for row in rows:
                    yield row


class RawAiohttp:
    """aiohttp and orjson: what the exchange costs an asynchronous program that does without httpx."""

    def __init__(self, url: str) -> None:
        import orjson

        self._json, self._url, self._session = orjson, url + "/v1/chat/completions", None

    def _client(self) -> Any:
        import aiohttp

        if self._session is None:
            self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1000))
        return self._session

    def _body(self, messages: Any, *, stream: bool = False) -> bytes:
        body = {"model": "org/name", "messages": rows_of(messages)}
        return self._json.dumps({**body, "stream": True} if stream else body)

    async def ainvoke(self, messages: Any) -> Any:
        async with self._client().post(self._url, data=self._body(messages)) as response:
            return self._json.loads(await response.read())

    async def astream(self, messages: Any) -> AsyncIterator[Any]:
        async with self._client().post(self._url, data=self._body(messages, stream=True)) as response:
            tail = b""
            async for chunk in response.content.iter_any():
                *lines, tail = (tail + chunk).split(b"\n\n")
                for line in lines:
                    if line != b"data: [DONE]":
                        yield self._json.loads(line[6:])


class HubClient:
    """huggingface_hub's InferenceClient."""

    def __init__(self, url: str) -> None:
        from huggingface_hub import AsyncInferenceClient, InferenceClient

        self._client, self._async = InferenceClient(model=url), AsyncInferenceClient(model=url)

    def invoke(self, messages: Any) -> Any:
        return self._client.chat_completion(rows_of(messages))

    async def ainvoke(self, messages: Any) -> Any:
        return await self._async.chat_completion(rows_of(messages))

    def stream(self, messages: Any) -> Any:
        return self._client.chat_completion(rows_of(messages), stream=True)

    async def astream(self, messages: Any) -> AsyncIterator[Any]:
        async for piece in await self._async.chat_completion(rows_of(messages), stream=True):
            yield piece

    def embed_documents(self, texts: list[str]) -> Any:
        return self._client.feature_extraction(texts)


class HubLLM(HubClient):
    def stream(self, prompt: Any) -> Any:
        return self._client.text_generation(prompt, stream=True, details=True)


class HaystackClient:
    """Haystack's OpenAIChatGenerator."""

    def __init__(self, url: str) -> None:
        from haystack.components.generators.chat import OpenAIChatGenerator
        from haystack.utils import Secret

        self._made = OpenAIChatGenerator(api_key=Secret.from_token("k"), model="org/name", api_base_url=url + "/v1")
        self._made.warm_up()

    def _messages(self, messages: Any) -> Any:
        from haystack.dataclasses import ChatMessage

        if isinstance(messages, str):
            return [ChatMessage.from_user(messages)]
        make = {"assistant": ChatMessage.from_assistant, "user": ChatMessage.from_user}
        return [make[row["role"]](row["content"]) for row in rows_of(messages)]

    def invoke(self, messages: Any) -> Any:
        return self._made.run(messages=self._messages(messages))

    async def ainvoke(self, messages: Any) -> Any:
        return await self._made.run_async(messages=self._messages(messages))

    def stream(self, messages: Any) -> Any:
        pieces: list[Any] = []
        self._made.run(messages=self._messages(messages), streaming_callback=pieces.append)
        return pieces

    async def astream(self, messages: Any) -> AsyncIterator[Any]:
        pieces: list[Any] = []

        async def kept(piece: Any) -> None:
            pieces.append(piece)

        await self._made.run_async(messages=self._messages(messages), streaming_callback=kept)
        for piece in pieces:
            yield piece


class LiteLLMClient:
    """LiteLLM's completion."""

    def __init__(self, url: str) -> None:
        import litellm

        litellm.telemetry, litellm.suppress_debug_info, litellm.disable_hf_tokenizer_download = False, True, True
        self._litellm = litellm
        self._given = {"model": "openai/org/name", "api_base": url + "/v1", "api_key": "k"}

    def invoke(self, messages: Any) -> Any:
        return self._litellm.completion(messages=rows_of(messages), **self._given)

    async def ainvoke(self, messages: Any) -> Any:
        return await self._litellm.acompletion(messages=rows_of(messages), **self._given)

    def stream(self, messages: Any) -> Any:
        return self._litellm.completion(messages=rows_of(messages), stream=True, **self._given)

    async def astream(self, messages: Any) -> AsyncIterator[Any]:
        async for piece in await self._litellm.acompletion(messages=rows_of(messages), stream=True, **self._given):
            yield piece


class RawSubject:
    chat = tei = RawClient


class HubSubject:
    chat, llm, embedder = HubClient, HubLLM, HubClient


class HaystackSubject:
    chat = HaystackClient


class LiteLLMSubject:
    chat = LiteLLMClient


class AiohttpSubject:
    chat = RawAiohttp


CLIENTS: dict[str, Any] = {
    "httpx": RawSubject, "aiohttp": AiohttpSubject, "huggingface_hub": HubSubject, "Haystack": HaystackSubject, "LiteLLM": LiteLLMSubject,
}  # fmt: skip

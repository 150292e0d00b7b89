"""Sync and async through one body: `call.invoke(model, "Hello")` whichever way it is made."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from langchain_core.messages import AIMessageChunk
from langchain_core.runnables import Runnable

from langchain_hf_inference._protocol.credentials import ANONYMOUS
from langchain_hf_inference._transport import lookups

both_ways = pytest.mark.parametrize("call", ["sync", "async"], indirect=True)
"""Runs a test with the fixture `call` once sync and once async."""


class Call:
    """Makes calls in one of the two ways."""

    def __init__(self, way: str) -> None:
        self.is_async = way == "async"

    def invoke(self, runnable: Runnable[Any, Any], given: Any, **kwargs: Any) -> Any:
        if self.is_async:
            return asyncio.run(runnable.ainvoke(given, **kwargs))
        return runnable.invoke(given, **kwargs)

    def stream(self, runnable: Runnable[Any, Any], given: Any, **kwargs: Any) -> list[Any]:
        async def collected() -> list[Any]:
            return [item async for item in runnable.astream(given, **kwargs)]

        return asyncio.run(collected()) if self.is_async else list(runnable.stream(given, **kwargs))

    def total(self, runnable: Runnable[Any, Any], given: Any, **kwargs: Any) -> AIMessageChunk:
        """Stream, and add the chunks up."""
        first, *rest = self.stream(runnable, given, **kwargs)
        return sum(rest, first)

    def embed(self, embedder: Any, texts: list[str]) -> list[list[float]]:
        return asyncio.run(embedder.aembed_documents(texts)) if self.is_async else embedder.embed_documents(texts)

    def get(self, transport: Any, url: str) -> Any:
        """Look a URL up, within the limit of lookups."""
        limit_s = lookups.LOOKUP_TIMEOUT_S
        if self.is_async:
            return asyncio.run(transport.aget(url, ANONYMOUS, timeout_s=limit_s))
        return transport.get(url, ANONYMOUS, timeout_s=limit_s)


@pytest.fixture
def call(request: pytest.FixtureRequest) -> Call:
    return Call(request.param)

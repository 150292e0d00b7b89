"""The scripted server in the place of every host: what is written for the router runs without it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import httpx
import pytest

from langchain_hf_inference._transport import http
from langchain_hf_inference.testing import InferenceServer


def be_everywhere(server: InferenceServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Send what goes to any host but this machine to `server`."""

    def redirected(request: httpx.Request) -> None:
        target = httpx.URL(server.url)
        request.url = request.url.copy_with(scheme="http", host=target.host, port=target.port)

    async def aredirected(request: httpx.Request) -> None:
        redirected(request)

    leased, aleased = http.leased, http.aleased

    @contextmanager
    def everywhere(origin: str) -> Iterator[httpx.Client]:
        with leased(server.url if "127.0.0.1" not in origin else origin) as client:
            client.event_hooks = {"request": [redirected] if "127.0.0.1" not in origin else []}
            yield client

    @asynccontextmanager
    async def aeverywhere(origin: str) -> AsyncIterator[httpx.AsyncClient]:
        async with aleased(server.url if "127.0.0.1" not in origin else origin) as client:
            client.event_hooks = {"request": [aredirected] if "127.0.0.1" not in origin else []}
            yield client

    monkeypatch.setattr(http, "leased", everywhere)
    monkeypatch.setattr(http, "aleased", aeverywhere)

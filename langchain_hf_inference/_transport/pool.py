"""Clients shared by all models: one for each origin, per process for sync, per event loop for async.

Made on first use (a TLS context costs 16-40 ms, so that is made once), forgotten in a forked child (a socket must not
be used by two processes), and closed with its event loop. A client that `discard` takes out while requests run is
closed by the last of them.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import ssl
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any, Generic, TypeVar
from weakref import WeakKeyDictionary

import httpx

from langchain_hf_inference._transport.connections import AsyncDirectTransport, DirectTransport

_PROXY_LIMITS = httpx.Limits(max_connections=None, max_keepalive_connections=20, keepalive_expiry=30.0)
"""Of the connections to a proxy of the environment, which are httpx's own."""

ClientT = TypeVar("ClientT", httpx.Client, httpx.AsyncClient)


@dataclass(slots=True)
class _Shared(Generic[ClientT]):
    client: ClientT
    in_flight: int = 0
    discarded: bool = False

    def release(self) -> bool:
        """Take the client back; tell whether it is to be closed now."""
        self.in_flight -= 1
        return self.discarded and not self.in_flight

    def discard(self) -> bool:
        """Let the client go; tell whether it is to be closed now, or with its last request."""
        self.discarded = True
        return not self.in_flight


_lock = threading.Lock()
_clients: dict[str, _Shared[httpx.Client]] = {}
_async_clients: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, _Shared[httpx.AsyncClient]]] = (
    WeakKeyDictionary()
)
_closers: WeakKeyDictionary[asyncio.AbstractEventLoop, AsyncGenerator[None]] = WeakKeyDictionary()


@cache
def _tls_context() -> ssl.SSLContext:
    return httpx.create_ssl_context()


class DirectClient(httpx.Client):
    """A client that hands requests straight to its transport: ours, or httpx's for a proxy of the environment.

    Cookies, redirects and authentication are nothing that we use, and half of what a request costs in httpx.
    """

    def __init__(self) -> None:
        super().__init__(verify=_tls_context(), limits=_PROXY_LIMITS)
        self._common = _common_headers(self)

    def _init_transport(self, *_: Any, **__: Any) -> httpx.BaseTransport:
        return DirectTransport(_tls_context)

    def build_request(self, method: str, url: Any, **options: Any) -> httpx.Request:
        if options.keys() != _OURS or self.event_hooks["request"]:
            return super().build_request(method, url, **options)
        return _request(self._common, method, url, **options)

    def send(self, request: httpx.Request, *, stream: bool = False, **options: Any) -> httpx.Response:
        if self.is_closed or self.event_hooks["request"]:
            return super().send(request, stream=stream, **options)
        response = self._transport_for_url(request.url).handle_request(request)
        response.request = request
        try:
            if not stream:
                response.read()
        except BaseException:
            response.close()
            raise
        return response


class AsyncDirectClient(httpx.AsyncClient):
    """Like `DirectClient`."""

    def __init__(self) -> None:
        super().__init__(verify=_tls_context(), limits=_PROXY_LIMITS)
        self._common = _common_headers(self)

    def _init_transport(self, *_: Any, **__: Any) -> httpx.AsyncBaseTransport:
        return AsyncDirectTransport(_tls_context)

    def build_request(self, method: str, url: Any, **options: Any) -> httpx.Request:
        if options.keys() != _OURS or self.event_hooks["request"]:
            return super().build_request(method, url, **options)
        return _request(self._common, method, url, **options)

    async def send(self, request: httpx.Request, *, stream: bool = False, **options: Any) -> httpx.Response:
        if self.is_closed or self.event_hooks["request"]:
            return await super().send(request, stream=stream, **options)
        response = await self._transport_for_url(request.url).handle_async_request(request)
        response.request = request
        try:
            if not stream:
                await response.aread()
        except BaseException:
            await response.aclose()
            raise
        return response


_OURS = {"content", "headers", "timeout"}


def _common_headers(client: httpx.Client | httpx.AsyncClient) -> list[tuple[str, str]]:
    """Give what httpx sends with each request, less its name."""
    return [(name, value) for name, value in client.headers.items() if name != "user-agent"]


def _request(
    common: list[tuple[str, str]], method: str, url: httpx.URL, *, content: bytes, headers: dict[str, str], timeout: Any
) -> httpx.Request:
    """Write a request as httpx's client does, at a quarter of the cost."""
    given = {name.lower() for name in headers}
    made = [("host", url.netloc.decode("ascii")), *common, ("content-length", str(len(content)))]
    every = [pair for pair in made if pair[0] not in given]
    every.extend(headers.items())
    body = httpx.ByteStream(content)
    return httpx.Request(method, url, headers=every, stream=body, extensions={"timeout": timeout.as_dict()})


@contextmanager
def leased(origin: str) -> Iterator[httpx.Client]:
    """Lend the process's client for `origin`."""
    with _lock:
        shared = _clients.get(origin)
        if shared is None:
            shared = _clients[origin] = _Shared(DirectClient())
        shared.in_flight += 1
    try:
        yield shared.client
    finally:
        with _lock:
            is_last = shared.release()
        if is_last:
            shared.client.close()


@asynccontextmanager
async def aleased(origin: str) -> AsyncIterator[httpx.AsyncClient]:
    """Like `leased`, for the running event loop."""
    shared = await _async_shared(origin)
    shared.in_flight += 1
    try:
        yield shared.client
    finally:
        if shared.release():
            await shared.client.aclose()


async def _async_shared(origin: str) -> _Shared[httpx.AsyncClient]:
    loop = asyncio.get_running_loop()
    with _lock:
        clients = _async_clients.get(loop)
        new_loop = clients is None
        if clients is None:
            clients = _async_clients[loop] = {}
        shared = clients.get(origin)
        if shared is None:
            shared = clients[origin] = _Shared(AsyncDirectClient())
    if new_loop:
        # asyncio.run closes the async generators of its loop: one that is waiting here closes our clients.
        closer = _closers[loop] = _close_with_loop(clients)
        await anext(closer)
    return shared


async def _close_with_loop(clients: dict[str, _Shared[httpx.AsyncClient]]) -> AsyncGenerator[None]:
    try:
        yield
    finally:
        while clients:
            await clients.popitem()[1].client.aclose()


def discard(origin: str) -> None:
    """Close the sync client for `origin`, now or with its last running request; the next use makes another."""
    with _lock:
        shared = _clients.pop(origin, None)
        is_idle = shared is not None and shared.discard()
    if shared is not None and is_idle:
        shared.client.close()


async def adiscard(origin: str) -> None:
    """Like `discard`, for the client of the running event loop."""
    with _lock:
        shared = _async_clients.get(asyncio.get_running_loop(), {}).pop(origin, None)
        is_idle = shared is not None and shared.discard()
    if shared is not None and is_idle:
        await shared.client.aclose()


def _close_all() -> None:
    """Close the sync clients with the process, so that no socket is left to the garbage collector."""
    while _clients:
        _clients.popitem()[1].client.close()


def _forget() -> None:
    global _lock
    _lock = threading.Lock()
    _clients.clear()
    _async_clients.clear()
    _closers.clear()


atexit.register(_close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)

"""Clients shared by all models: per process for sync, per event loop for async, as many for each origin as are needed.

Made on first use (an httpx.Client costs 16-40 ms for its TLS context, so that is made once),
forgotten in a forked child (a socket must not be used by two processes), and closed with its
event loop. A client that `discard` takes out while requests run is closed by the last of them.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import ssl
import threading
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from weakref import WeakKeyDictionary

import httpx

AT_ONCE = 10
"""Requests that one client serves at a time. httpcore walks all connections of a client for each request, so that the
cost of one grows with those in flight; many small clients cost what one small one does."""
_LIMITS = httpx.Limits(max_connections=AT_ONCE, max_keepalive_connections=AT_ONCE, keepalive_expiry=30.0)
IDLE_S = 30.0
"""After so long without a request a client is closed, unless it is the last."""

ClientT = TypeVar("ClientT", httpx.Client, httpx.AsyncClient)


@dataclass(slots=True)
class _Shared(Generic[ClientT]):
    client: ClientT
    in_flight: int = 0
    discarded: bool = False
    idle_since: float = 0.0


class _Shards(Generic[ClientT]):
    """The clients for one origin. The latest that has room is taken, so that the others may fall idle."""

    def __init__(self, made: Callable[[], ClientT]) -> None:
        self._made: Callable[[], ClientT] = made
        self.shards: list[_Shared[ClientT]] = []
        self._with_room: list[_Shared[ClientT]] = []

    @property
    def in_flight(self) -> int:
        return sum(shared.in_flight for shared in self.shards)

    def lease(self) -> tuple[_Shared[ClientT], ClientT | None]:
        """Give a client with room, and one that has been idle for long, to be closed."""
        if not self._with_room:
            shared = _Shared(self._made())
            self.shards.append(shared)
            self._with_room.append(shared)
        shared, oldest = self._with_room[-1], self._with_room[0]
        shared.in_flight += 1
        if shared.in_flight == AT_ONCE:
            self._with_room.pop()
        if oldest is shared or oldest.in_flight or time.monotonic() - oldest.idle_since < IDLE_S:
            return shared, None
        self._with_room.remove(oldest)
        self.shards.remove(oldest)
        return shared, oldest.client

    def release(self, shared: _Shared[ClientT]) -> bool:
        """Take a client back; tell whether it is to be closed now."""
        if shared.in_flight == AT_ONCE and not shared.discarded:
            self._with_room.append(shared)
        shared.in_flight -= 1
        if not shared.in_flight:
            shared.idle_since = time.monotonic()
        return shared.discarded and not shared.in_flight

    def discard(self) -> list[ClientT]:
        """Let all go: give those that are idle, to be closed; the others are closed by their last request."""
        for shared in self.shards:
            shared.discarded = True
        return [shared.client for shared in self.shards if not shared.in_flight]


_lock = threading.Lock()
_tls: ssl.SSLContext | None = None
_clients: dict[str, _Shards[httpx.Client]] = {}
_async_clients: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, _Shards[httpx.AsyncClient]]] = (
    WeakKeyDictionary()
)
_closers: WeakKeyDictionary[asyncio.AbstractEventLoop, AsyncGenerator[None]] = WeakKeyDictionary()


def _tls_context() -> ssl.SSLContext:
    global _tls
    if _tls is None:
        _tls = httpx.create_ssl_context()
    return _tls


class DirectClient(httpx.Client):
    """A client that hands requests straight to its transport, proxies of the environment included.

    Cookies, redirects and authentication are nothing that we use, and half of what a request costs in httpx.
    """

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


def _sync_client() -> httpx.Client:
    return DirectClient(verify=_tls_context(), limits=_LIMITS)


def _async_client() -> httpx.AsyncClient:
    return AsyncDirectClient(verify=_tls_context(), limits=_LIMITS)


@contextmanager
def leased(origin: str) -> Iterator[httpx.Client]:
    """Lend a client of the process for `origin`."""
    with _lock:
        shards = _clients.get(origin)
        if shards is None:
            shards = _clients[origin] = _Shards(_sync_client)
        shared, idle = shards.lease()
    if idle is not None:
        idle.close()
    try:
        yield shared.client
    finally:
        with _lock:
            is_last = shards.release(shared)
        if is_last:
            shared.client.close()


@asynccontextmanager
async def aleased(origin: str) -> AsyncIterator[httpx.AsyncClient]:
    """Like `leased`, for the running event loop."""
    shards = await _async_shards(origin)
    shared, idle = shards.lease()
    if idle is not None:
        await idle.aclose()
    try:
        yield shared.client
    finally:
        if shards.release(shared):
            await shared.client.aclose()


async def _async_shards(origin: str) -> _Shards[httpx.AsyncClient]:
    loop = asyncio.get_running_loop()
    with _lock:
        clients = _async_clients.get(loop)
        new_loop = clients is None
        if clients is None:
            clients = _async_clients[loop] = {}
        shards = clients.get(origin)
        if shards is None:
            shards = clients[origin] = _Shards(_async_client)
    if new_loop:
        # asyncio.run closes the async generators of its loop: one that is waiting here closes our clients.
        closer = _closers[loop] = _close_with_loop(clients)
        await anext(closer)
    return shards


async def _close_with_loop(clients: dict[str, _Shards[httpx.AsyncClient]]) -> AsyncGenerator[None]:
    try:
        yield
    finally:
        while clients:
            for shared in clients.popitem()[1].shards:
                await shared.client.aclose()


def discard(origin: str) -> None:
    """Close the sync clients for `origin`, now or with their last running request; the next use makes others."""
    with _lock:
        shards = _clients.pop(origin, None)
        idle = shards.discard() if shards is not None else []
    for client in idle:
        client.close()


async def adiscard(origin: str) -> None:
    """Like `discard`, for the clients of the running event loop."""
    with _lock:
        shards = _async_clients.get(asyncio.get_running_loop(), {}).pop(origin, None)
        idle = shards.discard() if shards is not None else []
    for client in idle:
        await client.aclose()


def _close_all() -> None:
    """Close the sync clients with the process, so that no socket is left to the garbage collector."""
    while _clients:
        for shared in _clients.popitem()[1].shards:
            shared.client.close()


def _forget() -> None:
    global _lock
    _lock = threading.Lock()
    _clients.clear()
    _async_clients.clear()
    _closers.clear()


atexit.register(_close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)

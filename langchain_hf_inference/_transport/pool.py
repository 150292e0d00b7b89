"""Clients shared by all models: per process for sync, per event loop for async, one for each origin.

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
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar
from weakref import WeakKeyDictionary

import httpx

_LIMITS = httpx.Limits(max_connections=1000, max_keepalive_connections=20, keepalive_expiry=30.0)
"""httpcore walks its idle connections on each request: keeping more than 20 costs more than it saves."""

ClientT = TypeVar("ClientT", httpx.Client, httpx.AsyncClient)


@dataclass(slots=True)
class _Shared(Generic[ClientT]):
    client: ClientT
    in_flight: int = 0
    discarded: bool = False


_lock = threading.Lock()
_tls: ssl.SSLContext | None = None
_clients: dict[str, _Shared[httpx.Client]] = {}
_async_clients: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, _Shared[httpx.AsyncClient]]] = (
    WeakKeyDictionary()
)
_closers: WeakKeyDictionary[asyncio.AbstractEventLoop, AsyncGenerator[None]] = WeakKeyDictionary()


def _tls_context() -> ssl.SSLContext:
    global _tls
    if _tls is None:
        _tls = httpx.create_ssl_context()
    return _tls


@contextmanager
def leased(origin: str) -> Iterator[httpx.Client]:
    """Lend the process's client for `origin`."""
    with _lock:
        shared = _clients.get(origin)
        if shared is None:
            shared = _clients[origin] = _Shared(httpx.Client(verify=_tls_context(), limits=_LIMITS))
        shared.in_flight += 1
    try:
        yield shared.client
    finally:
        with _lock:
            shared.in_flight -= 1
            last = shared.discarded and not shared.in_flight
        if last:
            shared.client.close()


@asynccontextmanager
async def aleased(origin: str) -> AsyncIterator[httpx.AsyncClient]:
    """Like `leased`."""
    shared = await _async_shared(origin)
    shared.in_flight += 1
    try:
        yield shared.client
    finally:
        shared.in_flight -= 1
        if shared.discarded and not shared.in_flight:
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
            shared = clients[origin] = _Shared(httpx.AsyncClient(verify=_tls_context(), limits=_LIMITS))
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
        if shared is not None:
            shared.discarded = True
        idle = shared is not None and not shared.in_flight
    if shared is not None and idle:
        shared.client.close()


async def adiscard(origin: str) -> None:
    """Like `discard`, for the client of the running event loop."""
    with _lock:
        shared = _async_clients.get(asyncio.get_running_loop(), {}).pop(origin, None)
        if shared is not None:
            shared.discarded = True
        idle = shared is not None and not shared.in_flight
    if shared is not None and idle:
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

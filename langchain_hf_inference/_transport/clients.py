"""httpx clients shared by all models: per process for synchronous calls, per event loop for asynchronous ones.

httpcore's pool walks all of its connections for each request, which makes a request 30 times as expensive among 500 as
alone. So the requests to an origin are spread over several small clients: one takes up to `REQUESTS_PER_CLIENT` at a
time, the last one used first, so that the others fall idle and are closed. httpx sees plain clients on plain
transports: whatever patches, mocks, traces or logs httpx works with them.

Clients are created on first use, dropped in a forked child (two processes must not share a connection), and closed with
their event loop. What belongs to an event loop is owned by a timer on that loop, which closes idle clients: a loop that
is closed drops its timers, and with them everything here, even if nothing else was shut down.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
import time
from collections.abc import AsyncGenerator
from contextlib import nullcontext, suppress
from contextvars import Context
from functools import partial
from typing import Any
from weakref import ReferenceType, WeakKeyDictionary, ref

from langchain_hf_inference._transport import backend
from langchain_hf_inference._transport.client_builders import (
    HTTPBackend,
    build_aiohttp_client,
    build_async_client,
    build_client,
)
from langchain_hf_inference._transport.closing import closer
from langchain_hf_inference._transport.pool import (
    IDLE_S,
    MAX_CONNECTIONS,
    MAX_IDLE_ORIGINS,
    REQUESTS_PER_CLIENT,
    OriginPool,
    PooledClient,
    Pools,
    remove_idle,
)

# --- synchronous


_lock = threading.Lock()


def _current_lock() -> threading.Lock:
    return _lock  # a forked child has a new one


_pools: Pools[backend.Client] = {}


def _close_idle() -> None:
    with _lock:
        closing = remove_idle(_pools, time.monotonic())
    for client in closing:
        client.close()


closer.tidy = _close_idle


def acquire_client(origin: str, *, is_new: bool = False) -> PooledClient[backend.Client]:
    """Return a client of the process for `origin`, to be released.

    Args:
        origin: Scheme, host and port.
        is_new: Whether the request must not travel on a connection that was used before.

    Raises:
        ConfigurationError: A proxy or a certificate file of the environment cannot be used.
    """
    closer.start()
    with _lock:
        pool = _pools.get(origin)
        if pool is None:
            closing = remove_idle(_pools, time.monotonic()) if len(_pools) > MAX_IDLE_ORIGINS else []
            pool = _pools[origin] = OriginPool(
                partial(build_client, origin), REQUESTS_PER_CLIENT, _current_lock, backend.Client.close
            )
        else:
            closing = []
        try:
            pooled = pool.acquire(is_new=is_new)
        except BaseException:
            if not pool.clients:
                _pools.pop(origin, None)
            raise
    for client in closing:
        client.close()
    return pooled


def discard(origin: str) -> None:
    """Close the clients for `origin`, now or with their last running request; the next use creates new ones."""
    with _lock:
        pool = _pools.pop(origin, None)
        closing = pool.remove_all() if pool else []
    for client in closing:
        client.close()


# --- asynchronous


class _LoopClients:
    """What belongs to one event loop: its clients and its open responses. Referenced by a timer on that loop alone."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.pools: Pools[backend.AsyncClient] = {}
        self.open_responses: set[Any] = set()
        self.closing: set[asyncio.Task[None]] = set()
        self.lifetime = self._close_with_loop()
        self._schedule()

    def _schedule(self) -> None:
        self._loop.call_later(IDLE_S / 3, self._close_idle, context=Context())

    def _close_idle(self) -> None:
        for client in remove_idle(self.pools, time.monotonic()):
            self.close_soon(client)
        if self.pools or self.open_responses or self.closing:
            self._schedule()
        else:
            self._forget()

    def _forget(self) -> None:
        known = _loops.get(self._loop)
        if known is not None and known() is self:
            del _loops[self._loop]

    def close_soon(self, client: backend.AsyncClient) -> None:
        """Close a client in a task of its own."""
        task = self._loop.create_task(client.aclose())
        self.closing.add(task)
        task.add_done_callback(self.closing.discard)

    async def _close_with_loop(self) -> AsyncGenerator[None]:
        """Wait for the end of the loop: asyncio.run closes the asynchronous generators of its loop."""
        try:
            yield
        finally:
            self._forget()
            for response in list(self.open_responses):
                with suppress(Exception):
                    await response.aclose()
            pools, self.pools = self.pools, {}
            for pool in pools.values():
                for client in pool.remove_all():
                    await client.aclose()


_loops: WeakKeyDictionary[asyncio.AbstractEventLoop, ReferenceType[_LoopClients]] = WeakKeyDictionary()


def _no_lock() -> Any:
    """Return what stands in for a lock: an event loop's clients are used by its thread alone."""
    return nullcontext()


async def loop_clients() -> _LoopClients:
    """Return what belongs to the running event loop."""
    loop = asyncio.get_running_loop()
    known = _loops.get(loop)
    clients = known() if known is not None else None
    if clients is None:
        clients = _LoopClients(loop)
        _loops[loop] = ref(clients)
        await anext(clients.lifetime)
    return clients


async def aacquire_client(
    origin: str, *, is_new: bool = False, http_backend: HTTPBackend = "httpx"
) -> PooledClient[backend.AsyncClient]:
    """Like `acquire_client`, for the running event loop."""
    clients = await loop_clients()
    key = (origin, http_backend)
    pool = clients.pools.get(key)
    if pool is None:
        if len(clients.pools) > MAX_IDLE_ORIGINS:
            for client in remove_idle(clients.pools, time.monotonic()):
                clients.close_soon(client)
        build, capacity = build_async_client, REQUESTS_PER_CLIENT
        if http_backend == "aiohttp":  # its pool's cost does not grow with the number of connections
            build, capacity = build_aiohttp_client, MAX_CONNECTIONS
        pool = OriginPool(partial(build, origin), capacity, _no_lock, clients.close_soon)
        pooled = pool.acquire(is_new=is_new)
        clients.pools[key] = pool
        return pooled
    return pool.acquire(is_new=is_new)


async def adiscard(origin: str) -> None:
    """Like `discard`, for the clients of the running event loop."""
    clients = await loop_clients()
    for key in [key for key in clients.pools if key[0] == origin]:
        for client in clients.pools.pop(key).remove_all():
            await client.aclose()


# --- the process


def _close_all() -> None:
    """Close the synchronous clients with the process, so that no connection is left to the garbage collector."""
    while _pools:
        for client in _pools.popitem()[1].remove_all():
            client.close()


def _forget() -> None:
    """Start anew in a forked child: the parent's locks may be held, and its connections are not the child's."""
    global _lock
    _lock = threading.Lock()
    _pools.clear()
    _loops.clear()


atexit.register(_close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)

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
import ssl
import threading
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import nullcontext, suppress
from contextvars import Context
from functools import partial
from http.cookiejar import CookieJar
from importlib.util import find_spec
from typing import Any, Generic, Literal, TypeVar
from weakref import ReferenceType, WeakKeyDictionary, ref

from langchain_hf_inference._transport import backend
from langchain_hf_inference._transport.closing import closer
from langchain_hf_inference._transport.proxies import checked_proxies, proxy_for, uses_proxies
from langchain_hf_inference._transport.tls import tls_context
from langchain_hf_inference.errors import ConfigurationError

REQUESTS_PER_CLIENT = 10
"""How many requests one client has in flight before another one is created."""
IDLE_S = 30.0
"""How long an unused connection, and an unused client, is kept for the next request."""
MAX_IDLE_ORIGINS = 32
"""How many origins may have clients although no request is in flight; beyond, the least recently used are closed."""

BACKEND_VARIABLE = "HF_INFERENCE_HTTP_BACKEND"
HTTPBackend = Literal["httpx", "aiohttp"]
"""What carries asynchronous requests; synchronous ones are always carried by httpx."""

ClientT = TypeVar("ClientT", backend.Client, backend.AsyncClient)


def _max_connections() -> int:
    """Return how many connections there may be to one origin: half of the files that the process may have open."""
    try:
        import resource  # not on Windows
    except ImportError:
        return 256
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 1000 if files == resource.RLIM_INFINITY else max(REQUESTS_PER_CLIENT, min(1000, files // 2))


MAX_CONNECTIONS = _max_connections()
"""Requests in flight to one origin; further ones wait for a free connection, up to the timeout."""


class _NoCookies(CookieJar):
    """Keeps nothing: a client is shared by models of different users."""

    def extract_cookies(self, response: Any, request: Any) -> None:
        """Ignore the response's cookies."""


def _keep_alive_options() -> list[tuple[int, int, int]]:
    """Return TCP keep-alive probes after a minute: a long generation is silent, and NATs drop silent connections."""
    import socket  # the names of the options; httpx opens the connections

    options = [(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)]
    for name, seconds in (("TCP_KEEPIDLE", 60), ("TCP_KEEPALIVE", 60), ("TCP_KEEPINTVL", 60), ("TCP_KEEPCNT", 5)):
        if hasattr(socket, name):
            options.append((socket.IPPROTO_TCP, getattr(socket, name), seconds))
    return options


def _limits() -> backend.Limits:
    return backend.Limits(
        max_connections=REQUESTS_PER_CLIENT, max_keepalive_connections=REQUESTS_PER_CLIENT, keepalive_expiry=IDLE_S
    )


def _build_client(origin: str) -> backend.Client:
    if uses_proxies():  # which httpx reads only for transports that it creates itself
        with checked_proxies():
            return backend.Client(verify=tls_context(), limits=_limits(), cookies=_NoCookies())
    transport = backend.HTTPTransport(verify=_tls_for(origin), limits=_limits(), socket_options=_keep_alive_options())
    return backend.Client(transport=transport, cookies=_NoCookies())


def _build_async_client(origin: str) -> backend.AsyncClient:
    if uses_proxies():
        with checked_proxies():
            return backend.AsyncClient(verify=tls_context(), limits=_limits(), cookies=_NoCookies())
    transport = backend.AsyncHTTPTransport(verify=_tls_for(origin), limits=_limits(), socket_options=_keep_alive_options())
    return backend.AsyncClient(transport=transport, cookies=_NoCookies())


def _build_aiohttp_client(origin: str) -> backend.AsyncClient:
    from langchain_hf_inference._transport.aiohttp_backend import build_client

    with checked_proxies():
        return build_client(
            _tls_for(origin),
            max_connections=MAX_CONNECTIONS,
            idle_s=IDLE_S,
            cookies=_NoCookies(),
            proxy=proxy_for(origin),
        )


def _tls_for(origin: str) -> ssl.SSLContext:
    """Return the TLS context for an origin: one that trusts nobody where no TLS is spoken, since reading certificates takes time."""
    return tls_context() if origin.startswith("https:") else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


class PooledClient(Generic[ClientT]):
    """A client and how many requests are in flight on it."""

    __slots__ = ("_pool", "client", "in_flight", "is_discarded", "last_used")

    def __init__(self, client: ClientT, pool: _OriginPool[ClientT]) -> None:
        self.client = client
        self.in_flight = 0
        self.last_used = 0.0
        self.is_discarded = False
        self._pool = pool

    def release(self, *, is_broken: bool = False) -> None:
        """Return the client. Never called by a finaliser: the pool's lock may be held then.

        Args:
            is_broken: Whether a response could not be read, so that what its connection holds belongs to no request.
        """
        self._pool.release(self, is_broken=is_broken)


class _OriginPool(Generic[ClientT]):
    """The clients for one origin. The caller holds the lock, if there is one."""

    def __init__(
        self, build: Callable[[], ClientT], capacity: int, lock: Callable[[], Any], close: Callable[[ClientT], None]
    ) -> None:
        self._build, self._capacity, self._lock, self._close = build, capacity, lock, close
        self.clients: list[PooledClient[ClientT]] = []
        self._available: list[PooledClient[ClientT]] = []
        """Those with room for another request; the last is taken first."""
        self.last_used = 0.0

    @property
    def in_flight(self) -> int:
        """How many requests are in flight."""
        return sum(pooled.in_flight for pooled in self.clients)

    def acquire(self, *, is_new: bool) -> PooledClient[ClientT]:
        """Return a client with room for a request; with `is_new`, one that has no connection yet."""
        if self._available and not is_new:
            pooled = self._available[-1]
        elif is_new or len(self.clients) * self._capacity < MAX_CONNECTIONS:
            pooled = PooledClient(self._build(), self)
            self.clients.append(pooled)
            self._available.append(pooled)
        else:
            pooled = min(self.clients, key=lambda one: one.in_flight)
        pooled.in_flight += 1
        if pooled.in_flight == self._capacity:
            self._available.pop()  # only the last is ever taken
        self.last_used = time.monotonic()
        return pooled

    def release(self, pooled: PooledClient[ClientT], *, is_broken: bool) -> None:
        with self._lock():
            pooled.in_flight -= 1
            pooled.last_used = self.last_used = time.monotonic()
            if is_broken and not pooled.is_discarded:
                self._remove([pooled])
            if not pooled.is_discarded and pooled.in_flight == self._capacity - 1:
                self._available.append(pooled)
            is_over = pooled.is_discarded and not pooled.in_flight
        if is_over:
            self._close(pooled.client)

    def remove_idle(self, before: float) -> list[ClientT]:
        """Remove and return the clients that nothing has used since `before`."""
        idle = [pooled for pooled in self.clients if not pooled.in_flight and pooled.last_used < before]
        return self._remove(idle)

    def remove_all(self) -> list[ClientT]:
        """Remove all clients; return those that are idle. The others are closed with their last request."""
        return self._remove(list(self.clients))

    def _remove(self, several: list[PooledClient[ClientT]]) -> list[ClientT]:
        for pooled in several:
            pooled.is_discarded = True
            self.clients.remove(pooled)
            if pooled in self._available:
                self._available.remove(pooled)
        return [pooled.client for pooled in several if not pooled.in_flight]


Pools = dict[Any, _OriginPool[ClientT]]


def _remove_idle(pools: Pools[ClientT], now: float) -> list[ClientT]:
    """Remove and return what has been idle for `IDLE_S`, or is idle in more origins than are kept."""
    closing = [client for pool in pools.values() for client in pool.remove_idle(now - IDLE_S)]
    idle = sorted((pool for pool in pools.values() if not pool.in_flight), key=lambda pool: pool.last_used)
    for pool in idle[: max(0, len(idle) - MAX_IDLE_ORIGINS)]:
        closing += pool.remove_all()
    for key in [key for key, pool in pools.items() if not pool.clients]:
        del pools[key]
    return closing


def http_backend(chosen: str | None) -> HTTPBackend:
    """Return the backend for asynchronous calls: the one chosen, that of HF_INFERENCE_HTTP_BACKEND, or httpx.

    Raises:
        ConfigurationError: The variable names another, or aiohttp is chosen and its extra is not installed.
    """
    name = chosen or os.environ.get(BACKEND_VARIABLE, "").strip().lower() or "httpx"
    if name == "aiohttp":
        if find_spec("httpx_aiohttp") is None or find_spec("aiohttp") is None:
            setting = 'http_backend="aiohttp"' if chosen else f"{BACKEND_VARIABLE}=aiohttp"
            raise ConfigurationError(
                f"{setting} needs a package that is not installed: pip install 'langchain-hf-inference[aiohttp]'"
            )
        return "aiohttp"
    if name != "httpx":
        raise ConfigurationError(f"{BACKEND_VARIABLE}={name!r} is not a backend; set it to httpx or aiohttp")
    return "httpx"


def client_problem(client: object, argument: str) -> str | None:
    """Return what is wrong with a client that the user supplies as `argument`, or None."""
    if argument == "http_client":
        if backend.is_client(client):
            return None
        expected, other = "httpx.Client (or httpx2.Client)", "http_async_client"
        swapped = backend.is_async_client(client)
    else:
        if backend.is_async_client(client):
            return None
        expected, other = "httpx.AsyncClient (or httpx2.AsyncClient)", "http_client"
        swapped = backend.is_client(client)
    kind = f"{type(client).__module__.partition('.')[0]}.{type(client).__name__}"
    hint = f"; pass that as {other}" if swapped else ""
    return f"{argument} must be an {expected}, got {kind}{hint}"


# --- synchronous


_lock = threading.Lock()


def _current_lock() -> threading.Lock:
    return _lock  # a forked child has a new one


_pools: Pools[backend.Client] = {}


def _close_idle() -> None:
    with _lock:
        closing = _remove_idle(_pools, time.monotonic())
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
            closing = _remove_idle(_pools, time.monotonic()) if len(_pools) > MAX_IDLE_ORIGINS else []
            pool = _pools[origin] = _OriginPool(partial(_build_client, origin), REQUESTS_PER_CLIENT, _current_lock, backend.Client.close)
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
        for client in _remove_idle(self.pools, time.monotonic()):
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
            for client in _remove_idle(clients.pools, time.monotonic()):
                clients.close_soon(client)
        build, capacity = partial(_build_async_client, origin), REQUESTS_PER_CLIENT
        if http_backend == "aiohttp":  # its pool's cost does not grow with the number of connections
            build, capacity = partial(_build_aiohttp_client, origin), MAX_CONNECTIONS
        pool = _OriginPool(build, capacity, _no_lock, clients.close_soon)
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

"""The small clients among which the requests to one origin are spread: the bookkeeping, without any I/O."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Generic, TypeVar

REQUESTS_PER_CLIENT = 10
"""How many requests one client has in flight before another one is created."""
IDLE_S = 30.0
"""How long an unused connection, and an unused client, is kept for the next request."""
MAX_IDLE_ORIGINS = 32
"""How many origins may have clients although no request is in flight; beyond, the least recently used are closed."""

ClientT = TypeVar("ClientT")


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


class PooledClient(Generic[ClientT]):
    """A client and how many requests are in flight on it."""

    __slots__ = ("_pool", "client", "in_flight", "is_discarded", "is_shared", "last_used", "notes_connections")

    def __init__(self, client: ClientT, pool: OriginPool[ClientT], *, notes_connections: bool) -> None:
        self.client = client
        self.is_shared = True
        self.notes_connections = notes_connections
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


class OriginPool(Generic[ClientT]):
    """The clients for one origin. The caller holds the lock, if there is one.

    `build` returns a client, and whether it notes new connections.
    """

    def __init__(
        self,
        build: Callable[[], tuple[ClientT, bool]],
        capacity: int,
        lock: Callable[[], Any],
        close: Callable[[ClientT], None],
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
            client, notes_connections = self._build()
            pooled = PooledClient(client, self, notes_connections=notes_connections)
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
        """Return a client, and close it if it was removed meanwhile."""
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


Pools = dict[Any, OriginPool[ClientT]]


def remove_idle(pools: Pools[ClientT], now: float) -> list[ClientT]:
    """Remove and return what has been idle for `IDLE_S`, or is idle in more origins than are kept."""
    closing = [client for pool in pools.values() for client in pool.remove_idle(now - IDLE_S)]
    idle = sorted((pool for pool in pools.values() if not pool.in_flight), key=lambda pool: pool.last_used)
    for pool in idle[: max(0, len(idle) - MAX_IDLE_ORIGINS)]:
        closing += pool.remove_all()
    for key in [key for key, pool in pools.items() if not pool.clients]:
        del pools[key]
    return closing

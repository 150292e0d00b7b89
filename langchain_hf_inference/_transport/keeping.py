"""Connections between their requests, and how many may be in use: the same small cost however many there are."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from typing import Generic, TypeVar

import httpx

from langchain_hf_inference._transport.sockets import AsyncioSocket, BlockingSocket

IDLE_S = 30.0
"""How long a connection is kept for the next request."""


def _most_in_use() -> int:
    """Give how many connections there may be: half of the files that the process may have open, often 1,024 or 256."""
    try:
        import resource  # not on Windows
    except ImportError:
        return 256
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 1000 if files == resource.RLIM_INFINITY else max(10, min(1000, files // 2))


MAX_IN_USE = _most_in_use()
"""Requests at a time; further ones wait their turn."""
Place = tuple[str, str, int]
"""Scheme, host and port."""
SocketT = TypeVar("SocketT", BlockingSocket, AsyncioSocket)


class Idle(Generic[SocketT]):
    """Connections that wait for their next request. The latest is taken first, so that the others may go."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[Place, deque[tuple[SocketT, float]]] = {}

    def take(self, place: Place) -> SocketT | None:
        """Give a connection to `place` that is still good."""
        while True:
            with self._lock:
                waiting = self._waiting.get(place)
                if not waiting:
                    return None
                sock, since = waiting.pop()
            if time.monotonic() - since < IDLE_S and not sock.is_stale():
                return sock
            sock.close()

    def give(self, place: Place, sock: SocketT) -> None:
        """Keep a connection; let those go that nobody has needed for long."""
        now, gone = time.monotonic(), []
        with self._lock:
            waiting = self._waiting.setdefault(place, deque())
            waiting.append((sock, now))
            while now - waiting[0][1] > IDLE_S:
                gone.append(waiting.popleft()[0])
        for old in gone:
            old.close()

    def close(self) -> None:
        """Hang up on all."""
        with self._lock:
            every = [sock for waiting in self._waiting.values() for sock, _ in waiting]
            self._waiting.clear()
        for sock in every:
            sock.close()


class ThreadRoom:
    """Lets so many requests in, and the others in their order."""

    def __init__(self) -> None:
        self._free = threading.Semaphore(MAX_IN_USE)

    def enter(self, timeout_s: float | None) -> None:
        """Wait for a place. Raises httpx.PoolTimeout."""
        if not self._free.acquire(timeout=timeout_s):
            raise httpx.PoolTimeout("timed out")

    def leave(self) -> None:
        """Let the next one in."""
        self._free.release()


class TaskRoom:
    """Like `ThreadRoom`."""

    def __init__(self) -> None:
        self._free = asyncio.Semaphore(MAX_IN_USE)

    async def enter(self, timeout_s: float | None) -> None:
        """Like `ThreadRoom.enter`."""
        if not self._free.locked():
            await self._free.acquire()
            return
        try:
            async with asyncio.timeout(timeout_s):
                await self._free.acquire()
        except TimeoutError as error:
            raise httpx.PoolTimeout("timed out") from error

    def leave(self) -> None:
        """Like `ThreadRoom.leave`."""
        self._free.release()

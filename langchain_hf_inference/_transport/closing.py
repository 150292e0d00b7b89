"""Open responses, and the thread that closes those that ordinary code does not close.

A generator that is collected as garbage runs its `finally` at an arbitrary moment, possibly while the same thread holds
the lock of httpcore's connection pool; closing a response needs that lock, and would wait for it forever. So:

- every open response is referenced from here, so that the collector never finds httpx's own generators inside one;
- a stream that ends because its generator does (GeneratorExit) hands its response over instead of closing it. Handing
  over is one `SimpleQueue.put`, which is safe in finalisers; a daemon thread closes what it is handed.

The same thread shuts down connections that have exceeded a deadline, which a blocking read cannot do itself, and closes
idle clients. It is started by the first call, once per process.
"""

from __future__ import annotations

import asyncio
import heapq
import os
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from itertools import count
from queue import Empty, SimpleQueue
from typing import Any, Protocol

from langchain_hf_inference._transport import backend

TIDY_INTERVAL_S = 10.0
"""How often idle clients are looked for."""
SHUT_READ_AND_WRITE = 2
"""socket.SHUT_RDWR."""


class Closable(Protocol):
    """Something that is closed once."""

    def close(self) -> None:
        """Close it."""


def shut_down(network_stream: Any) -> None:
    """End a connection, so that a read that another thread is blocked in returns."""
    with suppress(OSError, ValueError):
        network_stream.get_extra_info("socket").shutdown(SHUT_READ_AND_WRITE)


class _Deadline:
    __slots__ = ("is_over", "network_stream")

    def __init__(self, network_stream: Any) -> None:
        self.network_stream = network_stream
        self.is_over = False


class Closer:
    """The thread, its queue and its deadlines."""

    def __init__(self) -> None:
        self.tidy: Callable[[], None] = lambda: None
        """What closes idle clients."""
        self.reset()

    def reset(self) -> None:
        """Start anew, as a forked child must: the thread does not exist there, and the lock may be held."""
        self._queue: SimpleQueue[Closable | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._deadlines: list[tuple[float, int, _Deadline]] = []
        self._number = count()
        self._wakes_at = float("inf")
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread unless it runs. Ordinary code calls this before any response is open."""
        if self._thread is None:
            with self._lock:
                if self._thread is None:
                    self._thread = threading.Thread(target=self._run, name="hf-inference-closer", daemon=True)
                    self._thread.start()

    def close_soon(self, response: Closable) -> None:
        """Close `response` on the thread. Waits for no lock: a finaliser may call this."""
        self._queue.put(response)

    @contextmanager
    def deadline(self, network_stream: Any, seconds: float) -> Iterator[None]:
        """Shut a connection down if the block takes longer than `seconds`."""
        entry, at = _Deadline(network_stream), time.monotonic() + seconds
        with self._lock:
            heapq.heappush(self._deadlines, (at, next(self._number), entry))
            wake = at < self._wakes_at
        if wake:
            self._queue.put(None)
        try:
            yield
        finally:
            entry.is_over = True

    def _run(self) -> None:
        while True:
            with suppress(Empty):
                if (response := self._queue.get(timeout=self._pause_s())) is not None:
                    with suppress(Exception):  # whatever closing a broken connection raises, nobody waits for it
                        response.close()
            self._enforce_deadlines()
            self.tidy()

    def _pause_s(self) -> float:
        with self._lock:
            while self._deadlines and self._deadlines[0][2].is_over:
                heapq.heappop(self._deadlines)
            now, pause_s = time.monotonic(), TIDY_INTERVAL_S
            if self._deadlines:
                pause_s = min(pause_s, max(0.0, self._deadlines[0][0] - now))
            self._wakes_at = now + pause_s
            return pause_s

    def _enforce_deadlines(self) -> None:
        exceeded = []
        with self._lock:
            while self._deadlines and self._deadlines[0][0] <= time.monotonic():
                exceeded.append(heapq.heappop(self._deadlines)[2])
        for entry in exceeded:
            if not entry.is_over:
                shut_down(entry.network_stream)


closer = Closer()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=closer.reset)


@contextmanager
def deadline(response: backend.Response, seconds: float) -> Iterator[None]:
    """End the reading of a response's body after `seconds`: what reads it then raises as if the server had hung up.

    Mocks have no connection; their bodies are in memory.
    """
    network_stream = response.extensions.get("network_stream")
    if network_stream is None:
        yield
    else:
        with closer.deadline(network_stream, seconds):
            yield


@asynccontextmanager
async def adeadline(_: backend.Response, seconds: float) -> AsyncIterator[None]:
    """Like `deadline`. Raises TimeoutError."""
    async with asyncio.timeout(seconds):
        yield


open_responses: set[Any] = set()
"""The synchronous responses that are open; those of an event loop are referenced by its own set."""


class OpenResponse:
    """A response whose body is being read, and the client that it occupies; `registry` references it while it is open."""

    def __init__(
        self, response: backend.Response, chunks: Iterator[bytes], release: Callable[..., None], registry: set[Any]
    ) -> None:
        self.response, self.chunks, self._release, self._registry = response, chunks, release, registry
        self._is_open = True
        registry.add(self)

    def close(self, *, is_broken: bool = False) -> None:
        """Close it, once; `is_broken` if it could not be read."""
        if not self._is_open:
            return
        self._is_open = False
        try:
            if hasattr(self.chunks, "close"):
                self.chunks.close()
            self.response.close()
        finally:
            self._registry.discard(self)
            self._release(is_broken=is_broken)


class AsyncOpenResponse:
    """Like `OpenResponse`."""

    def __init__(
        self, response: backend.Response, chunks: AsyncIterator[bytes], release: Callable[..., None], registry: set[Any]
    ) -> None:
        self.response, self.chunks, self._release, self._registry = response, chunks, release, registry
        self._is_open = True
        registry.add(self)

    async def aclose(self, *, is_broken: bool = False) -> None:
        """Like `OpenResponse.close`."""
        if not self._is_open:
            return
        self._is_open = False
        try:
            if hasattr(self.chunks, "aclose"):
                await self.chunks.aclose()
            await self.response.aclose()
        finally:
            self._registry.discard(self)
            self._release(is_broken=is_broken)

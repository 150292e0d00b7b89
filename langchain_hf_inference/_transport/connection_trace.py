"""Whether the connection of an attempt was reused, and when it was used: what decides if its failure may be retried.

A server may close an idle connection at the moment at which a request is sent on it. That race, and no other broken
connection, may be tried again although the request was sent: the server never read it. httpx's exceptions do not tell
it from other failures, so each attempt notes whether a connection was opened for it:

- the package's own clients pass socket options, which httpx reads once for each new connection (aiohttp: a function
  that creates sockets); httpx's `trace` extension says the same, but adds a tenth to the cost of a call;
- clients without such options (a user's own, those behind a proxy) are asked with the `trace` extension.

An exception that does not come from a connection, such as one that a mock raises, is never taken for the race.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

KEEP_ALIVE_RACE_S = 0.05
"""A reused connection that fails within this time of the request being sent had been closed by the server.

Its answer to the request, a reset, takes one round trip. A server that read the request and failed at once looks the
same; it cannot have generated much in that time.
"""

SocketOption = tuple[int, int, int]


class ConnectionTrace:
    """What is known of one attempt's connection."""

    __slots__ = ("_is_new", "_started_at")

    def __init__(self) -> None:
        self._is_new = False
        self._started_at = time.monotonic()

    def note_new(self) -> None:
        """Note that a connection was opened for this attempt."""
        self._is_new = True

    def on_event(self, name: str, _: dict[str, Any]) -> None:
        """Take an event of httpx's `trace` extension."""
        if name == "connection.connect_tcp.started":
            self._is_new = True

    async def aon_event(self, name: str, _: dict[str, Any]) -> None:
        """Like `on_event`."""
        if name == "connection.connect_tcp.started":
            self._is_new = True

    def is_keep_alive_race(self) -> bool:
        """Return whether a connection that fails at this moment had been closed by the server."""
        return not self._is_new and time.monotonic() - self._started_at <= KEEP_ALIVE_RACE_S


current_trace: ContextVar[ConnectionTrace | None] = ContextVar("current_trace", default=None)
"""The trace of the attempt that the running thread or task makes."""


def note_new_connection() -> None:
    """Note on the running attempt that a connection was opened for it."""
    if (trace := current_trace.get()) is not None:
        trace.note_new()


class NotedSocketOptions:
    """Socket options that note each new connection, for which alone they are read."""

    def __init__(self, options: list[SocketOption]) -> None:
        self._options = options

    def __iter__(self) -> Iterator[SocketOption]:
        note_new_connection()
        return iter(self._options)

"""What is known of the connection of one attempt: whether it was reused, and when the request had been sent.

A server may close an idle connection at the moment at which a request is sent on it. That race, and no other broken
connection, may be tried again although the request was sent: the server never read it. httpx reports neither fact in
its exceptions, so they are collected from its `trace` extension, and in the aiohttp backend from a TraceConfig.
Without any event (mocks, HTTP/2, a user's own transport) nothing is known, and nothing is assumed.
"""

from __future__ import annotations

import time
from contextvars import ContextVar
from typing import Any

KEEP_ALIVE_RACE_S = 0.05
"""A reused connection that fails within this time of the request being sent had been closed by the server.

The server's end of the connection was already closed when it was sent, so its answer, a reset, takes one round trip.
A server that read the request and failed at once looks the same; it cannot have generated much in that time.
"""


class ConnectionTrace:
    """The events of one attempt; itself the function that httpx's `trace` extension expects."""

    __slots__ = ("_is_new", "_sent_at", "_started")

    def __init__(self) -> None:
        self._is_new = False
        self._started = False
        self._sent_at: float | None = None

    def __call__(self, name: str, _: dict[str, Any]) -> None:
        """Note an event of httpcore, such as `http11.send_request_body.complete`."""
        if name == "http11.send_request_headers.started":
            self._started = True
        elif name == "http11.send_request_body.complete":
            self._sent_at = time.monotonic()
        elif name == "connection.connect_tcp.started":
            self._is_new = True

    async def on_event(self, name: str, _: dict[str, Any]) -> None:
        """Note an event of httpcore's asynchronous half."""
        if name == "http11.send_request_headers.started":
            self._started = True
        elif name == "http11.send_request_body.complete":
            self._sent_at = time.monotonic()
        elif name == "connection.connect_tcp.started":
            self._is_new = True

    def note_reused(self) -> None:
        """Note that the aiohttp backend took a connection from its pool."""
        self._started = True
        self._sent_at = time.monotonic()

    def note_new(self) -> None:
        """Note that the aiohttp backend opened a connection."""
        self._is_new = True

    def is_keep_alive_race(self) -> bool:
        """Return whether a failure at this moment means that the server had closed an idle connection."""
        if not self._started or self._is_new:
            return False
        return self._sent_at is None or time.monotonic() - self._sent_at <= KEEP_ALIVE_RACE_S


current_trace: ContextVar[ConnectionTrace | None] = ContextVar("current_trace", default=None)
"""The attempt that the running task makes, for the aiohttp backend, whose transport takes no extension."""

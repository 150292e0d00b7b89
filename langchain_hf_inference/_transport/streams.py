"""An open stream of server-sent events: bytes as they arrive, decoded, until the end of the body.

A stall is a silence of events, not of bytes: keep-alive comments (TGI sends one every 15 s) do not count. A read timeout
watches the connection, and each arrival without an event is checked against the clock, so that both are found in
synchronous and asynchronous streams alike.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator, MutableMapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from typing import Any

from pydantic_core import from_json

from langchain_hf_inference import errors
from langchain_hf_inference._protocol.error_response import error_for_response, read_stream_error
from langchain_hf_inference._protocol.routing import shown_url
from langchain_hf_inference._protocol.sse import ServerSentEvent, SSEDecoder
from langchain_hf_inference._protocol.wire import WireRequest
from langchain_hf_inference._transport.bodies import interruptions
from langchain_hf_inference._transport.closing import AsyncOpenResponse, OpenResponse, adeadline, deadline
from langchain_hf_inference._transport.exceptions import map_httpx_errors

MAX_DRAIN_BYTES, MAX_DRAIN_S = 64 * 1024, 0.25
"""How much is read after [DONE], and for how long: a body read to its end lets its connection be used again."""

CONNECT_TIMEOUT_S = 10.0
SCALE_UP_MARGIN_S = 30.0


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long each phase may take, in seconds; None is without limit."""

    connect_s: float | None
    read_s: float | None
    chunk_s: float | None
    """The longest silence between the events of a stream, its first event included."""

    @classmethod
    def given(
        cls, timeout: float | tuple[float | None, float | None] | None, chunk_s: float | None, scale_up_s: float | None
    ) -> Timeouts:
        """Give the phases of a user's `timeout`: seconds to wait for an answer, or (connect, read)."""
        if isinstance(timeout, tuple):
            connect_s, read_s = timeout
        else:
            read_s = timeout
            connect_s = CONNECT_TIMEOUT_S if read_s is None else min(CONNECT_TIMEOUT_S, read_s)
        if scale_up_s is not None and read_s is not None:
            read_s = max(read_s, scale_up_s + SCALE_UP_MARGIN_S)
        return cls(connect_s, read_s, chunk_s)

    def of_request(self) -> tuple[float | None, float | None, float | None, float | None]:
        """Return the phases in httpx's order: connect, read, write, pool."""
        return (self.connect_s, self.read_s, self.read_s, self.read_s)


class _StreamState:
    """What synchronous and asynchronous streams share: the decoder and the clock."""

    def __init__(self, request: WireRequest, headers: dict[str, str], chunk_s: float | None) -> None:
        self.request = request
        self.headers = headers
        self._chunk_s = chunk_s
        self._decoder = SSEDecoder()
        self._waiting: list[ServerSentEvent] = []
        self._since = time.monotonic()

    @property
    def stray(self) -> bytes:
        """What arrived instead of events, if anything."""
        return self._decoder.stray

    def _decoded(self, chunk: bytes) -> list[ServerSentEvent]:
        events = self._decoder.feed(chunk)
        now = time.monotonic()
        if events:
            self._since = now
        elif self._chunk_s is not None and now - self._since > self._chunk_s:
            raise errors.APITimeoutError(
                f"the stream from {shown_url(self.request.url)} sent no event for {self._chunk_s:g} s, "
                "only keep-alives; raise stream_chunk_timeout if this server is so slow"
            )
        return events

    def _check_first(self, event: ServerSentEvent) -> None:
        """Raise what the first event reports as if its status had said it, so that it may be tried again."""
        try:
            body = from_json(event.data)
        except ValueError:
            body = None
        if failure := read_stream_error(event.event, body, event.data, self.request):
            raise error_for_response(failure.status_code, self.headers, event.data, self.request, now=datetime.now(UTC))


class EventStream(_StreamState):
    """The events of an open response, in order, to [DONE] or the end of the body."""

    def __init__(
        self, request: WireRequest, body: OpenResponse, headers: dict[str, str], chunk_s: float | None
    ) -> None:
        super().__init__(request, headers, chunk_s)
        self.body = body

    def start(self) -> None:
        """Wait for the first event, so that what it reports can still be tried again."""
        self._events = self._decoded_events()
        for event in self._events:
            self._check_first(event)
            self._waiting.append(event)
            return

    def __iter__(self) -> Iterator[ServerSentEvent]:
        """Return an iterator over the events that have not been seen."""
        first, self._waiting = self._waiting, []
        return chain(first, self._events)  # a generator would cost another step per event

    def _decoded_events(self) -> Generator[ServerSentEvent]:
        with map_httpx_errors(self.request.url, phase="stream"):
            for chunk in self.body.chunks:
                for event in self._decoded(chunk):
                    yield event
                    if event.is_end:
                        self._drain()
                        return
        for event in self._decoder.close():
            yield event

    def _drain(self) -> None:
        """Read what follows [DONE], once that has been handed out: a body read whole frees its connection for reuse."""
        left = MAX_DRAIN_BYTES
        with suppress(*interruptions()):
            with deadline(self.body.response, MAX_DRAIN_S):
                for chunk in self.body.chunks:
                    left -= len(chunk)
                    if left < 0:
                        return


class AsyncEventStream(_StreamState):
    """Like `EventStream`."""

    def __init__(
        self, request: WireRequest, body: AsyncOpenResponse, headers: dict[str, str], chunk_s: float | None
    ) -> None:
        super().__init__(request, headers, chunk_s)
        self.body = body

    async def start(self) -> None:
        """Like `EventStream.start`."""
        self._events = self._decoded_events()
        async for event in self._events:
            self._check_first(event)
            self._waiting.append(event)
            return

    async def __aiter__(self) -> AsyncGenerator[ServerSentEvent]:
        """Yield each event once."""
        for event in self._waiting:
            yield event
        self._waiting = []
        async for event in self._events:
            yield event

    async def _decoded_events(self) -> AsyncGenerator[ServerSentEvent]:
        with map_httpx_errors(self.request.url, phase="stream"):
            async for chunk in self.body.chunks:
                for event in self._decoded(chunk):
                    yield event
                    if event.is_end:
                        await self._drain()
                        return
        for event in self._decoder.close():
            yield event

    async def _drain(self) -> None:
        """Like `EventStream._drain`."""
        left = MAX_DRAIN_BYTES
        with suppress(*interruptions()):
            async with adeadline(self.body.response, MAX_DRAIN_S):
                async for chunk in self.body.chunks:
                    left -= len(chunk)
                    if left < 0:
                        return


def limit_reads(timeouts: MutableMapping[str, Any], seconds: float | None) -> None:
    """Set the read timeout of a body whose headers have arrived: httpx looks at its request's timeouts again then."""
    timeouts["read"] = seconds


async def limited_chunks(chunks: AsyncIterator[bytes], seconds: float | None) -> AsyncGenerator[bytes]:
    """Yield the chunks of a body, with a limit on the time between two, for a backend that cannot change its own.

    Raises:
        TimeoutError: Nothing has arrived for `seconds`.
    """
    while True:
        async with asyncio.timeout(seconds):
            try:
                chunk = await anext(chunks)
            except StopAsyncIteration:
                return
        yield chunk

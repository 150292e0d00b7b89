"""An open stream of events: bytes as they come, decoded, until the end of the body.

A stall is a silence of events, not of bytes: keep-alive comments (TGI sends one every 15 s) do
not count. httpx's read timeout watches the socket, and each arrival without an event is checked
against the clock, so that both are found in sync and async alike.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator
from contextlib import aclosing, closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime

import httpx
from pydantic_core import from_json

from langchain_hf_inference import errors
from langchain_hf_inference._protocol.error_response import error_for_response, read_stream_error
from langchain_hf_inference._protocol.routing import shown_url
from langchain_hf_inference._protocol.sse import ServerSentEvent, SSEDecoder
from langchain_hf_inference._protocol.wire import WireRequest
from langchain_hf_inference._transport.bodies import abyte_chunks, byte_chunks
from langchain_hf_inference._transport.failures import mapped_errors

MAX_DRAIN_BYTES, MAX_DRAIN_S = 64 * 1024, 0.25
"""How much is read after [DONE], and the pause that ends it: a body read to its end lets its connection be used again."""

CONNECT_TIMEOUT_S = 10.0
SCALE_UP_MARGIN_S = 30.0


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long each phase may take, in seconds; None is for ever."""

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

    def of_request(self) -> httpx.Timeout:
        """Give httpx's form."""
        return httpx.Timeout(self.read_s, connect=self.connect_s, pool=self.read_s)


class _StreamState:
    """What sync and async streams share: the decoder and the clock."""

    def __init__(self, request: WireRequest, response: httpx.Response, timeouts: Timeouts) -> None:
        self.request = request
        self.headers = dict(response.headers)
        self._response = response
        self._chunk_s = timeouts.chunk_s
        self._decoder = SSEDecoder()
        self._waiting: list[ServerSentEvent] = []
        self._since = time.monotonic()
        self._limit_reads(timeouts.chunk_s)  # httpcore looks at it when the body begins, our transport each time

    @property
    def stray(self) -> bytes:
        """What came instead of events, if anything."""
        return self._decoder.stray

    def _limit_reads(self, seconds: float | None) -> None:
        limits = self._response.request.extensions.get("timeout")
        if isinstance(limits, dict):
            limits["read"] = seconds

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
    """The events of an open answer, in order, to [DONE] or the end of the body."""

    def start(self) -> None:
        """Wait for the first event, so that what it reports can still be tried again."""
        self._events = self._decoded_events()
        for event in self._events:
            self._check_first(event)
            self._waiting.append(event)
            return

    def __iter__(self) -> Generator[ServerSentEvent]:
        """Give each event once."""
        for event in self._waiting:
            yield event
        self._waiting = []
        for event in self._events:
            yield event

    def close(self) -> None:
        """Close the generators, wherever they are."""
        self._events.close()

    def _decoded_events(self) -> Generator[ServerSentEvent]:
        with closing(byte_chunks(self._response)) as chunks:
            with mapped_errors(self.request.url, begun="stream"):
                for chunk in chunks:
                    for event in self._decoded(chunk):
                        yield event
                        if event.is_end:
                            self._drain(chunks)
                            return
        for event in self._decoder.close():
            yield event

    def _drain(self, chunks: Iterator[bytes]) -> None:
        """Read what follows [DONE], once it has been handed out: a body read whole frees its connection for reuse."""
        left = MAX_DRAIN_BYTES
        self._limit_reads(MAX_DRAIN_S)
        with suppress(httpx.HTTPError):
            for chunk in chunks:
                left -= len(chunk)
                if left < 0:
                    return


class AsyncEventStream(_StreamState):
    """Like `EventStream`."""

    async def start(self) -> None:
        """Like `EventStream.start`."""
        self._events = self._decoded_events()
        async for event in self._events:
            self._check_first(event)
            self._waiting.append(event)
            return

    async def __aiter__(self) -> AsyncGenerator[ServerSentEvent]:
        """Give each event once."""
        for event in self._waiting:
            yield event
        self._waiting = []
        async for event in self._events:
            yield event

    async def aclose(self) -> None:
        """Like `EventStream.close`; async generators do not even close by going out of sight."""
        await self._events.aclose()

    async def _decoded_events(self) -> AsyncGenerator[ServerSentEvent]:
        async with aclosing(abyte_chunks(self._response)) as chunks:
            with mapped_errors(self.request.url, begun="stream"):
                async for chunk in chunks:
                    for event in self._decoded(chunk):
                        yield event
                        if event.is_end:
                            await self._drain(chunks)
                            return
        for event in self._decoder.close():
            yield event

    async def _drain(self, chunks: AsyncIterator[bytes]) -> None:
        """Like `EventStream._drain`."""
        left = MAX_DRAIN_BYTES
        self._limit_reads(MAX_DRAIN_S)
        with suppress(httpx.HTTPError):
            async for chunk in chunks:
                left -= len(chunk)
                if left < 0:
                    return

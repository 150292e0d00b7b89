"""Sends requests: send, stream, retry, fail over; synchronous and asynchronous.

Every decision is made in `_protocol`. A stream is opened up to its first event before anything is handed out, and only
this opening is tried again: after the first event a repetition could produce output twice.
"""

from __future__ import annotations

import asyncio
import logging
import time
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from langchain_hf_inference import errors
from langchain_hf_inference._protocol.credentials import Credentials
from langchain_hf_inference._protocol.retry import RetryBudget, RetryPolicy, may_fail_over
from langchain_hf_inference._protocol.routing import origin_of, shown_url
from langchain_hf_inference._protocol.wire import WireRequest, WireResponse
from langchain_hf_inference._transport.attempt import Attempt, response_headers
from langchain_hf_inference._transport.bodies import (
    MAX_LOOKUP_BYTES,
    abyte_chunks,
    aread_body,
    byte_chunks,
    read_body,
)
from langchain_hf_inference._transport.client_builders import HTTPBackend
from langchain_hf_inference._transport.clients import aacquire_client, acquire_client, loop_clients
from langchain_hf_inference._transport.closing import AsyncOpenResponse, OpenResponse, closer, open_responses
from langchain_hf_inference._transport.exceptions import map_httpx_errors
from langchain_hf_inference._transport.retrying import OnRetry, acall_with_retries, call_with_retries
from langchain_hf_inference._transport.streams import (
    AsyncEventStream,
    EventStream,
    Timeouts,
    limit_reads,
    limited_chunks,
)
from langchain_hf_inference._transport.supplied import Lease, SuppliedClient
from langchain_hf_inference._transport.total_timeout import TotalTimeout, acall_within, call_within

T = TypeVar("T")
_log = logging.getLogger("langchain_hf_inference")


@dataclass(slots=True)
class HTTPTransport:
    """Sends requests over shared or supplied clients: those of a list mean the same to several providers, best first."""

    timeouts: Timeouts
    policy: RetryPolicy
    client: Any = None
    async_client: Any = None
    http_backend: HTTPBackend = "httpx"
    sleep: Callable[[float], None] = time.sleep
    asleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    budget: RetryBudget = field(default_factory=RetryBudget)
    _refused: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """The parameters that a URL has rejected: they are not sent to it again."""

    def send(
        self, requests: Sequence[WireRequest], credentials: Credentials, on_retry: OnRetry | None = None
    ) -> WireResponse:
        """Send, and return the whole response.

        Raises:
            APIConnectionError: There was no response.
            APIStatusError: The response is an error, and trying again did not help or was not allowed.
            ResponseFormatError: The response could not be decompressed.
        """
        return self._tried(partial(self._exchange, credentials=credentials), requests, on_retry)

    async def asend(
        self, requests: Sequence[WireRequest], credentials: Credentials, on_retry: OnRetry | None = None
    ) -> WireResponse:
        """Like `send`."""
        return await self._atried(partial(self._aexchange, credentials=credentials), requests, on_retry)

    @contextmanager
    def stream(
        self, requests: Sequence[WireRequest], credentials: Credentials, on_retry: OnRetry | None = None
    ) -> Iterator[EventStream]:
        """Open a stream; leaving the context closes it. Raises like `send`."""
        events = self._tried(partial(self._open, credentials=credentials), requests, on_retry)
        close: Callable[[], None] = events.body.close
        try:
            yield events
        except GeneratorExit:  # raised by a consumer that stops early, or by the garbage collector: see closing.py
            close = partial(closer.close_soon, events.body)
            raise
        except errors.HFInferenceError:
            close = partial(events.body.close, is_broken=True)
            raise
        finally:
            close()

    @asynccontextmanager
    async def astream(
        self, requests: Sequence[WireRequest], credentials: Credentials, on_retry: OnRetry | None = None
    ) -> AsyncIterator[AsyncEventStream]:
        """Like `stream`."""
        events = await self._atried(partial(self._aopen, credentials=credentials), requests, on_retry)
        close: Callable[[], Awaitable[None]] = events.body.aclose
        try:
            yield events
        except errors.HFInferenceError:
            close = partial(events.body.aclose, is_broken=True)
            raise
        finally:
            await close()

    def get(
        self, url: str, credentials: Credentials, *, timeout_s: float, max_bytes: int = MAX_LOOKUP_BYTES
    ) -> WireResponse:
        """Request `url` once, and wait no longer than `timeout_s` for all of the response. Raises like `send`."""
        lookup = partial(
            self._exchange, WireRequest(url, {}), credentials=credentials, method="GET", max_bytes=max_bytes
        )
        return call_within(timeout_s, url, lookup)

    async def aget(
        self, url: str, credentials: Credentials, *, timeout_s: float, max_bytes: int = MAX_LOOKUP_BYTES
    ) -> WireResponse:
        """Like `get`."""
        lookup = partial(
            self._aexchange, WireRequest(url, {}), credentials=credentials, method="GET", max_bytes=max_bytes
        )
        return await acall_within(timeout_s, url, lookup)

    def post_once(self, request: WireRequest, credentials: Credentials, *, timeout_s: float) -> WireResponse:
        """Send once, and wait no longer than `timeout_s` for all of the response. Raises like `send`."""
        return call_within(timeout_s, request.url, partial(self._exchange, request, credentials=credentials))

    def _tried(self, func: Callable[..., T], requests: Sequence[WireRequest], on_retry: OnRetry | None) -> T:
        for number, request in enumerate(requests, 1):
            once = partial(self._reduced, func, request)
            try:
                return call_with_retries(once, self.policy, self.budget, self.sleep, on_retry)
            except errors.HFInferenceError as error:
                if number == len(requests) or not may_fail_over(error):
                    raise
                _log_failover(request, error)
        raise AssertionError("no request")

    async def _atried(
        self, func: Callable[..., Awaitable[T]], requests: Sequence[WireRequest], on_retry: OnRetry | None
    ) -> T:
        for number, request in enumerate(requests, 1):
            once = partial(self._areduced, func, request)
            try:
                return await acall_with_retries(once, self.policy, self.budget, self.asleep, on_retry)
            except errors.HFInferenceError as error:
                if number == len(requests) or not may_fail_over(error):
                    raise
                _log_failover(request, error)
        raise AssertionError("no request")

    def _reduced(self, func: Callable[..., T], request: WireRequest, *, is_new: bool) -> T:
        """Call `func`; where the server rejects an optional parameter, call it again without that."""
        if request.url in self._refused:
            request = request.without(self._refused[request.url])
        try:
            return func(request, is_new=is_new)
        except errors.InvalidRequestError as error:
            smaller = self._smaller(request, error)
            if smaller is None:
                raise
            return func(smaller)

    async def _areduced(self, func: Callable[..., Awaitable[T]], request: WireRequest, *, is_new: bool) -> T:
        """Like `_reduced`."""
        if request.url in self._refused:
            request = request.without(self._refused[request.url])
        try:
            return await func(request, is_new=is_new)
        except errors.InvalidRequestError as error:
            smaller = self._smaller(request, error)
            if smaller is None:
                raise
            return await func(smaller)

    def _smaller(self, request: WireRequest, error: errors.InvalidRequestError) -> WireRequest | None:
        smaller = request.without_refused(error)
        if smaller is not None:
            refused = set(request.droppable) - set(smaller.droppable)
            self._refused[request.url] = (*self._refused.get(request.url, ()), *refused)
            if loss := request.loss(smaller):
                _log.info("%s: %s", shown_url(request.url), loss)
                warnings.warn(loss, UserWarning, stacklevel=2)
        return smaller

    def _exchange(
        self,
        request: WireRequest,
        *,
        credentials: Credentials,
        is_new: bool = False,
        max_bytes: int | None = None,
        **options: Any,
    ) -> WireResponse:
        attempt = self._attempt(request, credentials, is_new=is_new, **options)
        lease = self._acquire(request.url, is_new=is_new)
        try:
            response = attempt.send(lease)
            try:
                with map_httpx_errors(request.url, phase="response"):
                    content = read_body(response, max_bytes)
            finally:
                response.close()
        finally:
            lease.release()
        return WireResponse(response.status_code, response_headers(response), content)

    async def _aexchange(
        self,
        request: WireRequest,
        *,
        credentials: Credentials,
        is_new: bool = False,
        max_bytes: int | None = None,
        **options: Any,
    ) -> WireResponse:
        attempt = self._attempt(request, credentials, is_new=is_new, **options)
        lease = await self._aacquire(request.url, is_new=is_new)
        try:
            response = await attempt.asend(lease)
            try:
                with map_httpx_errors(request.url, phase="response"):
                    content = await aread_body(response, max_bytes)
            finally:
                await response.aclose()
        finally:
            lease.release()
        return WireResponse(response.status_code, response_headers(response), content)

    def _open(self, request: WireRequest, *, credentials: Credentials, is_new: bool = False) -> EventStream:
        attempt = self._attempt(request, credentials, is_new=is_new)
        lease = self._acquire(request.url, is_new=is_new)
        try:
            response = attempt.send(lease)
        except BaseException:
            lease.release()
            raise
        limit_reads(attempt.extensions["timeout"], self.timeouts.chunk_s)
        body = OpenResponse(response, byte_chunks(response), lease.release, open_responses)
        events = EventStream(request, body, response_headers(response), self.timeouts.chunk_s)
        try:
            events.start()
        except BaseException:
            body.close(is_broken=True)
            raise
        return events

    async def _aopen(self, request: WireRequest, *, credentials: Credentials, is_new: bool = False) -> AsyncEventStream:
        attempt = self._attempt(request, credentials, is_new=is_new)
        lease = await self._aacquire(request.url, is_new=is_new)
        try:
            response = await attempt.asend(lease)
        except BaseException:
            lease.release()
            raise
        limit_reads(attempt.extensions["timeout"], self.timeouts.chunk_s)
        chunks = abyte_chunks(response)
        if self.http_backend == "aiohttp" and self.async_client is None:
            chunks = limited_chunks(chunks, self.timeouts.chunk_s)
        body = AsyncOpenResponse(response, chunks, lease.release, (await loop_clients()).open_responses)
        events = AsyncEventStream(request, body, response_headers(response), self.timeouts.chunk_s)
        try:
            await events.start()
        except BaseException:
            await body.aclose(is_broken=True)
            raise
        return events

    def _attempt(
        self, request: WireRequest, credentials: Credentials, *, within: TotalTimeout | None = None, **options: Any
    ) -> Attempt:
        headers = {**request.headers, **credentials.headers_for(request.url)}
        timeouts = self.timeouts.of_request() if within is None else within.of_request()
        return Attempt(request, headers, timeouts, within=within, **options)

    def _acquire(self, url: str, *, is_new: bool) -> Lease:
        if self.client is not None:
            return SuppliedClient(self.client, "http_client")
        return acquire_client(origin_of(url), is_new=is_new)

    async def _aacquire(self, url: str, *, is_new: bool) -> Lease:
        if self.async_client is not None:
            return SuppliedClient(self.async_client, "http_async_client")
        return await aacquire_client(origin_of(url), is_new=is_new, http_backend=self.http_backend)


def _log_failover(request: WireRequest, error: errors.HFInferenceError) -> None:
    _log.info("failing over from %s at %s after %s", request.model, shown_url(request.url), type(error).__name__)

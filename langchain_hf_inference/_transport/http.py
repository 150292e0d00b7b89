"""The one door to httpx: send, stream, retry, fail over; sync and async.

Every decision is made elsewhere: what to send (`_protocol/chat_request.py`), which status is
which error (`error_response.py`), whether to try again and when (`retry.py`). A stream is opened
up to its first event before anything is handed out, and only this opening is tried again: after
the first event a repetition could produce output twice.
"""

from __future__ import annotations

import asyncio
import platform
import time
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache, partial
from typing import Any, TypeVar

import httpx

from langchain_hf_inference import errors
from langchain_hf_inference._protocol.credentials import Credentials
from langchain_hf_inference._protocol.error_response import MAX_BODY_BYTES, error_for_response
from langchain_hf_inference._protocol.retry import RetryBudget, RetryPolicy, may_fail_over
from langchain_hf_inference._protocol.routing import origin_of
from langchain_hf_inference._protocol.wire import WireRequest, WireResponse
from langchain_hf_inference._transport.bodies import astart_of, awhole_body, start_of, whole_body
from langchain_hf_inference._transport.failures import mapped_errors
from langchain_hf_inference._transport.pool import aleased, leased
from langchain_hf_inference._transport.retrying import OnRetry, apersisted, persisted
from langchain_hf_inference._transport.streams import AsyncEventStream, EventStream, Timeouts
from langchain_hf_inference._version import __version__

USER_AGENT = f"langchain-hf-inference/{__version__}; python/{platform.python_version()}; httpx/{httpx.__version__}"

T = TypeVar("T")


@dataclass(slots=True)
class HTTPTransport:
    """Sends requests over shared clients, or over the clients that the user gave.

    Each method takes requests that say the same to several providers, best first: the next is
    tried where one cannot answer.
    """

    timeouts: Timeouts
    policy: RetryPolicy
    client: httpx.Client | None = None
    async_client: httpx.AsyncClient | None = None
    sleep: Callable[[float], None] = time.sleep
    asleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    budget: RetryBudget = field(default_factory=RetryBudget)
    _refused: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """What a URL has refused: not sent to it again."""

    def send(
        self, requests: Sequence[WireRequest], credentials: Credentials, on_retry: OnRetry | None = None
    ) -> WireResponse:
        """Send, and read the whole answer.

        Raises:
            APIConnectionError: No answer came.
            APIStatusError: An error came, and trying again did not help or was not allowed.
            ResponseFormatError: The answer could not be unpacked.
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
        """Open a stream; leaving the context frees its connection. Raises like `send`."""
        with ExitStack() as stack:
            yield self._tried(partial(self._open, credentials=credentials, stack=stack), requests, on_retry)

    @asynccontextmanager
    async def astream(
        self, requests: Sequence[WireRequest], credentials: Credentials, on_retry: OnRetry | None = None
    ) -> AsyncIterator[AsyncEventStream]:
        """Like `stream`."""
        async with AsyncExitStack() as stack:
            yield await self._atried(partial(self._aopen, credentials=credentials, stack=stack), requests, on_retry)

    def get(self, url: str, credentials: Credentials, *, timeout_s: float) -> WireResponse:
        """Ask for `url` once. Raises like `send`."""
        with self._client(url) as client:
            with mapped_errors(url):
                response = client.get(
                    url, headers=self._headers(url, credentials), timeout=timeout_s, follow_redirects=False
                )
                return self._whole(WireRequest(url, {}), response, response.content)

    async def aget(self, url: str, credentials: Credentials, *, timeout_s: float) -> WireResponse:
        """Like `get`."""
        async with self._aclient(url) as client:
            with mapped_errors(url):
                response = await client.get(
                    url, headers=self._headers(url, credentials), timeout=timeout_s, follow_redirects=False
                )
                return self._whole(WireRequest(url, {}), response, response.content)

    def post_once(self, request: WireRequest, credentials: Credentials, *, timeout_s: float) -> WireResponse:
        """Send once, and wait no longer than `timeout_s`. Raises like `send`."""
        with self._client(request.url) as client:
            with mapped_errors(request.url):
                built = self._built(client, request, credentials)
                built.extensions["timeout"] = httpx.Timeout(timeout_s).as_dict()
                response = client.send(built, follow_redirects=False)
                return self._whole(request, response, response.content)

    def _tried(self, act: Callable[[WireRequest], T], requests: Sequence[WireRequest], on_retry: OnRetry | None) -> T:
        for request in requests[:-1]:
            try:
                return persisted(partial(self._reduced, act, request), self.policy, self.budget, self.sleep, on_retry)
            except errors.HFInferenceError as error:
                if not may_fail_over(error):
                    raise
        return persisted(partial(self._reduced, act, requests[-1]), self.policy, self.budget, self.sleep, on_retry)

    async def _atried(
        self, act: Callable[[WireRequest], Awaitable[T]], requests: Sequence[WireRequest], on_retry: OnRetry | None
    ) -> T:
        for request in requests[:-1]:
            try:
                return await apersisted(
                    partial(self._areduced, act, request), self.policy, self.budget, self.asleep, on_retry
                )
            except errors.HFInferenceError as error:
                if not may_fail_over(error):
                    raise
        return await apersisted(
            partial(self._areduced, act, requests[-1]), self.policy, self.budget, self.asleep, on_retry
        )

    def _reduced(self, act: Callable[[WireRequest], T], request: WireRequest) -> T:
        """Act; where the server refuses a droppable key, act again without it."""
        if request.url in self._refused:
            request = request.without(self._refused[request.url])
        try:
            return act(request)
        except errors.InvalidRequestError as error:
            smaller = self._smaller(request, error)
            if smaller is None:
                raise
            return act(smaller)

    async def _areduced(self, act: Callable[[WireRequest], Awaitable[T]], request: WireRequest) -> T:
        """Like `_reduced`."""
        if request.url in self._refused:
            request = request.without(self._refused[request.url])
        try:
            return await act(request)
        except errors.InvalidRequestError as error:
            smaller = self._smaller(request, error)
            if smaller is None:
                raise
            return await act(smaller)

    def _smaller(self, request: WireRequest, error: errors.InvalidRequestError) -> WireRequest | None:
        smaller = request.without_refused(error)
        if smaller is not None:
            refused = set(request.droppable) - set(smaller.droppable)
            self._refused[request.url] = (*self._refused.get(request.url, ()), *refused)
            if loss := request.loss(smaller):
                warnings.warn(loss, UserWarning, stacklevel=2)
        return smaller

    def _exchange(self, request: WireRequest, *, credentials: Credentials) -> WireResponse:
        with self._client(request.url) as client:
            with mapped_errors(request.url):
                built = self._built(client, request, credentials)
                response = client.send(built, stream=True, follow_redirects=False)
            try:
                if not response.is_success:
                    raise self._failure(request, response, start_of(response))
                with mapped_errors(request.url, begun="answer"):
                    content = whole_body(response)
            finally:
                response.close()
        return WireResponse(response.status_code, dict(response.headers), content)

    async def _aexchange(self, request: WireRequest, *, credentials: Credentials) -> WireResponse:
        async with self._aclient(request.url) as client:
            with mapped_errors(request.url):
                built = self._built(client, request, credentials)
                response = await client.send(built, stream=True, follow_redirects=False)
            try:
                if not response.is_success:
                    raise self._failure(request, response, await astart_of(response))
                with mapped_errors(request.url, begun="answer"):
                    content = await awhole_body(response)
            finally:
                await response.aclose()
        return WireResponse(response.status_code, dict(response.headers), content)

    def _open(self, request: WireRequest, *, credentials: Credentials, stack: ExitStack) -> EventStream:
        with ExitStack() as attempt:
            client = attempt.enter_context(self._client(request.url))
            with mapped_errors(request.url):
                built = self._built(client, request, credentials)
                response = client.send(built, stream=True, follow_redirects=False)
                attempt.callback(response.close)
                if not response.is_success:
                    raise self._failure(request, response, start_of(response))
            stream = EventStream(request, response, self.timeouts)
            attempt.callback(stream.close)
            stream.start()
            stack.enter_context(attempt.pop_all())
            return stream

    async def _aopen(
        self, request: WireRequest, *, credentials: Credentials, stack: AsyncExitStack
    ) -> AsyncEventStream:
        async with AsyncExitStack() as attempt:
            client = await attempt.enter_async_context(self._aclient(request.url))
            with mapped_errors(request.url):
                built = self._built(client, request, credentials)
                response = await client.send(built, stream=True, follow_redirects=False)
                attempt.push_async_callback(response.aclose)
                if not response.is_success:
                    raise self._failure(request, response, await astart_of(response))
            stream = AsyncEventStream(request, response, self.timeouts)
            attempt.push_async_callback(stream.aclose)
            await stream.start()
            await stack.enter_async_context(attempt.pop_all())
            return stream

    def _client(self, url: str) -> Any:
        return nullcontext(self.client) if self.client is not None else leased(origin_of(url))

    def _aclient(self, url: str) -> Any:
        return nullcontext(self.async_client) if self.async_client is not None else aleased(origin_of(url))

    def _built(
        self, client: httpx.Client | httpx.AsyncClient, request: WireRequest, credentials: Credentials
    ) -> httpx.Request:
        return client.build_request(
            "POST",
            _parsed(request.url),
            content=request.encoded(),
            headers=self._headers(request.url, credentials, request.headers),
            timeout=self.timeouts.of_request(),
        )

    def _headers(self, url: str, credentials: Credentials, more: Mapping[str, str] | None = None) -> dict[str, str]:
        headers = {"User-Agent": USER_AGENT, "Content-Type": "application/json"}
        given = {**(more or {}), **credentials.headers_for(url)}
        names = {name.lower() for name in given}
        return {name: value for name, value in headers.items() if name.lower() not in names} | given

    def _whole(self, request: WireRequest, response: httpx.Response, content: bytes) -> WireResponse:
        if not response.is_success:
            raise self._failure(request, response, content[:MAX_BODY_BYTES])
        return WireResponse(response.status_code, dict(response.headers), content)

    def _failure(self, request: WireRequest, response: httpx.Response, content: bytes) -> errors.APIStatusError:
        return error_for_response(response.status_code, dict(response.headers), content, request, now=datetime.now(UTC))


@lru_cache(maxsize=256)
def _parsed(url: str) -> httpx.URL:
    return httpx.URL(url)

"""One attempt to send a request: built, sent, logged, and its error response read."""

from __future__ import annotations

import logging
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from langchain_hf_inference import errors
from langchain_hf_inference._protocol.error_response import error_for_response
from langchain_hf_inference._protocol.routing import shown_url
from langchain_hf_inference._protocol.wire import WireRequest
from langchain_hf_inference._transport import backend
from langchain_hf_inference._transport.bodies import ERROR_BODY_S, aread_error_body, read_error_body
from langchain_hf_inference._transport.connection_trace import ConnectionTrace, current_trace
from langchain_hf_inference._transport.exceptions import map_httpx_errors, proxy_authentication_required
from langchain_hf_inference._transport.supplied import Lease
from langchain_hf_inference._transport.total_timeout import TotalTimeout
from langchain_hf_inference._version import __version__

USER_AGENT = f"langchain-hf-inference/{__version__}; python/{platform.python_version()}; httpx/{backend.__version__}"
COMMON_HEADERS = {
    "User-Agent": USER_AGENT,
    "Accept": "*/*",
    "Accept-Encoding": "gzip, deflate",
    "Content-Type": "application/json",
}
"""Sent with each request, unless the user sets another value. Only encodings whose expansion can be limited are accepted."""

RequestTimeouts = tuple[float | None, float | None, float | None, float | None]
"""Connect, read, write, pool, in seconds."""
_PHASES = ("connect", "read", "write", "pool")
_log = logging.getLogger("langchain_hf_inference")


class Attempt:
    """A request on its way.

    Args:
        request: What is sent.
        headers: All headers but those of the framing, credentials included.
        timeouts: How long each phase may take.
        method: GET for lookups.
        is_new: Whether it travels on a new connection, so that a broken connection is not a keep-alive race.
        within: What limits the request as a whole, if anything does.
    """

    __slots__ = ("_headers", "_method", "_request", "_timeouts", "_trace", "_within", "extensions")

    def __init__(
        self,
        request: WireRequest,
        headers: dict[str, str],
        timeouts: RequestTimeouts,
        *,
        method: str = "POST",
        is_new: bool = False,
        within: TotalTimeout | None = None,
    ) -> None:
        self._request, self._headers, self._timeouts, self._method = request, headers, timeouts, method
        self._trace = None if is_new else ConnectionTrace()
        self._within = within
        self.extensions: dict[str, Any] = {}
        """The extensions of the request that was sent; httpx reads its timeouts again when the body begins."""

    def send(self, lease: Lease) -> Any:
        """Return the response, whose body has not been read. Raises as `HTTPTransport.send` does."""
        built = self._built(lease, self._trace and self._trace.on_event, self._within and self._within.on_event)
        current_trace.set(self._trace)
        with map_httpx_errors(self._request.url, trace=self._trace):
            response = lease.client.send(built, stream=True, follow_redirects=False)
        if _log.isEnabledFor(logging.DEBUG):
            self._log_response(response)
        if not response.is_success:
            try:
                raise self._failure(response, read_error_body(response, deadline_s=self._error_body_s()))
            finally:
                response.close()
        return response

    async def asend(self, lease: Lease) -> Any:
        """Like `send`."""
        built = self._built(lease, self._trace and self._trace.aon_event, self._within and self._within.aon_event)
        current_trace.set(self._trace)
        with map_httpx_errors(self._request.url, trace=self._trace):
            response = await lease.client.send(built, stream=True, follow_redirects=False)
        if _log.isEnabledFor(logging.DEBUG):
            self._log_response(response)
        if not response.is_success:
            try:
                raise self._failure(response, await aread_error_body(response, deadline_s=self._error_body_s()))
            finally:
                await response.aclose()
        return response

    def _built(self, lease: Lease, on_event: Any, on_connection: Any) -> Any:
        """Return the request, new for each attempt: tracing adds headers to it.

        The package's own clients have nothing to add to what is here; a user's may have headers, cookies and parameters.
        """
        content = self._request.encoded() if self._method == "POST" else None
        extensions: dict[str, Any] = {}
        if on_connection is not None:
            extensions["trace"] = on_connection
        elif on_event is not None and not lease.notes_connections:
            extensions["trace"] = on_event
        if not lease.is_shared:
            with map_httpx_errors(self._request.url):
                built = lease.client.build_request(
                    self._method,
                    self._request.url,
                    content=content,
                    headers=_with_common(self._headers),
                    timeout=self._timeouts,
                    extensions=extensions,
                )
            self.extensions = built.extensions
            return built
        extensions["timeout"] = dict(zip(_PHASES, self._timeouts, strict=True))
        with map_httpx_errors(self._request.url):
            url = _parsed(self._request.url)
            built = backend.Request(
                self._method,
                url,
                headers=_prebuilt_headers(url, tuple(self._headers.items())),
                stream=backend.ByteStream(content or b""),
                extensions=extensions,
            )
        if content is not None:
            built.headers["Content-Length"] = str(len(content))
        built.read()  # so that mocks and event hooks find `request.content`
        self.extensions = built.extensions
        return built

    def _error_body_s(self) -> float:
        read_s = self._timeouts[1]
        return ERROR_BODY_S if read_s is None else min(ERROR_BODY_S, read_s)

    def _failure(self, response: Any, content: bytes) -> errors.HFInferenceError:
        if response.status_code == 407:
            return proxy_authentication_required(self._request.url, response.reason_phrase)
        return error_for_response(
            response.status_code, response_headers(response), content, self._request, now=datetime.now(UTC)
        )

    def _log_response(self, response: Any) -> None:
        _log.debug("%s %s -> %d", self._method, shown_url(self._request.url), response.status_code)


def _with_common(headers: Mapping[str, str]) -> dict[str, str]:
    names = {name.lower() for name in headers}
    return {name: value for name, value in COMMON_HEADERS.items() if name.lower() not in names} | dict(headers)


@lru_cache(maxsize=64)
def _prebuilt_headers(url: backend.URL, headers: tuple[tuple[str, str], ...]) -> backend.Headers:
    """Return all headers but the body's length: checking and encoding them is a tenth of what httpx needs for a call."""
    complete = _with_common(dict(headers))
    if not any(name.lower() == "host" for name in complete):
        complete = {"Host": url.netloc.decode("ascii"), **complete}
    return backend.Headers(complete)


def response_headers(response: Any) -> dict[str, str]:
    """Return a response's headers by their names in lower case; repeated ones are joined by commas."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in response.headers.raw:
        name = raw_name.decode("ascii", "replace").lower()
        try:
            value = raw_value.decode()
        except UnicodeDecodeError:
            value = raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


@lru_cache(maxsize=256)
def _parsed(url: str) -> backend.URL:
    return backend.URL(url)

"""Exceptions of httpx, httpx2 and aiohttp -> ours, in one place."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal
from urllib.parse import urlsplit

from langchain_hf_inference import errors
from langchain_hf_inference._protocol.routing import shown_url
from langchain_hf_inference._transport import backend
from langchain_hf_inference._transport.connection_trace import ConnectionTrace
from langchain_hf_inference._transport.proxies import proxy_description

Phase = Literal["request", "response", "stream"]
"""What was going on: the request was sent and its response awaited, or the body of either kind was being read."""

NO_RESPONSE = "without sending a response"
"""How httpcore's message ends where the connection was closed before the headers were complete; other protocol errors
mean that something malformed has arrived. `test_faults.py` fails the day that the wording changes."""


@contextmanager
def map_httpx_errors(url: str, *, phase: Phase = "request", trace: ConnectionTrace | None = None) -> Iterator[None]:
    """Turn exceptions of the HTTP library into ours.

    Args:
        url: What was requested, to be named in the message.
        phase: What was going on. Once a body has started it may have been billed, so it is not requested again.
        trace: What is known of the connection.
    """
    try:
        yield
    except backend.types_named("TransportError", "InvalidURL", "DecodingError") as error:
        raise _mapped(error, url, phase, trace) from _without_request(error)
    except backend.aiohttp_errors() as error:
        raise _mapped_aiohttp(error, url, phase, trace) from error
    except TimeoutError as error:
        if isinstance(error, errors.HFInferenceError):
            raise
        raise _timeout(error, url, phase) from error


def _mapped(error: Exception, url: str, phase: Phase, trace: ConnectionTrace | None) -> errors.HFInferenceError:
    cause = error.__cause__
    if isinstance(cause, backend.aiohttp_errors()) and not _is_timeout(error, cause):
        return _mapped_aiohttp(cause, url, phase, trace)  # httpx-aiohttp maps them to classes that mean something else
    if isinstance(error, backend.types_named("TimeoutException")):
        return _timeout(error, url, phase)
    if isinstance(error, backend.types_named("InvalidURL", "UnsupportedProtocol", "LocalProtocolError")):
        return errors.ConfigurationError(f"no request can be sent to {shown_url(url)}: {error}")
    if isinstance(error, backend.types_named("DecodingError")):
        return errors.ResponseFormatError(f"the response of {shown_url(url)} cannot be decompressed: {error}")
    if isinstance(error, backend.types_named("ProxyError")):
        return _refused_by_proxy(str(error), url)
    sent = not isinstance(error, backend.types_named("ConnectError"))
    mapped = _broken(str(error) or type(error).__name__, url, phase, sent=sent)
    has_response = isinstance(error, backend.types_named("RemoteProtocolError")) and NO_RESPONSE not in str(error)
    is_real = type(cause).__module__.partition(".")[0] in ("httpcore", "httpcore2")
    return _with_race(mapped, trace if is_real else None, has_response=has_response)


def _timeout(error: Exception, url: str, phase: Phase) -> errors.APITimeoutError:
    shown = shown_url(url)
    if isinstance(error, backend.types_named("ConnectTimeout")):
        return errors.APITimeoutError(
            f"could not connect to {shown} in time; check the address, or raise timeout", sent=False
        )
    if isinstance(error, backend.types_named("PoolTimeout")):
        return errors.APITimeoutError(
            f"no free connection to {shown} in time; lower the concurrency, or raise timeout", sent=False
        )
    if phase != "request":
        setting = "stream_chunk_timeout" if phase == "stream" else "timeout"
        return errors.APITimeoutError(f"the {phase} from {shown} stalled; raise {setting} if this server is so slow")
    if isinstance(error, backend.types_named("WriteTimeout")):
        return errors.APITimeoutError(f"{shown} took too long to accept the request; raise timeout")
    return errors.APITimeoutError(f"no response from {shown} in time; raise timeout, or stream the response")


def _refused_by_proxy(reason: str, url: str) -> errors.HFInferenceError:
    """Return the error for a proxy that refused to connect: nothing has reached the server."""
    message = f"{proxy_description(urlsplit(url).scheme)} refused to connect to {shown_url(url)}: {reason}"
    if reason.startswith("407"):
        return errors.ConfigurationError(f"{message}; put its user and password into the proxy's URL")
    return errors.APIConnectionError(message, sent=False)


def proxy_authentication_required(url: str, reason: str) -> errors.HFInferenceError:
    """Return the error for a 407 response: a proxy between here and a plain http server sent it."""
    return _refused_by_proxy(f"407 {reason}".strip(), url)


def _broken(reason: str, url: str, phase: Phase, *, sent: bool) -> errors.HFInferenceError:
    if phase != "request":
        return errors.StreamError(f"the {phase} from {shown_url(url)} was interrupted: {reason}")
    if not sent:
        return errors.APIConnectionError(f"could not connect to {shown_url(url)}: {reason}", sent=False)
    return errors.APIConnectionError(f"the connection to {shown_url(url)} broke before a response: {reason}")


def _mapped_aiohttp(
    error: BaseException, url: str, phase: Phase, trace: ConnectionTrace | None
) -> errors.HFInferenceError:
    """Return our error for one of aiohttp.

    httpx-aiohttp 0.2.0 reports a connection that broke after the request was sent as a ConnectTimeout, and does not
    map malformed responses at all, so the original exception decides.
    """
    aiohttp = sys.modules["aiohttp"]
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return _refused_by_proxy(f"{error.status} {error.message}", url)
    sent = not isinstance(error, aiohttp.ClientConnectorError)
    reason = str(error) or type(error).__name__
    is_malformed = isinstance(error, aiohttp.ClientResponseError)
    if is_malformed:
        reason = f"its response is malformed: {getattr(error, 'message', '') or type(error).__name__}"
    return _with_race(_broken(reason, url, phase, sent=sent), trace, has_response=is_malformed)


def _with_race(
    error: errors.HFInferenceError, trace: ConnectionTrace | None, *, has_response: bool
) -> errors.HFInferenceError:
    """Note on the error whether the server had closed the connection before it read the request."""
    if trace is not None and isinstance(error, errors.APIConnectionError) and error.sent and not has_response:
        error.keep_alive_race = trace.is_keep_alive_race()
    return error


def _is_timeout(error: Exception, cause: BaseException) -> bool:
    return isinstance(error, backend.types_named("TimeoutException")) and isinstance(cause, TimeoutError)


def _without_request(error: Exception) -> Exception:
    """Remove the request, whose headers hold the token, from an exception that will be kept as a cause."""
    if isinstance(error, backend.types_named("RequestError")):
        error.request = None
    return error

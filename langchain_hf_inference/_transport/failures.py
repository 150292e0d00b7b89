"""httpx's exceptions -> ours, at one door."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import httpx

from langchain_hf_inference import errors
from langchain_hf_inference._protocol.routing import shown_url


@contextmanager
def mapped_errors(url: str, *, begun: Literal["", "answer", "stream"] = "") -> Iterator[None]:
    """Turn httpx's exceptions into ours.

    Args:
        url: What was asked, to be named.
        begun: What has begun and may break now: it may have been paid for, so that it is not asked for again.
    """
    try:
        yield
    except httpx.TimeoutException as error:
        sent = not isinstance(error, httpx.ConnectTimeout | httpx.PoolTimeout)
        what = {
            httpx.ConnectTimeout: "no connection to {} in time; check the address, or raise timeout",
            httpx.PoolTimeout: "no free connection to {} in time; lower the concurrency, or raise timeout",
            httpx.WriteTimeout: "{} took the request too slowly; raise timeout",
        }.get(type(error), "no answer from {} in time; raise timeout, or stream the answer")
        if begun:
            setting = "stream_chunk_timeout" if begun == "stream" else "timeout"
            what = f"the {begun} from {{}} stalled; raise {setting} if this server is so slow"
        raise errors.APITimeoutError(what.format(shown_url(url)), sent=sent) from _scrubbed(error)
    except (httpx.InvalidURL, httpx.UnsupportedProtocol, httpx.LocalProtocolError) as error:
        raise errors.ConfigurationError(f"{shown_url(url)} cannot be asked: {error}") from _scrubbed(error)
    except httpx.DecodingError as error:
        raise errors.ResponseFormatError(f"the answer of {shown_url(url)} cannot be unpacked: {error}") from _scrubbed(
            error
        )
    except httpx.TransportError as error:
        reason = str(error) or type(error).__name__
        if begun:
            raise errors.StreamError(f"the {begun} from {shown_url(url)} broke off: {reason}") from _scrubbed(error)
        raise errors.APIConnectionError(f"cannot reach {shown_url(url)}: {reason}") from _scrubbed(error)


def _scrubbed(error: Exception) -> Exception:
    """Take the request, with the token in its headers, off an exception that will be kept as a cause."""
    if isinstance(error, httpx.RequestError):
        error._request = None
    return error

"""The one module that imports httpx: everything that the package uses of it, under the same names.

A user may also supply a client of httpx2, the successor with the same interface (openai 3, langsmith and
huggingface_hub 2 create such clients). Its exceptions are classes of their own, so the tuples of exception types are
built when something has failed: by then the library whose exception it may be has been imported.
"""

from __future__ import annotations

import sys
from typing import Any

import httpx
from httpx import (
    URL,
    AsyncByteStream,
    AsyncClient,
    AsyncHTTPTransport,
    ByteStream,
    Client,
    Cookies,
    DecodingError,
    Headers,
    HTTPTransport,
    InvalidURL,
    Limits,
    Proxy,
    Request,
    Response,
    SyncByteStream,
    create_ssl_context,
)

__all__ = [
    "URL",
    "AsyncByteStream",
    "AsyncClient",
    "AsyncHTTPTransport",
    "ByteStream",
    "Client",
    "Cookies",
    "DecodingError",
    "HTTPTransport",
    "Headers",
    "InvalidURL",
    "Limits",
    "Proxy",
    "Request",
    "Response",
    "SyncByteStream",
    "__version__",
    "aiohttp_errors",
    "create_ssl_context",
    "is_async_client",
    "is_client",
    "types_named",
]

__version__ = httpx.__version__

_LIBRARIES = ("httpx", "httpx2")


def types_named(*names: str) -> tuple[type[Any], ...]:
    """Return the classes with these names in httpx, and in httpx2 where something has imported it."""
    libraries = [sys.modules[name] for name in _LIBRARIES if name in sys.modules]
    return tuple(getattr(library, name) for library in libraries for name in names)


def is_client(value: object) -> bool:
    """Return whether `value` is a synchronous client of httpx or httpx2."""
    return isinstance(value, types_named("Client"))


def is_async_client(value: object) -> bool:
    """Return whether `value` is an asynchronous client of httpx or httpx2."""
    return isinstance(value, types_named("AsyncClient"))


def aiohttp_errors() -> tuple[type[Any], ...]:
    """Return aiohttp's base exception where the aiohttp backend is in use: httpx-aiohttp does not map all of them."""
    aiohttp = sys.modules.get("aiohttp")
    return () if aiohttp is None else (aiohttp.ClientError,)

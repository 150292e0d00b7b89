"""Builds the httpx clients that the package shares: TLS, proxies, connection limits, and no cookies."""

from __future__ import annotations

import os
import ssl
from importlib.util import find_spec
from typing import Literal

from langchain_hf_inference._transport import backend
from langchain_hf_inference._transport.connection_trace import NotedSocketOptions, SocketOption
from langchain_hf_inference._transport.pool import IDLE_S, MAX_CONNECTIONS, REQUESTS_PER_CLIENT
from langchain_hf_inference._transport.proxies import checked_proxies, proxy_for, uses_proxies
from langchain_hf_inference._transport.tls import tls_context
from langchain_hf_inference.errors import ConfigurationError

BACKEND_VARIABLE = "HF_INFERENCE_HTTP_BACKEND"
HTTPBackend = Literal["httpx", "aiohttp"]
"""What carries asynchronous requests; synchronous ones are always carried by httpx."""


class NoCookies(backend.Cookies):
    """Keeps nothing: a client is shared by models of different users, and reading cookies is a twentieth of a call."""

    def extract_cookies(self, response: backend.Response) -> None:
        """Ignore the response's cookies."""


_NO_COOKIES = NoCookies()


class CookielessClient(backend.Client):
    """An httpx client that keeps no cookies, and is plain httpx otherwise."""

    cookies = property(lambda _: _NO_COOKIES)


class CookielessAsyncClient(backend.AsyncClient):
    """Like `CookielessClient`."""

    cookies = property(lambda _: _NO_COOKIES)


def _keep_alive_options() -> list[SocketOption]:
    """Return TCP keep-alive probes after a minute: a long generation is silent, and NATs drop silent connections."""
    import socket  # the names of the options; httpx opens the connections

    options = [(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)]
    for name, seconds in (("TCP_KEEPIDLE", 60), ("TCP_KEEPALIVE", 60), ("TCP_KEEPINTVL", 60), ("TCP_KEEPCNT", 5)):
        if hasattr(socket, name):
            options.append((socket.IPPROTO_TCP, getattr(socket, name), seconds))
    return options


def _limits() -> backend.Limits:
    return backend.Limits(
        max_connections=REQUESTS_PER_CLIENT, max_keepalive_connections=REQUESTS_PER_CLIENT, keepalive_expiry=IDLE_S
    )


def build_client(origin: str) -> tuple[backend.Client, bool]:
    """Return a client for an origin, and whether it notes new connections on `current_trace`."""
    if uses_proxies():  # which httpx reads only for transports that it creates itself
        with checked_proxies():
            return CookielessClient(verify=tls_context(), limits=_limits()), False
    options = NotedSocketOptions(_keep_alive_options())
    transport = backend.HTTPTransport(verify=_tls_for(origin), limits=_limits(), socket_options=options)
    return CookielessClient(transport=transport), True


def build_async_client(origin: str) -> tuple[backend.AsyncClient, bool]:
    """Like `build_client`."""
    if uses_proxies():
        with checked_proxies():
            return CookielessAsyncClient(verify=tls_context(), limits=_limits()), False
    options = NotedSocketOptions(_keep_alive_options())
    transport = backend.AsyncHTTPTransport(verify=_tls_for(origin), limits=_limits(), socket_options=options)
    return CookielessAsyncClient(transport=transport), True


def build_aiohttp_client(origin: str) -> tuple[backend.AsyncClient, bool]:
    """Like `build_client`, on aiohttp."""
    from langchain_hf_inference._transport.aiohttp_backend import build_transport

    with checked_proxies():
        transport = build_transport(
            _tls_for(origin), max_connections=MAX_CONNECTIONS, idle_s=IDLE_S, proxy=proxy_for(origin)
        )
    return CookielessAsyncClient(transport=transport), True


def _tls_for(origin: str) -> ssl.SSLContext:
    """Return the TLS context for an origin; for plain http one that trusts nobody, since reading certificates takes time."""
    return tls_context() if origin.startswith("https:") else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def http_backend(chosen: str | None, *, prefer_aiohttp: bool = False) -> HTTPBackend:
    """Return the backend for asynchronous calls: the one chosen, that of HF_INFERENCE_HTTP_BACKEND, or httpx.

    Args:
        chosen: The user's choice, if any.
        prefer_aiohttp: Whether aiohttp is taken where nobody has chosen and it is installed.

    Raises:
        ConfigurationError: The variable names another, or aiohttp is chosen and its extra is not installed.
    """
    is_installed = find_spec("httpx_aiohttp") is not None and find_spec("aiohttp") is not None
    default = "aiohttp" if prefer_aiohttp and is_installed else "httpx"
    name = chosen or os.environ.get(BACKEND_VARIABLE, "").strip().lower() or default
    if name == "aiohttp":
        if not is_installed:
            setting = 'http_backend="aiohttp"' if chosen else f"{BACKEND_VARIABLE}=aiohttp"
            raise ConfigurationError(
                f"{setting} needs a package that is not installed: pip install 'langchain-hf-inference[aiohttp]'"
            )
        return "aiohttp"
    if name != "httpx":
        raise ConfigurationError(f"{BACKEND_VARIABLE}={name!r} is not a backend; set it to httpx or aiohttp")
    return "httpx"

"""The aiohttp backend: httpx's interface, with aiohttp's connections beneath (the extra `[aiohttp]`).

aiohttp's connection pool costs the same with one connection as with a thousand, and its parser is written in C. This
module is imported where the backend is chosen, so that nobody else needs the packages.
"""

from __future__ import annotations

import ssl
from typing import Any

import aiohttp
from httpx_aiohttp import AiohttpTransport

from langchain_hf_inference._transport import backend
from langchain_hf_inference._transport.connection_trace import note_new_connection

MAX_HEADER_BYTES = 64 * 1024
"""The longest header that is accepted; aiohttp's own limit of 8 KiB is below what gateways send."""


def build_transport(
    verify: ssl.SSLContext, *, max_connections: int, idle_s: float, proxy: str | None
) -> AiohttpTransport:
    """Return an httpx transport whose requests travel on aiohttp's connections, for one event loop and origin."""

    def build_session() -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(limit=max_connections, keepalive_timeout=idle_s, ssl=verify)
        return aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            trace_configs=[_trace_config()],
            max_line_size=MAX_HEADER_BYTES,
            max_field_size=MAX_HEADER_BYTES,
        )

    return AiohttpTransport(verify=verify, client=build_session, proxy=None if proxy is None else backend.Proxy(proxy))


def _trace_config() -> aiohttp.TraceConfig:
    config = aiohttp.TraceConfig()
    config.on_connection_create_start.append(_note_new_connection)
    return config


async def _note_new_connection(*_: Any) -> None:
    note_new_connection()

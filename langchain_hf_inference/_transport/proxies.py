"""Proxies of the environment: httpx reads the variables; this module says what is wrong with them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from langchain_hf_inference._transport import backend
from langchain_hf_inference.errors import ConfigurationError

PROXY_VARIABLES = ("http_proxy", "https_proxy", "all_proxy")
_SCHEMES = ("http", "https", "socks5", "socks5h")


def uses_proxies() -> bool:
    """Return whether the environment, or the system's settings on macOS and Windows, name a proxy for any URL."""
    proxies = getproxies()
    return any(proxies.get(name.removesuffix("_proxy")) for name in PROXY_VARIABLES)


def proxy_for(origin: str) -> str | None:
    """Return the proxy for requests to an origin, for a backend that does not read the environment."""
    parts, proxies = urlsplit(origin), getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    if not proxy or proxy_bypass(parts.netloc):
        return None
    proxy = proxy if "://" in proxy else f"http://{proxy}"
    if proxy.lower().startswith("socks"):
        variable = proxy_variable(parts.scheme) or "the proxy setting"
        raise ConfigurationError(f"{variable} is a SOCKS proxy, which http_backend='aiohttp' cannot use; use 'httpx'")
    return proxy


@contextmanager
def checked_proxies() -> Iterator[None]:
    """Turn what httpx raises for a proxy that it cannot use into an error that names the variable.

    Raises:
        ConfigurationError: A variable is malformed, names an unknown scheme, or a SOCKS proxy without socksio.
    """
    try:
        yield
    except (ImportError, ValueError, backend.InvalidURL) as error:
        if isinstance(error, ConfigurationError):
            raise
        raise ConfigurationError(_problem()) from None  # the original message may show a password


def proxy_variable(scheme: str) -> str | None:
    """Return the name of the variable that sets the proxy for URLs of this scheme, as it is spelled here."""
    for name in (f"{scheme}_proxy", "all_proxy"):
        for spelled in (name, name.upper()):
            if os.environ.get(spelled):
                return spelled
    return None


def proxy_description(scheme: str) -> str:
    """Return the proxy for URLs of this scheme and the variable that sets it, for a message; without a password."""
    variable = proxy_variable(scheme)
    if variable is None:
        return "the proxy"
    return f"the proxy {_without_userinfo(os.environ[variable])} ({variable})"


def _problem() -> str:
    for name in PROXY_VARIABLES:
        for spelled in (name, name.upper()):
            if value := os.environ.get(spelled):
                shown = _without_userinfo(value)
                scheme = value.partition("://")[0].lower() if "://" in value else "http"
                if scheme not in _SCHEMES:
                    return f"{spelled}={shown!r} has the scheme {scheme!r}; httpx knows {', '.join(_SCHEMES)}"
                if not _is_valid(value):
                    return f"{spelled}={shown!r} is not a URL; write it like http://proxy.example.com:3128, or unset it"
                if scheme.startswith("socks") and not _has_socksio():
                    return f"{spelled}={shown!r} is a SOCKS proxy, which needs a package: pip install 'httpx[socks]'"
    return "a proxy in the environment cannot be used; check HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY"


def _is_valid(value: str) -> bool:
    try:
        url = backend.URL(value if "://" in value else f"http://{value}")
    except (ValueError, backend.InvalidURL):
        return False
    return bool(url.host)


def _has_socksio() -> bool:
    from importlib.util import find_spec

    return find_spec("socksio") is not None


def _without_userinfo(value: str) -> str:
    head, separator, rest = value.rpartition("@")
    if not separator:
        return value
    scheme = head.partition("://")[0] + "://" if "://" in head else ""
    return scheme + rest

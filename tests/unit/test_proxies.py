"""_transport/proxies.py: proxies of the environment that cannot be used, or refuse."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from rawserver import RawServer, raw_server

from langchain_hf_inference import APIConnectionError, ChatHFInference, ConfigurationError, errors
from langchain_hf_inference._transport import proxies

PASSWORD = "pa55word"


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*proxies.PROXY_VARIABLES, "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def proxy() -> Iterator[RawServer]:
    with raw_server() as running:
        yield running


def failures(url: str, **arguments: Any) -> list[errors.HFInferenceError]:
    """Return the errors of a call in each form, by each backend."""
    found = []
    for http_backend in ("httpx", "aiohttp"):
        model = ChatHFInference(
            endpoint_url=url, model="m", engine="openai", api_key="hf_secret", http_backend=http_backend, **arguments
        )
        transport = model._transport()
        transport.sleep, transport.asleep = lambda _: None, _no_sleep
        calls: list[Callable[[], Any]] = [lambda: asyncio.run(model.ainvoke("Hello"))]  # noqa: B023
        if http_backend == "httpx":
            calls += [lambda: model.invoke("Hello"), lambda: list(model.stream("Hello"))]  # noqa: B023
        for call in calls:
            with pytest.raises(errors.HFInferenceError) as caught:
                call()
            found.append(caught.value)
        model.close()
    return found


async def _no_sleep(_: float) -> None:
    return None


BAD = {
    "not a URL": (
        f"http://user:{PASSWORD}@proxy:notaport",
        "is not a URL; write it like http://proxy.example.com:3128",
    ),
    "an unclosed bracket": (f"http://user:{PASSWORD}@[::1:3128", "is not a URL"),
    "an unknown scheme": (f"ftp://user:{PASSWORD}@proxy:21", "has the scheme 'ftp'; httpx knows http, https, socks5"),
}


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
@pytest.mark.parametrize("name", BAD)
def test_malformed(name: str, variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A malformed variable is an error that names it, and does not show its password."""
    value, message = BAD[name]
    monkeypatch.setenv(variable, value)
    for error in failures("https://127.0.0.1:9"):
        assert isinstance(error, ConfigurationError)
        assert variable in str(error)
        if isinstance(error, ConfigurationError) and "aiohttp" not in str(error):
            assert message in str(error)
        _check_no_password(error)


def _check_no_password(error: BaseException | None) -> None:
    while error is not None:
        assert PASSWORD not in f"{error!r} {error}"
        error = error.__cause__ or error.__context__


@pytest.mark.skipif(proxies._has_socksio(), reason="socksio is installed")
def test_socks_without_socksio(monkeypatch: pytest.MonkeyPatch) -> None:
    """A SOCKS proxy without the package that httpx needs for it is an error that names both."""
    monkeypatch.setenv("ALL_PROXY", f"socks5://user:{PASSWORD}@127.0.0.1:1080")
    httpx_error, *others = failures("https://127.0.0.1:9")[0:3]
    for error in (httpx_error, *others):
        assert "ALL_PROXY='socks5://127.0.0.1:1080' is a SOCKS proxy" in str(error)
        assert "pip install 'httpx[socks]'" in str(error)
        _check_no_password(error)


@pytest.mark.parametrize("url", ["https://far.example", "http://far.example"])
def test_authentication_required(url: str, proxy: RawServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that asks for a password is named, with its variable; the request is not sent again."""
    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    monkeypatch.setenv("HTTPS_PROXY", proxy.url)
    proxy.act = proxy.replying(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
    found = failures(url)
    for error in found:
        assert isinstance(error, ConfigurationError)
        assert f"the proxy {proxy.url} ({url.partition(':')[0].upper()}_PROXY) refused to connect to {url}" in str(
            error
        )
        assert "407" in str(error)
        assert "user and password" in str(error)
    assert len(proxy.requests) == len(found)


def test_bad_gateway(proxy: RawServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that cannot connect is named; since nothing has reached the server, the request is sent again."""
    monkeypatch.setenv("HTTPS_PROXY", proxy.url)
    proxy.act = proxy.replying(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
    for error in failures("https://far.example", max_retries=1):
        assert isinstance(error, APIConnectionError)
        assert not error.sent
        assert error.attempts == 2
        assert f"the proxy {proxy.url} (HTTPS_PROXY) refused to connect" in str(error)
        assert "502" in str(error)


def test_the_token_stays_out_of_connect(proxy: RawServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The request to open a tunnel holds no token: the proxy sees the host alone."""
    monkeypatch.setenv("HTTPS_PROXY", proxy.url)
    proxy.act = proxy.replying(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
    failures("https://far.example", max_retries=0)
    assert proxy.requests
    assert not any(b"hf_secret" in request for request in proxy.requests)

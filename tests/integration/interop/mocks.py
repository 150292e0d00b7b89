"""The tools that people mock httpx with, each as a context manager of one shape.

`MOCKS[name](request, exchanges)` starts the mock, with the given exchanges as the only ones that it knows, and ends it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any
from unittest import mock

import httpx
import pytest
import respx
import vcr

from interop.calls import Exchange

Mock = Callable[[pytest.FixtureRequest, list[Exchange]], AbstractContextManager[None]]


def _respx(using: str) -> Mock:
    @contextmanager
    def mocking(request: pytest.FixtureRequest, exchanges: list[Exchange]) -> Iterator[None]:
        with respx.mock(using=using) as router:
            for exchange in exchanges:
                router.request(exchange.method, exchange.url).mock(return_value=exchange.response())
            yield

    return mocking


@contextmanager
def _pytest_httpx(request: pytest.FixtureRequest, exchanges: list[Exchange]) -> Iterator[None]:
    """Start with the fixture `httpx_mock`, which patches with `monkeypatch`; undo that before the test ends."""
    httpx_mock = request.getfixturevalue("httpx_mock")
    for exchange in exchanges:
        httpx_mock.add_response(
            method=exchange.method, url=exchange.url, headers=exchange.headers, content=exchange.content
        )
    yield
    request.getfixturevalue("monkeypatch").undo()


@contextmanager
def _vcr(request: pytest.FixtureRequest, exchanges: list[Exchange]) -> Iterator[None]:
    cassette = request.getfixturevalue("tmp_path") / "cassette.yaml"
    cassette.write_text(cassette_of(exchanges))
    with vcr.use_cassette(str(cassette), record_mode="none") as played:
        yield
    assert played.play_count == len(exchanges)


def cassette_of(exchanges: list[Exchange]) -> str:
    """Return what vcrpy would have recorded."""
    interactions = [
        {
            "request": {"method": exchange.method, "uri": exchange.url, "body": "", "headers": {}},
            "response": {
                "status": {"code": 200, "message": "OK"},
                "headers": {name: [value] for name, value in exchange.headers.items()},
                "body": {"string": exchange.content.decode()},
            },
        }
        for exchange in exchanges
    ]
    return json.dumps({"version": 1, "interactions": interactions})


def _patch(sync_target: str, async_target: str) -> Mock:
    """Patch a method of httpx: with the response itself where there is one, with a function where there are several."""

    @contextmanager
    def mocking(request: pytest.FixtureRequest, exchanges: list[Exchange]) -> Iterator[None]:
        def answer(request: httpx.Request, **options: Any) -> httpx.Response:
            known = {(exchange.method, exchange.url): exchange for exchange in exchanges}
            return known[request.method, str(request.url)].response()

        given = {"return_value": exchanges[0].response()} if len(exchanges) == 1 else {"side_effect": answer}
        with mock.patch(sync_target, **given) as patched, mock.patch(async_target, **given) as async_patched:
            yield
        assert patched.call_count + async_patched.call_count == len(exchanges)

    return mocking


MOCKS: dict[str, Mock] = {
    "respx": _respx("httpcore"),
    "respx-httpx": _respx("httpx"),
    "pytest-httpx": _pytest_httpx,
    "vcrpy": _vcr,
    "patch-send": _patch("httpx.Client.send", "httpx.AsyncClient.send"),
    "patch-transport": _patch("httpx.HTTPTransport.handle_request", "httpx.AsyncHTTPTransport.handle_async_request"),
}

every_mock = pytest.mark.parametrize("mocking", MOCKS.values(), ids=MOCKS)


class Pieces(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A body that arrives in pieces of seven bytes, for sync and async clients, as often as it is read."""

    def __init__(self, content: bytes) -> None:
        self._pieces = [content[start : start + 7] for start in range(0, len(content), 7)]

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._pieces)

    async def __aiter__(self) -> Any:
        for piece in self._pieces:
            yield piece

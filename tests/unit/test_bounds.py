"""What servers cannot do to a caller: hold it up, or fill its memory, with lookups, errors and ends of streams."""

from __future__ import annotations

import gzip
import json
import time
import tracemalloc
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from calling import Call, both_ways
from rawserver import RawServer, raw_server, request_from

from langchain_hf_inference import ChatHFInference, HFInferenceEmbeddings, errors
from langchain_hf_inference._protocol.credentials import ANONYMOUS
from langchain_hf_inference._transport import lookups

OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


@pytest.fixture
def server() -> Iterator[RawServer]:
    with raw_server() as running:
        yield running


@pytest.fixture(autouse=True)
def _short_lookups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookups, "LOOKUP_TIMEOUT_S", 0.5)


def drip(where: str, status: bytes = b"200 OK") -> Any:
    """Return what a server does that sends a byte, a header or an early hint now and then, for ten seconds."""
    head = b"HTTP/1.1 " + status + b"\r\nContent-Type: application/json\r\n"
    begun, pieces = {
        "body": (head + b"Content-Length: 1000\r\n\r\n", b" "),
        "compressed body": (head + b"Content-Encoding: gzip\r\nContent-Length: 1000\r\n\r\n\x1f\x8b", b"\x08"),
        "chunked body": (head + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
        "headers": (head, b"X-Filler: x\r\n"),
        "status line": (b"", b"H"),
        "early hints": (b"", b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"),
    }[where]

    def act(sock: Any) -> None:
        request_from(sock)
        sock.sendall(begun)
        for _ in range(100):
            time.sleep(0.1)
            sock.sendall(pieces)

    return act


@both_ways
@pytest.mark.parametrize("client", ["shared", "supplied"])
@pytest.mark.parametrize("where", ["body", "compressed body", "chunked body", "headers", "status line", "early hints"])
def test_dripping_lookups(where: str, client: str, call: Call, server: RawServer) -> None:
    """A lookup ends at its limit however slowly the server answers, and its connection with it."""
    server.act = drip(where)  # type: ignore[attr-defined]
    clients = {} if client == "shared" else {"http_client": httpx.Client(), "http_async_client": httpx.AsyncClient()}
    model = ChatHFInference(endpoint_url=server.url, model="m", max_retries=0, **clients)
    begun = time.monotonic()
    for path in ("/info", "/v1/models"):
        with pytest.raises(
            errors.APITimeoutError, match=rf"{path} did not answer completely within 0.5 s|in time|stalled"
        ):
            call.get(model._transport(), server.url + path)
    assert time.monotonic() - begun < 1.0 + 0.6
    until = time.monotonic() + 3
    while server.closed < 2 and time.monotonic() < until:
        time.sleep(0.02)
    assert server.closed == 2


@both_ways
def test_large_lookups(call: Call, server: RawServer) -> None:
    """A lookup that decompresses to more than its limit is left, at little cost in memory and time."""
    bomb = gzip.compress(b" " * (300 << 20), 9)
    server.act = server.replying(  # type: ignore[attr-defined]
        OK + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%s" % (len(bomb), bomb)
    )
    model = ChatHFInference(endpoint_url=server.url, model="m")
    tracemalloc.start()
    begun = time.monotonic()
    with pytest.raises(errors.ResponseFormatError, match="larger than 1 MiB"):
        call.get(model._transport(), server.url + "/info")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert time.monotonic() - begun < 2
    assert peak < 16 << 20


@both_ways
@pytest.mark.parametrize("kind", ["chat", "stream", "embeddings"])
@pytest.mark.parametrize("where", ["body", "compressed body", "chunked body"])
@pytest.mark.parametrize("status", [b"400 Bad Request", b"401 Unauthorized", b"500 Internal Server Error"])
def test_dripping_error_bodies(status: bytes, where: str, kind: str, call: Call, server: RawServer) -> None:
    """An error whose body drips is raised within the timeout, with its status."""
    server.act = drip(where, status)  # type: ignore[attr-defined]
    begun = time.monotonic()
    with pytest.raises(errors.APIStatusError) as caught:
        _call(kind, call, server.url, timeout=0.5)
    assert caught.value.status_code == int(status[:3])
    assert time.monotonic() - begun < 0.5 + 0.6


@both_ways
@pytest.mark.parametrize("encoding", ["gzip", "deflate", ""])
@pytest.mark.parametrize("kind", ["chat", "stream", "embeddings"])
def test_large_error_bodies(kind: str, encoding: str, call: Call, server: RawServer) -> None:
    """The body of an error is read up to 64 KiB, decompressed no further, and kept no longer than a message needs."""
    text = json.dumps({"error": "x" * (64 << 20)}).encode()
    if encoding == "gzip":
        text = gzip.compress(text, 1)
    elif encoding == "deflate":
        import zlib

        text = zlib.compress(text, 1)
    head = b"HTTP/1.1 400 Bad Request\r\n" + (f"Content-Encoding: {encoding}\r\n".encode() if encoding else b"")
    server.act = server.replying(head + b"Content-Length: %d\r\n\r\n%s" % (len(text), text))  # type: ignore[attr-defined]
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    with pytest.raises(errors.InvalidRequestError) as caught:
        _call(kind, call, server.url)
    peak = tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()
    assert len(str(caught.value)) < 2000
    assert peak < 8 << 20


def _call(kind: str, call: Call, url: str, **arguments: Any) -> Any:
    arguments = {"endpoint_url": url, "model": "m", "engine": "openai", "max_retries": 0, **arguments}
    if kind == "embeddings":
        return call.embed(HFInferenceEmbeddings(**arguments), ["a"])
    model = ChatHFInference(**arguments)
    return call.invoke(model, "Hello") if kind == "chat" else call.stream(model, "Hello")


def test_a_slow_lookup_is_not_an_answer(server: RawServer) -> None:
    """A lookup that was given up is remembered as a failure, for seconds, and not as an answer."""
    server.act = drip("headers")  # type: ignore[attr-defined]
    model = ChatHFInference(endpoint_url=server.url, model="m")
    lookups.server_facts(model._transport(), server.url, ANONYMOUS)
    (until, _), *others = lookups._servers._rows.values()
    assert others == []
    assert until - time.monotonic() <= lookups.FAILED_S

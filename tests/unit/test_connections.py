"""_transport/connections.py, sockets.py, keeping.py: one exchange over one connection, used again where that is safe."""

from __future__ import annotations

import asyncio
import gc
import socket
import ssl
import threading
import time
import warnings
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import trustme
from rawserver import RawServer, raw_server, request_from

from langchain_hf_inference._transport import keeping
from langchain_hf_inference._transport.connections import AsyncDirectTransport, DirectTransport

OK = b"HTTP/1.1 200 OK\r\n"
HI = OK + b"Content-Length: 2\r\n\r\nHi"
LIMITS = {"connect": 2.0, "read": 2.0, "write": 2.0, "pool": 2.0}


class Sender:
    """Sends over one transport, sync or async, by the same words."""

    def __init__(self, kind: str, tls: ssl.SSLContext | None) -> None:
        self.kind, self._tls = kind, tls
        self.transport: Any = None
        self._loop = asyncio.new_event_loop() if kind == "async" else None

    def __call__(
        self, url: str, content: bytes = b"{}", headers: Any = (), *, stop_after: int | None = None, **limits: Any
    ) -> tuple[int, bytes]:
        """Send, and give status and body; with `stop_after` the body is left after so many pieces."""
        made = {"headers": list(headers), "content": content, "extensions": {"timeout": {**LIMITS, **limits}}}
        if self._loop is None:
            return self._send(httpx.Request("POST", url, **made), stop_after)
        return self._loop.run_until_complete(self._asend(httpx.Request("POST", url, **made), stop_after))

    def _send(self, request: httpx.Request, stop_after: int | None) -> tuple[int, bytes]:
        self.transport = self.transport or DirectTransport(lambda: self._tls)
        response = self.transport.handle_request(request)
        pieces: list[bytes] = []
        pieces_of_it = iter(response.stream)
        for piece in pieces_of_it if stop_after != 0 else ():
            pieces.append(piece)
            if len(pieces) == stop_after:
                break
        if stop_after is not None:
            pieces_of_it.close()
            response.stream.close()
        return response.status_code, b"".join(pieces)

    async def _asend(self, request: httpx.Request, stop_after: int | None) -> tuple[int, bytes]:
        self.transport = self.transport or AsyncDirectTransport(lambda: self._tls)
        response = await self.transport.handle_async_request(request)
        pieces: list[bytes] = []
        pieces_of_it = aiter(response.stream)
        if stop_after != 0:
            async for piece in pieces_of_it:
                pieces.append(piece)
                if len(pieces) == stop_after:
                    break
        if stop_after is not None:
            await pieces_of_it.aclose()
            await response.stream.aclose()
        return response.status_code, b"".join(pieces)

    def close(self) -> None:
        if self.transport is None:
            return
        if self._loop is None:
            self.transport.close()
        else:
            self._loop.run_until_complete(self.transport.aclose())
            self._loop.close()


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(params=["sync", "async"])
def send(request: pytest.FixtureRequest, authority: trustme.CA) -> Iterator[Sender]:
    tls = ssl.create_default_context()
    authority.configure_trust(tls)
    sender = Sender(request.param, tls)
    yield sender
    sender.close()


@pytest.fixture
def server() -> Iterator[RawServer]:
    with raw_server() as made:
        yield made


def test_reuse(send: Sender, server: RawServer) -> None:
    """Requests one after the other go over one connection, each as it was built."""
    server.act = server.replying(HI)
    for i in range(20):
        assert send(f"{server.url}/v1?i={i}", b"%d" % i, [("X-A", "b")]) == (200, b"Hi")
    assert server.connections == 1
    assert server.requests[7] == (
        b"POST /v1?i=7 HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nX-A: b\r\nContent-Length: 1\r\n\r\n7" % server.port
    )


@pytest.mark.parametrize(
    ("reply", "body", "connections"),
    [
        (HI, b"Hi", 1),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nHi\r\n0\r\n\r\n", b"Hi", 1),
        (OK + b"Connection: close\r\nContent-Length: 2\r\n\r\nHi", b"Hi", 3),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nHi", b"Hi", 3),
        (HI + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nEvil", b"Hi", 3),
        (b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n" + HI, b"Hi", 1),
    ],
)
def test_when_reused(send: Sender, server: RawServer, reply: bytes, body: bytes, connections: int) -> None:
    """A connection is used again only where the answer ended cleanly: an answer nobody asked for is nobody's."""
    server.act = server.replying(reply)
    assert [send(server.url) for _ in range(3)] == [(200, body)] * 3
    assert server.connections == connections


def test_unasked_answer(send: Sender, server: RawServer) -> None:
    """What a server says on a connection that waits ends it, and is never taken for the next answer."""

    def act(sock: socket.socket) -> None:
        request_from(sock)
        sock.sendall(HI)
        time.sleep(0.05)
        sock.sendall(OK + b"Content-Length: 4\r\n\r\nEvil")
        request_from(sock)

    server.act = act
    assert send(server.url) == (200, b"Hi")
    time.sleep(0.15)
    assert send(server.url) == (200, b"Hi")
    assert server.connections == 2


def test_server_hung_up(send: Sender, server: RawServer) -> None:
    """A connection that the server has closed meanwhile is not used."""
    server.act = lambda sock: (request_from(sock), sock.sendall(HI))
    assert send(server.url) == (200, b"Hi")
    time.sleep(0.05)
    assert send(server.url) == (200, b"Hi")


def test_idle_for_long(send: Sender, server: RawServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection is not kept for ever."""
    server.act = server.replying(HI)
    send(server.url)
    monkeypatch.setattr(keeping, "IDLE_S", 0.0)
    send(server.url)
    assert server.connections == 2


def test_early_end_of_reading(send: Sender, server: RawServer) -> None:
    """A body that is left closes its connection: at once, and whatever is still to come."""
    server.act = server.replying(OK + b"Content-Length: 9\r\n\r\nHi")
    for _ in range(3):
        assert send(server.url, stop_after=1) == (200, b"Hi")
    assert send(server.url, stop_after=0) == (200, b"")
    time.sleep(0.05)
    assert (server.connections, server.closed) == (4, 4)


def test_large(send: Sender, server: RawServer) -> None:
    """Eight megabytes go up and down, whole."""
    content = bytes(range(256)) * 32768
    server.act = server.replying(OK + b"Content-Length: %d\r\n\r\n" % len(content) + content)
    assert send(server.url, content) == (200, content)
    assert server.requests[0].endswith(content)


def test_slow_reader(server: RawServer) -> None:
    """An answer that is read slowly waits at the server, and not in memory."""
    count = 64
    server.act = lambda sock: (request_from(sock), sock.sendall(OK + b"Content-Length: %d\r\n\r\n" % (count << 20)),
                               [sock.sendall(b"x" * (1 << 20)) for _ in range(count)])  # fmt: skip

    async def scenario() -> int:
        transport, most, size = AsyncDirectTransport(lambda: None), 0, 0
        request = httpx.Request("POST", server.url, content=b"", extensions={"timeout": LIMITS})
        response = await transport.handle_async_request(request)
        async for piece in response.stream:
            most, size = max(most, len(piece)), size + len(piece)
            await asyncio.sleep(0.001)
        assert size == count << 20
        return most

    assert asyncio.run(scenario()) < 4 << 20


@pytest.mark.parametrize(
    ("act", "error", "told"),
    [
        ("refused", httpx.ConnectError, "."),
        ("no answer", httpx.RemoteProtocolError, "without an answer"),
        ("silent", httpx.ReadTimeout, "timed out"),
        ("reset", httpx.ReadError, "reset"),
        (b"HTTP/1.1 200", httpx.RemoteProtocolError, "within its answer"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nHi", httpx.RemoteProtocolError, "within its answer"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", httpx.RemoteProtocolError, "not HTTP"),
    ],
)
def test_failures(send: Sender, server: RawServer, act: Any, error: type[Exception], told: str) -> None:
    """Each way to fail has httpx's name for it, and its connection is closed."""

    def reset(sock: socket.socket) -> None:
        request_from(sock)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    acts = {
        "no answer": request_from,
        "silent": lambda sock: (request_from(sock), sock.recv(1)),
        "reset": reset,
    }
    server.act = acts[act] if act in acts else lambda sock: (request_from(sock), sock.sendall(act))
    url = server.url
    if act == "refused":
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            url = f"http://127.0.0.1:{taken.getsockname()[1]}"
            with pytest.raises(error):
                send(url)
        return
    with pytest.raises(error, match=told):
        send(url, read=0.2)
    time.sleep(0.1)
    assert server.closed == server.connections == 1


def test_read_timeout_within_a_body(send: Sender, server: RawServer) -> None:
    """A stall is told after the time given for it, which may be set anew while an answer is read."""
    server.act = lambda sock: (request_from(sock), sock.sendall(OK + b"Content-Length: 9\r\n\r\nHi"), sock.recv(1))
    begun = time.monotonic()
    with pytest.raises(httpx.ReadTimeout):
        send(server.url, read=0.2)
    assert 0.15 < time.monotonic() - begun < 1.5


def test_connect_timeout(send: Sender) -> None:
    """A host that does not answer is given up in time."""
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        fillers = []
        for _ in range(8):  # its queue is full then, and further ones are not answered
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
            fillers.append(filler)
        begun = time.monotonic()
        with pytest.raises(httpx.ConnectTimeout):
            send(f"http://127.0.0.1:{full.getsockname()[1]}", connect=0.2)
        assert time.monotonic() - begun < 1.5
        for filler in fillers:
            filler.close()


def test_write_timeout(send: Sender, server: RawServer) -> None:
    """A server that takes nothing is given up in time."""
    server.act = lambda sock: time.sleep(3)
    begun = time.monotonic()
    with pytest.raises(httpx.WriteTimeout):
        send(server.url, b"x" * (64 << 20), write=0.2)
    assert time.monotonic() - begun < 2.5


def test_refused_while_sending(send: Sender, server: RawServer) -> None:
    """A server that refuses a large request before it has read it is heard: its status tells why."""
    reply = b"HTTP/1.1 413 Too Large\r\nContent-Length: 5\r\nConnection: close\r\n\r\nlarge"

    def act(sock: socket.socket) -> None:
        sock.recv(1000)
        sock.sendall(reply)
        sock.shutdown(socket.SHUT_WR)
        while sock.recv(1 << 20):
            pass

    server.act = act
    assert send(server.url, b"x" * (8 << 20)) == (413, b"large")


def test_tls(send: Sender, authority: trustme.CA) -> None:
    """HTTPS works, is used again, and is refused where the certificate is another's or nobody's."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", "localhost").configure_cert(tls)
    with raw_server(tls=tls) as server:
        server.act = server.replying(HI)
        url = server.url.replace("http:", "https:")
        for _ in range(3):
            assert send(url) == (200, b"Hi")
        assert server.connections == 1
        strangers = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        trustme.CA().issue_cert("127.0.0.1").configure_cert(strangers)
    for bad in (strangers, _certificate_for(authority, "elsewhere.example")):
        with raw_server(tls=bad) as server, pytest.raises(httpx.ConnectError, match=r"CERTIFICATE|certificate"):
            send(server.url.replace("http:", "https:"))
    with raw_server() as plain, pytest.raises(httpx.ConnectError):
        plain.act = lambda sock: (sock.recv(10), sock.sendall(b"HTTP/1.1 400 Bad\r\n\r\n"))
        send(plain.url.replace("http:", "https:"))


def _certificate_for(authority: trustme.CA, name: str) -> ssl.SSLContext:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(tls)
    return tls


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 here")
def test_ipv6(send: Sender) -> None:
    """An address in brackets is connected to and named as it is."""
    try:
        made = raw_server(host="::1")
        with made as server:
            server.act = server.replying(HI)
            assert send(f"http://[::1]:{server.port}/") == (200, b"Hi")
            assert b"Host: [::1]:%d\r\n" % server.port in server.requests[0]
    except OSError:
        pytest.skip("no IPv6 here")


@pytest.mark.parametrize("url", ["ftp://h/", "h/path", "http:///x"])
def test_no_address(send: Sender, url: str) -> None:
    """What is no address of HTTP is refused before anything is sent."""
    with pytest.raises(httpx.UnsupportedProtocol):
        send(url)


def test_bad_header(send: Sender, server: RawServer) -> None:
    """A header that would break out of its line is refused, unsent, without its value."""
    with pytest.raises(httpx.LocalProtocolError) as caught:
        send(server.url, headers=[("X-A", "secret\r\nEvil: 1")])
    assert "secret" not in str(caught.value)
    assert server.connections == 0


def test_room(monkeypatch: pytest.MonkeyPatch, server: RawServer) -> None:
    """No more requests run at a time than there is room for, those that wait go on in their order, or give up in time."""
    monkeypatch.setattr(keeping, "MAX_IN_USE", 3)
    free = threading.Event()
    server.act = lambda sock: [free.wait(5) and sock.sendall(HI) for _ in iter(lambda: request_from(sock), b"")]

    async def scenario() -> list[Any]:
        transport = AsyncDirectTransport(lambda: None)

        async def one(i: int, pool: float) -> int:
            made = httpx.Request("POST", server.url, content=b"", extensions={"timeout": {**LIMITS, "pool": pool}})
            await (await transport.handle_async_request(made)).aread()
            return i

        tasks = [asyncio.ensure_future(one(i, 0.2 if i == 5 else 5.0)) for i in range(10)]
        await asyncio.sleep(0.4)
        tasks[6].cancel()
        free.set()
        found = await asyncio.gather(*tasks, return_exceptions=True)
        await transport.aclose()
        return found

    found = asyncio.run(scenario())
    assert [one for one in found if isinstance(one, int)] == [0, 1, 2, 3, 4, 7, 8, 9]
    assert [type(found[5]), type(found[6])] == [httpx.PoolTimeout, asyncio.CancelledError]
    assert server.connections == 3

    transport = DirectTransport(lambda: None)
    made = [
        httpx.Request("POST", server.url, content=b"", extensions={"timeout": {**LIMITS, "pool": 0.1}})
        for _ in range(4)
    ]
    server.act = server.replying(OK + b"Content-Length: 9\r\n\r\nHi")
    held = [transport.handle_request(one) for one in made[:3]]
    with pytest.raises(httpx.PoolTimeout):
        transport.handle_request(made[3])
    for response in held:
        response.close()
    transport.handle_request(made[3]).close()


def test_cancelled(server: RawServer) -> None:
    """A cancelled request hangs up at once, at whatever it waits, and leaves its room to others."""
    server.act = lambda sock: (request_from(sock), sock.recv(1))

    async def scenario() -> None:
        transport = AsyncDirectTransport(lambda: None)
        for pause in (0.0, 0.001, 0.05):
            made = httpx.Request("POST", server.url, content=b"", extensions={"timeout": LIMITS})
            task = asyncio.ensure_future(transport.handle_async_request(made))
            await asyncio.sleep(pause)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        await asyncio.sleep(0.1)
        assert transport._room._free._value == keeping.MAX_IN_USE

    with warnings.catch_warnings():
        warnings.simplefilter("error", ResourceWarning)
        asyncio.run(scenario())
        gc.collect()
    assert server.closed == server.connections


@pytest.mark.parametrize(("files", "most"), [(256, 128), (1024, 512), (20_000, 1000), (8, 10)])
def test_half_of_the_files(files: int, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections take half of the files that the process may open, a thousand at most."""
    resource = pytest.importorskip("resource")
    monkeypatch.setattr(resource, "getrlimit", lambda _: (files, files))
    assert keeping._most_in_use() == most
    monkeypatch.setattr(resource, "getrlimit", lambda _: (resource.RLIM_INFINITY, 0))
    assert keeping._most_in_use() == 1000

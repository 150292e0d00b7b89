"""A proxy before a server that answers well: it hands requests on, and answers back as broken as it is told."""

from __future__ import annotations

import gzip
import http.client
import socket
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from rawserver import RawServer, request_from

SILENCE_S = 1.5
"""Longer than the timeouts of whoever asks."""


@dataclass
class Answer:
    """What the server said, ready to be sent as HTTP/1.1: a head, and frames of which a stream has one an event."""

    status: int
    kind: str
    body: bytes
    headers: list[str] = field(default_factory=list)
    version: str = "HTTP/1.1"
    elsewhere: str = ""

    @property
    def is_stream(self) -> bool:
        return "event-stream" in self.kind

    def head(self, *more: str) -> bytes:
        lines = [f"{self.version} {self.status} Told", f"Content-Type: {self.kind}", *self.headers, *more]
        return "\r\n".join(lines).encode() + b"\r\n\r\n"

    def frames(self) -> list[bytes]:
        if not self.is_stream:
            return [self.body[: len(self.body) // 2], self.body[len(self.body) // 2 :]]
        events = [event + b"\n\n" for event in self.body.replace(b"\r\n", b"\n").split(b"\n\n") if event]
        return [b"%x\r\n%s\r\n" % (len(event), event) for event in events] + [b"0\r\n\r\n"]

    def framing(self) -> str:
        return "Transfer-Encoding: chunked" if self.is_stream else f"Content-Length: {len(self.body)}"

    def begun(self) -> bytes:
        """Give all up to the middle of a body: of a stream, three events and half of the next."""
        frames = self.frames()
        if not self.is_stream:
            return self.head(self.framing()) + frames[0]
        return self.head(self.framing()) + b"".join(frames[:3]) + frames[3][: len(frames[3]) // 2]

    def misframed(self) -> bytes:
        """Give a body whose chunks do not have the lengths that they should."""
        if self.is_stream:
            return self.begun() + b"\xff\xff\r\n\r\n"
        return self.head("Transfer-Encoding: chunked") + b"zz\r\n" + self.body

    def whole(self, *more: str) -> bytes:
        return self.head(self.framing(), *more) + b"".join(self.frames())

    def sized(self, length: int | None = None, *more: str) -> bytes:
        """Give it with a Content-Length, right or wrong."""
        return self.head(f"Content-Length: {len(self.body) if length is None else length}", *more) + self.body


Act = Callable[[socket.socket, Answer], None]


def reset(sock: socket.socket) -> None:
    """Hang up so that the other side hears of it as an error."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


class HungUp(Exception):
    """The proxy closes this connection."""


def _hang_up(sent: Callable[[Answer], bytes]) -> Act:
    def act(sock: socket.socket, answer: Answer) -> None:
        sock.sendall(sent(answer))
        raise HungUp

    return act


def _reset(sent: Callable[[Answer], bytes]) -> Act:
    def act(sock: socket.socket, answer: Answer) -> None:
        sock.sendall(sent(answer))
        time.sleep(0.02)  # so that what was sent is read, and not thrown away with the connection
        reset(sock)
        raise HungUp

    return act


def _silence(sent: Callable[[Answer], bytes]) -> Act:
    def act(sock: socket.socket, answer: Answer) -> None:
        sock.sendall(sent(answer))
        sock.settimeout(SILENCE_S)
        try:
            sock.recv(1)
        finally:
            raise HungUp

    return act


def _send(made: Callable[[Answer], bytes]) -> Act:
    return lambda sock, answer: sock.sendall(made(answer))


def _byte_by_byte(sock: socket.socket, answer: Answer) -> None:
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for byte in answer.whole():
        sock.sendall(bytes([byte]))


def _with_a_megabyte(answer: Answer) -> bytes:
    """Make the answer, or the first event, a megabyte long, saying the same."""
    return Answer(answer.status, answer.kind, answer.body.replace(b"{", b"{" + b" " * (1 << 20), 1)).whole()


def _packed(answer: Answer, *, broken: bool = False) -> bytes:
    body = gzip.compress(answer.body)
    body = body[:12] + bytes(byte ^ 0x55 for byte in body[12:]) if broken else body
    return Answer(answer.status, answer.kind, body).sized(None, "Content-Encoding: gzip")


HTML = b"<html><head><title>Bad gateway</title></head><body>nginx</body></html>"

FAULTS: dict[str, Act] = {
    "hung up before an answer": _hang_up(lambda _: b""),
    "reset before an answer": _reset(lambda _: b""),
    "hung up within the headers": _hang_up(lambda answer: answer.head()[:30]),
    "reset within the headers": _reset(lambda answer: answer.head()[:30]),
    "malformed headers": _hang_up(lambda _: b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n"),
    "no HTTP at all": _hang_up(lambda _: b"SSH-2.0-OpenSSH_9.6\r\n"),
    "hung up within the body": _hang_up(Answer.begun),
    "reset within the body": _reset(Answer.begun),
    "broken framing": _hang_up(Answer.misframed),
    "silent before an answer": _silence(lambda _: b""),
    "silent within the headers": _silence(lambda answer: answer.head()[:30]),
    "silent within the body": _silence(Answer.begun),
    "Content-Length too large": _hang_up(lambda answer: answer.sized(len(answer.body) + 10)),
    "Content-Length too small": _hang_up(lambda answer: answer.sized(len(answer.body) * 2 // 3)),
    "packed by gzip, broken": _send(lambda answer: _packed(answer, broken=True)),
    "an HTML page with 200": _send(lambda _: Answer(200, "text/html", HTML).sized()),
    "an HTML page with 502": _send(lambda _: Answer(502, "text/html", HTML).sized()),
    "a redirect to another host": lambda sock, answer: sock.sendall(
        Answer(307, "text/plain", b"", [f"Location: {answer.elsewhere}/stolen"]).sized()
    ),
    "an empty answer": _send(lambda answer: Answer(200, answer.kind, b"").sized()),
    "busy for a while": _send(lambda _: Answer(503, "application/json", b'{"error": "busy"}').sized()),
    "hung up between two requests": _hang_up(lambda _: b""),
    "byte by byte": _byte_by_byte,
    "an event of a megabyte": _send(_with_a_megabyte),
    "packed by gzip": _send(_packed),
    "another Content-Type": _send(lambda answer: answer.whole().replace(answer.kind.encode(), b"text/plain", 1)),
    "early hints before it": _send(lambda answer: b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + answer.whole()),
    "HTTP/1.0": _hang_up(
        lambda answer: Answer(answer.status, answer.kind, answer.body, version="HTTP/1.0").head() + answer.body
    ),
    "an answer nobody asked for after it": _send(
        lambda answer: answer.whole() + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nEvil"
    ),
}
PASSING = {"hung up between two requests": 1, "busy for a while": 2}
"""Faults that go away by themselves after so many requests."""


class FaultProxy:
    """What a raw server does with each connection: one fault, or none."""

    def __init__(self, server: RawServer, upstream: str, elsewhere: str) -> None:
        self.server, self._upstream, self._elsewhere = server, urlsplit(upstream), elsewhere
        self.fault: Act | None = None
        self.left: int | None = None
        """How many more requests meet the fault; None is all."""
        server.act = self._act  # type: ignore[attr-defined]

    def show(self, name: str | None) -> None:
        self.fault = FAULTS[name] if name else None
        self.left = PASSING.get(name or "")

    def _act(self, sock: socket.socket) -> None:
        while asked := request_from(sock):
            self.server.requests.append(asked)
            answer = self._answer(asked)
            broken = self.fault if self.left is None or self.left > 0 else None
            if self.left:
                self.left -= 1
            try:
                (broken or _send(Answer.whole))(sock, answer)
            except HungUp:
                return

    def _answer(self, asked: bytes) -> Answer:
        head, _, body = asked.partition(b"\r\n\r\n")
        method, path, _ = head.split(b"\r\n")[0].decode().split(" ")
        upstream = http.client.HTTPConnection(self._upstream.hostname or "", self._upstream.port)
        upstream.request(method, path, body, {"Content-Type": "application/json"})
        response = upstream.getresponse()
        answer = Answer(
            response.status, response.headers.get("Content-Type", ""), response.read(), elsewhere=self._elsewhere
        )
        upstream.close()
        return answer

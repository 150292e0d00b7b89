"""A server of bytes on loopback: each connection is a function of a socket, so that it can break HTTP as it likes."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

Act = Callable[[socket.socket], None]


def request_from(sock: socket.socket) -> bytes:
    """Read one request; b"" where the client has hung up."""
    data = b""
    while b"\r\n\r\n" not in data:
        if not (more := sock.recv(65536)):
            return b""
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    length = next((int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0)
    while len(body) < length:
        if not (more := sock.recv(65536)):
            break
        body += more
    return head + b"\r\n\r\n" + body


@dataclass
class RawServer:
    """What was asked, and how many connections came and went."""

    port: int
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0
    closed: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def replying(self, *replies: bytes | None) -> Act:
        """Give each reply to a request, in turn and the last for ever; None hangs up instead."""
        waiting = list(replies)

        def act(sock: socket.socket) -> None:
            while asked := request_from(sock):
                self.requests.append(asked)
                reply = waiting.pop(0) if len(waiting) > 1 else waiting[0]
                if reply is None:
                    return
                sock.sendall(reply)

        return act


@contextmanager
def raw_server(
    act: Act | None = None, *, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1"
) -> Iterator[RawServer]:
    """Serve until the end of the context. `act` may be set as `server.act` later."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind((host, 0))
    listening.listen(512)
    server = RawServer(listening.getsockname()[1])
    server.act = act or server.replying(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")  # type: ignore[attr-defined]

    def serve(sock: socket.socket) -> None:
        with sock, suppress(OSError):
            if tls:
                sock = tls.wrap_socket(sock, server_side=True)
            server.act(sock)  # type: ignore[attr-defined]
            with suppress(OSError):
                sock.close()
        server.closed += 1

    def accept() -> None:
        with suppress(OSError):
            while True:
                sock, _ = listening.accept()
                server.connections += 1
                threading.Thread(target=serve, args=(sock,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield server
    finally:
        with suppress(OSError):
            listening.shutdown(socket.SHUT_RDWR)
        listening.close()

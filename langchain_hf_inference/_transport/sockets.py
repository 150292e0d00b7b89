"""A connection to a server, plain or TLS: open, write, read, close, each in its time. Sync, and on asyncio's event loop.

asyncio is spoken to by a Protocol: its stream classes, and anyio's beneath httpx, cost several times as much.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import select
import socket
import ssl

import httpx

READ_BYTES = 64 * 1024
MAX_UNREAD_BYTES = 1024 * 1024
"""What is kept of an answer that nobody reads; the server waits then."""

HAPPY_EYEBALLS_S = 0.25
"""After so long the next address of a host is tried beside the first (RFC 8305)."""


class BlockingSocket:
    """A blocking socket."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    @classmethod
    def opened(cls, host: str, port: int, tls: ssl.SSLContext | None, timeout_s: float | None) -> BlockingSocket:
        """Connect. Raises httpx.ConnectTimeout and httpx.ConnectError."""
        sock: socket.socket | None = None
        try:
            sock = socket.create_connection((host, port), timeout_s)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return cls(tls.wrap_socket(sock, server_hostname=host) if tls else sock)
        except BaseException as error:
            if sock is not None:
                sock.close()
            if isinstance(error, TimeoutError):
                raise httpx.ConnectTimeout(str(error)) from error
            if isinstance(error, OSError | UnicodeError):
                raise httpx.ConnectError(str(error)) from error
            raise

    def write(self, data: bytes, timeout_s: float | None) -> None:
        """Send all of `data`. Raises httpx.WriteTimeout and httpx.WriteError."""
        try:
            self._sock.settimeout(timeout_s)
            self._sock.sendall(data)
        except TimeoutError as error:
            raise httpx.WriteTimeout(str(error)) from error
        except OSError as error:
            raise httpx.WriteError(str(error)) from error

    def read(self, timeout_s: float | None) -> bytes:
        """Give what has come, waiting for it; b"" at the end. Raises httpx.ReadTimeout and httpx.ReadError."""
        try:
            self._sock.settimeout(timeout_s)
            return self._sock.recv(READ_BYTES)
        except TimeoutError as error:
            raise httpx.ReadTimeout(str(error)) from error
        except OSError as error:
            raise httpx.ReadError(str(error)) from error

    def is_stale(self) -> bool:
        """Tell whether the server has closed, or said what nobody asked."""
        return _is_readable(self._sock.fileno())

    def close(self) -> None:
        """Hang up."""
        with contextlib.suppress(OSError):
            self._sock.close()


class AsyncioSocket(asyncio.Protocol):
    """Like `BlockingSocket`, on the running event loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._unread: list[bytes] = []
        self._unread_bytes = 0
        self._ended = self._is_lost = False
        self._error: Exception | None = None
        self._reading: asyncio.Future[None] | None = None
        self._writing: asyncio.Future[None] | None = None
        self._transport: asyncio.Transport

    @classmethod
    async def opened(cls, host: str, port: int, tls: ssl.SSLContext | None, timeout_s: float | None) -> AsyncioSocket:
        """Like `BlockingSocket.opened`."""
        try:
            async with asyncio.timeout(timeout_s):
                _, protocol = await asyncio.get_running_loop().create_connection(
                    cls, host, port, ssl=tls, happy_eyeballs_delay=None if _is_address(host) else HAPPY_EYEBALLS_S
                )
            return protocol
        except TimeoutError as error:
            raise httpx.ConnectTimeout(str(error)) from error
        except (OSError, UnicodeError) as error:
            raise httpx.ConnectError(str(error)) from error

    async def write(self, data: bytes, timeout_s: float | None) -> None:
        """Like `BlockingSocket.write`."""
        if self._error is not None:
            raise httpx.WriteError(str(self._error)) from self._error
        self._transport.write(data)
        if self._writing is not None:
            try:
                async with asyncio.timeout(timeout_s):
                    await self._writing
            except TimeoutError as error:
                raise httpx.WriteTimeout(str(error)) from error
            except OSError as error:
                raise httpx.WriteError(str(error)) from error

    async def read(self, timeout_s: float | None) -> bytes:
        """Like `BlockingSocket.read`."""
        if not (self._unread or self._ended):
            self._reading = self._loop.create_future()
            timer = None if timeout_s is None else self._loop.call_later(timeout_s, _time_out, self._reading)
            try:
                await self._reading
            finally:
                self._reading = None
                if timer is not None:
                    timer.cancel()
        if self._unread:
            data = self._unread[0] if len(self._unread) == 1 else b"".join(self._unread)
            self._unread.clear()
            if self._unread_bytes > MAX_UNREAD_BYTES:
                self._transport.resume_reading()
            self._unread_bytes = 0
            return data
        if self._error is not None:
            raise httpx.ReadError(str(self._error)) from self._error
        return b""

    def is_stale(self) -> bool:
        """Like `BlockingSocket.is_stale`."""
        if self._ended or self._unread or self._transport.is_closing():
            return True
        return _is_readable(self._transport.get_extra_info("socket").fileno())  # what the loop has not seen yet

    def close(self) -> None:
        """Like `BlockingSocket.close`."""
        if not self._is_lost:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A connection is made."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - asyncio's word, for the type checker
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Bytes have come."""
        self._unread.append(data)
        self._unread_bytes += len(data)
        if self._unread_bytes > MAX_UNREAD_BYTES:
            self._transport.pause_reading()
        self._wake()

    def eof_received(self) -> None:
        """The server has said all it will."""
        self._ended = True
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self._ended, self._is_lost, self._error = True, True, exc
        self._wake()
        if self._writing is not None and not self._writing.done():
            self._writing.set_exception(exc or ConnectionResetError("the connection was lost"))

    def pause_writing(self) -> None:
        """The server takes less than it is sent."""
        self._writing = self._loop.create_future()

    def resume_writing(self) -> None:
        """It takes more again."""
        if self._writing is not None and not self._writing.done():
            self._writing.set_result(None)
        self._writing = None

    def _wake(self) -> None:
        if self._reading is not None and not self._reading.done():
            self._reading.set_result(None)


def _is_address(host: str) -> bool:
    try:
        return bool(ipaddress.ip_address(host))
    except ValueError:
        return False


def _is_readable(descriptor: int) -> bool:
    try:
        if hasattr(select, "poll"):
            poll = select.poll()
            poll.register(descriptor, select.POLLIN)
            return bool(poll.poll(0))
        return bool(select.select([descriptor], [], [], 0)[0])
    except (OSError, ValueError):
        return True


def _time_out(waiting: asyncio.Future[None]) -> None:
    if not waiting.done():
        waiting.set_exception(httpx.ReadTimeout("timed out"))

"""Our own transports for httpx: connections kept alive, taken and given back at the same cost however many there are.

httpcore, which httpx brings, walks all connections and all waiting requests for each request, so that one costs 30
times as much among 500 as alone; and it hands a stream out chunk by chunk. These speak HTTP/1.1 to servers; a proxy
of the environment is spoken to by httpx's own (see pool.py), and so is whatever a user's own client is made for.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncGenerator, Callable, Generator
from functools import partial
from typing import Any

import httpx

from langchain_hf_inference._protocol.http1 import AnswerReader, BadHTTPError, request_head
from langchain_hf_inference._transport.keeping import Idle, Place, TaskRoom, ThreadRoom
from langchain_hf_inference._transport.sockets import AsyncioSocket, BlockingSocket

MAX_JOINED_BYTES = 64 * 1024
"""A smaller body is sent together with its head."""

_Timeouts = dict[str, float | None]


class _Connecting:
    """What both transports do without waiting."""

    _tls: Callable[[], ssl.SSLContext]
    _room: ThreadRoom | TaskRoom
    _idle: Any

    def _context(self, place: Place) -> ssl.SSLContext | None:
        return self._tls() if place[0] == "https" else None

    def _end(self, place: Place, sock: BlockingSocket | AsyncioSocket | None, *, good: bool) -> None:
        if sock is not None and good:
            self._idle.give(place, sock)
        elif sock is not None:
            sock.close()
        self._room.leave()


class DirectTransport(_Connecting, httpx.BaseTransport):
    """Requests by HTTP/1.1, over connections that are used again."""

    _room: ThreadRoom

    def __init__(self, tls: Callable[[], ssl.SSLContext]) -> None:
        self._tls = tls
        self._room = ThreadRoom()
        self._idle: Idle[BlockingSocket] = Idle()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send, and read the answer's head; its body is read as it is asked for. Raises httpx's TransportErrors."""
        place, head, reader = _place(request.url), _head(request), AnswerReader()
        content, timeouts = request.read(), request.extensions.get("timeout", {})
        self._room.enter(timeouts.get("pool"))
        sock = None
        try:
            sock = self._idle.take(place)
            if sock is None:
                sock = BlockingSocket.opened(*place[1:], self._context(place), timeouts.get("connect"))
            begun = _asked(sock, reader, head, content, timeouts)
        except BaseException:
            self._end(place, sock, good=False)
            raise
        body = _Body(partial(self._end, place), sock, reader, begun, timeouts)
        return httpx.Response(reader.status_code, headers=reader.headers, stream=body)

    def close(self) -> None:
        """Hang up the connections that are idle; the others go with their answers."""
        self._idle.close()


class AsyncDirectTransport(_Connecting, httpx.AsyncBaseTransport):
    """Like `DirectTransport`, for one event loop."""

    _room: TaskRoom

    def __init__(self, tls: Callable[[], ssl.SSLContext]) -> None:
        self._tls = tls
        self._room = TaskRoom()
        self._idle: Idle[AsyncioSocket] = Idle()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Like `DirectTransport.handle_request`."""
        place, head, reader = _place(request.url), _head(request), AnswerReader()
        content, timeouts = await request.aread(), request.extensions.get("timeout", {})
        await self._room.enter(timeouts.get("pool"))
        sock = None
        try:
            sock = self._idle.take(place)
            if sock is None:
                sock = await AsyncioSocket.opened(*place[1:], self._context(place), timeouts.get("connect"))
            begun = await _aasked(sock, reader, head, content, timeouts)
        except BaseException:
            self._end(place, sock, good=False)
            raise
        body = _AsyncBody(partial(self._end, place), sock, reader, begun, timeouts)
        return httpx.Response(reader.status_code, headers=reader.headers, stream=body)

    async def aclose(self) -> None:
        """Like `DirectTransport.close`."""
        self._idle.close()
        await asyncio.sleep(0)  # asyncio takes a turn of the loop to hang up


class _Ending:
    """An answer whose connection goes back as soon as all of it has come."""

    def __init__(
        self, end: Callable[..., None], sock: Any, reader: AnswerReader, begun: bytes, timeouts: _Timeouts
    ) -> None:
        self._end, self._sock, self._reader, self._begun, self._timeouts = end, sock, reader, begun, timeouts
        self._is_open = True
        if reader.is_done:
            self._close()

    def _close(self) -> None:
        if self._is_open:
            self._is_open = False
            self._end(self._sock, good=self._reader.is_done and self._reader.can_go_on)


class _Body(_Ending, httpx.SyncByteStream):
    """What follows the head of an answer."""

    def __iter__(self) -> Generator[bytes]:
        begun, self._begun = self._begun, b""
        try:
            if begun:
                yield begun
            while not self._reader.is_done:
                if piece := _read(self._sock, self._reader, self._timeouts):
                    yield piece
        finally:
            self._close()

    def close(self) -> None:
        self._close()


class _AsyncBody(_Ending, httpx.AsyncByteStream):
    """Like `_Body`."""

    async def __aiter__(self) -> AsyncGenerator[bytes]:
        begun, self._begun = self._begun, b""
        try:
            if begun:
                yield begun
            while not self._reader.is_done:
                if piece := await _aread(self._sock, self._reader, self._timeouts):
                    yield piece
        finally:
            self._close()

    async def aclose(self) -> None:
        self._close()


def _place(url: httpx.URL) -> Place:
    return url.scheme, url.raw_host.decode("ascii"), url.port or (443 if url.scheme == "https" else 80)


def _head(request: httpx.Request) -> bytes:
    if request.url.scheme not in ("http", "https") or not request.url.host:
        raise httpx.UnsupportedProtocol("the address begins with neither http:// nor https://")
    try:
        return request_head(request.method, request.url.raw_path, request.headers.raw)
    except BadHTTPError as error:
        raise httpx.LocalProtocolError(str(error)) from error


def _asked(sock: BlockingSocket, reader: AnswerReader, head: bytes, content: bytes, timeouts: _Timeouts) -> bytes:
    """Send a request, and read up to the end of the answer's head; give what of the body came with it."""
    refused = None
    try:
        for part in (head + content,) if len(content) <= MAX_JOINED_BYTES else (head, content):
            sock.write(part, timeouts.get("write"))
    except httpx.WriteError as error:
        refused = error  # a server may refuse a request before it has read it, and say why
    try:
        begun = b""
        while not reader.status_code:
            begun = _read(sock, reader, timeouts)
        return begun
    except httpx.TransportError as error:
        raise refused or error from error


async def _aasked(sock: AsyncioSocket, reader: AnswerReader, head: bytes, content: bytes, timeouts: _Timeouts) -> bytes:
    """Like `_asked`."""
    refused = None
    try:
        for part in (head + content,) if len(content) <= MAX_JOINED_BYTES else (head, content):
            await sock.write(part, timeouts.get("write"))
    except httpx.WriteError as error:
        refused = error
    try:
        begun = b""
        while not reader.status_code:
            begun = await _aread(sock, reader, timeouts)
        return begun
    except httpx.TransportError as error:
        raise refused or error from error


def _read(sock: BlockingSocket, reader: AnswerReader, timeouts: _Timeouts) -> bytes:
    _check(reader)
    return _fed(reader, sock.read(timeouts.get("read")))


async def _aread(sock: AsyncioSocket, reader: AnswerReader, timeouts: _Timeouts) -> bytes:
    _check(reader)
    return _fed(reader, await sock.read(timeouts.get("read")))


def _check(reader: AnswerReader) -> None:
    if reader.failure is not None:
        raise httpx.RemoteProtocolError(str(reader.failure)) from reader.failure


def _fed(reader: AnswerReader, data: bytes) -> bytes:
    try:
        if data:
            return reader.feed(data)
        reader.close()
        return b""
    except BadHTTPError as error:
        raise httpx.RemoteProtocolError(str(error)) from error

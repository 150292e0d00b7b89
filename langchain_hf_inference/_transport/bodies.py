"""The body of a response: as it arrives, whole, or as much of it as an error needs."""

from __future__ import annotations

import zlib
from collections.abc import AsyncGenerator, Generator
from contextlib import suppress
from typing import cast

from langchain_hf_inference._protocol.error_response import MAX_BODY_BYTES
from langchain_hf_inference._transport import backend
from langchain_hf_inference._transport.closing import adeadline, deadline

MAX_ANSWER_BYTES = 1024 * 1024 * 1024
"""A response body beyond this size, decompressed, comes from a broken or hostile server; 10,000 vectors are below it."""
MAX_LOOKUP_BYTES, MAX_LISTING_BYTES = 1024 * 1024, 16 * 1024 * 1024
"""The largest response to a lookup, and to a list of models, decompressed; the router's list has about 1 MiB."""
ERROR_BODY_S = 5.0
"""How long the body of an error may take to arrive: its status is known already."""


def byte_chunks(response: backend.Response) -> Generator[bytes]:
    """Return an iterator over the decoded body that can be closed.

    An uncompressed body, as streams have, is read below httpx's decoders, which cost a tenth of a chunk. A body that is
    in memory already (an event hook has read it, a mock made it) comes from there.
    """
    if "content-encoding" not in response.headers and not response.is_stream_consumed:
        return _raw_chunks(response)
    return cast("Generator[bytes]", response.iter_bytes())


def abyte_chunks(response: backend.Response) -> AsyncGenerator[bytes]:
    """Like `byte_chunks`."""
    if "content-encoding" not in response.headers and not response.is_stream_consumed:
        return _araw_chunks(response)
    return cast("AsyncGenerator[bytes]", response.aiter_bytes())


def _raw_chunks(response: backend.Response) -> Generator[bytes]:
    return cast("Generator[bytes]", iter(cast("backend.SyncByteStream", response.stream)))


def _araw_chunks(response: backend.Response) -> AsyncGenerator[bytes]:
    return cast("AsyncGenerator[bytes]", aiter(cast("backend.AsyncByteStream", response.stream)))


def read_body(response: backend.Response, max_bytes: int | None = None) -> bytes:
    """Return the whole body.

    Args:
        response: The response, whose body has not been read.
        max_bytes: The largest size that is accepted, decompressed; `MAX_ANSWER_BYTES` by default.

    Raises:
        httpx.DecodingError: It is larger.
    """
    if max_bytes is not None and not response.is_stream_consumed:
        prefix = BodyPrefix(response, max_bytes + 1)
        for chunk in _raw_chunks(response):
            if not prefix.add(chunk):
                break
        _check_size(len(prefix.content), max_bytes)
        return prefix.content
    content, size = [], 0
    for chunk in byte_chunks(response):
        content.append(chunk)
        size += len(chunk)
        _check_size(size, max_bytes or MAX_ANSWER_BYTES)
    return b"".join(content)


async def aread_body(response: backend.Response, max_bytes: int | None = None) -> bytes:
    """Like `read_body`."""
    if max_bytes is not None and not response.is_stream_consumed:
        prefix = BodyPrefix(response, max_bytes + 1)
        async for chunk in _araw_chunks(response):
            if not prefix.add(chunk):
                break
        _check_size(len(prefix.content), max_bytes)
        return prefix.content
    content, size = [], 0
    async for chunk in abyte_chunks(response):
        content.append(chunk)
        size += len(chunk)
        _check_size(size, max_bytes or MAX_ANSWER_BYTES)
    return b"".join(content)


def _check_size(size: int, max_bytes: int) -> None:
    if size > max_bytes:
        raise backend.DecodingError(f"it is larger than {max_bytes / 2**20:g} MiB")


class BodyPrefix:
    """The first `limit` bytes of a body, decompressed no further than that."""

    def __init__(self, response: backend.Response, limit: int) -> None:
        self._limit = limit
        self._decompressor = _decompressor(response)
        self.content = b""
        """What has arrived."""

    def add(self, chunk: bytes) -> bool:
        """Take a chunk as it arrived; return whether another is wanted."""
        room = self._limit - len(self.content)
        if self._decompressor is not None:
            try:
                chunk = self._decompressor.decompress(chunk, room)
            except zlib.error:
                return False
        self.content += chunk[:room]
        return len(self.content) < self._limit


def _decompressor(response: backend.Response) -> zlib._Decompress | None:
    encoding = response.headers.get("content-encoding", "").strip().lower()
    if encoding == "gzip":
        return zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
    return zlib.decompressobj() if encoding == "deflate" else None


def read_error_body(response: backend.Response, *, deadline_s: float = ERROR_BODY_S) -> bytes:
    """Return the start of an error's body.

    What arrived before it was interrupted, or before the deadline, counts: the status is what matters.
    """
    if response.is_stream_consumed:
        return response.content[:MAX_BODY_BYTES]
    prefix = BodyPrefix(response, MAX_BODY_BYTES)
    with suppress(*interruptions()):
        with deadline(response, deadline_s):
            for chunk in _raw_chunks(response):
                if not prefix.add(chunk):
                    break
    return prefix.content


async def aread_error_body(response: backend.Response, *, deadline_s: float = ERROR_BODY_S) -> bytes:
    """Like `read_error_body`."""
    if response.is_stream_consumed:
        return response.content[:MAX_BODY_BYTES]
    prefix = BodyPrefix(response, MAX_BODY_BYTES)
    with suppress(*interruptions()):
        async with adeadline(response, deadline_s):
            async for chunk in _araw_chunks(response):
                if not prefix.add(chunk):
                    break
    return prefix.content


def interruptions() -> tuple[type[Exception], ...]:
    """Return what reading a body raises when it is interrupted, or takes longer than its deadline."""
    return (TimeoutError, *backend.types_named("HTTPError", "StreamError"), *backend.aiohttp_errors())

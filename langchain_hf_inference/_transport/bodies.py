"""The body of an answer: as it comes, its start, or whole."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from contextlib import aclosing, closing, suppress
from typing import cast

import httpx

from langchain_hf_inference._protocol.error_response import MAX_BODY_BYTES

MAX_ANSWER_BYTES = 1024 * 1024 * 1024
"""A whole answer beyond this is a broken or hostile server: ten thousand vectors are below it, a bomb of gzip is not."""


def byte_chunks(response: httpx.Response) -> Generator[bytes]:
    """Give the body as it comes, as a generator that can be closed.

    A body that is not compressed, as streams are, is taken from below httpx's decoders: they cost a tenth of a chunk.
    What an event hook of the user's client has read already comes from httpx's memory of it.
    """
    if "content-encoding" not in response.headers and not response.is_stream_consumed:
        return cast("Generator[bytes]", iter(cast("httpx.SyncByteStream", response.stream)))
    return cast("Generator[bytes]", response.iter_bytes())


def abyte_chunks(response: httpx.Response) -> AsyncGenerator[bytes]:
    """Like `byte_chunks`."""
    if "content-encoding" not in response.headers and not response.is_stream_consumed:
        return cast("AsyncGenerator[bytes]", aiter(cast("httpx.AsyncByteStream", response.stream)))
    return cast("AsyncGenerator[bytes]", response.aiter_bytes())


def whole_body(response: httpx.Response) -> bytes:
    """Give all of a body. Raises httpx.DecodingError where it is larger than `MAX_ANSWER_BYTES`, unpacked."""
    content, size = [], 0
    for chunk in byte_chunks(response):
        content.append(chunk)
        size += len(chunk)
        _check_size(size)
    return b"".join(content)


async def awhole_body(response: httpx.Response) -> bytes:
    """Like `whole_body`."""
    content, size = [], 0
    async for chunk in abyte_chunks(response):
        content.append(chunk)
        size += len(chunk)
        _check_size(size)
    return b"".join(content)


def _check_size(size: int) -> None:
    if size > MAX_ANSWER_BYTES:
        raise httpx.DecodingError(f"it is larger than {MAX_ANSWER_BYTES // 2**20} MiB")


def start_of(response: httpx.Response) -> bytes:
    """Give as much of a body as an error may have; where it breaks off its status is still the news."""
    content = b""
    with suppress(httpx.HTTPError):
        with closing(byte_chunks(response)) as chunks:
            for chunk in chunks:
                content += chunk
                if len(content) > MAX_BODY_BYTES:
                    break
    return content[:MAX_BODY_BYTES]


async def astart_of(response: httpx.Response) -> bytes:
    """Like `start_of`."""
    content = b""
    with suppress(httpx.HTTPError):
        async with aclosing(abyte_chunks(response)) as chunks:
            async for chunk in chunks:
                content += chunk
                if len(content) > MAX_BODY_BYTES:
                    break
    return content[:MAX_BODY_BYTES]

"""One HTTP/1.1 exchange: the request's head as bytes, and bytes, cut anywhere, -> status, headers and body (RFC 9112).

A stream is thousands of small chunks, each with a frame of HTTP's own. What is read at once is taken apart at once, and
its body given in one piece.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

MAX_HEAD_BYTES = 64 * 1024
"""Status line and headers of an answer, or its trailers; more is a broken or hostile server."""
MAX_LINE_BYTES = 8 * 1024
"""A chunk's length with its extensions."""

_HEAD_END = re.compile(rb"\r?\n\r?\n")
_STATUS = re.compile(rb"HTTP/1\.([0-9]) ([1-9][0-9]{2})(?:[ \t][^\n]*)?")
_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_FIELD = re.compile(rb"^(" + _TOKEN + rb"):[ \t]*([^\n]*?)[ \t\r]*$", re.MULTILINE)
_FOLD = re.compile(rb"[ \t\r]*\n[ \t]+")
_NAME = re.compile(_TOKEN)
_UNSAFE = re.compile(rb"[\r\n\0]")
_LENGTH = rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\r\n]*)?\r\n"
_FIRST_CHUNK, _NEXT_CHUNK = re.compile(_LENGTH), re.compile(rb"\r\n" + _LENGTH)
_TRAILERS = re.compile(rb"(?:[^\r\n]+\r?\n)*\r?\n")

Headers = Sequence[tuple[bytes, bytes]]


class BadHTTPError(ValueError):
    """What was to be sent, or what came, is not HTTP/1.1."""


def request_head(method: str, target: bytes, headers: Headers) -> bytes:
    """Write a request's head.

    Raises:
        BadHTTPError: A header would break out of its line. The message names it and keeps its value.
    """
    lines = [b"%s %s HTTP/1.1" % (method.encode("ascii"), target)]
    for name, value in headers:
        if not _NAME.fullmatch(name) or _UNSAFE.search(value):
            raise BadHTTPError(f"the header {name[:100]!r} holds characters that cannot stand there")
        lines.append(b"%s: %s" % (name, value.strip(b" \t")))
    return b"\r\n".join(lines) + b"\r\n\r\n"


class AnswerReader:
    """A push parser: `feed` it bytes, it gives the part of the body that they hold; `close` it where they end."""

    def __init__(self) -> None:
        self.status_code = 0
        """0 until the head is whole."""
        self.headers: list[tuple[bytes, bytes]] = []
        self.is_done = False
        self.can_go_on = True
        """Another request may follow on this connection, once this answer is done."""
        self.has_begun = False
        """Anything has come."""
        self.failure: BadHTTPError | None = None
        """What is wrong with a body whose head came in the same piece; the head is good."""
        self._held = b""
        self._is_chunked = False
        self._left: int | None = None
        """Bytes that are to come, of the body or of its present chunk; None: all until the connection ends."""
        self._line = _FIRST_CHUNK
        self._in_trailers = False

    def feed(self, data: bytes) -> bytes:
        """Give what of the body is in `data`.

        Raises:
            BadHTTPError: This is no answer in HTTP/1.1.
        """
        self.has_begun = True
        if self.status_code:
            return self._body(data)
        data = self._head(data)
        if not self.status_code:
            return b""
        try:
            return self._body(data)
        except BadHTTPError as error:
            self.failure = error
            return b""

    def _body(self, data: bytes) -> bytes:
        if self.is_done:
            self.can_go_on = self.can_go_on and not data
            return b""
        if self._is_chunked:
            return self._chunks(data)
        if self._left is None:
            return data
        body = data[: self._left]
        self._left -= len(body)
        if not self._left:
            self.is_done = True
            self.can_go_on = self.can_go_on and len(body) == len(data)
        return body

    def close(self) -> None:
        """Say that the connection has ended.

        Raises:
            BadHTTPError: The answer has not.
        """
        self.can_go_on = False
        if self.is_done:
            return
        if not self.has_begun:
            raise BadHTTPError("the server closed the connection without an answer")
        if not self.status_code or self._is_chunked or self._left is not None:
            raise BadHTTPError("the server closed the connection within its answer")
        self.is_done = True

    def _head(self, data: bytes) -> bytes:
        """Read the head, and give what follows it; what is no whole head is held."""
        searched = max(0, len(self._held) - 3)
        data = self._held + data
        while (end := _HEAD_END.search(data, searched)) is not None:
            self._fields(data[: end.start()])
            data, searched = data[end.end() :], 0
            if self.status_code >= 200:
                self._held = b""
                self._frame()
                return data
            if self.status_code == 101:
                raise BadHTTPError("the server changes to another protocol")
            self.status_code = 0  # 100 Continue, 103 Early Hints: the answer follows
        if len(data) > MAX_HEAD_BYTES:
            raise BadHTTPError(f"the head of the answer is larger than {MAX_HEAD_BYTES // 1024} KiB")
        if not b"HTTP/1.".startswith(data[:7]):
            raise BadHTTPError(f"the answer is not HTTP/1.1; it begins with {data[:20]!r}")
        self._held = data
        return b""

    def _fields(self, head: bytes) -> None:
        line, _, rest = head.partition(b"\n")
        found = _STATUS.fullmatch(line.rstrip(b"\r"))
        if found is None:
            raise BadHTTPError(f"the answer is not HTTP/1.1; it begins with {line[:20]!r}")
        if b"\n " in rest or b"\n\t" in rest:
            rest = _FOLD.sub(b" ", rest)
        self.headers = _FIELD.findall(rest)
        if len(self.headers) != (rest.count(b"\n") + 1 if rest else 0) or b"\0" in rest:
            raise BadHTTPError("a header of the answer is malformed")
        self.status_code = int(found[2])
        self.can_go_on = found[1] != b"0"

    def _frame(self) -> None:
        """Find out where the body will end (RFC 9112 §6.3)."""
        lengths: set[bytes] = set()
        for name, value in self.headers:
            if (name := name.lower()) == b"content-length":
                lengths |= {length.strip() for length in value.split(b",")}
            elif name == b"transfer-encoding":
                if value.lower() != b"chunked" or self._is_chunked:
                    raise BadHTTPError(f"the answer is packed as {value[:50]!r}, which was not asked for")
                self._is_chunked = True
            elif name == b"connection" and b"close" in value.lower():
                self.can_go_on = False
        if self.status_code in (204, 304):
            self.is_done = True
        elif self._is_chunked:
            self.can_go_on = self.can_go_on and not lengths  # both are told: someone between us may count otherwise
            self._left = 0
        elif lengths:
            length = lengths.pop()
            if lengths or not length.isdigit() or len(length) > 18:
                raise BadHTTPError("the length of the answer is malformed")
            self._left = int(length)
            self.is_done = not self._left
        else:
            self.can_go_on = False

    def _chunks(self, data: bytes) -> bytes:
        if self._held:
            data, self._held = self._held + data, b""
        pieces, at, left = [], 0, self._left or 0
        while not self._in_trailers:
            if left:
                piece = data[at : at + left]
                pieces.append(piece)
                at += len(piece)
                left -= len(piece)
                if left:
                    break
            found = self._line.match(data, at)
            if found is None:
                self._held = data[at:]
                if len(self._held) > MAX_LINE_BYTES or b"\n" in self._held[2:]:
                    raise BadHTTPError(f"a chunk of the answer has no length; it begins with {self._held[:20]!r}")
                break
            self._line = _NEXT_CHUNK
            at = found.end()
            left = int(found[1], 16)
            self._in_trailers = not left
        self._left = left
        if self._in_trailers:
            self._trailers(data[at:])
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _trailers(self, data: bytes) -> None:
        found = _TRAILERS.match(data)
        if found is not None:
            self.is_done = True
            self.can_go_on = self.can_go_on and found.end() == len(data)
        elif len(data) > MAX_HEAD_BYTES:
            raise BadHTTPError(f"the trailers of the answer are larger than {MAX_HEAD_BYTES // 1024} KiB")
        else:
            self._held = data

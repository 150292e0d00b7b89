"""_protocol/http1.py: an exchange of HTTP/1.1, its answer cut anywhere; h11 is asked what is right."""

from __future__ import annotations

import time

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from langchain_hf_inference._protocol.http1 import MAX_HEAD_BYTES, AnswerReader, BadHTTPError, request_head

OK = b"HTTP/1.1 200 OK\r\n"


def read(*pieces: bytes, ended: bool = False) -> tuple[AnswerReader, bytes]:
    reader = AnswerReader()
    body = [reader.feed(piece) for piece in pieces]
    if reader.failure:
        raise reader.failure
    if ended:
        reader.close()
    return reader, b"".join(body)


def by_h11(answer: bytes, *, ended: bool) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """Give status, headers and body as h11 reads them."""
    connection = h11.Connection(h11.CLIENT)
    connection.send(h11.Request(method="POST", target="/", headers=[("Host", "h"), ("Content-Length", "0")]))
    connection.send(h11.EndOfMessage())
    connection.receive_data(answer)
    if ended:
        connection.receive_data(b"")
    status, headers, body = 0, [], b""
    while not isinstance(event := connection.next_event(), h11.EndOfMessage):
        if event is h11.NEED_DATA:
            raise AssertionError("h11 waits for more")
        if isinstance(event, h11.Response):
            status, headers = event.status_code, list(event.headers)
        elif isinstance(event, h11.Data):
            body += bytes(event.data)
    return status, headers, body


TOKENS = st.text(
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'*+-.^_`|~", min_size=1, max_size=20
)
VALUES = st.text(st.characters(min_codepoint=0x21, max_codepoint=0xFF, exclude_characters="\x7f"), max_size=40)
FRAMES = st.sampled_from(["chunked", "length", "end"])
NOT_FRAMING = {"content-length", "transfer-encoding", "connection"}


@st.composite
def answers(draw: st.DrawFn) -> tuple[bytes, bool]:
    """Give an answer, and whether its end is the connection's."""
    fields = draw(st.lists(st.tuples(TOKENS.filter(lambda name: name.lower() not in NOT_FRAMING), VALUES), max_size=6))
    head = b"".join(f"{name}:{' ' * (i % 3)}{value}\r\n".encode("latin-1") for i, (name, value) in enumerate(fields))
    body, frame = draw(st.binary(max_size=600)), draw(FRAMES)
    status = draw(st.sampled_from([b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 404 \r\n", b"HTTP/1.1 500 Internal Error\r\n"]))
    early = draw(
        st.sampled_from([b"", b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n"])
    )
    if frame == "end":
        return early + status + head + b"\r\n" + body, True
    if frame == "length":
        return early + status + head + b"Content-Length: %d\r\n\r\n" % len(body) + body, False
    sizes = draw(st.lists(st.integers(1, 80), max_size=20))
    chunks, at = [], 0
    for size in [*sizes, len(body)]:
        if piece := body[at : at + size]:
            extension = draw(st.sampled_from([b"", b";a=b", b";c"])) if at == 0 else b""
            chunks.append(b"%x%s\r\n%s\r\n" % (len(piece), extension, piece))
        at += size
    trailer = draw(st.sampled_from([b"", b"X-Sum: 1\r\n"]))
    return early + status + head + b"Transfer-Encoding: chunked\r\n\r\n" + b"".join(
        chunks
    ) + b"0\r\n" + trailer + b"\r\n", False


@given(answers(), st.lists(st.integers(1, 200), max_size=30))
def test_like_h11(made: tuple[bytes, bool], cuts: list[int]) -> None:
    """However an answer is framed and cut, it is read as h11 reads the whole of it."""
    answer, ended = made
    pieces, at = [], 0
    for cut in [*cuts, len(answer)]:
        pieces.append(answer[at : at + cut])
        at += cut

    reader, body = read(*(piece for piece in pieces if piece), ended=ended)

    status, headers, expected = by_h11(answer, ended=ended)
    assert (reader.status_code, body, reader.is_done) == (status, expected, True)
    assert [(name.lower(), value) for name, value in reader.headers] == headers
    assert reader.can_go_on is not ended


@given(answers())
def test_byte_by_byte(made: tuple[bytes, bool]) -> None:
    """One byte at a time gives the same."""
    answer, ended = made
    reader, body = read(*(bytes([byte]) for byte in answer), ended=ended)
    assert (reader.is_done, body) == (True, read(answer, ended=ended)[1])


@given(
    st.lists(st.binary(max_size=60), max_size=8) | answers().map(lambda made: [made[0]]),
    st.integers(0, 300),
    st.binary(max_size=3),
)
def test_anything(pieces: list[bytes], at: int, noise: bytes) -> None:
    """Whatever comes, an answer is read or refused in our own words."""
    reader = AnswerReader()
    try:
        for piece in pieces:
            reader.feed(piece[:at] + noise + piece[at:])
        reader.close()
    except BadHTTPError:
        pass


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (b"HTTP/2 200 OK\r\n\r\n", "begins with b'HTTP/2"),
        (b"<html>", "begins with b'<html>'"),
        (b"HTTP/1.1 99 No\r\n\r\n", "not HTTP/1.1"),
        (b"HTTP/1.1 101 Switching\r\n\r\n", "another protocol"),
        (OK + b"no colon\r\n\r\n", "header of the answer"),
        (OK + b"bad name: x\r\n\r\n", "header of the answer"),
        (OK + b"x: a\0b\r\n\r\n", "header of the answer"),
        (OK + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\n", "length of the answer"),
        (OK + b"Content-Length: -3\r\n\r\n", "length of the answer"),
        (OK + b"Content-Length: 0x3\r\n\r\n", "length of the answer"),
        (OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n", "packed as"),
        (OK + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", "packed as"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n", "no length"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n+3\r\nabc\r\n", "no length"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n", "no length"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n" + b"0" * 9000, "no length"),
        (OK + b"x: " + b"a" * MAX_HEAD_BYTES, "larger than"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\nx: " + b"a" * MAX_HEAD_BYTES, "larger than"),
    ],
)
def test_refused(answer: bytes, told: str) -> None:
    """What is no answer, or could be read in two ways, is refused."""
    with pytest.raises(BadHTTPError, match=told):
        read(answer)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 2",
        OK,
        OK + b"Content-Length: 5\r\n\r\nabc",
        OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
    ],
)
def test_ended_early(answer: bytes) -> None:
    """A connection that ends within an answer is told, and one that ends before it apart from that."""
    with pytest.raises(BadHTTPError, match="within its answer" if answer else "without an answer"):
        read(*([answer] if answer else []), ended=True)


@pytest.mark.parametrize(
    ("answer", "can_go_on"),
    [
        (OK + b"Content-Length: 2\r\n\r\nab", True),
        (OK + b"Content-Length: 2\r\n\r\nabc", False),
        (OK + b"Content-Length: 0\r\n\r\nHTTP", False),
        (OK + b"Content-Length: 2, 2\r\n\r\nab", True),
        (OK + b"Connection: close\r\nContent-Length: 2\r\n\r\nab", False),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nab", False),
        (OK + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n", False),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\nHTTP/1.1", False),
        (b"HTTP/1.1 204 No Content\r\n\r\n", True),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", True),
        (b"HTTP/1.1 200\nContent-Length: 2\n\nab", True),
        (OK + b"X: a\r\n  b\r\nContent-Length: 2\r\n\r\nab", True),
    ],
)
def test_reuse(answer: bytes, can_go_on: bool) -> None:
    """A connection is used again only if its answer ended where it said."""
    reader, body = read(answer)
    assert (reader.is_done, reader.can_go_on, body) == (True, can_go_on, b"ab" if b"ab" in answer else b"")


def test_linear() -> None:
    """An answer of 4 MB in small reads, and in chunks of one byte, is read in time proportional to its size."""

    def seconds(count: int) -> float:
        begun = time.process_time()
        pieces = [b"1\r\na\r\n" * 100] * count
        read(OK + b"Transfer-Encoding: chunked\r\n\r\n", *pieces, b"0\r\n\r\n")
        one = b"%x\r\n" % (1000 * count)
        read(OK + b"Transfer-Encoding: chunked\r\n\r\n" + one, *([b"x" * 1000] * count), b"\r\n0\r\n\r\n")
        return time.process_time() - begun

    seconds(100)
    assert seconds(4000) < 40 * min(seconds(200) for _ in range(3))


@pytest.mark.parametrize(
    ("name", "value"), [(b"X-A", b"a\r\nEvil: 1"), (b"X-A", b"a\0"), (b"X A", b"a"), (b"", b"a"), (b"X\r\n", b"a")]
)
def test_headers_stay_in_their_lines(name: bytes, value: bytes) -> None:
    """A header that would write another is refused, by its name and without its value."""
    with pytest.raises(BadHTTPError) as caught:
        request_head("POST", b"/v1", [(b"Host", b"h"), (name, value)])
    assert "Evil" not in str(caught.value)


def test_request_head() -> None:
    """A head is written as RFC 9112 wants it."""
    assert (
        request_head("GET", b"/v1?a=b", [(b"Host", b"h:1"), (b"X-A", b" b ")])
        == b"GET /v1?a=b HTTP/1.1\r\nHost: h:1\r\nX-A: b\r\n\r\n"
    )

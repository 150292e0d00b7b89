"""_protocol/sse.py: bytes cut anywhere to events."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langchain_hf_inference._protocol import sse
from langchain_hf_inference._protocol.sse import ServerSentEvent, SSEDecoder
from langchain_hf_inference.errors import StreamError


def decoded(*chunks: bytes) -> list[ServerSentEvent]:
    decoder = SSEDecoder()
    return [event for chunk in chunks for event in decoder.feed(chunk)] + decoder.close()


@pytest.mark.parametrize(
    ("stream", "events"),
    [
        (b"data: {}\n\n", [(b"{}", "")]),
        (b"data:{}\n\n", [(b"{}", "")]),
        (b"data: a\r\n\r\ndata: b\r\n\r\n", [(b"a", ""), (b"b", "")]),
        (b"data: a\r\rdata: b\r\r", [(b"a", ""), (b"b", "")]),
        (b"data: a\ndata: b\n\n", [(b"a\nb", "")]),
        (b"data: a", [(b"a", "")]),
        (b": keep-alive\n\ndata: a\n\n", [(b"a", "")]),
        (b": FEATHERLESS PROCESSING\ndata: a\n\n", [(b"a", "")]),
        (b"event: error\ndata: a\n\ndata: b\n\n", [(b"a", "error"), (b"b", "")]),
        (b'error: {"code":400}\n\ndata: [DONE]\n\n', [(b'{"code":400}', "error"), (b"[DONE]", "")]),
        (b"id: 7\nretry: 10\ndata: a\n\n", [(b"a", "")]),
        (b"data\n\n", [(b"", "")]),
        (b"\xef\xbb\xbfdata: a\n\n", [(b"a", "")]),
        ("data: a\u2028b\u0085c\n\n".encode(), [("a\u2028b\u0085c".encode(), "")]),
        (b"\n\n\n", []),
        (b"", []),
    ],
)
def test_framing(stream: bytes, events: list[tuple[bytes, str]]) -> None:
    """Each form of framing seen in the wild gives its events, whole and byte by byte."""
    expected = [ServerSentEvent(data, event) for data, event in events]

    assert decoded(stream) == expected
    assert decoded(*[stream[i : i + 1] for i in range(len(stream))]) == expected


@given(st.lists(st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\r\n")), min_size=1), st.data())
def test_any_cut(texts: list[str], data: st.DataObject) -> None:
    """However a stream is cut, the same events come out."""
    stream = b"".join(b"data: " + text.encode() + b"\n\n" for text in texts)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)))))

    chunks = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]

    assert [event.data.decode() for event in decoded(*chunks)] == texts


@given(st.binary(), st.integers(1, 5))
def test_any_bytes(stream: bytes, size: int) -> None:
    """No bytes make the decoder fail, and the cut does not matter."""
    assert decoded(*[stream[i : i + size] for i in range(0, len(stream), size)]) == decoded(stream)


def test_bare_json_is_kept() -> None:
    """A body that is no event stream is kept aside, to be read as an error."""
    decoder = SSEDecoder()

    assert decoder.feed(b'{"error": "no",\n "code": 1}') + decoder.close() == []
    assert decoder.stray == b'{"error": "no",\n "code": 1}\n'


def test_huge_event_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    """An event beyond the limit raises instead of filling the memory."""
    monkeypatch.setattr(sse, "MAX_EVENT_BYTES", 1000)
    decoder = SSEDecoder()

    with pytest.raises(StreamError, match="larger than"):
        for _ in range(11):
            decoder.feed(b"data: " + b"x" * 100)

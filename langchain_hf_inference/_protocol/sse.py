"""Bytes, cut anywhere, to server-sent events.

Rules, from the WHATWG specification and from what servers really send:

* Lines end at LF, CRLF or CR and nowhere else: U+2028 and U+0085 are ordinary text, which
  is why `str.splitlines` and httpx's `iter_lines` cannot be used.
* A blank line ends an event, and so does the end of the stream (some servers omit the last).
* `id`, `retry` and unknown fields are ignored, except a field named `error`, in which
  llama.cpp before September 2025 reported failures (ggml-org/llama.cpp PR 16109).
* A line that is no field at all is kept aside: some proxies answer a stream with bare JSON.
"""

from __future__ import annotations

from dataclasses import dataclass

from langchain_hf_inference.errors import StreamError

MAX_EVENT_BYTES = 32 * 1024 * 1024
"""An event or line beyond this is a broken or hostile server; an image in base64 is below it."""
MAX_STRAY_BYTES = 1024 * 1024
"""A whole answer sent instead of events fits in."""


@dataclass(frozen=True, slots=True)
class ServerSentEvent:
    """One event: `data` as bytes (still JSON), `event` its name or ""."""

    data: bytes
    event: str = ""

    @property
    def is_end(self) -> bool:
        """Tell OpenAI's mark of the end, `[DONE]`."""
        return self.data.strip() == b"[DONE]"


class SSEDecoder:
    """A push decoder: `feed` it bytes, it gives the events completed by them; `close` it at the end."""

    def __init__(self) -> None:
        self._tail: list[bytes] = []
        self._tail_bytes = 0
        self._data: list[bytes] = []
        self._data_bytes = 0
        self._event = ""
        self._started = False
        self.stray = b""
        """The lines that were no fields, as long as no event had come: a bare JSON or HTML body."""

    def feed(self, chunk: bytes) -> list[ServerSentEvent]:
        """Give the events that `chunk` completes, in order.

        Raises:
            StreamError: An event is larger than `MAX_EVENT_BYTES`.
        """
        if (
            chunk[-2:] == b"\n\n"
            and chunk[:6] == b"data: "
            and not (self._tail or self._data or self._event)
            and chunk.count(b"\n") == 2
            and b"\r" not in chunk
        ):  # one event alone, as servers write them
            self._check_size(len(chunk))
            self._started = True
            return [ServerSentEvent(chunk[6:-2])]
        if b"\n" not in chunk and b"\r" not in chunk:
            self._keep(chunk)
            return []
        text = b"".join([*self._tail, chunk])
        self._tail, self._tail_bytes = [], 0
        if b"\r" in text:
            # A CR at the very end may be half of a CRLF: keep it for the next feed.
            held = b"\r" if text.endswith(b"\r") else b""
            text = text[: len(text) - len(held)].replace(b"\r\n", b"\n").replace(b"\r", b"\n")
            lines = text.split(b"\n")
            self._keep(lines.pop() + held)
        else:
            lines = text.split(b"\n")
            self._keep(lines.pop())
        return self._events(lines)

    def close(self) -> list[ServerSentEvent]:
        """Give what the end of the stream completes: a last event without its blank line."""
        rest = b"".join(self._tail)
        self._tail, self._tail_bytes = [], 0
        return self._events([*rest.replace(b"\r", b"\n").split(b"\n"), b""])

    def _keep(self, tail: bytes) -> None:
        if not tail:
            return
        self._tail.append(tail)
        self._tail_bytes += len(tail)
        self._check_size(self._tail_bytes)

    def _events(self, lines: list[bytes]) -> list[ServerSentEvent]:
        events: list[ServerSentEvent] = []
        for line in lines:
            if line.startswith(b"data:"):
                self._data.append(line[6:] if line.startswith(b"data: ") else line[5:])
                self._data_bytes += len(line)
                self._check_size(self._data_bytes)
            elif not line:
                if self._data:
                    data = self._data[0] if len(self._data) == 1 else b"\n".join(self._data)
                    events.append(ServerSentEvent(data, self._event))
                    self._started, self._data, self._data_bytes = True, [], 0
                self._event = ""
            else:
                self._field(line, events)
        return events

    def _field(self, line: bytes, events: list[ServerSentEvent]) -> None:
        name, colon, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"event":
            self._event = value.decode("utf-8", "replace")
        elif name == b"error":
            events.append(ServerSentEvent(value, "error"))
            self._started = True
        elif name == b"data":  # a field without a colon has an empty value
            self._data.append(b"")
        elif name.startswith(b"\xef\xbb\xbf") and not self._started:  # a byte order mark
            self._events_after_mark(line, events)
        elif (not colon or not name.isalpha()) and name and not self._started:
            self.stray = (self.stray + line + b"\n")[:MAX_STRAY_BYTES]

    def _events_after_mark(self, line: bytes, events: list[ServerSentEvent]) -> None:
        events += self._events([line.removeprefix(b"\xef\xbb\xbf")])

    def _check_size(self, size: int) -> None:
        if size > MAX_EVENT_BYTES:
            raise StreamError(f"an event of the stream is larger than {MAX_EVENT_BYTES // 2**20} MiB")

"""A fast server on loopback, in a process of its own: whole answers and streams from bytes made beforehand.

The path says what comes: /m/<kind>-<count>-<delay ms>/…, with kind text, think, tools, paced or big. A stream is sent at
once, "paced" one event each 5 ms with the clock for its text; the answer of "big" has so many characters. Paths that end
in /generate_stream or at the kind itself answer as TGI. GET /connections tells how many were opened.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from functools import cache

WORDS = [
    "the",
    "sky",
    "is",
    "blue",
    "because",
    "air",
    "scatters",
    "short",
    "waves",
    "of",
    "light",
    "more",
    "than",
    "long",
    "ones",
    "größer",
    "模型",
]
HEAD = {
    "id": "chatcmpl-1",
    "object": "chat.completion.chunk",
    "created": 1767225600,
    "model": "org/name",
    "system_fingerprint": "b",
}
USAGE = {"prompt_tokens": 20, "completion_tokens": 100, "total_tokens": 120}


def dumped(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def event(delta: dict[str, object], reason: str | None = None) -> bytes:
    return (
        b"data: "
        + dumped({**HEAD, "choices": [{"index": 0, "delta": delta, "finish_reason": reason, "logprobs": None}]})
        + b"\n\n"
    )


@cache
def events(kind: str, count: int) -> list[bytes]:
    """Give the events of a stream: `count` pieces of text or of a call's arguments, then usage and [DONE]."""
    if kind == "tools":
        function = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "search", "arguments": ""}}
        text = json.dumps({"query": " ".join(WORDS[i % len(WORDS)] for i in range(count))}, ensure_ascii=False)
        step = max(1, len(text) // count)
        pieces = [text[i : i + step] for i in range(0, len(text), step)]
        found = [event({"role": "assistant", "content": None, "tool_calls": [function]})]
        found += [event({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}) for piece in pieces]
        found.append(event({}, "tool_calls"))
    else:
        field = "reasoning_content" if kind == "think" else "content"
        found = [event({"role": "assistant", "content": ""})]
        found += [event({field: " " + WORDS[i % len(WORDS)]}) for i in range(count)]
        found.append(event({}, "stop"))
    return [*found, b"data: " + dumped({**HEAD, "choices": [], "usage": USAGE}) + b"\n\n", b"data: [DONE]\n\n"]


@cache
def tgi_events(count: int) -> list[bytes]:
    """Give the events of TGI's own stream."""
    rows = [{"index": i + 1, "token": {"id": i, "text": " " + WORDS[i % len(WORDS)], "logprob": -0.25, "special": False},
             "generated_text": None, "details": None} for i in range(count)]  # fmt: skip
    rows[-1] |= {
        "generated_text": "all",
        "details": {"finish_reason": "length", "generated_tokens": count, "seed": None},
    }
    return [b"data:" + dumped(row) + b"\n\n" for row in rows]


@cache
def whole(kind: str, count: int) -> bytes:
    words = "x" * count if kind == "big" else " ".join(WORDS[i % len(WORDS)] for i in range(count))
    message = {"role": "assistant", "content": words}
    body = {
        **HEAD,
        "object": "chat.completion",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": USAGE,
    }
    return _headers(b"application/json", dumped(body))


@cache
def vectors(count: int) -> bytes:
    rows = [{"object": "embedding", "index": i, "embedding": [0.125, -0.5] * 192} for i in range(count)]
    return _headers(b"application/json", dumped({"object": "list", "data": rows, "model": "m", "usage": USAGE}))


@cache
def bare_vectors(count: int) -> bytes:
    return _headers(b"application/json", dumped([[0.125, -0.5] * 192] * count))


def _headers(kind: bytes, content: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s" % (kind, len(content), content)


def chunked(content: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(content), content)


@cache
def burst(kind: str, count: int) -> bytes:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    every = tgi_events(count) if kind == "tgi" else events(kind, count)
    return head + b"".join(map(chunked, every)) + b"0\r\n\r\n"


class Served(asyncio.Protocol):
    """One connection."""

    opened = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        Served.opened += 1
        self.transport, self.buffer = transport, b""

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            head = self.buffer[:end].lower()
            at = head.find(b"content-length:")
            length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            if len(self.buffer) < end + 4 + length:
                return
            path, body = self.buffer.split(b" ", 2)[1].decode(), self.buffer[end + 4 : end + 4 + length]
            self.buffer = self.buffer[end + 4 + length :]
            self.answer(path, body)

    def answer(self, path: str, body: bytes) -> None:
        if path == "/connections":
            return self.send(_headers(b"application/json", b"%d" % Served.opened))
        if not path.startswith("/m/") or path.endswith("/models"):
            return self.send(b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{}")
        kind, count, delay = path.split("/")[2].split("-")
        if path.endswith("/embeddings"):
            reply = vectors(len(json.loads(body)["input"]))
        elif b'"inputs":[' in body[:200].replace(b" ", b""):
            reply = bare_vectors(len(json.loads(body)["inputs"]))
        elif b'"inputs"' in body[:200]:
            reply = burst("tgi", int(count))
        elif b'"stream":true' in body or b'"stream": true' in body:
            if kind == "paced":
                asyncio.ensure_future(self.pace(int(count)))
                return None
            reply = burst(kind, int(count))
        else:
            reply = whole(kind, int(count))
        if int(delay):
            asyncio.get_running_loop().call_later(int(delay) / 1000, self.send, reply)
            return None
        return self.send(reply)

    async def pace(self, count: int) -> None:
        self.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(count):
            await asyncio.sleep(0.005)
            self.send(chunked(event({"content": f"{time.monotonic_ns()} "})))
        self.send(chunked(event({}, "stop")) + chunked(b"data: [DONE]\n\n") + b"0\r\n\r\n")

    def send(self, content: bytes) -> None:
        if not self.transport.is_closing():
            self.transport.write(content)  # type: ignore[attr-defined]


async def main() -> None:
    server = await asyncio.get_running_loop().create_server(Served, "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))

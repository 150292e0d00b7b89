"""A server on loopback that answers as it is told, and keeps what it was asked: for us and for our peers alike."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

COMPLETION: dict[str, Any] = {
    "id": "c1", "object": "chat.completion", "created": 1, "model": "served",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
}  # fmt: skip
TGI_INFO = {"router": "text-generation-router", "model_id": "org/m", "version": "3.3.4", "max_total_tokens": 4096}

Reply = tuple[int, dict[str, str], bytes]


def message(**fields: Any) -> dict[str, Any]:
    """Give an answer whose message has `fields`."""
    return {
        **COMPLETION,
        "choices": [{"index": 0, "message": {"role": "assistant", **fields}, "finish_reason": "stop"}],
    }


def events(*deltas: Any, usage: Any = None, done: bool = True) -> bytes:
    """Give a stream of deltas; what has "choices", or is no dict, stands as it is."""
    rows = [d if not isinstance(d, dict) or "choices" in d or "error" in d
            else {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "served",
                  "choices": [{"index": 0, "delta": d, "finish_reason": None}]} for d in deltas]  # fmt: skip
    if done:
        last = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "model": "served"}
        rows += [{"id": "c1", "object": "chat.completion.chunk", "created": 1, **last}]
    if usage:
        rows.append(
            {
                "id": "c1",
                "object": "chat.completion.chunk",
                "created": 1,
                "model": "served",
                "choices": [],
                "usage": usage,
            }
        )
    lines = "".join(f"data: {json.dumps(row)}\n\n" for row in rows)
    return (lines + ("data: [DONE]\n\n" if done else "")).encode()


class Loopback:
    """Serve as a context manager. `answer(method, path, body)` gives bytes of a stream, a JSON body, or a `Reply`."""

    def __init__(self, answer: Callable[[str, str, Any], Any] | Any = None) -> None:
        self.answer = answer if callable(answer) else lambda *_: COMPLETION if answer is None else answer
        self.asked: list[tuple[str, str]] = []
        self.headers: list[dict[str, str]] = []
        self.bodies: list[Any] = []
        self.open_connections = 0

    def __enter__(self) -> Self:
        self._server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"owner": self}))
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 512


class _Handler(BaseHTTPRequestHandler):
    owner: Loopback
    protocol_version = "HTTP/1.1"

    def setup(self) -> None:
        super().setup()
        self.owner.open_connections += 1

    def finish(self) -> None:
        self.owner.open_connections -= 1
        super().finish()

    def log_message(self, *args: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        self._reply(None)

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.owner.bodies.append(json.loads(raw))
        self.owner.headers.append({name.lower(): value for name, value in self.headers.items()})
        self._reply(self.owner.bodies[-1])

    def _reply(self, body: Any) -> None:
        self.owner.asked.append((self.command, self.path))
        answer = self.owner.answer(self.command, self.path, body)
        if answer is None or (self.command == "GET" and not callable(self.owner.answer)):
            answer = (404, {}, b'{"detail": "Not Found"}')
        if isinstance(answer, tuple):
            status, headers, content = answer
        elif isinstance(answer, bytes):
            status, headers, content = 200, {"Content-Type": "text/event-stream"}, answer
        else:
            status, headers, content = 200, {"Content-Type": "application/json"}, json.dumps(answer).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        with suppress(ConnectionError):
            self.wfile.write(content)

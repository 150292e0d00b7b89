"""The scripted server itself: HTTP on loopback in a thread, recording requests and showing faults."""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from langchain_hf_inference.testing import facts, routes
from langchain_hf_inference.testing.faults import Fault
from langchain_hf_inference.testing.strict import RefusedError


@dataclass(frozen=True, slots=True)
class RecordedRequest:
    """One request as the server received it; header names in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any


class InferenceServer:
    """A scripted stand-in for TGI, vLLM, TEI and other servers. Not a language model.

    Serves chat completions, text completions, TGI's `/generate`, OpenAI's and TEI's embeddings, TEI's
    `/rerank` and `/predict`, each whole and streamed where the API has streams, TGI's tokenizer and the
    router's offers. Use it as a context
    manager, or call `start` and `stop`.

    Args:
        models: Names that are served; any other is refused with 404. None serves every name.
        api_key: The token that requests must bear; None asks for none.
        engine: "tgi" or "tei" to say so under `/info`; None is an unnamed OpenAI-compatible server.
        dimensions: Length of embedding vectors.
        chunk_delay: Seconds between the events of a stream.
        extra_fields: Further fields that chat and completion bodies may hold.
        context_length: The most tokens (words) of a chat prompt; a longer one is refused as vLLM does.
        host: The address to serve on.
        port: 0 takes a free one.
    """

    def __init__(
        self,
        *,
        models: Sequence[str] | None = None,
        api_key: str | None = None,
        engine: str | None = None,
        dimensions: int = 64,
        chunk_delay: float = 0.0,
        extra_fields: Sequence[str] = (),
        context_length: int | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self.requests: list[RecordedRequest] = []
        """Every POST received, oldest first."""
        self.connections = 0
        """Connections accepted so far."""
        self.chunk_delay = chunk_delay
        self._api_key = api_key
        self._options = facts.Options(tuple(models or ()), engine, dimensions, frozenset(extra_fields), context_length)
        self._faults: deque[Fault] = deque()
        self._lock = threading.Lock()
        self._address = (host, port)
        self._server: ThreadingHTTPServer | None = None
        self._stopping = threading.Event()

    @property
    def url(self) -> str:
        """The address to give as `endpoint_url`."""
        if self._server is None:
            raise RuntimeError("the server is not running; use it in a with block, or call start()")
        return f"http://{self._address[0]}:{self._server.server_port}"

    def fail(self, fault: Fault, times: int = 1) -> None:
        """Show `fault` to the next `times` requests, after those that were asked for before."""
        with self._lock:
            self._faults.extend([fault] * times)

    def start(self) -> Self:
        """Start serving; returns at once."""
        handler = type("Handler", (_Handler,), {"owner": self})
        self._server = _Server(self._address, handler)
        self._stopping.clear()
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def stop(self) -> None:
        """Stop serving; open connections are dropped."""
        self._stopping.set()
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _next_fault(self) -> Fault | None:
        with self._lock:
            return self._faults.popleft() if self._faults else None


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 2048

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a client that went away is an ordinary thing here."""


class _Handler(BaseHTTPRequestHandler):
    owner: InferenceServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # headers and a short body in one packet

    def setup(self) -> None:
        super().setup()
        with self.owner._lock:
            self.owner.connections += 1

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Say nothing."""

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        name = path.removeprefix("/v1/models/")
        if name != path and "/" in name:  # as the router answers
            return self._send(200, facts.offers(name).body)
        if path == "/api/whoami-v2":  # as the Hub answers
            given, key = self.headers.get("authorization"), self.owner._api_key
            if given is None or (key is not None and given != f"Bearer {key}"):
                return self._send(401, {"error": "Invalid username or password."})
            return self._send(200, facts.account().body)
        reply = {"/v1/models": facts.models, "/info": facts.info}.get(path, lambda _: None)(self.owner._options)
        if path == "/health":
            self._send(200, {})
        elif reply is None:
            self._send(404, {"detail": "Not Found"})
        else:
            self._send(200, reply.body)
        return None

    def do_POST(self) -> None:
        owner, path = self.owner, urlsplit(self.path).path
        raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        try:
            body = json.loads(raw)
        except ValueError:
            body = None
        headers = {name.lower(): value for name, value in self.headers.items()}
        owner.requests.append(RecordedRequest("POST", self.path, headers, body if body is not None else raw))
        if owner._api_key is not None and headers.get("authorization") != f"Bearer {owner._api_key}":
            return self._refuse(401, "Incorrect API key provided", None)
        fault = owner._next_fault()
        if fault is not None and fault.status is not None:
            return self._send(fault.status, fault.body, fault.headers)
        route = routes.route_of(path)
        if route is None:
            return self._send(404, {"detail": "Not Found"})
        if not isinstance(body, dict):
            return self._refuse(400, "the body is not a JSON object", None)
        try:
            reply = route(body, owner._options)
        except RefusedError as refused:
            status = 404 if refused.param == "model" else 422 if "batch size" in str(refused) else 400
            return self._refuse(status, str(refused), refused.param)
        if reply is None:
            return self._send(404, {"detail": "Not Found"})
        if reply.events is not None:
            return self._stream(reply, fault)
        return self._whole(reply.body, fault)

    def _refuse(self, status: int, reason: str, param: str | None) -> None:
        error = {"message": reason, "type": "invalid_request_error", "param": param, "code": None}
        self._send(status, {"error": error})

    def _send(self, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
        content = body.encode() if isinstance(body, str) else json.dumps(body, ensure_ascii=False).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.send_header("x-request-id", f"scripted-{len(self.owner.requests)}")
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)
        self.wfile.flush()

    def _whole(self, body: Any, fault: Fault | None) -> None:
        if fault is not None and fault.stall_s:
            self.owner._stopping.wait(fault.stall_s)
        if fault is not None and fault.cut:
            self._break()
        elif fault is not None and fault.error is not None:
            self._send(500, fault.error)
        else:
            self._send(200, body)

    def _stream(self, reply: facts.Reply, fault: Fault | None) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.send_header("x-request-id", f"scripted-{len(self.owner.requests)}")
        self.end_headers()
        for position, event in enumerate(reply.events or ()):
            if fault is not None and position == fault.after_events:
                if fault.cut:
                    return self._break()
                if fault.error is not None:
                    self._event(json.dumps(fault.error))
                    break
                self.wfile.flush()
                self.owner._stopping.wait(fault.stall_s)
            if self.owner.chunk_delay:
                self.wfile.flush()
                time.sleep(self.owner.chunk_delay)
            self._event(json.dumps(event, ensure_ascii=False))
        if reply.done:
            self._event("[DONE]")
        self.wfile.write(b"0\r\n\r\n")
        self.wfile.flush()
        return None

    def _event(self, data: str) -> None:
        content = f"data: {data}\n\n".encode()
        self.wfile.write(b"%x\r\n%s\r\n" % (len(content), content))

    def _break(self) -> None:
        self.wfile.flush()
        self.close_connection = True

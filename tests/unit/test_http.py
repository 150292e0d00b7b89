"""_transport: sending, retrying, failing over, streaming; sync and async through one body."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from calling import Call, both_ways
from langchain_core.callbacks import AsyncCallbackHandler, BaseCallbackHandler
from tenacity import RetryCallState

from conftest import COMPLETION, FarEnd
from langchain_hf_inference import (
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    ChatHFInference,
    ConfigurationError,
    InvalidRequestError,
    ModelLoadingError,
    RateLimitError,
    ResponseFormatError,
    ServerError,
    StreamError,
)
from langchain_hf_inference.testing import Fault, InferenceServer

pytestmark = both_ways
FarEndMaker = Callable[..., FarEnd]
ERROR_503 = httpx.Response(503, json={"error": "unhealthy"})
CHUNK = b'data: {"id":"1","model":"served","choices":[{"index":0,"delta":{"content":"Hi"}}]}\n\n'
FINISH = b'data: {"id":"1","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'


def events(*bodies: Any) -> bytes:
    return b"".join(b"data: " + json.dumps(body).encode() + b"\n\n" for body in bodies)


def test_router_request(call: Call, far_end: FarEndMaker) -> None:
    """A request to the router has its URL, its token, who pays, and the model first."""
    far = far_end()

    message = call.invoke(far.model(bill_to="my-org"), "Hello")

    (request,) = far.requests
    assert str(request.url) == "https://router.huggingface.co/v1/chat/completions"
    assert request.headers["authorization"] == "Bearer hf_test"
    assert request.headers["x-hf-bill-to"] == "my-org"
    assert request.headers["user-agent"].startswith("langchain-hf-inference/")
    assert request.content.startswith(b'{"model":"org/name","messages":')
    assert message.text == "Hi"


def test_retries_and_tells(call: Call, far_end: FarEndMaker) -> None:
    """Passing failures are tried again, the handlers told of each."""
    seen: list[int] = []

    class Handler(BaseCallbackHandler):
        def on_retry(self, retry_state: RetryCallState, **kwargs: Any) -> None:
            seen.append(retry_state.attempt_number)

    class AsyncHandler(AsyncCallbackHandler):
        async def on_retry(self, retry_state: RetryCallState, **kwargs: Any) -> None:
            seen.append(retry_state.attempt_number)

    far = far_end(ERROR_503, ERROR_503, COMPLETION)
    handler = AsyncHandler() if call.is_async else Handler()

    message = call.invoke(far.model(), "Hello", config={"callbacks": [handler]})

    assert (message.text, len(far.requests), seen) == ("Hi", 3, [1, 2])
    assert all(0 <= seconds <= 2 for seconds in far.slept)


def test_retry_after_is_kept(call: Call, far_end: FarEndMaker) -> None:
    """The wait that the server asks for is slept, and up to a tenth more; one beyond a minute is not, but told."""
    far = far_end(httpx.Response(429, headers={"retry-after": "7"}), COMPLETION)
    assert call.invoke(far.model(), "Hello").text == "Hi"
    assert 7.0 <= far.slept[0] <= 7.7

    far = far_end(httpx.Response(429, headers={"retry-after": "3600"}))
    with pytest.raises(RateLimitError) as failure:
        call.invoke(far.model(), "Hello")
    assert (failure.value.retry_after, far.slept, len(far.requests)) == (3600, [], 1)


def test_gives_up(call: Call, far_end: FarEndMaker) -> None:
    """After max_retries the last failure comes, with all that is known of it."""
    far = far_end(
        httpx.Response(503, json={"error": "Model is loading", "estimated_time": 0.1}, headers={"x-request-id": "r1"})
    )

    with pytest.raises(ModelLoadingError) as failure:
        call.invoke(far.model(max_retries=3), "Hello")

    assert (len(far.requests), failure.value.request_id, failure.value.status_code) == (4, "r1", 503)


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 422])
def test_not_retried(call: Call, far_end: FarEndMaker, status: int) -> None:
    """What would fail again is sent once."""
    far = far_end(httpx.Response(status, json={"error": "no"}))

    with pytest.raises(APIStatusError):
        call.invoke(far.model(), "Hello")

    assert len(far.requests) == 1


def test_connection_errors(call: Call, far_end: FarEndMaker) -> None:
    """A refused connection is tried again; a read timeout is not, since the answer may be in the making."""
    far = far_end(httpx.ConnectError("refused"), COMPLETION)
    assert call.invoke(far.model(), "Hello").text == "Hi"

    far = far_end(httpx.ReadTimeout("slow"))
    with pytest.raises(
        APITimeoutError, match="no response from https://router.huggingface.co/v1/chat/completions in time"
    ) as failure:
        call.invoke(far.model(), "Hello")
    assert (len(far.requests), isinstance(failure.value, TimeoutError)) == (1, True)

    far = far_end(httpx.ConnectTimeout("slow"), COMPLETION)
    assert call.invoke(far.model(), "Hello").text == "Hi"

    far = far_end(httpx.RemoteProtocolError("Server disconnected without sending a response."))
    with pytest.raises(APIConnectionError, match="broke before a response"):
        call.invoke(far.model(max_retries=1), "Hello")
    assert len(far.requests) == 1


def test_no_token_in_causes(call: Call, far_end: FarEndMaker) -> None:
    """The cause of an error does not bear the request and its token along."""
    with pytest.raises(APIConnectionError) as failure:
        call.invoke(far_end(httpx.ConnectError("refused")).model(max_retries=0), "Hello")

    assert failure.value.__cause__._request is None  # type: ignore[union-attr]


def test_fail_over(call: Call, far_end: FarEndMaker) -> None:
    """Providers are tried in order, each with its retries, until one answers."""
    far = far_end(ERROR_503, httpx.Response(404, json={"error": "no such model"}), COMPLETION)

    message = call.invoke(far.model(provider=["groq", "novita", "together"], max_retries=0), "Hello")

    assert message.text == "Hi"
    assert [body["model"] for body in far.bodies] == ["org/name:groq", "org/name:novita", "org/name:together"]


def test_fail_over_in_streams(call: Call, far_end: FarEndMaker) -> None:
    """A stream fails over before its first token, and not after it."""
    far = far_end(events({"error": {"message": "Model is overloaded", "code": 503}}), CHUNK + FINISH)
    assert call.total(far.model(provider=["groq", "novita"], max_retries=0), "Hello").text == "Hi"
    assert len(far.requests) == 2

    far = far_end(CHUNK + events({"error": {"message": "down", "code": 503}}))
    with pytest.raises(StreamError):
        call.total(far.model(provider=["groq", "novita"]), "Hello")
    assert len(far.requests) == 1


def test_no_fail_over_for_bad_requests(call: Call, far_end: FarEndMaker) -> None:
    """A request that is wrong is wrong for all providers."""
    far = far_end(httpx.Response(400, json={"error": "bad"}))

    with pytest.raises(InvalidRequestError):
        call.invoke(far.model(provider=["groq", "novita"]), "Hello")

    assert len(far.requests) == 1


def test_stream_options_refused(call: Call, far_end: FarEndMaker) -> None:
    """A server that refuses stream_options is asked again without, and never again with them."""

    def answer(request: httpx.Request) -> Any:
        if "stream_options" in json.loads(request.content):
            return httpx.Response(422, json={"detail": "Unsupported fields in the request: {'stream_options'}"})
        return CHUNK + FINISH

    far = far_end(answer)
    model = far.model()

    assert call.total(model, "Hello").text == "Hi"
    assert call.total(model, "Hello").text == "Hi"
    assert ["stream_options" in body for body in far.bodies] == [True, False, False]


def test_first_event_is_retried(call: Call, far_end: FarEndMaker) -> None:
    """A failure reported by the first event counts as if the status had said it."""
    far = far_end(events({"error": "Model is overloaded", "error_type": "overloaded"}), CHUNK + FINISH)

    assert call.total(far.model(), "Hello").text == "Hi"
    assert len(far.requests) == 2


def test_stream_status_errors(call: Call, far_end: FarEndMaker) -> None:
    """A stream that does not open is retried or raised by its status, its body read."""
    far = far_end(ERROR_503, CHUNK + FINISH)
    assert call.total(far.model(), "Hello").text == "Hi"

    with pytest.raises(InvalidRequestError, match="too bad"):
        call.total(far_end(httpx.Response(400, json={"error": "too bad"})).model(), "Hello")


def test_redirects_are_not_followed(call: Call, far_end: FarEndMaker) -> None:
    """A redirect is an error: the token goes nowhere else."""
    far = far_end(httpx.Response(307, headers={"location": "https://evil.example/"}))

    with pytest.raises(InvalidRequestError, match="redirects are not followed"):
        call.invoke(far.model(), "Hello")
    assert len(far.requests) == 1


def test_unreadable_answers(call: Call, far_end: FarEndMaker) -> None:
    """A good status with HTML, with JSON of another kind, or with an error inside, is told as what it is."""
    page = httpx.Response(200, headers={"content-type": "text/html"}, text="<html>login</html>")
    with pytest.raises(ResponseFormatError, match="not JSON.*login"):
        call.invoke(far_end(page).model(), "Hello")
    with pytest.raises(ResponseFormatError, match="holds no chat completion"):
        call.invoke(far_end({"data": []}).model(), "Hello")
    with pytest.raises(ServerError, match="boom"):
        call.invoke(far_end({"error": {"message": "boom", "code": 500}}).model(), "Hello")
    with pytest.raises(ServerError, match="ended the answer with 'abort'"):
        call.invoke(far_end({"choices": [{"message": {"content": "x"}, "finish_reason": "abort"}]}).model(), "Hello")


def test_headers(call: Call, far_end: FarEndMaker) -> None:
    """default_headers go along and win; scale_up_timeout goes to endpoints."""
    far = far_end()
    own = {"X-Mine": "1", "authorization": "Basic x"}
    with pytest.warns(UserWarning, match="bill_to"):
        model = far.model(default_headers=own, endpoint_url="http://h:1", scale_up_timeout=300, bill_to="o")

    call.invoke(model, "Hello")

    headers = far.requests[0].headers
    assert (headers["x-mine"], headers.get_list("authorization"), headers["x-scale-up-timeout"]) == (
        "1",
        ["Basic x"],
        "300",
    )
    assert "x-hf-bill-to" not in headers


def test_real_cut(call: Call, server: InferenceServer) -> None:
    """A connection that breaks in the middle of a stream raises, with what had come."""
    server.fail(Fault.cut_stream(after_events=3))
    model = ChatHFInference(endpoint_url=server.url, model="m", engine="openai")

    with pytest.raises(StreamError, match="was interrupted") as failure:
        call.total(model, "one two three")

    assert failure.value.partial is not None
    assert failure.value.partial.text == "You said:"
    assert len(server.requests) == 1


def test_real_stall(call: Call, server: InferenceServer) -> None:
    """A stream that falls silent is a timeout, in about stream_chunk_timeout seconds, with what had come."""
    server.fail(Fault.stalled(30, after_events=3))
    model = ChatHFInference(endpoint_url=server.url, model="m", engine="openai", stream_chunk_timeout=0.3)
    begun = time.monotonic()

    with pytest.raises(APITimeoutError, match="stalled; raise stream_chunk_timeout") as failure:
        call.total(model, "one two three")

    assert time.monotonic() - begun < 5
    assert isinstance(failure.value, TimeoutError)
    assert failure.value.partial is not None
    assert failure.value.partial.text == "You said:"


def test_real_silence(call: Call, server: InferenceServer) -> None:
    """A server that does not answer in time is a timeout, and is not asked twice."""
    server.fail(Fault.stalled(30))
    model = ChatHFInference(endpoint_url=server.url, model="m", engine="openai", timeout=0.3)

    with pytest.raises(APITimeoutError, match="in time; raise timeout"):
        call.invoke(model, "Hello")

    assert len(server.requests) == 1


def test_real_in_stream_error(call: Call, server: InferenceServer) -> None:
    """An error inside a stream comes with the server's words and the partial message."""
    server.fail(Fault.in_stream("out of memory", after_events=3))
    model = ChatHFInference(endpoint_url=server.url, model="m", engine="openai")

    with pytest.raises(StreamError, match="in the middle of its answer: 500 from .* out of memory") as failure:
        call.total(model, "one two three")

    assert (failure.value.partial.text, failure.value.status_code) == ("You said:", 500)  # type: ignore[union-attr]


def test_nobody_there(call: Call) -> None:
    """A port where nobody listens is APIConnectionError, naming it."""
    model = ChatHFInference(endpoint_url="http://127.0.0.1:9", model="m", max_retries=0)

    with pytest.raises(APIConnectionError, match="could not connect to http://127.0.0.1:9/v1/chat/completions"):
        call.invoke(model, "Hello")


def test_connection_is_used_again(call: Call, server: InferenceServer) -> None:
    """Calls and streams of one loop use one connection, whole answers and streams alike."""
    import asyncio

    model = ChatHFInference(endpoint_url=server.url, model="m", engine="openai")
    opened: list[int] = []
    accept = server._server.get_request  # type: ignore[union-attr]

    def counted() -> Any:
        opened.append(1)
        return accept()

    server._server.get_request = counted  # type: ignore[union-attr, method-assign]

    async def several() -> None:
        for _ in range(3):
            await model.ainvoke("Hello")
            async for _chunk in model.astream("Hello"):
                pass

    if call.is_async:
        asyncio.run(several())
    else:
        for _ in range(3):
            model.invoke("Hello")
            list(model.stream("Hello"))

    assert (len(opened), len(server.requests)) == (1, 6)


def test_keep_alives_do_not_hide_a_stall(call: Call) -> None:
    """Comments are no events: a stream of nothing but keep-alives stalls too."""
    from http.server import BaseHTTPRequestHandler, HTTPServer
    from threading import Thread

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *args: Any) -> None: ...

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(CHUNK)
            try:
                for _ in range(100):
                    time.sleep(0.05)
                    self.wfile.write(b": keep-alive\n\n")
            except OSError:
                pass

    far = HTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=far.serve_forever, daemon=True).start()
    model = ChatHFInference(
        endpoint_url=f"http://127.0.0.1:{far.server_port}", model="m", engine="openai", stream_chunk_timeout=0.4
    )

    with pytest.raises(APITimeoutError, match="only keep-alives"):
        call.total(model, "Hello")
    far.shutdown()
    far.server_close()


def test_body_that_is_no_json(call: Call, far_end: FarEndMaker) -> None:
    """What JSON cannot say is refused before anything is sent."""
    far = far_end()

    with pytest.raises(ConfigurationError, match="cannot be written as JSON"):
        call.invoke(far.model(extra_body={"x": object()}), "Hello")
    assert far.requests == []


def test_retry_budget(call: Call, far_end: FarEndMaker) -> None:
    """A hundred calls to a server that is down make a hundred retries in all, and not two hundred; the error says why."""
    far = far_end(ERROR_503)
    model = far.model()
    notes = []
    for _ in range(100):
        with pytest.raises(ServerError) as failure:
            call.invoke(model, "Hello")
        notes.append(getattr(failure.value, "__notes__", []))

    assert 200 <= len(far.requests) <= 210  # a second gives one back, and this takes a few
    assert notes[0] == []
    assert "too many calls of this model" in notes[-1][0]


def test_answers_earn_retries(call: Call, far_end: FarEndMaker) -> None:
    """A good answer gives a fifth of a retry back, one that took a second try too."""
    far = far_end(ERROR_503, COMPLETION)
    model = far.model()
    budget = model._transport().budget
    budget.each_second = 0.0
    call.invoke(model, "Hello")
    assert budget.left == pytest.approx(99.2)
    call.invoke(model, "Hello")
    assert budget.left == pytest.approx(99.4)

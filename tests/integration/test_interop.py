"""Our models with what people use around httpx: mocks, recordings, tracing, logging, proxies, another backend.

All models are built by default, with no client given. Nothing here reaches a network.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import aiohttp
import httpx
import pytest
import respx
import sentry_sdk
import uvloop
import vcr
from loopback import Loopback, events, message
from opentelemetry import trace
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from pytest_httpx import HTTPXMock, IteratorStream
from sentry_sdk.envelope import Envelope
from sentry_sdk.integrations.httpx import HttpxIntegration
from sentry_sdk.transport import Transport

from interop.calls import FORMS, MOCKED_TEXT, PROMPT, Caller, Form, async_forms, every_form, stream_forms
from interop.mocks import Mock, Pieces, every_mock
from interop.proxy import ForwardProxy
from langchain_hf_inference import ChatHFInference, HFInferenceEmbeddings, HFInferenceLLM, errors
from langchain_hf_inference._transport import hub
from langchain_hf_inference._transport.lookups import forget_lookups
from langchain_hf_inference.testing import Fault, InferenceServer

FORM_BY_NAME = {str(form): form for form in FORMS}
CHAT_URL = "http://engine.test:8000"
TOKEN = "hf_secret_of_the_tests"


@pytest.fixture(autouse=True)
def _environment() -> Iterator[None]:
    """No token, proxy or tracing of the machine, nothing looked up before, and no host but loopback.

    Its patches are its own, since pytest-httpx's end with the fixture `monkeypatch`.
    """
    attempts: list[str] = []
    resolve = socket.getaddrinfo

    def resolve_loopback(host: Any, *args: Any, **kwargs: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        if name not in ("127.0.0.1", "localhost", "::1", None):
            attempts.append(name)
            raise OSError(f"the tests reach no network, and {name} was asked for")
        return resolve(host, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        for name in [*os.environ]:
            if name.lower().endswith("_proxy") or name.startswith(
                ("HF_", "LANGSMITH_", "LANGCHAIN_", "SENTRY_", "OTEL_")
            ):
                patch.delenv(name)
        patch.setenv("HF_TOKEN_PATH", os.devnull)
        patch.setattr(socket, "getaddrinfo", resolve_loopback)
        hub.forget_login()
        forget_lookups()
        yield
    assert attempts == [], "a host beyond this machine was asked for"


@pytest.fixture
def call() -> Iterator[Caller]:
    with asyncio.Runner() as runner:
        yield Caller(runner)


@pytest.fixture
def server() -> Iterator[InferenceServer]:
    with InferenceServer() as running:
        # no pooled client of an earlier test, whose server had the same port
        ChatHFInference(endpoint_url=running.url, model="org/name").close()
        yield running


# Mocks


@every_form
@every_mock
def test_mocked_response_is_returned_and_no_server_is_reached(
    form: Form, mocking: Mock, call: Caller, server: InferenceServer, request: pytest.FixtureRequest
) -> None:
    with mocking(request, form.exchanges(server.url)):
        assert call(form, form.model(server.url)) == form.mocked

    assert server.connections == 0


@every_form
@every_mock
def test_router_is_mocked_with_all_that_is_looked_up(
    form: Form, mocking: Mock, call: Caller, request: pytest.FixtureRequest
) -> None:
    with mocking(request, form.router_exchanges()):
        assert call(form, form.router_model()) == form.mocked


@every_form
@every_mock
def test_mock_replaces_a_server_that_was_used_before_only_while_it_lasts(
    form: Form, mocking: Mock, call: Caller, server: InferenceServer, request: pytest.FixtureRequest
) -> None:
    model = form.model(server.url)
    real = call(form, model)

    with mocking(request, form.exchanges(server.url)):
        assert call(form, model) == form.mocked
        assert len(server.requests) == 1

    assert call(form, model) == real
    assert len(server.requests) == 2


@every_form
@every_mock
def test_server_is_reached_after_a_mock_saw_the_first_call(
    form: Form, mocking: Mock, call: Caller, server: InferenceServer, request: pytest.FixtureRequest
) -> None:
    model = form.model(server.url)
    with mocking(request, form.exchanges(server.url)):
        assert call(form, model) == form.mocked

    assert call(form, model) == call(form, form.model(server.url)) != form.mocked
    assert len(server.requests) == 2


@stream_forms
@pytest.mark.parametrize("tool", ["respx", "pytest-httpx", "patch-transport", "patch-send"])
def test_mocked_stream_arrives_in_pieces(form: Form, tool: str, call: Caller, request: pytest.FixtureRequest) -> None:
    """The body's pieces end within events, and no `Content-Length` comes with them."""
    (exchange,) = form.exchanges(CHAT_URL)
    response = httpx.Response(200, headers=exchange.headers, stream=Pieces(exchange.content))
    if tool == "respx":
        with respx.mock:
            respx.post(exchange.url).mock(return_value=response)
            assert call(form, form.model(CHAT_URL)) == form.mocked
    elif tool == "pytest-httpx":
        httpx_mock = request.getfixturevalue("httpx_mock")
        pieces = IteratorStream([exchange.content[:9], exchange.content[9:]])
        httpx_mock.add_response(url=exchange.url, headers=exchange.headers, stream=pieces)
        assert call(form, form.model(CHAT_URL)) == form.mocked
    else:
        cls, method = {
            "patch-transport": (httpx.HTTPTransport, "handle_request"),
            "patch-send": (httpx.Client, "send"),
        }[tool]
        if form.is_async:
            cls, method = {
                "patch-transport": (httpx.AsyncHTTPTransport, "handle_async_request"),
                "patch-send": (httpx.AsyncClient, "send"),
            }[tool]
        with mock.patch.object(cls, method, return_value=response):
            assert call(form, form.model(CHAT_URL)) == form.mocked


@respx.mock
def test_respx_as_a_decorator() -> None:
    route = respx.post(f"{CHAT_URL}/v1/chat/completions").respond(json=message(content=MOCKED_TEXT))

    model = ChatHFInference(endpoint_url=CHAT_URL, model="org/name", engine="vllm")

    assert model.invoke(PROMPT).text == MOCKED_TEXT
    assert json.loads(route.calls.last.request.content)["messages"] == [{"role": "user", "content": PROMPT}]


@respx.mock
async def test_respx_as_a_decorator_async() -> None:
    route = respx.post(f"{CHAT_URL}/v1/chat/completions").respond(
        headers={"content-type": "text/event-stream"}, content=events({"content": "A mocked"}, {"content": " answer."})
    )

    model = ChatHFInference(endpoint_url=CHAT_URL, model="org/name", engine="vllm")

    assert "".join([chunk.text async for chunk in model.astream(PROMPT)]) == MOCKED_TEXT
    assert json.loads(route.calls.last.request.content)["stream"] is True


@pytest.mark.respx(base_url=CHAT_URL)
def test_respx_as_a_fixture(respx_mock: respx.MockRouter) -> None:
    respx_mock.post("/embed").respond(json=[[1.0], [2.0]])

    model = HFInferenceEmbeddings(endpoint_url=CHAT_URL, model="org/name", engine="tei")

    assert model.embed_documents(["a", "b"]) == [[1.0], [2.0]]


@pytest.mark.respx(base_url=CHAT_URL)
async def test_respx_as_a_fixture_async(respx_mock: respx.MockRouter) -> None:
    respx_mock.post("/v1/completions").respond(json={"choices": [{"text": " of France", "finish_reason": "stop"}]})

    model = HFInferenceLLM(endpoint_url=CHAT_URL, model="org/name", engine="vllm")

    assert await model.ainvoke("The capital") == " of France"


async def test_pytest_httpx_as_a_fixture(httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(json=message(content=MOCKED_TEXT), is_reusable=True)

    model = ChatHFInference(endpoint_url=CHAT_URL, model="org/name", engine="vllm", api_key=TOKEN)

    assert (await model.ainvoke(PROMPT)).text == model.invoke(PROMPT).text == MOCKED_TEXT
    assert [request.headers["authorization"] for request in httpx_mock.get_requests()] == [f"Bearer {TOKEN}"] * 2


@every_form
def test_mocked_failures_are_retried_and_raised_as_ours(form: Form, call: Caller) -> None:
    (exchange,) = form.exchanges(CHAT_URL)
    busy = httpx.Response(503, headers={"retry-after": "0"}, json={"error": "busy"})
    with respx.mock:
        route = respx.post(exchange.url).mock(side_effect=[httpx.ConnectError("refused"), busy, exchange.response()])
        assert call(form, form.model(CHAT_URL)) == form.mocked
        assert route.call_count == 3

    with respx.mock:
        route = respx.post(exchange.url).mock(side_effect=httpx.ReadTimeout)
        with pytest.raises(errors.APITimeoutError):
            call(form, form.model(CHAT_URL))
        assert route.call_count == 1

    with respx.mock:
        respx.post(exchange.url).respond(401, json={"error": "Invalid username or password."})
        with pytest.raises(errors.AuthenticationError):
            call(form, form.model(CHAT_URL))


@every_form
def test_a_mock_reports_what_it_does_not_know_in_its_own_words(form: Form, call: Caller, tmp_path: Path) -> None:
    """The complaint of respx or vcrpy is the test's result: it is neither retried nor wrapped."""
    with respx.mock as router:
        router.post("http://another.test/")
        with pytest.raises(AssertionError, match=re.escape(form.path)):
            call(form, form.model(CHAT_URL))
        router.reset()
        router.clear()

    (tmp_path / "empty.yaml").write_text("version: 1\ninteractions: []\n")
    with vcr.use_cassette(str(tmp_path / "empty.yaml"), record_mode="none"):
        with pytest.raises(vcr.errors.CannotOverwriteExistingCassetteException, match=re.escape(form.path)):
            call(form, form.model(CHAT_URL))


@every_form
@pytest.mark.httpx_mock(assert_all_requests_were_expected=False)
def test_pytest_httpx_reports_an_unexpected_request_as_a_timeout(
    form: Form, call: Caller, httpx_mock: HTTPXMock
) -> None:
    with pytest.raises(errors.APITimeoutError) as caught:
        call(form, form.model(CHAT_URL, max_retries=0))

    assert "No response can be found" in str(caught.value.__cause__)
    assert len(httpx_mock.get_requests()) == 1


# Recording with vcrpy


@every_form
@pytest.mark.parametrize("record_mode", ["once", "all"])
def test_cassette_holds_every_request_and_replays_the_answers(
    form: Form, record_mode: str, call: Caller, server: InferenceServer, tmp_path: Path
) -> None:
    cassette, model = str(tmp_path / "cassette.yaml"), form.model(server.url, api_key=TOKEN)
    call(form, model)  # the connection is there before the recording starts

    with vcr.use_cassette(cassette, record_mode=record_mode, filter_headers=["authorization"]) as recording:
        recorded = [call(form, model) for _ in range(2)]
        assert [(request.method, request.uri) for request in recording.requests] == [
            ("POST", server.url + form.path)
        ] * 2

    assert [request.headers["authorization"] for request in server.requests] == [f"Bearer {TOKEN}"] * 3
    assert TOKEN not in Path(cassette).read_text()

    with vcr.use_cassette(cassette, record_mode="none") as replay:
        assert [call(form, model) for _ in range(2)] == recorded
        assert replay.all_played
    assert len(server.requests) == 3


@every_form
def test_cassette_holds_lookups_and_retries(form: Form, call: Caller, server: InferenceServer, tmp_path: Path) -> None:
    """With no engine named the server is asked what it is; a failed attempt is recorded as well as the next."""
    cassette = str(tmp_path / "cassette.yaml")
    server.fail(Fault.of_status(503, **{"Retry-After": "0"}))
    with vcr.use_cassette(cassette, record_mode="once") as recording:
        recorded = call(form, form.model(server.url, model=None, engine=None))
        posts = [request for request in recording.requests if request.method == "POST"]
        lookups = [request.path for request in recording.requests if request.method == "GET"]

    assert len(posts) == len(server.requests) == 2
    assert lookups[0] == "/info"

    forget_lookups()
    with vcr.use_cassette(cassette, record_mode="none") as replay:
        assert call(form, form.model(server.url, model=None, engine=None)) == recorded
        assert replay.all_played
    assert len(server.requests) == 2


# Tracing

both_orders = pytest.mark.parametrize("used_before", [False, True], ids=["traced-first", "used-first"])


class Telemetry:
    """OpenTelemetry's instrumentation of httpx, and the spans that it made."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        self.provider = TracerProvider()
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))

    def start(self) -> None:
        HTTPXClientInstrumentor().instrument(tracer_provider=self.provider)

    def stop(self) -> None:
        HTTPXClientInstrumentor().uninstrument()

    @property
    def client_spans(self) -> list[ReadableSpan]:
        return [span for span in self._exporter.get_finished_spans() if span.kind is trace.SpanKind.CLIENT]


@pytest.fixture
def telemetry() -> Iterator[Telemetry]:
    used = Telemetry()
    yield used
    if HTTPXClientInstrumentor().is_instrumented_by_opentelemetry:
        used.stop()


def attribute(span: ReadableSpan, *names: str) -> Any:
    """Return the attribute by its stable or by its old name."""
    (found,) = [value for name, value in (span.attributes or {}).items() if name in names]
    return found


def traceparent(span: ReadableSpan) -> str:
    assert span.context is not None
    return f"00-{span.context.trace_id:032x}-{span.context.span_id:016x}-"


@every_form
@both_orders
def test_opentelemetry_has_one_span_for_each_request(
    form: Form, used_before: bool, telemetry: Telemetry, call: Caller, server: InferenceServer
) -> None:
    model = form.model(server.url)
    if used_before:
        call(form, model)
    telemetry.start()
    for _ in range(2):
        call(form, model)
    telemetry.stop()
    call(form, model)

    seen = server.requests[1 if used_before else 0 :]
    assert len(telemetry.client_spans) == 2
    for span, request in zip(telemetry.client_spans, seen, strict=False):
        assert attribute(span, "http.request.method", "http.method") == "POST"
        assert attribute(span, "url.full", "http.url") == server.url + form.path
        assert attribute(span, "http.response.status_code", "http.status_code") == 200
        assert request.headers["traceparent"].startswith(traceparent(span))
    assert "traceparent" not in seen[-1].headers, "a request after the tracing ended carries an old trace"


@every_form
def test_opentelemetry_has_a_span_for_each_attempt_within_the_callers_trace(
    form: Form, telemetry: Telemetry, call: Caller, server: InferenceServer
) -> None:
    server.fail(Fault.of_status(503, **{"Retry-After": "0"}))
    telemetry.start()
    with telemetry.provider.get_tracer("tests").start_as_current_span("request of a user") as outer:
        call(form, form.model(server.url))

    spans = telemetry.client_spans
    assert [attribute(span, "http.response.status_code", "http.status_code") for span in spans] == [503, 200]
    assert {span.context.trace_id for span in spans if span.context} == {outer.get_span_context().trace_id}
    assert [span.parent.span_id for span in spans if span.parent] == [outer.get_span_context().span_id] * 2
    for span, request in zip(spans, server.requests, strict=True):
        assert request.headers["traceparent"].startswith(traceparent(span))


class SilentTransport(Transport):
    """Send nothing anywhere."""

    def capture_envelope(self, envelope: Envelope) -> None:
        pass


@pytest.fixture
def sentry() -> Iterator[Callable[[], None]]:
    """Return a function that starts the Sentry SDK, with its integration of httpx and nothing that sends.

    The SDK patches httpx once in a process, so this undoes it and does it again for each test.
    """
    plain = httpx.Client.send, httpx.AsyncClient.send

    def start() -> None:
        sentry_sdk.init(
            dsn="http://key@127.0.0.1:9/1",
            transport=SilentTransport,
            integrations=[HttpxIntegration()],
            default_integrations=False,
            auto_enabling_integrations=False,
            traces_sample_rate=1.0,
        )
        if httpx.Client.send is plain[0]:
            HttpxIntegration.setup_once()

    yield start
    sentry_sdk.get_global_scope().set_client(None)
    httpx.Client.send, httpx.AsyncClient.send = plain  # type: ignore[method-assign]


@every_form
@both_orders
def test_sentry_header_arrives_within_a_transaction(
    form: Form, used_before: bool, sentry: Callable[[], None], call: Caller, server: InferenceServer
) -> None:
    model = form.model(server.url)
    if used_before:
        call(form, model)
    sentry()
    traces = []
    for name in ("first", "second"):
        with sentry_sdk.start_transaction(name=name) as transaction:
            call(form, model)
            traces.append(transaction.trace_id)
    sentry_sdk.get_global_scope().set_client(None)
    call(form, model)

    first, second, last = server.requests[1 if used_before else 0 :]
    assert [request.headers["sentry-trace"].split("-")[0] for request in (first, second)] == traces
    assert f"sentry-trace_id={traces[1]}" in second.headers["baggage"]
    assert traces[0] not in second.headers["baggage"], "the baggage of one request went along with the next"
    assert "sentry-trace" not in last.headers


# Logging


def our_records(caplog: pytest.LogCaptureFixture, level: int) -> list[str]:
    return [
        record.getMessage()
        for record in caplog.records
        if record.name.partition(".")[0] == "langchain_hf_inference" and record.levelno == level
    ]


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """Collect all that is logged, ours from DEBUG, httpx's from INFO."""
    caplog.set_level(logging.INFO, logger="httpx")
    caplog.set_level(logging.DEBUG, logger="langchain_hf_inference")  # last: it is the handler's level too
    return caplog


@every_form
def test_httpx_logs_each_request_once(
    form: Form, call: Caller, server: InferenceServer, log: pytest.LogCaptureFixture
) -> None:
    server.fail(Fault.of_status(503, **{"Retry-After": "0"}))
    call(form, form.model(server.url))

    lines = [record.getMessage() for record in log.records if record.name == "httpx" and record.levelno == logging.INFO]
    assert [line.partition(' "')[0] for line in lines] == [f"HTTP Request: POST {server.url}{form.path}"] * 2
    assert ["503" in lines[0], "200 OK" in lines[1]] == [True, True]


@every_form
def test_debug_names_method_url_and_status_of_each_request(
    form: Form, call: Caller, server: InferenceServer, log: pytest.LogCaptureFixture
) -> None:
    server.fail(Fault.of_status(503, **{"Retry-After": "0"}))
    call(form, form.model(f"{server.url}?key=secret-of-the-query"))

    def with_status(status: str) -> list[str]:
        return [line for line in our_records(log, logging.DEBUG) if {"POST", status} <= set(re.findall(r"\w+", line))]

    for status in ("503", "200"):
        (line,) = with_status(status)
        assert server.url + form.path in line


@every_form
def test_debug_names_lookups(form: Form, call: Caller, server: InferenceServer, log: pytest.LogCaptureFixture) -> None:
    call(form, form.model(server.url, model=None, engine=None))

    lookups = [line for line in our_records(log, logging.DEBUG) if "GET" in line]
    assert any(f"{server.url}/info" in line for line in lookups)


@every_form
@pytest.mark.parametrize("status", [200, 400, 401, 503])
def test_logs_hold_no_secret_and_no_text(
    form: Form, status: int, call: Caller, server: InferenceServer, log: pytest.LogCaptureFixture
) -> None:
    if status != 200:
        server.fail(Fault.of_status(status, f"refused: {PROMPT}", **{"Retry-After": "0"}))
    address = server.url.replace("http://", "http://someone:secret-password@")
    headers = {"Authorization": "Bearer secret-of-a-header", "X-Api-Key": "secret-of-another-header"}
    given = [
        (server.url, {"api_key": "secret-key"}),
        (f"{server.url}?key=secret-of-the-query", {"default_headers": headers}),
        (address, {}),
    ]
    answers: list[str] = []
    for url, arguments in given:
        try:
            answers.append(str(call(form, form.model(url, max_retries=1, **arguments))))
        except errors.APIStatusError:
            assert status in (400, 401)

    assert our_records(log, logging.DEBUG)
    # httpx itself logs URLs with their query; its records are not ours
    text = "\n".join(line for level in range(0, 60, 10) for line in our_records(log, level))
    assert "secret" not in text
    assert PROMPT not in text
    assert not any(answer and answer in text for answer in answers)


@every_form
def test_retry_is_logged_with_its_reason_and_delay(
    form: Form, call: Caller, server: InferenceServer, log: pytest.LogCaptureFixture
) -> None:
    server.fail(Fault.of_status(503, **{"Retry-After": "0.25"}), times=2)
    call(form, form.model(server.url))

    lines = our_records(log, logging.INFO)
    assert len(lines) == 2
    for line in lines:
        assert "503" in line
        assert re.search(r"\b0\.2\d* ?s", line), f"the delay of 0.25 to 0.28 s is not named: {line}"


@every_form
def test_retry_of_a_refused_connection_is_logged(form: Form, call: Caller, log: pytest.LogCaptureFixture) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        with pytest.raises(errors.APIConnectionError):
            call(form, form.model(url, max_retries=1))

    (line,) = our_records(log, logging.INFO)
    assert re.search(r"(?i)connection|refused", line), f"the reason is not named: {line}"
    assert re.search(r"\d ?s\b", line), f"the delay is not named: {line}"


@pytest.mark.parametrize("name", ["chat.invoke", "chat.ainvoke", "chat.stream", "chat.astream"])
def test_failover_is_logged(name: str, call: Caller, log: pytest.LogCaptureFixture) -> None:
    form = FORM_BY_NAME[name]
    exchange = form.router_exchanges()[0]
    model = ChatHFInference(model="org/name", provider=["groq", "together"], api_key="hf_test", max_retries=0)
    with respx.mock:
        respx.post(exchange.url).mock(side_effect=[httpx.Response(503, json={"error": PROMPT}), exchange.response()])
        assert call(form, model) == form.mocked

    (line,) = our_records(log, logging.INFO)
    assert re.search(r"503|ServerError", line), f"the reason is not named: {line}"
    assert re.search(r"groq|together", line), f"the URL is the same for both; neither provider is named: {line}"
    assert PROMPT not in line


@pytest.mark.parametrize("name", ["llm.invoke", "llm.ainvoke", "llm.stream", "llm.astream"])
def test_dropped_setting_is_logged(
    name: str, call: Caller, server: InferenceServer, log: pytest.LogCaptureFixture
) -> None:
    form = FORM_BY_NAME[name]
    server.fail(Fault.of_status(400, "The following `model_kwargs` are not used by the model: ['watermark']"))
    model = HFInferenceLLM(endpoint_url=server.url, model="org/name", engine="tgi", api="pipeline", watermark=True)
    with pytest.warns(UserWarning, match="watermark"):
        call(form, model)

    (line,) = our_records(log, logging.INFO)
    assert "watermark" in line
    assert "watermark" not in server.requests[-1].body["parameters"]


def test_nothing_is_printed_where_logging_is_not_configured(server: InferenceServer) -> None:
    """A library logs; whether that is shown is the application's decision, warnings and errors included."""
    server.fail(Fault.of_status(503, **{"Retry-After": "0"}))
    program = (
        "from langchain_hf_inference import ChatHFInference\n"
        f"ChatHFInference(endpoint_url={server.url!r}, model='org/name', engine='vllm').invoke('Hello')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert (done.stdout, done.stderr) == ("", "")


# Proxies


@pytest.fixture
def proxy() -> Iterator[ForwardProxy]:
    with ForwardProxy() as running:
        yield running


@every_form
@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_proxy_of_the_environment_sees_the_request(
    form: Form,
    variable: str,
    proxy: ForwardProxy,
    call: Caller,
    server: InferenceServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(variable, proxy.url)
    model = form.model(server.url)

    assert call(form, model) == call(form, model)
    assert proxy.requests == [f"POST {server.url}{form.path}"] * 2
    assert len(server.requests) == 2


@every_form
def test_environment_is_read_when_a_client_is_created(
    form: Form, proxy: ForwardProxy, call: Caller, server: InferenceServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Calls to one host before the proxy was set do not keep calls to the next host from using it."""
    with InferenceServer() as earlier:
        call(form, form.model(earlier.url))
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        call(form, form.model(server.url))

    assert proxy.requests == [f"POST {server.url}{form.path}"]


@every_form
@pytest.mark.parametrize("variable", ["NO_PROXY", "no_proxy"])
def test_no_proxy_is_honoured(
    form: Form,
    variable: str,
    proxy: ForwardProxy,
    call: Caller,
    server: InferenceServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    monkeypatch.setenv(variable, "internal.example,127.0.0.1")
    call(form, form.model(server.url))

    assert proxy.requests == []
    assert len(server.requests) == 1


@every_form
def test_proxy_is_mocked_as_well(
    form: Form, proxy: ForwardProxy, call: Caller, server: InferenceServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    (exchange,) = form.exchanges(server.url)
    with respx.mock:
        respx.post(exchange.url).mock(return_value=exchange.response())
        assert call(form, form.model(server.url)) == form.mocked

    assert proxy.requests == []


# The aiohttp backend


@pytest.fixture
def aiohttp_requests() -> Iterator[list[str]]:
    """Collect the URLs of all requests that aiohttp sends."""
    sent: list[str] = []
    real = aiohttp.ClientSession.request

    def spied(self: aiohttp.ClientSession, method: str, url: Any, **options: Any) -> Any:
        sent.append(f"{method} {url}")
        return real(self, method, url, **options)

    with mock.patch.object(aiohttp.ClientSession, "request", spied):
        yield sent


both_switches = pytest.mark.parametrize("switch", ["argument", "environment"])


def with_aiohttp(form: Form, url: str, switch: str, monkeypatch: pytest.MonkeyPatch, **arguments: Any) -> Any:
    """Build a model whose async calls go through aiohttp."""
    if switch == "argument":
        return form.model(url, http_backend="aiohttp", **arguments)
    monkeypatch.setenv("HF_INFERENCE_HTTP_BACKEND", "aiohttp")
    return form.model(url, **arguments)


@every_form
@both_switches
def test_async_calls_go_through_aiohttp(
    form: Form,
    switch: str,
    call: Caller,
    server: InferenceServer,
    aiohttp_requests: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    by_httpx = call(form, form.model(server.url))
    assert aiohttp_requests == []

    model = with_aiohttp(form, server.url, switch, monkeypatch)

    assert [call(form, model) for _ in range(2)] == [by_httpx] * 2
    assert aiohttp_requests == ([f"POST {server.url}{form.path}"] * 2 if form.is_async else [])
    agents = {request.headers["user-agent"] for request in server.requests}
    assert all(agent.startswith("langchain-hf-inference/") for agent in agents)
    assert len({json.dumps(request.body, sort_keys=True) for request in server.requests}) == 1


@async_forms
def test_aiohttp_uses_the_proxy_of_the_environment(
    form: Form, proxy: ForwardProxy, call: Caller, server: InferenceServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    call(form, with_aiohttp(form, server.url, "argument", monkeypatch))
    assert proxy.requests == [f"POST {server.url}{form.path}"]

    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with InferenceServer() as direct:
        call(form, with_aiohttp(form, direct.url, "argument", monkeypatch))
        assert len(direct.requests) == 1
    assert len(proxy.requests) == 1


@async_forms
def test_aiohttp_is_recorded_and_replayed_by_vcrpy(
    form: Form, call: Caller, server: InferenceServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cassette, model = str(tmp_path / "cassette.yaml"), with_aiohttp(form, server.url, "argument", monkeypatch)
    with vcr.use_cassette(cassette, record_mode="once") as recording:
        recorded = call(form, model)
        assert len(recording.requests) == 1

    with vcr.use_cassette(cassette, record_mode="none"):
        assert call(form, model) == recorded
    assert len(server.requests) == 1


@every_form
@pytest.mark.parametrize("backend", ["httpx", "aiohttp"])
def test_cookies_are_not_kept(form: Form, backend: str, call: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a server sets in one call does not go along with the next, which may be another user's."""
    (exchange,) = form.exchanges("")
    answer = (200, {"Content-Type": exchange.content_type, "Set-Cookie": "session=of-one-user"}, exchange.content)
    with Loopback(lambda *_: answer) as far_end:
        url = far_end.url.replace("127.0.0.1", "localhost")  # aiohttp's jar takes no cookies from an address
        arguments = {"http_backend": "aiohttp"} if backend == "aiohttp" else {}
        for _ in range(2):
            assert call(form, form.model(url, **arguments)) == form.mocked

    assert len(far_end.headers) == 2
    assert not any("cookie" in headers for headers in far_end.headers)


@both_switches
@pytest.mark.parametrize("missing", ["httpx_aiohttp", "aiohttp"])
@pytest.mark.parametrize("form", [form for form in FORMS if form.is_async and not form.is_stream], ids=str)
def test_missing_extra_is_named(form: Form, switch: str, missing: str) -> None:
    """In a process of its own, where nothing has imported the package before."""
    given = [PROMPT] if form.kind == "embeddings" else PROMPT
    arguments = {"http_backend": "aiohttp"} if switch == "argument" else {}
    program = (
        f"import sys; sys.modules[{missing!r}] = None\n"
        "import asyncio\n"
        f"from interop.calls import Form\n"
        f"model = Form({form.kind!r}, {form.method!r}).model('http://127.0.0.1:9', max_retries=0, **{arguments!r})\n"
        f"asyncio.run(model.{form.method}({given!r}))\n"
    )
    tests = Path(__file__).parents[1]
    paths = [str(tests / "integration"), str(tests / "unit"), *sys.path]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    if switch == "environment":
        environment["HF_INFERENCE_HTTP_BACKEND"] = "aiohttp"
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode != 0
    assert "langchain-hf-inference[aiohttp]" in done.stderr


# Event loops


@async_forms
@pytest.mark.parametrize("backend", ["httpx", "aiohttp"])
def test_calls_on_uvloop(form: Form, backend: str, server: InferenceServer) -> None:
    with asyncio.Runner() as runner:
        expected = Caller(runner)(form, form.model(server.url))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        arguments = {"http_backend": "aiohttp"} if backend == "aiohttp" else {}
        call, model = Caller(runner), form.model(server.url, **arguments)
        assert [call(form, model) for _ in range(2)] == [expected] * 2

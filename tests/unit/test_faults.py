"""Faults of the network and of servers, met by every form of call: docs/reliability.md says what comes of each."""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from faultproxy import FAULTS, FaultProxy
from rawserver import RawServer, raw_server

from langchain_hf_inference import ChatHFInference, HFInferenceEmbeddings, HFInferenceLLM, errors
from langchain_hf_inference._transport import connection_trace
from langchain_hf_inference.testing import InferenceServer

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"
ROW = re.compile(r"^\| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)
TIMEOUT_S = 0.5


def told(http_backend: str = "httpx") -> dict[str, tuple[str, str]]:
    """Return the rows of the page's tables: fault -> what comes of a whole response, and of a stream."""
    tables = PAGE.read_text().partition("## What comes of a fault")[2].partition("\n## ")[0]
    common, _, aiohttp = tables.partition("With the aiohttp backend")
    return {
        fault.strip(): (whole.strip(), stream.strip())
        for fault, whole, stream in ROW.findall(common + aiohttp if http_backend == "aiohttp" else common)
        if "---" not in fault and fault.strip() != "fault"
    }


class Asker:
    """Makes calls of one form; gives what came as text."""

    def __init__(self, form: str, url: str, **given: Any) -> None:
        self.form = form
        common = {"endpoint_url": url, "model": "m", "api_key": "hf_secret", "timeout": TIMEOUT_S, **given}
        form, _, http_backend = form.partition(" by ")
        self.http_backend = common["http_backend"] = http_backend or "httpx"
        kind, _, self.act = form.partition(".")
        made: dict[str, Callable[..., Any]] = {
            "chat": ChatHFInference,
            "llm": HFInferenceLLM,
            "embeddings": HFInferenceEmbeddings,
        }
        options = {} if kind == "embeddings" else {"stream_chunk_timeout": TIMEOUT_S}
        self.model = made[kind](**common, **options, engine="openai")
        self.form = form
        transport = self.model._transport()
        transport.sleep, transport.asleep = lambda _: None, _no_sleep
        self._loop = asyncio.new_event_loop()

    def ask(self, text: str) -> str:
        act = getattr(self.model, self.act)
        if self.act in ("stream", "astream"):
            return self._joined(act(text))
        answer = act([text] if "batch" in self.act or "documents" in self.act else text)
        if asyncio.iscoroutine(answer):
            answer = self._loop.run_until_complete(answer)
        answer = answer[0] if isinstance(answer, list) else answer
        return str(getattr(answer, "text", answer))

    def _joined(self, pieces: Any) -> str:
        async def collected() -> str:
            return "".join([getattr(piece, "text", piece) async for piece in pieces])

        if self.act == "astream":
            return str(self._loop.run_until_complete(collected()))
        return "".join(getattr(piece, "text", piece) for piece in pieces)

    @property
    def is_stream(self) -> bool:
        return "stream" in self.act

    def hang_up(self) -> None:
        self.model.close()
        self._loop.run_until_complete(self.model.aclose())

    def close(self) -> None:
        self.hang_up()
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()


async def _no_sleep(_: float) -> None:
    return None


FORMS = [
    "chat.invoke", "chat.ainvoke", "chat.stream", "chat.astream", "chat.batch", "chat.abatch",
    "llm.invoke", "llm.ainvoke", "llm.stream", "llm.astream", "embeddings.embed_documents", "embeddings.aembed_documents",
]  # fmt: skip
ASYNC = ("ainvoke", "astream", "abatch", "aembed_documents")
FORMS += [f"{form} by aiohttp" for form in FORMS if form.endswith(ASYNC)]


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[RawServer]:
    with raw_server() as server:
        yield server


@pytest.fixture
def proxy(server: InferenceServer, elsewhere: RawServer) -> Iterator[FaultProxy]:
    with raw_server() as front:
        yield FaultProxy(front, server.url, elsewhere.url)


def outcome(ask: Callable[[], str], proxy: FaultProxy, expected: str) -> str:
    """Act, and say what came of it as the page does."""
    before = len(proxy.server.requests)
    try:
        text = ask()
    except errors.HFInferenceError as error:
        found = f"`{type(error).__name__}`"
        if getattr(error, "partial", None) is not None:
            found += ", with the partial message"
    else:
        assert text == expected
        found = "ok"
    tries = len(proxy.server.requests) - before
    return found if tries == 1 else f"{found}, {tries} tries"


UNSOLICITED = "an answer nobody asked for after it"


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("fault", FAULTS)
def test_fault(fault: str, form: str, proxy: FaultProxy, elsewhere: RawServer, monkeypatch: Any) -> None:
    """The error that is promised, as often as promised; in time; and the next call is whole."""
    monkeypatch.setattr(connection_trace, "KEEP_ALIVE_RACE_S", TIMEOUT_S / 2)  # a busy machine is slow
    asker = Asker(form, proxy.server.url)
    try:
        good = asker.ask("one two three four")  # over a connection that is then used again
        proxy.show(fault)
        begun = time.monotonic()
        found = outcome(lambda: asker.ask("one two three four"), proxy, good)
        assert time.monotonic() - begun < 2 * TIMEOUT_S + 0.5
        proxy.show(None)
        if fault == UNSOLICITED and asker.http_backend == "httpx":
            with pytest.raises(errors.HFInferenceError):  # the exception that the page describes
                asker.ask("one two three four")
            asker.hang_up()
        elif "Content-Length" in fault:
            time.sleep(0.05)  # until the server has hung up
        assert asker.ask("one two three four") == good
    finally:
        asker.close()
    assert found == told(asker.http_backend)[fault][asker.is_stream]
    assert elsewhere.requests == []


OTHERS = ("nobody listens", "a certificate of nobody's")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("fault", OTHERS)
def test_no_connection(fault: str, form: str) -> None:
    """Where no connection comes about the error says so, after the tries that are promised."""
    strangers = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(strangers)
    with raw_server(tls=strangers) as server:
        url, before = server.url.replace("http:", "https:"), server.connections
        if fault == "nobody listens":
            with socket.socket() as taken:
                taken.bind(("127.0.0.1", 0))
                url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        asker = Asker(form, url)
        with pytest.raises(errors.APIConnectionError) as caught:
            asker.ask("Hello")
        asker.close()
        assert server.connections - before == (0 if fault == "nobody listens" else 3)
    assert f"`{type(caught.value).__name__}`, {caught.value.attempts} tries" == told()[fault][asker.is_stream]


def test_the_page_is_whole() -> None:
    """The page names each fault once, and no other."""
    assert set(told()) == {*FAULTS, *OTHERS}

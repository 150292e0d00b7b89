"""After trouble, and under load: restarts, outages, interruptions, many threads, loops and tasks; each gets its own answer."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from calling import Call, both_ways
from langchain_core.callbacks import BaseCallbackHandler
from rawserver import RawServer, raw_server, request_from

from conftest import COMPLETION
from langchain_hf_inference import APIConnectionError, ChatHFInference, RateLimitError, ServerError
from langchain_hf_inference._transport import clients, pool
from langchain_hf_inference.testing import Fault, InferenceServer


def model_of(server: Any, **given: Any) -> ChatHFInference:
    return ChatHFInference(endpoint_url=server.url, model="m", engine="openai", **given)


@contextmanager
def served_apart(port: int = 0) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Serve in a process of its own, which can be killed with all its connections."""
    code = f"""
from langchain_hf_inference.testing import InferenceServer
with InferenceServer(port={port}) as server:
    print(server.url, flush=True)
    input()
"""
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    try:
        yield process.stdout.readline().strip(), process
    finally:
        process.kill()
        process.communicate()


def test_restart_under_load() -> None:
    """A server that is killed under load is found again: calls end at once, none is lost without a word, none is mixed up."""
    outcomes: Counter[str] = Counter()
    phase, stop = ["before"], threading.Event()

    def ask(worker: int) -> None:
        count = 0
        while not stop.is_set():
            count += 1
            try:
                assert model.invoke(f"{worker} {count}").text == f"You said: {worker} {count}"
                outcomes[f"ok {phase[0]}"] += 1
            except APIConnectionError:
                outcomes["lost"] += 1
                time.sleep(0.01)

    with served_apart() as (url, process):
        model = ChatHFInference(endpoint_url=url, model="m", engine="openai", max_retries=0, timeout=5)
        with ThreadPoolExecutor(8) as threads:
            futures = [threads.submit(ask, worker) for worker in range(8)]
            time.sleep(0.3)
            process.kill()
            process.wait()
            time.sleep(0.1)
            with served_apart(int(url.rpartition(":")[2])):
                phase[0] = "after"
                time.sleep(0.4)
                stop.set()
                for future in futures:
                    future.result()
    assert outcomes["ok before"]
    assert outcomes["lost"]
    assert outcomes["ok after"]


@both_ways
def test_restart_between_calls(call: Call) -> None:
    """A restart between two calls is not noticed: the old connection is seen to be dead, or the call is tried again."""
    with served_apart() as (url, _):
        model = ChatHFInference(endpoint_url=url, model="m", engine="openai")
        transport = model._transport()
        transport.sleep, transport.asleep = lambda _: None, lambda _: asyncio.sleep(0)
        assert call.invoke(model, "one").text == "You said: one"
    with served_apart(int(url.rpartition(":")[2])):
        assert call.invoke(model, "two").text == "You said: two"


@both_ways
def test_an_outage(call: Call, server: InferenceServer) -> None:
    """A router that is down asks for patience: a minute is waited for, an hour is told, and no call waits without bound."""
    slept: list[float] = []

    async def asleep(seconds: float) -> None:
        slept.append(seconds)

    model = model_of(server, max_retries=3)
    transport = model._transport()
    transport.sleep, transport.asleep = slept.append, asleep
    server.fail(Fault.of_status(503, **{"Retry-After": "20"}), times=3)
    assert call.invoke(model, "Hello").text == "You said: Hello"
    assert len(slept) == 3
    assert all(20 <= seconds <= 22 for seconds in slept)

    server.fail(Fault.of_status(503), times=4)
    with pytest.raises(ServerError) as failure:
        call.invoke(model, "Hello")
    assert failure.value.attempts == 4
    assert sum(slept[3:]) <= 2 + 4 + 8

    server.fail(Fault.of_status(429, **{"Retry-After": "3600"}))
    with pytest.raises(RateLimitError) as refusal:
        call.invoke(model, "Hello")
    assert (refusal.value.retry_after, refusal.value.attempts) == (3600, 1)


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timers here")
@pytest.mark.parametrize("form", ["invoke", "stream", "ainvoke"])
def test_interrupted(form: str) -> None:
    """Ctrl+C while the server thinks hangs up at once, and the next call is a new one."""
    with raw_server() as server:
        server.act = lambda sock: (request_from(sock), sock.recv(1))
        model = model_of(server, timeout=10, stream_chunk_timeout=10)

        def interrupt(*_: Any) -> None:
            raise KeyboardInterrupt

        before = signal.signal(signal.SIGALRM, interrupt)
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        try:
            with pytest.raises(KeyboardInterrupt):
                if form == "ainvoke":
                    asyncio.run(model.ainvoke("Hello"))
                else:
                    list(model.stream("Hello")) if form == "stream" else model.invoke("Hello")
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
        _closed(server)
        body = json.dumps(COMPLETION).encode()
        server.act = server.replying(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        assert model.invoke("Hello").text == "Hi"


def test_a_handler_that_fails(server: InferenceServer) -> None:
    """What a caller raises within a stream ends it, and its connection."""

    class Failing(BaseCallbackHandler):
        raise_error = True

        def on_llm_new_token(self, token: str, **kwargs: Any) -> None:
            raise RuntimeError("mine")

    model = model_of(server)
    for _ in range(20):
        with pytest.raises(RuntimeError, match="mine"):
            list(model.stream("one two three", config={"callbacks": [Failing()]}))
    until = time.monotonic() + 2
    while clients._pools[server.url].in_flight and time.monotonic() < until:
        time.sleep(0.01)  # langchain-core drops our generator, whose response another thread closes
    assert clients._pools[server.url].in_flight == 0


def _closed(server: RawServer) -> None:
    until = time.monotonic() + 1
    while server.closed < server.connections and time.monotonic() < until:
        time.sleep(0.01)
    assert server.closed == server.connections


def test_two_thousand_at_once(server: InferenceServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two thousand calls at once share a hundred connections; each gets its own answer, in order."""
    monkeypatch.setattr(pool, "MAX_CONNECTIONS", 100)
    model, before = model_of(server), server.connections

    async def scenario() -> list[str]:
        return [message.text for message in await model.abatch([f"number {i}" for i in range(2000)])]

    assert asyncio.run(scenario()) == [f"You said: number {i}" for i in range(2000)]
    assert server.connections - before <= 100


def test_loops_on_threads(server: InferenceServer) -> None:
    """One model in eight event loops on eight threads, with sync calls between: each gets its own answers."""
    model = model_of(server)

    async def several(worker: int) -> list[str]:
        texts = [f"{worker} {i}" for i in range(40)]
        whole = [message.text for message in await model.abatch(texts)]
        streamed = ["".join([chunk.text async for chunk in model.astream(text)]) for text in texts[:5]]
        return whole + streamed

    def one(worker: int) -> list[str]:
        first = model.invoke(f"{worker}").text
        return [first, *asyncio.run(several(worker))]

    with ThreadPoolExecutor(8) as threads:
        for worker, found in enumerate(threads.map(one, range(8))):
            texts = [str(worker), *(f"{worker} {i}" for i in range(40)), *(f"{worker} {i}" for i in range(5))]
            assert found == [f"You said: {text}" for text in texts]


async def test_fail_over_within_a_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of several providers the next takes over before the first token, sync and async, whole and streamed."""
    asked: list[str] = []
    event = b'data: {"choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'

    def answer(request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content)
        asked.append(body["model"].rpartition(":")[2])
        if asked[-1] == "down":
            return httpx.Response(503, json={"error": "down"}, headers={"retry-after": "0"})
        if body.get("stream"):
            return httpx.Response(200, content=event, headers={"content-type": "text/event-stream"})
        return httpx.Response(200, json=COMPLETION)

    transport = httpx.MockTransport(answer)
    model = ChatHFInference(
        model="a/b", provider=["down", "up"], api_key="hf_x", max_retries=1,
        http_client=httpx.Client(transport=transport), http_async_client=httpx.AsyncClient(transport=transport),
    )  # fmt: skip
    assert model.invoke("Hello").text == "Hi"
    assert "".join(chunk.text for chunk in model.stream("Hello")) == "Hi"
    assert (await model.ainvoke("Hello")).text == "Hi"
    assert "".join([chunk.text async for chunk in model.astream("Hello")]) == "Hi"
    assert asked == ["down", "down", "up"] * 4

"""_transport/pool.py: clients shared per process and event loop, through threads, loops, forks and closing."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from rawserver import raw_server

from conftest import COMPLETION
from langchain_hf_inference import ChatHFInference
from langchain_hf_inference._transport import pool
from langchain_hf_inference.testing import Fault, InferenceServer


@pytest.fixture
def model(server: InferenceServer) -> ChatHFInference:
    return ChatHFInference(endpoint_url=server.url, model="m", engine="openai")


def test_models_share_a_client(server: InferenceServer) -> None:
    """Models of one host share one client, made at the first call."""
    models = [ChatHFInference(endpoint_url=server.url, model="m", engine="openai") for _ in range(3)]
    before = set(pool._clients)
    for model in models:
        model.invoke("Hello")

    assert set(pool._clients) - before == {server.url}


def test_several_event_loops(model: ChatHFInference) -> None:
    """One model works in several `asyncio.run`, one after the other, and leaves nothing open (langchain#35783)."""

    async def twice() -> list[str]:
        return [m.text for m in await asyncio.gather(model.ainvoke("one"), model.ainvoke("two"))]

    with warnings.catch_warnings():
        warnings.simplefilter("error", ResourceWarning)
        for _ in range(3):
            assert asyncio.run(twice()) == ["You said: one", "You said: two"]
        gc.collect()


def test_threads(model: ChatHFInference) -> None:
    """Fifty threads get their own answers."""
    with ThreadPoolExecutor(50) as threads:
        answers = list(threads.map(lambda i: model.invoke(f"number {i}").text, range(200)))

    assert answers == [f"You said: number {i}" for i in range(200)]


def test_many_at_once(model: ChatHFInference) -> None:
    """Two hundred calls at once get their own answers."""

    async def all_of_them() -> list[str]:
        return [m.text for m in await model.abatch([f"number {i}" for i in range(200)])]

    assert asyncio.run(all_of_them()) == [f"You said: number {i}" for i in range(200)]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_fork(model: ChatHFInference) -> None:
    """After a fork parent and child both go on, over sockets of their own."""
    model.invoke("before")
    read, write = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # fork beside threads: this is what is tested
        child = os.fork()
    if child == 0:
        os.write(write, model.invoke("child").text.encode())
        os._exit(0)
    assert model.invoke("parent").text == "You said: parent"
    os.waitpid(child, 0)
    assert os.read(read, 100) == b"You said: child"


def test_close(model: ChatHFInference, server: InferenceServer) -> None:
    """After close the connections are gone, and the next call makes new ones."""
    model.invoke("Hello")
    client = pool._clients[server.url].client

    model.close()
    model.close()

    assert client.is_closed
    assert model.invoke("Hello").text == "You said: Hello"


def test_close_while_streaming(model: ChatHFInference, server: InferenceServer) -> None:
    """A stream that runs is not broken by close; its connections go with its end."""
    stream = model.stream("one two three")
    next(stream)
    client = pool._clients[server.url].client

    model.close()
    assert not client.is_closed
    assert "".join(chunk.text for chunk in stream).endswith("three")
    assert client.is_closed


def test_aclose(model: ChatHFInference, server: InferenceServer) -> None:
    """The same for async, in its event loop."""

    async def scenario() -> None:
        await model.ainvoke("Hello")
        client = pool._async_clients[asyncio.get_running_loop()][server.url].client
        stream = model.astream("one two three")
        await anext(stream)
        await model.aclose()
        assert not client.is_closed
        assert [chunk async for chunk in stream]
        assert client.is_closed
        assert (await model.ainvoke("Hello")).text == "You said: Hello"

    asyncio.run(scenario())


def test_abandoned_streams_free_their_connection(model: ChatHFInference, server: InferenceServer) -> None:
    """A stream that is closed early gives its connection back, sync at once, async with the loop's next turn."""
    for _ in range(30):
        stream = model.stream("one two three")
        next(stream)
        stream.close()
    assert pool._clients[server.url].in_flight == 0

    async def abandoned() -> int:
        for _ in range(30):
            stream = model.astream("one two three")
            await anext(stream)
            await stream.aclose()
        await asyncio.sleep(0.01)  # core leaves our generator to the loop's finaliser, which takes a turn
        return pool._async_clients[asyncio.get_running_loop()][server.url].in_flight

    assert asyncio.run(abandoned()) == 0


def test_cancelled_call_frees_its_connection(model: ChatHFInference, server: InferenceServer) -> None:
    """A cancelled call gives its connection back, and the loop goes on."""

    async def scenario() -> int:
        server.fail(Fault.stalled(5))
        task = asyncio.ensure_future(model.ainvoke("Hello"))
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (await model.ainvoke("Hello")).text == "You said: Hello"
        return pool._async_clients[asyncio.get_running_loop()][server.url].in_flight

    assert asyncio.run(scenario()) == 0


def test_connections_are_used_again(model: ChatHFInference, server: InferenceServer) -> None:
    """One after the other calls share one connection; a burst has one each, and the next burst has the same."""

    async def scenario() -> None:
        before = server.connections
        for _ in range(20):
            await model.ainvoke("Hello")
        assert server.connections == before + 1
        server.chunk_delay = 0.05
        for _ in range(2):
            streams = [model.astream("one two three") for _ in range(35)]
            for stream in streams:
                await anext(stream)
            await asyncio.gather(*(_to_the_end(stream) for stream in streams))
            assert server.connections == before + 35

    asyncio.run(scenario())


async def _to_the_end(stream: Any) -> None:
    async for _ in stream:
        pass


@pytest.mark.parametrize("name", ["HTTP_PROXY", "ALL_PROXY"])
async def test_proxy_of_the_environment(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy named by the environment is used, sync and async, but not for what NO_PROXY names."""
    with raw_server() as proxy, raw_server() as direct:
        monkeypatch.setenv(name, proxy.url)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        body = json.dumps(COMPLETION).encode()
        for one in (proxy, direct):
            one.act = one.replying(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        far = ChatHFInference(endpoint_url="http://far.example:81", model="m", engine="openai", max_retries=0)
        near = ChatHFInference(endpoint_url=direct.url, model="m", engine="openai", max_retries=0)
        for _ in range(2):
            assert far.invoke("Hello").text == near.invoke("Hello").text == "Hi"
            assert (await far.ainvoke("Hello")).text == (await near.ainvoke("Hello")).text == "Hi"

        assert [line.split(b" ")[1] for line in proxy.requests] == [b"http://far.example:81/v1/chat/completions"] * 4
        assert [line.split(b" ")[1] for line in direct.requests] == [b"/v1/chat/completions"] * 4
        far.close()
        near.close()


def test_server_that_stays_after_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that keeps a body open after [DONE] holds nobody up for long."""
    chunk = b'data: {"choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    with raw_server() as server:
        server.act = server.replying(head + b"%x\r\n%s\r\n" % (len(chunk), chunk))
        model = ChatHFInference(endpoint_url=server.url, model="m", engine="openai")
        begun = time.monotonic()
        assert "".join(piece.text for piece in model.stream("Hello")) == "Hi"
        assert time.monotonic() - begun < 2

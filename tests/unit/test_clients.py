"""_transport/clients.py: clients shared per process and event loop, through threads, loops, forks and closing."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import threading
import time
import warnings
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from rawserver import raw_server, request_from

from conftest import COMPLETION
from langchain_hf_inference import APIConnectionError, ChatHFInference, ConfigurationError, ServerError
from langchain_hf_inference._transport import client_builders, clients, closing, pool
from langchain_hf_inference.testing import Fault, InferenceServer

BODY = json.dumps(COMPLETION).encode()
OK = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(BODY), BODY)
EVENT = b'data: {"choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":"stop"}]}\n\n'


@pytest.fixture
def model(server: InferenceServer) -> ChatHFInference:
    return ChatHFInference(endpoint_url=server.url, model="m", engine="openai")


def model_at(url: str, **arguments: Any) -> ChatHFInference:
    return ChatHFInference(endpoint_url=url, model="m", engine="openai", max_retries=0, **arguments)


def in_flight(origin: str) -> int:
    return clients._pools[origin].in_flight


def eventually(condition: Callable[[], bool], seconds: float = 2.0) -> bool:
    until = time.monotonic() + seconds
    while not condition() and time.monotonic() < until:
        time.sleep(0.005)
    return condition()


def open_sockets() -> int:
    return sum("socket:" in os.readlink(f"/proc/self/fd/{name}") for name in os.listdir("/proc/self/fd")
               if os.path.lexists(f"/proc/self/fd/{name}"))  # fmt: skip


def test_models_share_a_client(server: InferenceServer) -> None:
    """Models of one host share one client, created at the first call."""
    models = [ChatHFInference(endpoint_url=server.url, model="m", engine="openai") for _ in range(3)]
    before = set(clients._pools)
    for model in models:
        model.invoke("Hello")

    assert set(clients._pools) - before == {server.url}
    assert len(clients._pools[server.url].clients) == 1


def test_the_client_is_plain_httpx(model: ChatHFInference, server: InferenceServer) -> None:
    """Mocks and tracers patch httpx's own classes, so nothing of ours overrides what they patch."""
    model.invoke("Hello")
    client = clients._pools[server.url].clients[0].client

    assert type(client).__mro__[1] is httpx.Client
    assert {name for name in vars(type(client)) if not name.startswith("__")} == {"cookies"}
    assert type(client._transport) is httpx.HTTPTransport


def test_several_event_loops(model: ChatHFInference) -> None:
    """One model works in several `asyncio.run`, one after the other, and leaves nothing open (langchain#35783)."""

    async def twice() -> list[str]:
        return [m.text for m in await asyncio.gather(model.ainvoke("one"), model.ainvoke("two"))]

    with warnings.catch_warnings():
        warnings.simplefilter("error", ResourceWarning)
        for _ in range(3):
            assert asyncio.run(twice()) == ["You said: one", "You said: two"]
        gc.collect()


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="Linux")
@pytest.mark.parametrize("how", ["asyncio.run", "loop.close"])
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_event_loops_leave_nothing(how: str, model: ChatHFInference) -> None:
    """After many event loops, closed properly or just closed, no loop, client or connection is left."""
    seen: list[weakref.ref[asyncio.AbstractEventLoop]] = []

    async def call() -> None:
        seen.append(weakref.ref(asyncio.get_running_loop()))
        await model.ainvoke("Hello")
        stream = model.astream("one two three")
        await anext(stream)  # and abandoned

    model.invoke("Hello")
    gc.collect()
    before = open_sockets()
    for _ in range(30):
        if how == "asyncio.run":
            asyncio.run(call())
        else:
            loop = asyncio.new_event_loop()
            loop.run_until_complete(call())
            loop.close()
            del loop
    gc.collect()
    gc.collect()
    assert [ref for ref in seen if ref() is not None] == []
    assert len(clients._loops) == 0
    assert eventually(lambda: open_sockets() <= before)


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


@pytest.mark.parametrize("in_flight_at_once", [1, 10, 11, 45])
async def test_requests_are_spread_over_small_clients(in_flight_at_once: int, server: InferenceServer) -> None:
    """No client has more requests in flight than `REQUESTS_PER_CLIENT`: httpcore's cost grows with them."""
    server.chunk_delay = 0.05
    model = model_at(server.url)
    await asyncio.gather(*(model.ainvoke("one two") for _ in range(in_flight_at_once)))

    several = (await clients.loop_clients()).pools[server.url, "httpx"].clients
    assert len(several) == -(-in_flight_at_once // clients.REQUESTS_PER_CLIENT)
    assert all(pooled.in_flight == 0 for pooled in several)


def forked(child: Callable[[], bytes]) -> bytes:
    """Return what `child` returns in a forked process, or fail after five seconds."""
    read, write = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # a fork beside threads is what is tested
        process = os.fork()
    if process == 0:
        try:
            os.write(write, child())
        finally:
            os._exit(0)
    os.close(write)
    until = time.monotonic() + 5
    while os.waitpid(process, os.WNOHANG) == (0, 0):
        if time.monotonic() > until:
            os.kill(process, 9)
            os.waitpid(process, 0)
            pytest.fail("the child hangs")
        time.sleep(0.01)
    with os.fdopen(read, "rb") as result:
        return result.read()


needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")


@needs_fork
def test_fork(model: ChatHFInference) -> None:
    """After a fork, parent and child both go on, each over connections of its own."""
    model.invoke("before")
    assert forked(lambda: model.invoke("child").text.encode()) == b"You said: child"
    assert model.invoke("parent").text == "You said: parent"


@needs_fork
def test_fork_while_the_locks_are_held(model: ChatHFInference) -> None:
    """A child that was forked while another thread was inside our locks does not wait for them."""
    model.invoke("before")
    with clients._lock, closing.closer._lock:
        assert forked(lambda: model.invoke("child").text.encode()) == b"You said: child"


@needs_fork
def test_fork_within_a_stream(model: ChatHFInference) -> None:
    """A child that was forked within a stream can drop it, and make calls of its own."""
    stream = model.stream("one two three")
    next(stream)

    def child() -> bytes:
        nonlocal stream
        stream.close()
        del stream
        gc.collect()
        return model.invoke("child").text.encode()

    assert forked(child) == b"You said: child"


def test_close(model: ChatHFInference, server: InferenceServer) -> None:
    """After close the connections are gone, and the next call opens new ones."""
    model.invoke("Hello")
    client = clients._pools[server.url].clients[0].client

    model.close()
    model.close()

    assert client.is_closed
    assert model.invoke("Hello").text == "You said: Hello"


def test_close_while_streaming(model: ChatHFInference, server: InferenceServer) -> None:
    """A running stream is not interrupted by close; its connection goes with its end."""
    stream = model.stream("one two three")
    next(stream)
    client = clients._pools[server.url].clients[0].client

    model.close()
    assert not client.is_closed
    assert "".join(chunk.text for chunk in stream).endswith("three")
    assert client.is_closed


def test_aclose(model: ChatHFInference, server: InferenceServer) -> None:
    """The same for asynchronous clients, in their event loop."""

    async def scenario() -> None:
        await model.ainvoke("Hello")
        client = (await clients.loop_clients()).pools[server.url, "httpx"].clients[0].client
        stream = model.astream("one two three")
        await anext(stream)
        await model.aclose()
        assert not client.is_closed
        assert [chunk async for chunk in stream]
        await asyncio.sleep(0.01)
        assert client.is_closed
        assert (await model.ainvoke("Hello")).text == "You said: Hello"

    asyncio.run(scenario())


def test_abandoned_streams_free_their_connection(model: ChatHFInference, server: InferenceServer) -> None:
    """A stream that is closed early frees its connection, within moments."""
    for _ in range(30):
        stream = model.stream("one two three")
        next(stream)
        stream.close()
    assert eventually(lambda: in_flight(server.url) == 0)
    assert closing.open_responses == set()

    async def abandoned() -> int:
        for _ in range(30):
            stream = model.astream("one two three")
            await anext(stream)
            await stream.aclose()
        await asyncio.sleep(0.05)  # langchain-core leaves our generator to the loop's finaliser, which takes a turn
        return (await clients.loop_clients()).pools[server.url, "httpx"].in_flight

    assert asyncio.run(abandoned()) == 0


def abandon_in_a_cycle(model: ChatHFInference) -> None:
    """Leave an open stream to the garbage collector alone."""
    stream = model.stream("one two three")
    next(stream)
    cycle: list[Any] = [stream]
    cycle.append(cycle)


def test_collected_while_a_lock_is_held(model: ChatHFInference, server: InferenceServer) -> None:
    """A stream that is collected while this thread holds the pool's lock, or ours, waits for neither.

    httpcore's lock is reached through private names: the fault can be produced in no other way.
    """
    gc.disable()
    try:
        for lock_of in (
            lambda: clients._lock,
            lambda: closing.closer._lock,
            lambda: clients._pools[server.url].clients[0].client._transport._pool._optional_thread_lock,
        ):
            done = threading.Event()

            def scenario(lock_of: Callable[[], Any] = lock_of, done: threading.Event = done) -> None:
                abandon_in_a_cycle(model)
                with lock_of():
                    gc.collect()
                done.set()

            threading.Thread(target=scenario, daemon=True).start()
            assert done.wait(5), "deadlock"
    finally:
        gc.enable()
    assert eventually(lambda: in_flight(server.url) == 0)


def test_collected_while_clients_are_created(model: ChatHFInference, server: InferenceServer) -> None:
    """Four hundred streams abandoned in cycles, while clients for new origins are created: nothing hangs."""
    done = threading.Event()

    def scenario() -> None:
        for number in range(400):
            abandon_in_a_cycle(model)
            pooled = clients.acquire_client(f"http://host-{number}.example")
            if number % 40 == 0:
                gc.collect()
            pooled.release()
        gc.collect()
        done.set()

    threading.Thread(target=scenario, daemon=True).start()
    assert done.wait(60), "deadlock"
    assert eventually(lambda: in_flight(server.url) == 0)
    assert len(clients._pools) <= clients.MAX_IDLE_ORIGINS + 2


def test_abandoned_stream_hangs_up() -> None:
    """The server sees at once that nobody reads any more, so that it stops generating."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    with raw_server() as server:
        server.act = lambda sock: (
            request_from(sock), sock.sendall(head + b"%x\r\n%s\r\n" % (len(EVENT), EVENT)), sock.recv(1)
        )  # fmt: skip
        stream = model_at(server.url).stream("Hello")
        next(stream)
        del stream
        assert eventually(lambda: server.closed == 1)


def test_idle_clients_are_closed(model: ChatHFInference, server: InferenceServer, monkeypatch: Any) -> None:
    """What has not been used for `IDLE_S` is closed, synchronous and asynchronous, without another call."""
    monkeypatch.setattr(clients, "IDLE_S", 0.1)
    monkeypatch.setattr(pool, "IDLE_S", 0.1)
    monkeypatch.setattr(closing, "TIDY_INTERVAL_S", 0.02)
    model.invoke("Hello")
    client = clients._pools[server.url].clients[0].client
    closing.closer._queue.put(None)  # its next pause is the short one
    assert eventually(lambda: server.url not in clients._pools)
    assert client.is_closed

    async def scenario() -> None:
        await model.ainvoke("Hello")
        assert (await clients.loop_clients()).pools
        await asyncio.sleep(0.3)
        assert len(clients._loops) == 0  # with the last client the event loop's record goes, too

    asyncio.run(scenario())


def test_few_idle_origins(monkeypatch: Any) -> None:
    """However many origins are called, few keep clients when idle; those with requests in flight keep theirs."""
    busy = clients.acquire_client("http://busy.example")
    for number in range(3 * clients.MAX_IDLE_ORIGINS):
        clients.acquire_client(f"http://host-{number}.example").release()
    assert "http://busy.example" in clients._pools
    assert len(clients._pools) <= clients.MAX_IDLE_ORIGINS + 3
    busy.release()


def test_cancelled_call_frees_its_connection(model: ChatHFInference, server: InferenceServer) -> None:
    """A cancelled call frees its connection, and the loop goes on."""

    async def scenario() -> int:
        server.fail(Fault.stalled(5))
        task = asyncio.ensure_future(model.ainvoke("Hello"))
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (await model.ainvoke("Hello")).text == "You said: Hello"
        return (await clients.loop_clients()).pools[server.url, "httpx"].in_flight

    assert asyncio.run(scenario()) == 0


def test_connections_are_reused(model: ChatHFInference, server: InferenceServer) -> None:
    """Consecutive calls share one connection; a burst has one each, and the next burst has the same."""

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


def test_streams_reuse_their_connection(model: ChatHFInference, server: InferenceServer) -> None:
    """A stream is read to the end of its body, so that the next one takes its connection."""
    before = server.connections
    for _ in range(20):
        assert "".join(chunk.text for chunk in model.stream("Hello"))
    assert server.connections == before + 1


async def _to_the_end(stream: Any) -> None:
    async for _ in stream:
        pass


async def _twice(model: ChatHFInference) -> None:
    for _ in range(2):
        await model.ainvoke("Hello")


def test_cookies_are_not_kept(monkeypatch: Any) -> None:
    """Clients are shared by the models of different users: no cookie of one reaches another."""
    with raw_server() as server:
        server.act = server.replying(OK.replace(b"\r\n", b"\r\nSet-Cookie: session=secret\r\n", 1))
        model = model_at(server.url)
        for _ in range(2):
            model.invoke("Hello")
            asyncio.run(model.ainvoke("Hello"))
            aiohttp = model_at(server.url, http_backend="aiohttp")
            asyncio.run(_twice(aiohttp))
    assert not any(b"secret" in request for request in server.requests)


@pytest.mark.parametrize("name", ["HTTP_PROXY", "ALL_PROXY"])
async def test_proxy_of_the_environment(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy named by the environment is used, sync and async, but not for what NO_PROXY names."""
    with raw_server() as proxy, raw_server() as direct:
        monkeypatch.setenv(name, proxy.url)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        for one in (proxy, direct):
            one.act = one.replying(OK)
        far = model_at("http://far.example:81")
        near = model_at(direct.url)
        for _ in range(2):
            assert far.invoke("Hello").text == near.invoke("Hello").text == "Hi"
            assert (await far.ainvoke("Hello")).text == (await near.ainvoke("Hello")).text == "Hi"

        assert [line.split(b" ")[1] for line in proxy.requests] == [b"http://far.example:81/v1/chat/completions"] * 4
        assert [line.split(b" ")[1] for line in direct.requests] == [b"/v1/chat/completions"] * 4
        far.close()
        near.close()


@pytest.mark.parametrize("form", ["stream", "astream"])
@pytest.mark.parametrize("after", ["silence", "comments"])
def test_server_that_stays_after_the_end(form: str, after: str) -> None:
    """A server that keeps a body open after [DONE], or drips comments, holds nobody up for longer than the limit."""
    chunk = EVENT + b"data: [DONE]\n\n"
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"

    def act(sock: Any) -> None:
        request_from(sock)
        sock.sendall(head + b"%x\r\n%s\r\n" % (len(chunk), chunk))
        for _ in range(50):
            time.sleep(0.1)
            if after == "comments":
                sock.sendall(b"4\r\n: x\n\r\n")

    with raw_server(act) as server:
        model = model_at(server.url)
        begun = time.monotonic()
        if form == "stream":
            assert "".join(piece.text for piece in model.stream("Hello")) == "Hi"
        else:

            async def collected() -> str:
                return "".join([piece.text async for piece in model.astream("Hello")])

            assert asyncio.run(collected()) == "Hi"
        assert time.monotonic() - begun < 1


def test_supplied_clients_are_checked() -> None:
    """A client of the wrong kind is rejected when the model is constructed, with what was expected."""
    httpx2 = pytest.importorskip("httpx2")  # comes with huggingface_hub 2
    for good in ({"http_client": httpx.Client()}, {"http_client": httpx2.Client()}):
        model_at("http://h", **good)
    for good in ({"http_async_client": httpx.AsyncClient()}, {"http_async_client": httpx2.AsyncClient()}):
        model_at("http://h", **good)
    for bad, message in (
        ({"http_client": httpx.AsyncClient()}, "pass that as http_async_client"),
        ({"http_async_client": httpx2.Client()}, "pass that as http_client"),
        ({"http_client": object()}, r"must be an httpx.Client \(or httpx2.Client\), got builtins.object"),
        ({"http_async_client": 3}, "must be an httpx.AsyncClient"),
    ):
        with pytest.raises(ValueError, match=message):
            model_at("http://h", **bad)


async def test_httpx2_clients_work(server: InferenceServer) -> None:
    """A client of httpx2 sends, streams and fails like one of httpx."""
    httpx2 = pytest.importorskip("httpx2")
    with httpx2.Client() as client:
        async with httpx2.AsyncClient() as async_client:
            model = model_at(server.url, http_client=client, http_async_client=async_client)
            assert model.invoke("Hello").text == "You said: Hello"
            assert "".join(chunk.text for chunk in model.stream("Hello")) == "You said: Hello"
            assert (await model.ainvoke("Hello")).text == "You said: Hello"
            assert "".join([chunk.text async for chunk in model.astream("Hello")]) == "You said: Hello"
            server.fail(Fault.of_status(500), times=2)
            with pytest.raises(ServerError):
                model.invoke("Hello")
            with pytest.raises(ServerError):
                await model.ainvoke("Hello")
            lost = model_at("http://127.0.0.1:9", http_client=client, http_async_client=async_client)
            with pytest.raises(APIConnectionError, match="could not connect"):
                lost.invoke("Hello")
            with pytest.raises(APIConnectionError, match="could not connect"):
                await lost.ainvoke("Hello")


async def test_a_closed_client(server: InferenceServer) -> None:
    """A supplied client that is closed is named, before anything is sent."""
    client, async_client = httpx.Client(), httpx.AsyncClient()
    client.close()  # noqa: ASYNC212
    await async_client.aclose()
    model = model_at(server.url, http_client=client, http_async_client=async_client)
    with pytest.raises(ConfigurationError, match="http_client is closed"):
        model.invoke("Hello")
    with pytest.raises(ConfigurationError, match="http_client is closed"):
        list(model.stream("Hello"))
    with pytest.raises(ConfigurationError, match="http_async_client is closed"):
        await model.ainvoke("Hello")
    with pytest.raises(ConfigurationError, match="http_async_client is closed"):
        async for _ in model.astream("Hello"):
            pass


def test_connections_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of the files that the process may open are connections, and no more than a thousand."""
    resource = pytest.importorskip("resource")
    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, 256))
    assert pool._max_connections() == 128
    monkeypatch.setattr(resource, "getrlimit", lambda _: (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert pool._max_connections() == 1000


def test_keep_alive_probes() -> None:
    """Connections send TCP keep-alive probes: NATs drop connections that are silent during a long generation."""
    import socket

    assert (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1) in client_builders._keep_alive_options()
    found: list[int] = []
    with raw_server() as server:
        server.act = server.replying(OK)
        model_at(server.url).invoke("Hello")
        transport = clients._pools[server.url].clients[0].client._transport
        for connection in transport._pool.connections:
            stream = connection._connection._network_stream
            found.append(stream.get_extra_info("socket").getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE))
    assert found == [1]

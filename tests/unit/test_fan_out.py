"""_transport/fan_out.py: order, concurrency, and an end with the first failure, on threads and on an event loop."""

from __future__ import annotations

import asyncio
import threading
import time
from contextvars import ContextVar
from typing import Any

import pytest

from langchain_hf_inference import AuthenticationError, HFInferenceEmbeddings
from langchain_hf_inference._transport.fan_out import afan_out, fan_out
from langchain_hf_inference.testing import Fault, InferenceServer

FORMS = ["threads", "tasks"]


def run(form: str, func: Any, items: list[int], at_once: int = 8) -> list[Any]:
    if form == "threads":
        return fan_out(func, items, at_once=at_once)

    async def afunc(item: int) -> Any:
        await asyncio.sleep(0)
        return func(item)

    return asyncio.run(afan_out(afunc, items, at_once=at_once))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("count", [0, 1, 7, 200])
def test_results_are_in_order(form: str, count: int) -> None:
    """Each item has its result, in the order of the items."""
    assert run(form, lambda item: item * item, list(range(count))) == [item * item for item in range(count)]


@pytest.mark.parametrize("form", FORMS)
def test_the_first_failure_ends_it(form: str) -> None:
    """After a failure nothing more is started, and the failure is raised."""
    started: list[int] = []

    def func(item: int) -> int:
        started.append(item)
        time.sleep(0.001)
        if item == 3:
            raise ValueError("three")
        return item

    with pytest.raises(ValueError, match="three"):
        run(form, func, list(range(400)))
    assert len(started) <= 3 + 2 * 8


def test_concurrency_is_limited() -> None:
    """No more threads run than are asked for, and that many do."""
    lock, running, most = threading.Lock(), 0, 0

    def func(_: int) -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.01)
        with lock:
            running -= 1

    fan_out(func, list(range(40)), at_once=5)
    assert most == 5


def test_context_is_carried() -> None:
    """Context variables, such as a tracer's current span, are seen on the threads."""
    variable: ContextVar[str] = ContextVar("variable", default="unset")
    variable.set("mine")
    assert fan_out(lambda _: variable.get(), list(range(20)), at_once=4) == ["mine"] * 20


@pytest.mark.parametrize("form", FORMS)
def test_a_rejected_key_is_not_sent_again_and_again(form: str, server: InferenceServer) -> None:
    """Of 400 batches, few are sent once the first has been answered with 401."""
    server.fail(Fault.of_status(401), times=1000)
    embedder = HFInferenceEmbeddings(endpoint_url=server.url, model="m", engine="openai", api_key="k", batch_size=1)
    texts = [f"text {number}" for number in range(400)]
    with pytest.raises(AuthenticationError):
        embedder.embed_documents(texts) if form == "threads" else asyncio.run(embedder.aembed_documents(texts))
    assert len(server.requests) <= 2 * embedder.max_concurrent_requests

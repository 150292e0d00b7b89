"""A limit on all of a request: connection, headers and body together, however slowly they drip.

httpx's timeouts limit each read, and a server that sends a byte every few seconds never exceeds them. Asynchronous calls
are cancelled. A blocking call is made on a thread that its caller stops waiting for; then its connection, if it was
opened for this request, is shut down, so that the thread ends, too.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable
from contextvars import copy_context
from queue import Empty, SimpleQueue
from typing import Any, Protocol, TypeVar

from langchain_hf_inference._protocol.routing import shown_url
from langchain_hf_inference._transport.closing import shut_down
from langchain_hf_inference.errors import APITimeoutError

T_co = TypeVar("T_co", covariant=True)
T = TypeVar("T")


class TotalTimeout:
    """How long one request may take, and the connection that it travels on."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._network_stream: Any = None

    def of_request(self) -> tuple[float, float, float, float]:
        """Return the limits of the phases, in httpx's order."""
        return (self.seconds,) * 4

    def on_event(self, name: str, info: dict[str, Any]) -> None:
        """Take an event of httpx's `trace` extension: a new connection is remembered."""
        if name in ("connection.connect_tcp.complete", "connection.start_tls.complete"):
            self._network_stream = info.get("return_value")

    async def aon_event(self, name: str, info: dict[str, Any]) -> None:
        """Like `on_event`."""
        self.on_event(name, info)

    def shut_down(self) -> None:
        """End the connection, so that a read that a thread is blocked in returns."""
        if self._network_stream is not None:
            shut_down(self._network_stream)


class TimedFunc(Protocol[T_co]):
    """A request that keeps to a limit."""

    def __call__(self, *, within: TotalTimeout) -> T_co:
        """Send it."""


def call_within(seconds: float, url: str, func: TimedFunc[T]) -> T:
    """Return what `func` returns.

    Raises:
        APITimeoutError: It takes longer than `seconds`.
    """
    within = TotalTimeout(seconds)
    outcome: SimpleQueue[tuple[T | None, BaseException | None]] = SimpleQueue()

    def run() -> None:
        try:
            outcome.put((func(within=within), None))
        except BaseException as error:  # noqa: BLE001 - raised by the thread that waits
            outcome.put((None, error))

    threading.Thread(target=copy_context().run, args=(run,), name="hf-inference-lookup", daemon=True).start()
    try:
        result, error = outcome.get(timeout=seconds)
    except Empty:
        within.shut_down()
        raise _too_slow(seconds, url) from None
    if error is not None:
        raise error
    return result  # type: ignore[return-value]


async def acall_within(seconds: float, url: str, func: TimedFunc[Awaitable[T]]) -> T:
    """Like `call_within`."""
    try:
        async with asyncio.timeout(seconds):
            return await func(within=TotalTimeout(seconds))
    except TimeoutError as error:
        if isinstance(error, APITimeoutError):
            raise
        raise _too_slow(seconds, url) from None


def _too_slow(seconds: float, url: str) -> APITimeoutError:
    return APITimeoutError(f"{shown_url(url)} did not answer completely within {seconds:g} s")

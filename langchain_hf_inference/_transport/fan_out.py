"""One function for many items, a limited number at a time, with the results in order."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def fan_out(act: Callable[[T], R], items: Sequence[T], *, at_once: int) -> list[R]:
    """Return `act(item)` for each item, on up to `at_once` threads.

    Raises:
        Exception: The first failure. What runs at that moment is finished, nothing more is started.
    """
    if len(items) <= 1 or at_once == 1:
        return [act(item) for item in items]
    results: list[R | None] = [None] * len(items)
    waiting, lock, failures = iter(enumerate(items)), threading.Lock(), list[BaseException]()

    def worker() -> None:
        while not failures:
            with lock:
                position, item = next(waiting, (None, None))
            if position is None:
                return
            try:
                results[position] = act(item)  # type: ignore[arg-type]
            except BaseException as error:  # noqa: BLE001 - raised below, once all threads have ended
                failures.append(error)

    with ThreadPoolExecutor(min(at_once, len(items))) as threads:
        try:
            for future in [threads.submit(copy_context().run, worker) for _ in range(min(at_once, len(items)))]:
                future.result()
        except BaseException as error:  # Ctrl-C, in the thread that waits
            failures.append(error)
            raise
    if failures:
        raise failures[0]
    return results  # type: ignore[return-value]


async def afan_out(act: Callable[[T], Awaitable[R]], items: Sequence[T], *, at_once: int) -> list[R]:
    """Like `fan_out`, on the event loop; what runs when something fails is cancelled."""
    results: list[R | None] = [None] * len(items)
    waiting = iter(enumerate(items))

    async def worker() -> None:
        for position, item in waiting:
            results[position] = await act(item)

    workers = [asyncio.ensure_future(worker()) for _ in range(min(at_once, len(items)))]
    try:
        await asyncio.gather(*workers)
    except BaseException:
        for task in workers:
            task.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
        raise
    return results  # type: ignore[return-value]

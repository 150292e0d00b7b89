"""The same act for many things, a bounded number at a time, results in order."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def fan_out(act: Callable[[T], R], items: Sequence[T], *, at_once: int) -> list[R]:
    """Act on each of `items` on up to `at_once` threads. The first failure stops those not begun, and is raised."""
    if len(items) <= 1 or at_once == 1:
        return [act(item) for item in items]
    with ThreadPoolExecutor(min(at_once, len(items))) as threads:
        futures = [threads.submit(copy_context().run, act, item) for item in items]
        try:
            return [future.result() for future in futures]
        except BaseException:
            for future in futures:
                future.cancel()
            raise


async def afan_out(act: Callable[[T], Awaitable[R]], items: Sequence[T], *, at_once: int) -> list[R]:
    """Like `fan_out`, on the event loop."""
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

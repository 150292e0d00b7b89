"""One run of a batch job: lines out to the server, outcomes into the files, and a clean stop."""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Protocol

from langchain_hf_inference.batch.journal import Journal
from langchain_hf_inference.batch.pace import Limit, Pace
from langchain_hf_inference.batch.progress import BatchProgress, OnProgress

REPORT_EVERY_S = 0.25


class Slots(Protocol):
    """What a line waits for before it is sent: this process's pace, or one shared with others."""

    async def acquire(self) -> int:
        """Wait for a slot; give the number to be handed back with it."""

    async def release(self, sent_under: int, *, overloaded: bool = False, wait_s: float = 0.0, ok: bool = True) -> None:
        """Give a slot back, and say how it went."""

    async def rest(self, seconds: float) -> None:
        """Wait before another try, holding no slot."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """A line's result, ready to be written."""

    row: bytes
    is_ok: bool
    tokens: int = 0
    retries: int = 0


Do = Callable[[bytes, int, Slots], Awaitable[Outcome]]
"""Does one line: its text, its number, and the slots to wait for."""


@dataclass(frozen=True, slots=True)
class BatchSummary:
    """What came of a job, runs before it included."""

    total: int
    succeeded: int
    failed: int
    retries: int
    """Of this run, like the next two."""
    tokens: int
    seconds: float
    is_interrupted: bool

    @property
    def exit_code(self) -> int:
        """0: every line is answered; 1: some are in the errors file; 130: it was stopped before the end."""
        return 130 if self.is_interrupted else 1 if self.failed else 0


class Run:
    """One run. It is its lines' `Slots`, so that it knows which of them are not in flight when it is stopped."""

    def __init__(self, do: Do, most: int, journal: Journal, on_progress: OnProgress | None) -> None:
        self._do, self._journal, self._on_progress = do, journal, on_progress
        self._pace = Pace(Limit(most), time.monotonic)
        self._alive = asyncio.Semaphore(2 * most)  # lines in memory: in flight, or waiting for their turn
        self._tasks: set[asyncio.Task[None]] = set()
        self._waiting: set[asyncio.Task[None] | None] = set()
        self._is_stopping = False
        self._broken: BaseException | None = None
        self._began = time.monotonic()
        self._finished = self._failed = self._retries = self._tokens = 0

    async def run(self) -> BatchSummary:
        """Do all lines that are not done."""
        reporter = asyncio.ensure_future(self._report())
        with _interrupt(self.stop):
            try:
                for number, raw in self._journal.pending():
                    await self._alive.acquire()
                    if self._is_stopping:
                        break
                    task = asyncio.ensure_future(self._line(number, raw))
                    self._tasks.add(task)
                    task.add_done_callback(self._tasks.discard)
                while self._tasks:
                    await asyncio.wait(set(self._tasks))
            finally:
                for left in (reporter, *self._tasks):
                    left.cancel()
                await asyncio.gather(reporter, *self._tasks, return_exceptions=True)
        if self._broken is not None:
            raise self._broken
        if self._on_progress:
            self._on_progress(self._now())
        return self._summary()

    def stop(self) -> None:
        """Let what is in flight come in, and begin nothing more."""
        self._is_stopping = True
        self._alive.release()
        for task in self._waiting:
            if task:
                task.cancel()

    async def acquire(self) -> int:
        """See `Slots`."""
        return await self._idle(self._pace.acquire())

    async def release(self, sent_under: int, *, overloaded: bool = False, wait_s: float = 0.0, ok: bool = True) -> None:
        """See `Slots`."""
        await self._pace.release(sent_under, overloaded=overloaded, wait_s=wait_s, ok=ok)

    async def rest(self, seconds: float) -> None:
        """See `Slots`."""
        await self._idle(asyncio.sleep(seconds, 0))

    async def _idle(self, waiting: Awaitable[int]) -> int:
        task = asyncio.current_task()
        self._waiting.add(task)
        try:
            return await waiting
        finally:
            self._waiting.discard(task)

    async def _line(self, number: int, raw: bytes) -> None:
        try:
            if self._is_stopping:
                return
            outcome = await self._do(raw, number, self)
            (self._journal.succeeded if outcome.is_ok else self._journal.failed)(outcome.row)
            self._finished += 1
            self._failed += not outcome.is_ok
            self._retries += outcome.retries
            self._tokens += outcome.tokens
        except asyncio.CancelledError:
            if not self._is_stopping:
                raise
        except Exception as error:  # noqa: BLE001 - a full disk, a fault of ours: the job ends with it
            self._broken = self._broken or error
            self.stop()
        finally:
            self._alive.release()

    async def _report(self) -> None:
        while self._on_progress:
            self._on_progress(self._now())
            await asyncio.sleep(REPORT_EVERY_S)

    def _now(self) -> BatchProgress:
        return BatchProgress(
            total=self._journal.total,
            done=self._journal.done + self._finished,
            failed=self._journal.failed_before + self._failed,
            retries=self._retries,
            in_flight=self._pace.in_flight,
            limit=int(self._pace.limit.value),
            tokens=self._tokens,
            seconds=time.monotonic() - self._began,
            done_before=self._journal.done,
        )

    def _summary(self) -> BatchSummary:
        now = self._now()
        return BatchSummary(
            total=now.total,
            succeeded=now.done - now.failed,
            failed=now.failed,
            retries=now.retries,
            tokens=now.tokens,
            seconds=now.seconds,
            is_interrupted=now.done < now.total,
        )


@contextmanager
def _interrupt(stop: Callable[[], None]) -> Iterator[None]:
    """Let Ctrl-C stop the run, once; a second one interrupts as usual."""
    loop = asyncio.get_running_loop()
    is_set = False

    def stopped() -> None:
        nonlocal is_set
        loop.remove_signal_handler(signal.SIGINT)
        is_set = False
        stop()

    if threading.current_thread() is threading.main_thread():
        with suppress(NotImplementedError, ValueError, RuntimeError):  # Windows
            loop.add_signal_handler(signal.SIGINT, stopped)
            is_set = True
    try:
        yield
    finally:
        if is_set:
            loop.remove_signal_handler(signal.SIGINT)

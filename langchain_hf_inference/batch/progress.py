"""How far a batch job is: numbers for programs, a bar for people."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class BatchProgress:
    """A batch job at one moment."""

    total: int
    """Lines of the input."""
    done: int
    """Lines that are answered or given up, those of an earlier run included."""
    failed: int
    retries: int
    """Requests that were sent again."""
    in_flight: int
    limit: int
    """How many may be in flight just now."""
    tokens: int
    seconds: float
    """Since this run began."""
    done_before: int
    """Lines that were done before this run."""

    @property
    def rate(self) -> float:
        """Lines per second, of this run."""
        return (self.done - self.done_before) / self.seconds if self.seconds > 0 else 0.0

    @property
    def remaining_s(self) -> float | None:
        """Seconds that the rest will take at this rate; None while there is no telling."""
        return (self.total - self.done) / self.rate if self.rate > 0 else None

    def told(self) -> str:
        """Give all of it in one line."""
        left = self.remaining_s
        end = "?" if left is None else f"{int(left // 3600)}:{int(left % 3600 // 60):02}:{int(left % 60):02}"
        per_second = self.tokens / self.seconds if self.seconds > 0 else 0.0
        return (
            f"{self.done:,}/{self.total:,} lines, {self.rate:,.1f}/s, {self.tokens:,} tokens ({per_second:,.0f}/s), "
            f"{self.failed:,} failed, {self.retries:,} retries, {self.in_flight} of {self.limit} in flight, {end} left"
        )


OnProgress = Callable[[BatchProgress], Any]


@contextmanager
def shown_progress() -> Iterator[OnProgress]:
    """Show a bar on stderr, where rich is installed (extra `cli`) and a person looks; else a line now and then."""
    try:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn
    except ImportError:
        yield _lines(every_s=10.0)
        return
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _lines(every_s=10.0)
        return
    with Progress(BarColumn(), TextColumn("{task.percentage:>3.0f} % {task.description}"), console=console) as bar:
        task = bar.add_task("")
        yield lambda now: bar.update(task, total=now.total, completed=now.done, description=now.told())


def _lines(*, every_s: float) -> OnProgress:
    last = -every_s

    def tell(now: BatchProgress) -> None:
        nonlocal last
        if now.seconds - last >= every_s or now.done == now.total:
            last = now.seconds
            print(now.told(), file=sys.stderr, flush=True)

    return tell

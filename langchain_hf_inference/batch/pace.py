"""How many requests may be in flight: as many as the server takes, found out by AIMD, and none while it asks to wait.

Additive increase, multiplicative decrease, as in TCP: the limit doubles with each round until the first overload,
then grows by one a round, and halves at each overload; what was sent before the last halving does not halve again.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

FIRST_LIMIT = 8.0


@dataclass(slots=True)
class Limit:
    """The number of requests that may be in flight, as a server's answers move it. No clock of its own."""

    most: int
    value: float = FIRST_LIMIT
    overloads: int = 0
    """How often the limit was cut; a request remembers the number under which it was sent."""
    paused_until: float = 0.0

    def __post_init__(self) -> None:
        self.value = min(self.value, float(self.most))

    def succeeded(self) -> None:
        """A request was answered."""
        step = 1.0 if self.overloads == 0 else 1.0 / self.value
        self.value = min(float(self.most), self.value + step)

    def overloaded(self, sent_under: int, *, until: float) -> None:
        """A request was refused for load; nothing is sent before `until`."""
        self.paused_until = max(self.paused_until, until)
        if sent_under == self.overloads:
            self.overloads += 1
            self.value = max(1.0, self.value / 2)


@dataclass(slots=True)
class Pace:
    """Slots for requests, on one event loop."""

    limit: Limit
    clock: Callable[[], float]
    in_flight: int = 0
    _waiting: deque[asyncio.Future[None]] = field(default_factory=deque)
    _alarm: asyncio.TimerHandle | None = None

    async def acquire(self) -> int:
        """Wait for a slot; give the number to be handed back with it."""
        if self._waiting or not self._is_open():
            turn = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            self._let_in()
            try:
                await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():
                    self.in_flight -= 1  # the slot was given while this was being cancelled
                    self._let_in()
                else:
                    with suppress(ValueError):  # passed by already
                        self._waiting.remove(turn)
                raise
        else:
            self.in_flight += 1
        return self.limit.overloads

    async def release(self, sent_under: int, *, overloaded: bool = False, wait_s: float = 0.0, ok: bool = True) -> None:
        """Give a slot back, and say how it went."""
        self.in_flight -= 1
        if overloaded:
            self.limit.overloaded(sent_under, until=self.clock() + wait_s)
        elif ok:
            self.limit.succeeded()
        self._let_in()

    def _is_open(self) -> bool:
        return self.in_flight < int(self.limit.value) and self.clock() >= self.limit.paused_until

    def _let_in(self) -> None:
        while self._waiting and self._is_open():
            turn = self._waiting.popleft()
            if not turn.done():
                self.in_flight += 1
                turn.set_result(None)
        pause_s = self.limit.paused_until - self.clock()
        if self._waiting and pause_s > 0 and self._alarm is None:
            self._alarm = asyncio.get_running_loop().call_later(pause_s, self._wake)

    def _wake(self) -> None:
        self._alarm = None
        self._let_in()

"""Trying again: the policy decides (`_protocol/retry.py`), tenacity sleeps and counts."""

from __future__ import annotations

import random
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from tenacity import AsyncRetrying, RetryCallState, Retrying

from langchain_hf_inference import errors
from langchain_hf_inference._protocol.retry import RetryBudget, RetryPolicy

OnRetry = Callable[[RetryCallState], Awaitable[Any] | None]
"""LangChain's `run_manager.on_retry`."""
T = TypeVar("T")


def persisted(
    act: Callable[[], T],
    policy: RetryPolicy,
    budget: RetryBudget,
    sleep: Callable[[float], None],
    on_retry: OnRetry | None,
) -> T:
    """Act, and again as the policy wants it. Tenacity, a tenth of a call's cost, is asked once something has failed."""

    def once() -> T:
        answer = act()
        budget.earn()
        return answer

    try:
        return once()
    except errors.HFInferenceError as error:
        failed = [error]

    def again() -> T:
        if failed:
            raise failed.pop()
        return once()

    result: T = Retrying(sleep=sleep, **_options(policy, budget, on_retry))(again)
    return result


async def apersisted(
    act: Callable[[], Awaitable[T]],
    policy: RetryPolicy,
    budget: RetryBudget,
    sleep: Callable[[float], Awaitable[None]],
    on_retry: OnRetry | None,
) -> T:
    """Like `persisted`."""

    async def once() -> T:
        answer = await act()
        budget.earn()
        return answer

    try:
        return await once()
    except errors.HFInferenceError as error:
        failed = [error]

    async def again() -> T:
        if failed:
            raise failed.pop()
        return await once()

    result: T = await AsyncRetrying(sleep=sleep, **_options(policy, budget, on_retry))(again)
    return result


def _options(policy: RetryPolicy, budget: RetryBudget, on_retry: OnRetry | None) -> dict[str, Any]:
    judge = _Judge(policy, budget)
    options: dict[str, Any] = {"retry": judge.again, "wait": judge.delay_s, "reraise": True}
    return {**options, "before_sleep": on_retry} if on_retry else options


class _Judge:
    """Tells tenacity what the policy decides, once per failed attempt."""

    def __init__(self, policy: RetryPolicy, budget: RetryBudget) -> None:
        self._policy, self._budget = policy, budget
        self._delay_s = 0.0

    def again(self, state: RetryCallState) -> bool:
        error = state.outcome.exception() if state.outcome else None
        if error is None:
            return False
        if isinstance(error, errors.HFInferenceError) and not isinstance(error, errors.ConfigurationError):
            error.attempts = state.attempt_number
        delay_s = self._policy.delay_s(error, state.attempt_number, chance=random.random())  # noqa: S311 - no secret
        self._delay_s = delay_s or 0.0
        if delay_s is None:
            return False
        if self._budget.spend(time.monotonic()):
            return True
        error.add_note("not tried again: too many calls of this model had to be tried again of late")
        return False

    def delay_s(self, state: RetryCallState) -> float:  # noqa: ARG002 - tenacity's signature
        return self._delay_s

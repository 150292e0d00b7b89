"""Trying again: the policy decides (`_protocol/retry.py`), tenacity sleeps and counts."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from tenacity import AsyncRetrying, RetryCallState, Retrying

from langchain_hf_inference import errors
from langchain_hf_inference._protocol.retry import RetryPolicy

OnRetry = Callable[[RetryCallState], Awaitable[Any] | None]
"""LangChain's `run_manager.on_retry`."""
T = TypeVar("T")


def persisted(act: Callable[[], T], policy: RetryPolicy, sleep: Callable[[float], None], on_retry: OnRetry | None) -> T:
    """Act, and again as the policy wants it. Tenacity, a tenth of a call's cost, is asked once something has failed."""
    try:
        return act()
    except errors.HFInferenceError as error:
        failed = [error]

    def again() -> T:
        if failed:
            raise failed.pop()
        return act()

    result: T = Retrying(sleep=sleep, **_options(policy, on_retry))(again)
    return result


async def apersisted(
    act: Callable[[], Awaitable[T]],
    policy: RetryPolicy,
    sleep: Callable[[float], Awaitable[None]],
    on_retry: OnRetry | None,
) -> T:
    """Like `persisted`."""
    try:
        return await act()
    except errors.HFInferenceError as error:
        failed = [error]

    async def again() -> T:
        if failed:
            raise failed.pop()
        return await act()

    result: T = await AsyncRetrying(sleep=sleep, **_options(policy, on_retry))(again)
    return result


def _options(policy: RetryPolicy, on_retry: OnRetry | None) -> dict[str, Any]:
    judge = _Judge(policy)
    options: dict[str, Any] = {"retry": judge.again, "wait": judge.delay_s, "reraise": True}
    return {**options, "before_sleep": on_retry} if on_retry else options


class _Judge:
    """Tells tenacity what the policy decides, once per failed attempt."""

    def __init__(self, policy: RetryPolicy) -> None:
        self._policy = policy
        self._delay_s = 0.0

    def again(self, state: RetryCallState) -> bool:
        error = state.outcome.exception() if state.outcome else None
        if error is None:
            return False
        if isinstance(error, errors.HFInferenceError) and not isinstance(error, errors.ConfigurationError):
            error.attempts = state.attempt_number
        delay_s = self._policy.delay_s(error, state.attempt_number, chance=random.random())  # noqa: S311 - no secret
        self._delay_s = delay_s or 0.0
        return delay_s is not None

    def delay_s(self, state: RetryCallState) -> float:  # noqa: ARG002 - tenacity's signature
        return self._delay_s

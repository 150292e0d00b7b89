"""Calls with retries: the policy decides (`_protocol/retry.py`), this loop waits and counts."""

from __future__ import annotations

import inspect
import logging
import random
import time
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeVar

from langchain_hf_inference import errors
from langchain_hf_inference._protocol.retry import RetryBudget, RetryPolicy

OnRetry = Callable[[Any], Awaitable[Any] | None]
"""LangChain's `run_manager.on_retry`, which takes tenacity's RetryCallState."""
T_co = TypeVar("T_co", covariant=True)
T = TypeVar("T")
_log = logging.getLogger("langchain_hf_inference")


class AttemptFunc(Protocol[T_co]):
    """One attempt; with `is_new` on a connection that was not used before."""

    def __call__(self, *, is_new: bool) -> T_co:
        """Make the attempt."""


def call_with_retries(
    func: AttemptFunc[T],
    policy: RetryPolicy,
    budget: RetryBudget,
    sleep: Callable[[float], None],
    on_retry: OnRetry | None,
) -> T:
    """Return what `func` returns, calling it again as the policy and the budget allow."""
    attempt, is_new = 1, False
    while True:
        try:
            result = func(is_new=is_new)
        except errors.HFInferenceError as error:
            delay_s = _delay_s(error, attempt, policy, budget)
            if delay_s is None:
                raise
            if on_retry is not None:
                on_retry(_retry_state(error, attempt, delay_s))
            is_new = isinstance(error, errors.APIConnectionError) and error.keep_alive_race
        else:
            budget.earn()
            return result
        sleep(delay_s)
        attempt += 1


async def acall_with_retries(
    func: AttemptFunc[Awaitable[T]],
    policy: RetryPolicy,
    budget: RetryBudget,
    sleep: Callable[[float], Awaitable[None]],
    on_retry: OnRetry | None,
) -> T:
    """Like `call_with_retries`."""
    attempt, is_new = 1, False
    while True:
        try:
            result = await func(is_new=is_new)
        except errors.HFInferenceError as error:
            delay_s = _delay_s(error, attempt, policy, budget)
            if delay_s is None:
                raise
            if on_retry is not None:
                reported = on_retry(_retry_state(error, attempt, delay_s))
                if inspect.isawaitable(reported):
                    await reported
            is_new = isinstance(error, errors.APIConnectionError) and error.keep_alive_race
        else:
            budget.earn()
            return result
        await sleep(delay_s)
        attempt += 1


def _delay_s(error: errors.HFInferenceError, attempt: int, policy: RetryPolicy, budget: RetryBudget) -> float | None:
    """Return the seconds to wait before the next attempt, or None to give up; note the attempts on the error."""
    if not isinstance(error, errors.ConfigurationError):
        error.attempts = attempt
    delay_s = policy.delay_s(error, attempt, random_fraction=random.random())  # noqa: S311 - no secret
    if delay_s is None:
        return None
    if not budget.spend(time.monotonic()):
        error.add_note("not retried: too many calls of this model had to be retried recently")
        return None
    status = getattr(error, "status_code", None)
    _log.info(
        "retrying in %.2f s after attempt %d: %s%s",
        delay_s, attempt, type(error).__name__, f" {status}" if status else "",
    )  # fmt: skip
    return delay_s


def _retry_state(error: errors.HFInferenceError, attempt: int, delay_s: float) -> Any:
    """Return what LangChain's handlers expect: tenacity's state of a call that is about to be retried."""
    from tenacity import RetryAction, RetryCallState, Retrying

    state = RetryCallState(Retrying(), None, (), {})
    state.attempt_number = attempt
    state.set_exception((type(error), error, error.__traceback__))
    state.next_action = RetryAction(delay_s)
    state.idle_for = delay_s
    return state

"""_protocol/retry.py: whether to try again, and after how many seconds."""

from __future__ import annotations

import random
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langchain_hf_inference import errors
from langchain_hf_inference._protocol.retry import RetryBudget, RetryPolicy, may_fail_over, retry_after_s

NOW = datetime(2026, 11, 20, 12, 0, 0, tzinfo=UTC)


def status_error(status: int, message: str = "", **more: Any) -> errors.APIStatusError:
    return errors.APIStatusError(message, status_code=status, **more)


@pytest.mark.parametrize(
    ("headers", "body", "seconds"),
    [
        ({"retry-after": "7"}, None, 7),
        ({"retry-after": "0"}, None, 0),
        ({"retry-after": "1.5"}, None, 1.5),
        ({"retry-after-ms": "250", "retry-after": "9"}, None, 0.25),
        ({"retry-after": "Fri, 20 Nov 2026 12:00:30 GMT"}, None, 30),
        ({"retry-after": "Fri, 20 Nov 2026 11:00:00 GMT"}, None, 0),
        ({"retry-after": "soon"}, None, None),
        ({"retry-after": "-3"}, None, None),
        ({"retry-after": "nan"}, None, None),
        ({"ratelimit": '"api";r=0;t=55'}, None, 56),
        ({"ratelimit": '"api";r=3;t=55'}, None, None),
        ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "1m2.5s"}, None, 62.5),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "450ms"}, None, 0.45),
        ({"x-ratelimit-remaining-requests": "5", "x-ratelimit-reset-requests": "450ms"}, None, None),
        ({}, {"error": "loading", "estimated_time": 12.5}, 12.5),
        ({}, {"error": {"message": "Please try again in 9m38.016s. Visit"}}, 578.016),
        ({}, {"error": {"message": "Please try again in 1.2s."}}, 1.2),
        ({}, "nothing said", None),
    ],
)
def test_retry_after(headers: dict[str, str], body: Any, seconds: float | None) -> None:
    """Each way in which servers say how long to wait is understood."""
    assert retry_after_s(headers, body, now=NOW) == (seconds if seconds is None else pytest.approx(seconds))


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 520, 524, 529])
def test_retried(status: int) -> None:
    """Passing failures are tried again, twice, with growing waits and full jitter."""
    policy = RetryPolicy(max_retries=2)

    delays = [policy.delay_s(status_error(status), attempt, random_fraction=1.0) for attempt in (1, 2, 3)]

    assert delays == [1.0, 2.0, None]
    assert policy.delay_s(status_error(status), 1, random_fraction=0.0) == 0


@pytest.mark.parametrize("status", [301, 400, 401, 402, 403, 404, 409, 413, 422, 501])
def test_not_retried(status: int) -> None:
    """What would fail again is not."""
    assert RetryPolicy().delay_s(status_error(status), 1, random_fraction=1.0) is None


def test_failed_generation_once() -> None:
    """424 is tried again once."""
    policy = RetryPolicy(max_retries=5)

    assert policy.delay_s(status_error(424), 1, random_fraction=1.0) == 1.0
    assert policy.delay_s(status_error(424), 2, random_fraction=1.0) is None


@pytest.mark.parametrize(
    "words",
    ["monthly included credits", "insufficient_quota", "Limit 1000 requests per day", "on tokens per day (TPD)"],
)
def test_used_up_is_hopeless(words: str) -> None:
    """Credits and daily limits are not worth a wait."""
    assert RetryPolicy().delay_s(status_error(429, words), 1, random_fraction=1.0) is None


def test_the_server_decides() -> None:
    """The wait that a server names is kept to, up to a limit beyond which the error comes at once."""
    policy = RetryPolicy(longest_s=60)

    assert policy.delay_s(status_error(429, retry_after=59.0), 1, random_fraction=0.0) == 59
    assert policy.delay_s(status_error(429, retry_after=50.0), 1, random_fraction=0.5) == pytest.approx(52.5)
    assert policy.delay_s(status_error(429, retry_after=61.0), 1, random_fraction=0.1) is None


def test_connections() -> None:
    """A request that cannot have arrived is repeated; one that may be in work is not."""
    policy = RetryPolicy()

    assert policy.delay_s(errors.APIConnectionError("refused", sent=False), 1, random_fraction=1.0) == 1.0
    assert policy.delay_s(errors.APIConnectionError("reset"), 1, random_fraction=1.0) is None
    raced = errors.APIConnectionError("reset")
    raced.keep_alive_race = True
    assert policy.delay_s(raced, 1, random_fraction=1.0) == 0.0
    assert RetryPolicy(max_retries=0).delay_s(raced, 1, random_fraction=1.0) is None
    assert policy.delay_s(errors.APITimeoutError("connect", sent=False), 1, random_fraction=1.0) == 1.0
    assert policy.delay_s(errors.APITimeoutError("read"), 1, random_fraction=1.0) is None
    assert policy.delay_s(errors.StreamError("broke"), 1, random_fraction=1.0) is None
    assert policy.delay_s(ValueError("not ours"), 1, random_fraction=1.0) is None
    assert (
        RetryPolicy(max_retries=0).delay_s(errors.APIConnectionError("refused", sent=False), 1, random_fraction=1.0)
        is None
    )


def test_fail_over() -> None:
    """Another provider is tried where this one is down, busy, slow or without the model; not for a bad request."""
    assert may_fail_over(status_error(503))
    assert may_fail_over(status_error(429, "quota"))
    assert may_fail_over(errors.ModelNotFoundError("", status_code=404))
    assert may_fail_over(errors.APITimeoutError("read"))
    assert not may_fail_over(errors.InvalidRequestError("", status_code=400))
    assert not may_fail_over(errors.AuthenticationError("", status_code=401))


@given(st.dictionaries(st.sampled_from(["retry-after", "ratelimit", "retry-after-ms"]), st.text()), st.text())
def test_any_headers(headers: dict[str, str], body: str) -> None:
    """Whatever headers say, there is a wait from 0 upwards or none."""
    seconds = retry_after_s(headers, body, now=NOW)

    assert seconds is None or seconds >= 0


@pytest.mark.parametrize("retry_after", [None, 5.0])
@pytest.mark.parametrize("attempt", [1, 2, 4])
def test_waits_spread(attempt: int, retry_after: float | None) -> None:
    """Of a thousand that fail together no more than a twelfth come back in the same twentieth of the time."""
    policy, lots = RetryPolicy(max_retries=9), random.Random(7)
    error = status_error(503, retry_after=retry_after)
    waits = [policy.delay_s(error, attempt, random_fraction=lots.random()) or 0.0 for _ in range(1000)]

    first, last = min(waits), max(waits)
    crowd = Counter(int((wait - first) / (last - first) * 20) for wait in waits)
    assert max(crowd.values()) < 1000 / 12
    assert first >= (retry_after or 0)
    assert last <= (retry_after * 1.1 if retry_after else 8.0)


def test_budget() -> None:
    """Retries are limited in number; time and good answers give them back, up to as many as there were."""
    budget = RetryBudget(most=3.0, left=3.0)
    assert [budget.spend(100.0) for _ in range(4)] == [True, True, True, False]
    assert [budget.spend(102.0) for _ in range(3)] == [True, True, False]
    for _ in range(5):
        budget.earn()
    assert [budget.spend(102.0) for _ in range(2)] == [True, False]
    for _ in range(100):
        budget.earn()
    assert sum(budget.spend(9999.0) for _ in range(10)) == 3


@given(st.lists(st.tuples(st.sampled_from(["good", "retry"]), st.floats(0, 5)), max_size=300))
def test_budget_holds(happenings: list[tuple[str, float]]) -> None:
    """Whatever happens: no more retries than at the start, plus one a second, plus a fifth of one a good answer."""
    budget, now, answers, retries = RetryBudget(), 50.0, 0, 0
    begun = now
    for kind, pause in happenings:
        now += pause
        if kind == "good":
            budget.earn()
            answers += 1
        else:
            retries += budget.spend(now)
    assert retries <= 100 + (now - begun) + answers / 5 + 1e-6

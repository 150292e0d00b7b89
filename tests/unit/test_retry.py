"""_protocol/retry.py: whether to try again, and after how many seconds."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langchain_hf_inference import errors
from langchain_hf_inference._protocol.retry import RetryPolicy, may_fail_over, retry_after_s

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

    delays = [policy.delay_s(status_error(status), attempt, chance=1.0) for attempt in (1, 2, 3)]

    assert delays == [1.0, 2.0, None]
    assert policy.delay_s(status_error(status), 1, chance=0.0) == 0


@pytest.mark.parametrize("status", [301, 400, 401, 402, 403, 404, 409, 413, 422, 501])
def test_not_retried(status: int) -> None:
    """What would fail again is not."""
    assert RetryPolicy().delay_s(status_error(status), 1, chance=1.0) is None


def test_failed_generation_once() -> None:
    """424 is tried again once."""
    policy = RetryPolicy(max_retries=5)

    assert policy.delay_s(status_error(424), 1, chance=1.0) == 1.0
    assert policy.delay_s(status_error(424), 2, chance=1.0) is None


@pytest.mark.parametrize(
    "words",
    ["monthly included credits", "insufficient_quota", "Limit 1000 requests per day", "on tokens per day (TPD)"],
)
def test_used_up_is_hopeless(words: str) -> None:
    """Credits and daily limits are not worth a wait."""
    assert RetryPolicy().delay_s(status_error(429, words), 1, chance=1.0) is None


def test_the_server_decides() -> None:
    """The wait that a server names is kept to, up to a limit beyond which the error comes at once."""
    policy = RetryPolicy(longest_s=60)

    assert policy.delay_s(status_error(429, retry_after=59.0), 1, chance=0.1) == 59
    assert policy.delay_s(status_error(429, retry_after=61.0), 1, chance=0.1) is None


def test_connections() -> None:
    """A request that cannot have arrived is repeated; one that may be in work is not."""
    policy = RetryPolicy()

    assert policy.delay_s(errors.APIConnectionError("refused"), 1, chance=1.0) == 1.0
    assert policy.delay_s(errors.APITimeoutError("connect", sent=False), 1, chance=1.0) == 1.0
    assert policy.delay_s(errors.APITimeoutError("read"), 1, chance=1.0) is None
    assert policy.delay_s(errors.StreamError("broke"), 1, chance=1.0) is None
    assert policy.delay_s(ValueError("not ours"), 1, chance=1.0) is None
    assert RetryPolicy(max_retries=0).delay_s(errors.APIConnectionError("refused"), 1, chance=1.0) is None


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

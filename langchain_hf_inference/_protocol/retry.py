"""Whether to try again, and after how many seconds. The waiting is done in `_transport/retrying.py`.

Sources: RFC 9110 §10.2.3 for Retry-After; the RateLimit header of Hugging Face's proxy and the
wording of Groq as recorded in 2025-2026.
"""

from __future__ import annotations

import email.utils
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from langchain_hf_inference._protocol.wire import as_object
from langchain_hf_inference.errors import (
    APIConnectionError,
    APIStatusError,
    HFInferenceError,
    ModelNotFoundError,
)

RETRYABLE_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504, *range(520, 525), 529})
ONCE_STATUSES = frozenset({424})  # TGI and TEI: this one generation failed; a second try may not

_HOPELESS = r"(?i)quota|credits?\b|billing|insufficient[_ ](balance|quota)|not_enough_balance|per day|daily limit|\(tpd\)|\(rpd\)"
_TRY_AGAIN = r"(?i)try again in ([0-9hms.µ]+)"
_DURATION = r"([0-9.]+)(ms|h|m|s)"
_UNIT_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


RETRY_JITTER = 0.1
"""By how much of itself a wait that the server asked for may be longer."""


@dataclass(slots=True)
class RetryBudget:
    """The retries that all calls of a model have in common, so that a server in trouble is not asked thrice as much.

    A retry takes one; each second gives one back, and each good answer a fifth of one, up to `most`.
    """

    most: float = 100.0
    each_second: float = 1.0
    each_answer: float = 0.2
    left: float = 100.0
    _since: float = 0.0

    def earn(self) -> None:
        """Note a good answer."""
        self.left = min(self.most, self.left + self.each_answer)

    def spend(self, now_s: float) -> bool:
        """Take one retry, at `now_s` by any clock that goes on; tell whether there was one."""
        self.left = min(self.most, self.left + (now_s - self._since) * self.each_second)
        self._since = now_s
        if self.left < 1:
            return False
        self.left -= 1
        return True


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often to try again, and how long to wait between.

    Waits follow the server's word where it gives one, and a tenth more by chance, so that those who were
    sent away together do not come back together; else they grow from `first_s` by doubling, with full jitter.
    A wait asked for beyond `longest_s` is not slept: the error goes to the caller, with `retry_after`.
    """

    max_retries: int = 2
    first_s: float = 0.5
    growth_s: float = 8.0
    """The most that a wait grows to where the server names none."""
    longest_s: float = 60.0

    def delay_s(self, error: BaseException, attempt: int, *, random_fraction: float) -> float | None:
        """Give the seconds to wait after failed attempt number `attempt` (from 1), or None to give up.

        Args:
            random_fraction: A random number from 0 to 1, drawn by the caller, since nothing here is random.
        """
        if not isinstance(error, HFInferenceError) or attempt > self.max_retries or not may_retry(error, attempt):
            return None
        if isinstance(error, APIConnectionError) and error.keep_alive_race:
            return 0.0  # on a new connection, which cannot fail in this way
        if isinstance(error, APIStatusError) and error.retry_after is not None:
            wait = error.retry_after
            return wait * (1 + RETRY_JITTER * random_fraction) if wait <= self.longest_s else None
        return random_fraction * min(self.growth_s, self.first_s * float(2**attempt))


def may_retry(error: HFInferenceError, attempt: int = 1) -> bool:
    """Return whether the same request may succeed and cannot have produced output.

    Once a request has been sent, the server may be at work on it, and bill it: neither a timeout nor a broken
    connection is retried then. The exception is a connection kept alive that the server had closed before it read the
    request.
    """
    if isinstance(error, APIConnectionError):
        return not error.sent or error.keep_alive_race
    if not isinstance(error, APIStatusError):
        return False
    if error.status_code in ONCE_STATUSES:
        return attempt == 1
    if error.status_code == 429 and re.search(_HOPELESS, f"{error.code} {error.message}"):
        return False
    return error.status_code in RETRYABLE_STATUSES


def may_fail_over(error: HFInferenceError) -> bool:
    """Tell whether another provider may do better: this one is down, busy, or does not have the model."""
    if isinstance(error, APIStatusError) and error.status_code == 429:
        return True
    return may_retry(error) or isinstance(error, ModelNotFoundError | APIConnectionError)


def retry_after_s(headers: Mapping[str, str], body: Any, *, now: datetime) -> float | None:
    """Read how long a failed request should wait; None where nothing is said.

    Looked at in this order: `retry-after-ms`, `retry-after` (seconds or date), Hugging Face's
    `ratelimit` when nothing is left, `x-ratelimit-reset-*` likewise, `estimated_time` of a loading
    model, "try again in 9m38s" in the text.
    """
    if (wait := _seconds(headers.get("retry-after-ms"))) is not None:
        return wait / 1000
    if raw := headers.get("retry-after"):
        return wait if (wait := _seconds(raw)) is not None else _until(raw, now)
    for field in headers.get("ratelimit", "").split(","):
        parts = dict(part.strip().split("=", 1) for part in field.split(";") if "=" in part)
        if parts.get("r") == "0" and (wait := _seconds(parts.get("t"))) is not None:
            return wait + 1
    for kind in ("requests", "tokens"):
        if headers.get(f"x-ratelimit-remaining-{kind}") == "0":
            wait = _duration(headers.get(f"x-ratelimit-reset-{kind}", ""))
            if wait is not None:
                return wait
    estimated = as_object(body).get("estimated_time")
    if isinstance(estimated, int | float):
        return _seconds(str(estimated))
    found = re.search(_TRY_AGAIN, str(body)[:5000])
    return _duration(found[1].rstrip(".")) if found else None


def _seconds(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if 0 <= value < float("inf") else None


def _until(text: str, now: datetime) -> float | None:
    try:
        moment = email.utils.parsedate_to_datetime(text)
    except ValueError:
        return None
    return max(0.0, (moment - now).total_seconds()) if moment.tzinfo else None


def _duration(text: str) -> float | None:
    if (plain := _seconds(text)) is not None:
        return plain
    parts = re.findall(_DURATION, text)
    try:
        return sum(float(number) * _UNIT_S[unit] for number, unit in parts) if parts else None
    except ValueError:
        return None

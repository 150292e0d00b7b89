"""Failures that the scripted server can be told to show."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Fault:
    """One failure, for one request. Use the named constructors.

    With a `status` the request is answered with it; else the answer begins well, and after
    `after_events` events of the stream it is cut, stalled, or reports `error`.
    """

    status: int | None = None
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    after_events: int = 0
    cut: bool = False
    stall_s: float = 0.0
    error: Any = None

    @classmethod
    def of_status(cls, status: int, message: str = "scripted failure", **headers: str) -> Fault:
        """Answer with an HTTP status, in OpenAI's form of an error."""
        body = {"error": {"message": message, "type": "scripted_error", "param": None, "code": None}}
        return cls(status=status, body=body, headers=headers)

    @classmethod
    def rate_limited(cls, retry_after: float = 1) -> Fault:
        """Answer 429 and ask to wait `retry_after` seconds."""
        return cls(status=429, body={"error": "Model is overloaded", "error_type": "overloaded"},
                   headers={"Retry-After": f"{retry_after:g}"})  # fmt: skip

    @classmethod
    def loading(cls, estimated_time: float = 20) -> Fault:
        """Answer 503 as Hugging Face does while a model loads; `estimated_time` in seconds."""
        body = {"error": "Model scripted is currently loading", "estimated_time": estimated_time}
        return cls(status=503, body=body)

    @classmethod
    def cut_stream(cls, after_events: int = 2) -> Fault:
        """Close the connection in the middle of the answer."""
        return cls(cut=True, after_events=after_events)

    @classmethod
    def stalled(cls, seconds: float, after_events: int = 2) -> Fault:
        """Fall silent for so many seconds in the middle of the answer, or before it begins with 0 events."""
        return cls(stall_s=seconds, after_events=after_events)

    @classmethod
    def in_stream(cls, message: str = "scripted failure", after_events: int = 2) -> Fault:
        """Report an error inside the stream, whose status was 200."""
        error = {"error": {"message": message, "type": "InternalServerError", "param": None, "code": 500}}
        return cls(error=error, after_events=after_events)

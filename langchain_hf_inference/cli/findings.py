"""What a check found."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from langchain_hf_inference.errors import (
    APIConnectionError,
    APITimeoutError,
    AuthenticationError,
    ConfigurationError,
    RateLimitError,
)
from langchain_hf_inference.nodes.action import error_envelope

State = Literal["ok", "warning", "failure", "skipped"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One check: what was looked at, how it is, and what would mend it."""

    check: str
    state: State
    said: str
    mend: str | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    """The same as data."""

    def as_dict(self) -> dict[str, Any]:
        """Give it for JSON."""
        return asdict(self)


def failed(check: str, error: Exception, mend: str | None = None) -> Finding:
    """Tell of an error, and of what would mend it where that is known."""
    said, own = error_envelope(error)["message"], getattr(error, "mend", None)
    if own:
        said = said.removesuffix(f" ({own})")
    elif isinstance(error, ConfigurationError) and mend is None:
        said, _, own = said.partition(": ") if ": " in said else said.partition("; ")
    if isinstance(error, AuthenticationError) and mend is None:
        mend = "it does not take this key, or wants one: give the right one with --token (in code: api_key)"
    facts = {"error": type(error).__name__, "status": getattr(error, "status_code", None),
             "request_id": getattr(error, "request_id", None)}  # fmt: skip
    return Finding(check, "failure", said, mend or own or _mend(error), facts)


def _mend(error: Exception) -> str | None:
    if isinstance(error, RateLimitError):
        wait = f"wait {error.retry_after:g} s, as it asks" if error.retry_after else "wait"
        return f"{wait}, and ask again; ordinary calls do so by themselves (max_retries=2)"
    if isinstance(error, APITimeoutError):
        return "the server is too slow or hangs: look at its log, or give it longer with --timeout"
    if isinstance(error, APIConnectionError):
        if "huggingface.co" in str(error):
            return "this machine does not reach Hugging Face: check its network; behind a proxy set HTTPS_PROXY"
        return "is the server running, and are host and port right? Behind a proxy set HTTPS_PROXY"
    return {
        "ServerError": "the server failed by itself: its log says why; ask again later, or choose another provider",
        "RequestTimeoutError": "the server gave up waiting: ask for fewer tokens, or try again when it is less busy",
        "StreamError": "the server's log says why; where it knows nothing, a proxy between may have cut the answer",
        "PaymentRequiredError": "the account there has no credit left: see its billing page",
        "PermissionDeniedError": "the key is known but may not do this: ask who gave it",
        "InvalidRequestError": "the server does not take such a request; its words say why",
        "ResponseFormatError": "what answers there is no OpenAI-compatible server: check the URL",
        "ContextLengthError": "the model's context is very small; serve it with a longer one",
    }.get(type(error).__name__)

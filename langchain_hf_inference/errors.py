"""The errors of this package.

Each is also the langchain-core exception for the same condition, so that LangChain's
retry, fallback and summarisation middleware act on it (`is_retryable`).

    HFInferenceError
    ├── ConfigurationError (ValueError)         nothing was sent: a setting or message cannot be used
    ├── APIConnectionError                      no answer came
    │   └── APITimeoutError (TimeoutError)      no answer, or no next chunk, came in time
    ├── APIStatusError                          an answer came: status_code, body, request_id, retry_after
    │   ├── InvalidRequestError                 400, 413, 422 and other 4xx
    │   │   └── ContextLengthError              the prompt is too long (ContextOverflowError)
    │   ├── AuthenticationError                 401
    │   ├── PaymentRequiredError                402, or credits used up
    │   ├── PermissionDeniedError               403
    │   ├── ModelNotFoundError                  404, or a model that no provider serves
    │   ├── RateLimitError                      429
    │   ├── RequestTimeoutError (TimeoutError)  408, 504
    │   └── ServerError                         5xx, 424
    │       └── ModelLoadingError               503 while a model or endpoint starts
    ├── StreamError                             an answer began, then broke off or reported a failure
    └── ResponseFormatError                     an answer came that cannot be read
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from langchain_core import exceptions as core

if TYPE_CHECKING:
    from langchain_core.messages import AIMessageChunk

__all__ = [
    "APIConnectionError",
    "APIStatusError",
    "APITimeoutError",
    "AuthenticationError",
    "ConfigurationError",
    "ContextLengthError",
    "HFInferenceError",
    "InvalidRequestError",
    "ModelLoadingError",
    "ModelNotFoundError",
    "PaymentRequiredError",
    "PermissionDeniedError",
    "RateLimitError",
    "RequestTimeoutError",
    "ResponseFormatError",
    "ServerError",
    "StreamError",
]


def _rebuild(cls: type[HFInferenceError], message: str, state: dict[str, Any]) -> HFInferenceError:
    error = cls.__new__(cls, message)
    Exception.__init__(error, message)
    error.__dict__.update(state)
    return error


@dataclass(frozen=True)
class ErrorResponse:
    """The response behind an error, with what LangChain's handlers and LangSmith read of an HTTP library's response."""

    status_code: int
    """HTTP status; for an error inside a response with status 200, the status that it stands for."""
    headers: dict[str, str]
    """Response headers, names in lower case, without cookies."""
    text: str
    """The body as text."""

    def json(self) -> Any:
        """Return the body as decoded JSON.

        Raises:
            ValueError: It is not JSON.
        """
        return json.loads(self.text)


def _error_response(status_code: int, headers: dict[str, str], body: Any) -> ErrorResponse:
    shown = {name: value for name, value in headers.items() if name.lower() not in ("set-cookie", "set-cookie2")}
    text = body if isinstance(body, str) else "" if body is None else json.dumps(body, default=str)
    return ErrorResponse(status_code, shown, text)


class HFInferenceError(core.ModelError):
    """Any failure of this package. Pickles with all its attributes."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message
        """What was found, then what would do."""
        self.attempts = 1
        """How often the request was sent before it was given up; 0 where nothing was sent."""
        self.mend: str | None = None
        """The part of the message that says what would do, where it is known and can be told apart."""

    def __str__(self) -> str:
        return self.message

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.message, self.__dict__)


class ConfigurationError(HFInferenceError, ValueError):
    """Nothing was sent: a setting, a message or their combination cannot be used."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.attempts = 0


class APIConnectionError(HFInferenceError, core.ModelConnectionError):
    """There was no response: name resolution, connection, TLS or the exchange itself failed."""

    def __init__(self, message: str, *, sent: bool = True) -> None:
        super().__init__(message)
        self.sent = sent
        """False where nothing can have reached the server, so that the request cannot have produced output."""
        self.keep_alive_race = False
        """Whether the server had closed an idle connection just as the request was sent on it."""


class APITimeoutError(APIConnectionError, core.ModelTimeoutError, TimeoutError):
    """No answer came in `timeout` seconds, or no next chunk in `stream_chunk_timeout` seconds."""

    def __init__(self, message: str, *, sent: bool = True) -> None:
        super().__init__(message, sent=sent)
        self.partial: AIMessageChunk | None = None
        """What had been received when a stream stalled, else None."""


class APIStatusError(HFInferenceError):
    """A server answered with an error, as an HTTP status or inside a stream."""

    def __init__(
        self,
        message: str,
        *,
        status_code: int,
        body: Any = None,
        headers: dict[str, str] | None = None,
        code: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status_code = status_code
        """HTTP status; for an error inside a stream the status it stands for."""
        self.body = body
        """Decoded JSON of the answer, or its text."""
        self.headers = headers or {}
        """Headers of the answer, names in lower case."""
        self.code = code
        """The server's own word for the failure (`error.code`, `error_type`, …), if any."""
        self.retry_after = retry_after
        """Seconds the server asks to wait, if it says so."""
        self.partial: AIMessageChunk | None = None
        """What had been received when a stream reported the failure, else None."""

    @property
    def request_id(self) -> str | None:
        """The id under which the server or Hugging Face's proxy knows this request."""
        for name in ("x-request-id", "inference-id", "x-inference-id", "x-amz-cf-id"):
            if value := self.headers.get(name):
                return value
        return None

    @property
    def response(self) -> ErrorResponse:
        """Status, headers and body, in the form in which LangChain's callback handlers look for them."""
        return _error_response(self.status_code, self.headers, self.body)


class InvalidRequestError(APIStatusError, core.ModelInvalidRequestError):
    """The server refused the request as such (400, 413, 422); sending it again will not help."""


class ContextLengthError(InvalidRequestError, core.ContextOverflowError):
    """Prompt and wanted answer exceed the model's context window."""


class AuthenticationError(APIStatusError, core.ModelAuthenticationError):
    """The token is missing, wrong or expired (401)."""


class PaymentRequiredError(APIStatusError, core.ModelPermissionDeniedError):
    """Credits are used up, or a payment method is missing (402)."""


class PermissionDeniedError(APIStatusError, core.ModelPermissionDeniedError):
    """The token is known but may not do this (403)."""


class ModelNotFoundError(APIStatusError, core.ModelNotFoundError):
    """The model, provider or path is not there (404), or no provider serves the model."""


class RateLimitError(APIStatusError, core.ModelRateLimitError):
    """Too many requests (429)."""


class RequestTimeoutError(APIStatusError, core.ModelTimeoutError, TimeoutError):
    """A server or gateway gave up waiting (408, 504)."""


class ServerError(APIStatusError, core.ModelAPIError):
    """The server failed (5xx, 424)."""


class ModelLoadingError(ServerError):
    """The model or the Inference Endpoint is still starting (503)."""


class StreamError(HFInferenceError, core.ModelAPIError):
    """A stream broke off, or its events cannot be followed. `partial` holds what had come.

    Not retried by this package, since output was produced; LangChain's middleware may.
    """

    def __init__(
        self,
        message: str,
        *,
        partial: AIMessageChunk | None = None,
        status_code: int | None = None,
        body: Any = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(message)
        self.partial = partial
        """The message as far as it was received, chunks added up, or None."""
        self.status_code = status_code
        """The HTTP status that a failure reported inside the stream stands for, else None."""
        self.body = body
        """What the server reported inside the stream, decoded, else None."""
        self.request_id = request_id
        """The id under which the server knows this request, if it gave one."""

    @property
    def response(self) -> ErrorResponse:
        """Status and body, in the form in which LangChain's callback handlers look for them; 200 where no other is known."""
        headers = {"x-request-id": self.request_id} if self.request_id else {}
        return _error_response(self.status_code or 200, headers, self.body)


class ResponseFormatError(HFInferenceError, core.ModelAPIError):
    """An answer came with a good status, but it cannot be read. `body` holds its start."""

    def __init__(self, message: str, *, body: str | None = None) -> None:
        super().__init__(message)
        self.body = body
        """The first 500 characters of the answer."""

    @property
    def response(self) -> ErrorResponse:
        """Status and the start of the body, in the form in which LangChain's callback handlers look for them."""
        return _error_response(200, {}, self.body)

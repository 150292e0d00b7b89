"""_protocol/error_response.py: the failures of every kind of server, as one error with its words and the mend."""

from __future__ import annotations

import json
import pickle
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core import exceptions as core

from langchain_hf_inference import errors
from langchain_hf_inference._protocol.error_response import error_for_response, read_stream_error
from langchain_hf_inference._protocol.wire import WireRequest

NOW = datetime(2026, 11, 20, tzinfo=UTC)
ROUTER = WireRequest("https://router.huggingface.co/v1/chat/completions", {}, model="org/name")
LOCAL = WireRequest("http://user:secret@localhost:8080/v1/chat/completions?key=secret", {}, model="m")


def error_of(status: int, body: Any, *, request: WireRequest = LOCAL, **headers: str) -> errors.APIStatusError:
    content = body if isinstance(body, bytes) else body.encode() if isinstance(body, str) else json.dumps(body).encode()
    return error_for_response(status, {k.replace("_", "-"): v for k, v in headers.items()}, content, request, now=NOW)


@pytest.mark.parametrize(
    ("status", "body", "kind", "words"),
    [
        (401, {"error": "Invalid username or password."}, errors.AuthenticationError, "Invalid username or password."),
        (401, b"", errors.AuthenticationError, "no explanation given"),
        (401, {"error": "Unauthorized"}, errors.AuthenticationError, "Unauthorized"),
        (402, {"error": "You have depleted your monthly included credits."}, errors.PaymentRequiredError, "depleted"),
        (403, {"error": "does not have sufficient permissions to call Inference Providers"}, errors.PermissionDeniedError, "sufficient"),
        (403, {"error": {"code": "NOT_ENOUGH_BALANCE", "message": "top up"}}, errors.PaymentRequiredError, "top up"),
        (404, {"detail": "Not Found"}, errors.ModelNotFoundError, "Not Found"),
        (404, {"error": "Model X does not exist"}, errors.ModelNotFoundError, "Model X does not exist"),
        (400, {"error": {"message": "The requested model 'X' is not supported by any provider you have enabled.", "code": "model_not_supported"}},
         errors.ModelNotFoundError, "not supported by any provider"),
        (400, {"error": "Model not supported by provider together"}, errors.ModelNotFoundError, "provider together"),
        (400, {"error": {"message": "This model's maximum context length is 4096 tokens. However, you requested"}}, errors.ContextLengthError, "4096"),
        (400, {"error": {"code": 400, "message": "the request exceeds the available context size", "type": "exceed_context_size_error"}},
         errors.ContextLengthError, "context size"),
        (422, {"error": "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 5000", "error_type": "validation"},
         errors.ContextLengthError, "must be <= 4096"),
        (500, {"error": {"message": "input is too large to process"}}, errors.ContextLengthError, "too large"),
        (422, {"error": "Template error: template not found", "error_type": "template_error"}, errors.InvalidRequestError, "template not found"),
        (422, {"detail": "Unexpected fields in the request: {'top_k'}"}, errors.InvalidRequestError, "{'top_k'}"),
        (422, {"detail": [{"type": "int", "loc": ["body", "max_tokens"], "msg": "not an int"}]}, errors.InvalidRequestError, "max_tokens: not an int"),
        (400, {"object": "error", "message": "bad", "type": "BadRequest", "code": 400}, errors.InvalidRequestError, "bad"),
        (400, {"message": "flat", "code": 400, "type": "Validation"}, errors.InvalidRequestError, "flat"),
        (400, {"error": ["first", "second"], "warnings": []}, errors.InvalidRequestError, "first; second"),
        (422, "Failed to deserialize the JSON body: missing field `inputs`", errors.InvalidRequestError, "missing field"),
        (413, "length limit exceeded", errors.InvalidRequestError, "length limit"),
        (408, "", errors.RequestTimeoutError, ""),
        (424, {"error": "Request failed during generation", "error_type": "generation"}, errors.ServerError, "during generation"),
        (429, {"error": "Model is overloaded", "error_type": "overloaded"}, errors.RateLimitError, "overloaded"),
        (429, {"error": {"code": "insufficient_quota", "message": "quota"}}, errors.PaymentRequiredError, "quota"),
        (503, {"error": "Model X is currently loading", "estimated_time": 20.0}, errors.ModelLoadingError, "loading"),
        (503, {"error": {"code": 503, "message": "Loading model", "type": "unavailable_error"}}, errors.ModelLoadingError, "Loading"),
        (503, {"error": "unhealthy"}, errors.ServerError, "unhealthy"),
        (502, "<html><head><style>p{}</style></head><body><h1>502 Bad Gateway</h1></body></html>", errors.ServerError, "502 Bad Gateway"),
        (504, "", errors.RequestTimeoutError, "stream the answer"),
        (501, {"error": {"message": "This server does not support"}}, errors.ServerError, "does not support"),
        (307, "", errors.InvalidRequestError, "redirects are not followed"),
        (418, {"unheard": "of"}, errors.InvalidRequestError, "no explanation given"),
    ],
)  # fmt: skip
def test_bodies(status: int, body: Any, kind: type, words: str) -> None:
    """Each server's form of an error is read: its class, its words, its status."""
    error = error_of(status, body)

    assert type(error) is kind
    assert error.status_code == status
    assert words in str(error)
    assert str(error).startswith(f"{status} from http://localhost:8080/v1/chat/completions: ")
    assert "secret" not in str(error)


@pytest.mark.parametrize(
    ("kind", "cores", "retryable"),
    [
        (errors.AuthenticationError, [core.ModelAuthenticationError], False),
        (errors.PaymentRequiredError, [core.ModelPermissionDeniedError], False),
        (errors.PermissionDeniedError, [core.ModelPermissionDeniedError], False),
        (errors.ModelNotFoundError, [core.ModelNotFoundError], False),
        (errors.InvalidRequestError, [core.ModelInvalidRequestError], False),
        (errors.ContextLengthError, [core.ContextOverflowError, core.ModelInvalidRequestError], False),
        (errors.RateLimitError, [core.ModelRateLimitError], True),
        (errors.RequestTimeoutError, [core.ModelTimeoutError, TimeoutError], True),
        (errors.ServerError, [core.ModelAPIError], True),
        (errors.ModelLoadingError, [core.ModelAPIError], True),
        (errors.APIConnectionError, [core.ModelConnectionError], True),
        (errors.APITimeoutError, [core.ModelTimeoutError, TimeoutError, core.ModelConnectionError], True),
        (errors.StreamError, [core.ModelAPIError], True),
        (errors.ResponseFormatError, [core.ModelAPIError], True),
        (errors.ConfigurationError, [ValueError], False),
    ],
)
def test_core_classes(kind: type[errors.HFInferenceError], cores: list[type], retryable: bool) -> None:
    """Each error is langchain-core's for the same condition, and says whether a retry may help."""
    assert all(issubclass(kind, parent) for parent in [*cores, core.ModelError, errors.HFInferenceError])
    assert kind.is_retryable is retryable


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (402, {"error": "credits"}, "https://huggingface.co/settings/billing"),
        (401, {"error": "no"}, "set api_key or HF_TOKEN"),
        (403, {"error": "no"}, "Make calls to Inference Providers"),
        (
            400,
            {"error": {"code": "model_not_supported", "message": "not supported by any provider"}},
            "settings/inference-providers",
        ),
        (404, {"error": "no"}, "check model='org/name', the provider and the path"),
        (503, {"error": "loading"}, "scale_up_timeout"),
    ],
)
def test_mends(status: int, body: Any, words: str) -> None:
    """After the server's words stands what the user can do; `mend` is that alone, through a pickle too."""
    error = pickle.loads(pickle.dumps(error_of(status, body, request=ROUTER)))
    message = str(error)

    assert error.mend
    assert message.endswith(f"({error.mend})")

    assert words in error.mend
    assert message.index(
        str(body["error"]) if isinstance(body["error"], str) else body["error"]["message"]
    ) < message.index(words)


def test_facts() -> None:
    """Status, body, headers, code, request id and the wait asked for are at hand."""
    body = {"error": {"message": "slow down", "type": "t", "code": "rate_limit_exceeded"}}
    error = error_of(429, body, x_request_id="req-1", retry_after="7")

    assert (error.body, error.code, error.request_id, error.retry_after) == (body, "rate_limit_exceeded", "req-1", 7.0)
    assert error.headers["retry-after"] == "7"


def test_message_of_header() -> None:
    """Hugging Face's x-error-message speaks where the body does not."""
    assert "gated repo" in str(error_of(403, b"", x_error_message="Access to a gated repo"))


def test_long_words_are_cut() -> None:
    """A long page does not fill the message."""
    assert len(str(error_of(500, "x" * 100_000))) < 700


@pytest.mark.parametrize("kind", [getattr(errors, name) for name in errors.__all__])
def test_pickles(kind: type[errors.HFInferenceError]) -> None:
    """Every error survives pickling with its attributes."""
    error = kind("what", status_code=429, retry_after=1.0) if issubclass(kind, errors.APIStatusError) else kind("what")

    twin = pickle.loads(pickle.dumps(error))

    assert (type(twin), str(twin), twin.__dict__) == (kind, "what", error.__dict__)


@pytest.mark.parametrize(
    ("event", "data", "status"),
    [
        ("", b'{"error":"bad","error_type":"validation"}', 422),
        ("", b'{"error":{"message":"Model is overloaded","http_status_code":422}}', 429),
        ("", b'{"error":{"message":"bad","http_status_code":422}}', 422),
        ("", b'{"error":{"message":"m","type":"BadRequestError","param":null,"code":400}}', 400),
        ("", b'{"object":"error","message":"m","type":"InternalServerError","code":500}', 500),
        ("error", b'{"error":{"message":"m","code":"tool_use_failed","failed_generation":"x","status_code":400}}', 400),
        ("error", b'{"code":400,"message":"m","type":"invalid_request_error"}', 400),
        ("", b'{"error": "text with "quotes" in it"}', 500),
        ("error", b"plain text", 500),
        ("", b'{"id":"x","choices":[{"delta":{"content":""}}],"error":{"code":502,"message":"m"}}', 502),
        ("", b'{"error_type":"x","error_message":"m"}', 500),
        ("", b'{"error":{"message":"m","type":"overloaded_error"}}', 429),
        ("", b'{"error":{"message":"nothing tells"}}', 500),
    ],
)
def test_in_stream(event: str, data: bytes, status: int) -> None:
    """Each shape of a failure inside a stream is seen, with the status it stands for."""
    try:
        body = json.loads(data)
    except ValueError:
        body = None

    error = read_stream_error(event, body, data, LOCAL)

    assert error is not None
    assert error.status_code == status


@pytest.mark.parametrize(
    "data", [b'{"choices":[],"error":null}', b'{"choices":[]}', b"[]", b"7", b'{"error":{}}', b'{"error":""}']
)
def test_no_error(data: bytes) -> None:
    """`error: null` in a chunk is none."""
    assert read_stream_error("", json.loads(data), data, LOCAL) is None


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["error", "message", "detail", "code", "type", "x"]), inner),
)  # fmt: skip


@given(st.integers(300, 599), json_values | st.binary())
def test_any_body(status: int, body: Any) -> None:
    """Whatever comes with a bad status, one of our errors comes out."""
    error = error_of(status, body)

    assert (error.status_code, isinstance(error, errors.APIStatusError)) == (status, True)
    if not isinstance(body, bytes):
        read_stream_error("error", body, b"{}", LOCAL)

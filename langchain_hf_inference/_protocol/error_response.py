"""Status, headers and body of a failed request -> one error, in the server's own words.

Also the failures that arrive under status 200, in a stream or in a whole response (`read_stream_error`). The shapes
are those of protocol notes §15: HF's proxy and router, OpenAI, TGI, TEI, vLLM, SGLang, llama.cpp,
FastAPI, and gateways' HTML.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from langchain_hf_inference import errors
from langchain_hf_inference._protocol.lenient_json import parse_whole_json
from langchain_hf_inference._protocol.retry import retry_after_s
from langchain_hf_inference._protocol.routing import shown_url
from langchain_hf_inference._protocol.usage import FAILED_REASONS
from langchain_hf_inference._protocol.wire import JSON, MAX_QUOTED_CHARS, WireRequest, as_list, as_object

MAX_BODY_BYTES = 64 * 1024
"""How much of an error's body is read: enough for any server, bounded against a hostile one."""

# Written as text and compiled by `re` when something has failed: compiling is a third of what importing this room costs.
_TOO_LONG = (
    r"(?i)maximum context length|context_length_exceeded|exceeds? the (available )?context|exceed_context_size"
    r"|prompt is too long|prompt too long|input is too (large|long)|longer than the model's context length"
    r"|requested token count exceeds|too many tokens in the prompt|max_model_len|context window"
    r"|`?inputs`? tokens \+ `?max_new_tokens`? must be <=|`inputs` must have less than"
)
_NOT_SUPPORTED = (
    r"(?i)model_not_supported|model_not_found|not supported by any provider|model not supported by provider"
    r"|model .{1,200} does not exist"
)
_LOADING = r"(?i)loading|starting|initiali[sz]ing|scaled? to (zero|0)|currently (loading|unavailable)"
_CREDITS = r"(?i)monthly included credits|not_enough_balance|insufficient_quota|insufficient balance"
_TAGS = r"(?is)<(script|style).*?</\1>|<[^>]*>"

_STATUS_ERRORS: dict[int, type[errors.APIStatusError]] = {
    401: errors.AuthenticationError,
    402: errors.PaymentRequiredError,
    403: errors.PermissionDeniedError,
    404: errors.ModelNotFoundError,
    408: errors.RequestTimeoutError,
    424: errors.ServerError,
    425: errors.RateLimitError,
    429: errors.RateLimitError,
    504: errors.RequestTimeoutError,
}

_WORD_STATUSES = {
    "overloaded": 429, "rate_limit_exceeded": 429, "rate_limit_error": 429, "too_many_requests": 429,
    "generation": 424, "unhealthy": 503, "healthcheck": 503, "unavailable_error": 503, "server_error": 500,
    "internal_server_error": 500, "internalservererror": 500, "incomplete_generation": 500, "api_error": 500,
    "validation": 422, "tool_error": 422, "template_error": 422,
    "invalid_request_error": 400, "badrequesterror": 400, "exceed_context_size_error": 400,
    "tool_use_failed": 400, "authentication_error": 401, "permission_error": 403, "not_found_error": 404,
    "notfounderror": 404, "insufficient_quota": 402,
    "rate_limited": 429, "rate_limit": 429, "timeout": 504, "bad_gateway": 502, "service_unavailable": 503,
    "unauthorized": 401, "forbidden": 403, "not_found": 404, "payment_required": 402,
}  # fmt: skip


def error_for_response(
    status_code: int, headers: Mapping[str, str], content: bytes, request: WireRequest, *, now: datetime
) -> errors.APIStatusError:
    """Give the error for an answer with status 400 or above (or a redirect, which is never followed)."""
    try:
        body: Any = parse_whole_json(content)
    except ValueError:
        body = content.decode("utf-8", "replace")
    words = _words(body) or headers.get("x-error-message") or _plain_text(body) or "no explanation given"
    wait_s = retry_after_s(headers, body, now=now)
    return _error(status_code, words, body, dict(headers), request, wait_s)


def read_stream_error(event: str, data: Any, raw: bytes, request: WireRequest) -> errors.APIStatusError | None:
    """Return the error that an event, or a whole response with status 200, reports; None where it reports none.

    Errors are looked for in the object itself, in its choices, and in their messages and deltas (OpenRouter, vLLM behind
    proxies); a finish reason that means failure is one as well.

    Args:
        event: The event's name; Groq and llama.cpp name theirs "error".
        data: The event's data as decoded JSON, None where it could not be parsed.
        raw: The same as bytes: transformers serve inserts texts without escaping them.
    """
    found = as_object(data)
    if data is None and (event == "error" or raw.lstrip().startswith(b'{"error"')):
        return _error(
            500, raw.decode("utf-8", "replace")[:MAX_QUOTED_CHARS], raw.decode("utf-8", "replace"), {}, request
        )
    if failed := ("error" in found and _stated(found)) or found.get("error_message") or (event == "error" and found):
        return _error(_stream_status(found), _words(found) or str(failed)[:MAX_QUOTED_CHARS], found, {}, request)
    if found.get("object") == "error":
        return _error(_stream_status(found), _words(found) or "no explanation given", found, {}, request)
    if "x_groq" in found and (failed := _stated(as_object(found["x_groq"]))):  # why Groq stopped a stream early
        return _error(_stream_status({"error": failed}), _words({"error": failed}) or str(failed), found, {}, request)
    if choices := found.get("choices"):
        return _choice_error(as_list(choices), found, request)
    return None


def _choice_error(choices: list[Any], body: JSON, request: WireRequest) -> errors.APIStatusError | None:
    reason = None
    for choice in choices:
        if not isinstance(choice, dict):
            continue
        for place in (choice, choice.get("delta"), choice.get("message")):
            if isinstance(place, dict) and "error" in place and (failed := _stated(place)):
                inner = {"error": failed}
                words = _words(inner) or str(failed)[:MAX_QUOTED_CHARS]
                return _error(_stream_status(inner), words, body, {}, request, code=_code(inner))
        reason = choice.get("finish_reason") if choice.get("finish_reason") in FAILED_REASONS else reason
    return _error(500, f"the server ended the answer with {reason!r}", body, {}, request) if reason else None


def _stated(place: JSON) -> Any:
    """Return what stands under `error`, None where nothing is reported: null, empty, or filled with zeros."""
    failed = place.get("error")
    if isinstance(failed, dict):
        return failed if any(value not in (None, "", 0, False) for value in failed.values()) else None
    return failed or None


def _stream_status(body: JSON) -> int:
    """Return the HTTP status that an error inside a response with status 200 stands for; 500 where nothing says."""
    inner = as_object(body.get("error")) or body
    stated = [inner.get(key) for key in ("status_code", "http_status_code", "code", "status")]
    status = next((n for n in map(_as_status, [*stated, body.get("status_code")]) if n), None)
    words = (_code(body) or "").lower()
    if "overloaded" in f"{words} {_words(body)}".lower():
        return 429  # TGI reports each failure inside a stream as 422, overload included
    named = [_WORD_STATUSES.get(word.lower().replace(" ", "_")) for word in (words, *map(str, stated))]
    return status or next(filter(None, named), None) or 500


def _as_status(value: Any) -> int | None:
    """Return an error status that is written as a number or as text, else None."""
    if isinstance(value, str) and value.strip().isascii() and value.strip().isdigit():
        value = int(value.strip()[:9])
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return int(value) if is_number and 400 <= value < 600 else None


def _error(
    status: int,
    words: str,
    body: Any,
    headers: dict[str, str],
    request: WireRequest,
    wait_s: float | None = None,
    code: str | None = None,
) -> errors.APIStatusError:
    code = code or _code(body)
    kind = _kind(status, f"{code} {words}", wait_s)
    text = " ".join(words.split())[:MAX_QUOTED_CHARS]
    mend = _mend(kind, status, f"{code} {words}", request)
    message = f"{status} from {shown_url(request.url)}: {text}" + (f" ({mend})" if mend else "")
    error = kind(message, status_code=status, body=body, headers=headers, code=code, retry_after=wait_s)
    error.mend = mend
    return error


def _kind(status: int, words: str, wait_s: float | None) -> type[errors.APIStatusError]:
    if status in (400, 413, 422, 500) and re.search(_TOO_LONG, words):
        return errors.ContextLengthError
    if status in (400, 404, 422) and re.search(_NOT_SUPPORTED, words):
        return errors.ModelNotFoundError
    if status in (403, 429) and re.search(_CREDITS, words):
        return errors.PaymentRequiredError
    if status == 503 and (wait_s is not None or re.search(_LOADING, words)):
        return errors.ModelLoadingError
    if kind := _STATUS_ERRORS.get(status):
        return kind
    return errors.ServerError if status >= 500 else errors.InvalidRequestError


def _mend(kind: type[errors.APIStatusError], status: int, words: str, request: WireRequest) -> str | None:
    """Say what the user can do, where that is known."""
    router = "huggingface.co" in request.url
    if kind is errors.PaymentRequiredError:
        return "buy credits or see your usage at https://huggingface.co/settings/billing" if router else None
    if kind is errors.AuthenticationError:
        return "set api_key or HF_TOKEN to a valid token" + (
            ": https://huggingface.co/settings/tokens" if router else ""
        )  # fmt: skip
    if kind is errors.PermissionDeniedError and router:
        return (
            'the token needs the permission "Make calls to Inference Providers", and gated models their licence '
            "accepted: https://huggingface.co/settings/tokens"
        )
    if kind is errors.ModelNotFoundError and "provider" in words:
        return "choose another provider, or enable some at https://huggingface.co/settings/inference-providers"
    if kind is errors.ModelNotFoundError:
        return f"check model={request.model!r}, the provider and the path of the URL"
    if kind is errors.ModelLoadingError:
        return "it is still starting; wait, raise max_retries, or set scale_up_timeout for an Inference Endpoint"
    if status == 504:
        return "stream the answer, or ask for fewer tokens"
    if 300 <= status < 400:
        return "redirects are not followed, so that no token goes astray; give the final URL"
    return None


def _words(body: Any) -> str:
    """Find the server's own explanation in a decoded body; empty where there is none."""
    found = as_object(body)
    problem = found.get("error")
    if isinstance(problem, str):
        return problem
    if isinstance(problem, list):
        return "; ".join(map(str, problem))
    inner = as_object(problem)
    for value in (inner.get("message"), inner.get("error"), found.get("message"), found.get("detail"),
                  found.get("error_message"), inner.get("detail"), found.get("msg")):  # fmt: skip
        if isinstance(value, str) and value:
            return value
        if isinstance(value, list | dict) and value:
            return "; ".join(_detail(item) for item in as_list(value))
    return str(inner) if inner else ""


def _detail(item: Any) -> str:
    """Write one row of FastAPI's validation errors: where, then what."""
    row = as_object(item)
    where = ".".join(str(part) for part in as_list(row.get("loc")) if part != "body")
    what = str(row.get("msg") or row.get("message") or item)
    return f"{where}: {what}" if where else what


def _code(body: Any) -> str | None:
    found = as_object(body)
    inner = as_object(found.get("error"))
    for value in (inner.get("code"), found.get("error_type"), inner.get("type"), found.get("code"), found.get("type")):
        if isinstance(value, str) and value:
            return value
    return None


def _plain_text(body: Any) -> str:
    text = body if isinstance(body, str) else ""
    return " ".join(re.sub(_TAGS, " ", text[:20_000]).split())

"""What a message may show of an input that holds a secret, and of one that does not.

pydantic writes the whole input into its errors (`input_value={'api_key': 'hf_…'}`), and keeps it in `errors()`. Here each
error is built again: harmless values stay, since a message without the value does not help, and all others are `***`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from pydantic_core import InitErrorDetails, PydanticCustomError, ValidationError

from langchain_hf_inference.errors import ConfigurationError

HIDDEN = "***"
MAX_SHOWN_CHARS = 200

_SECRET_NAME = re.compile(r"(?i)auth|cookie|key|token|secret|passw|credential|bearer|headers|client$")
_HARMLESS_NAMES = frozenset({"max_tokens", "max_new_tokens", "max_completion_tokens", "max_output_tokens", "tokenizer",
                             "top_n_tokens", "parse_think_tags", "token_counts"})  # fmt: skip
_URL_NAMES = frozenset({"endpoint_url", "base_url", "api_base", "openai_api_base", "url", "inference_server_url",
                        "inference_endpoint", "api_base_url", "endpoint"})  # fmt: skip
_CONTAINERS = frozenset({"model_kwargs", "generation_kwargs", "api_params", "server_kwargs", "extra_body"})
_TOKEN_LIKE = re.compile(
    r"(?i)\b(hf_|api_org_|sk-|gsk_|tgp_|xai-|nvapi-|scw-)(?!(?:token|hub|inference|home)\b)[\w\-]{2,}"
)
_CREDENTIAL_ARGUMENT = re.compile(
    r"(?i)(^|_)(api_?(key|token)|(access|auth|hf|hub|bearer)_?(key|token)|secret(_?key)?|password|passwd|authorization)$"
)


def is_secret_name(name: str) -> bool:
    """Return whether what goes by this name (a header, an argument) may be a secret."""
    return name not in _HARMLESS_NAMES and bool(_SECRET_NAME.search(name))


@lru_cache(maxsize=1024)
def names_credential(name: str) -> bool:
    """Return whether an argument that is not ours is a key by its name: `groq_api_key`, and not `eos_token`."""
    return bool(_CREDENTIAL_ARGUMENT.search(name))


def redacted_url(text: str) -> str:
    """Return a URL fit for a message, without user, password, query and fragment; also of a text that is no URL."""
    scheme, found, rest = text.strip().partition("://")
    scheme, rest = (
        (scheme + found, rest) if found and re.fullmatch(r"[A-Za-z][\w+.\-]*", scheme) else ("", text.strip())
    )
    before, at, host = rest.rpartition("@")
    if at and any(mark in before for mark in "?#"):
        return scheme + HIDDEN  # part of a password, or of a query
    return redacted(scheme + re.split(r"[?#]", host, maxsplit=1)[0])


def redacted(text: str, secrets: Iterable[str] = ()) -> str:
    """Return a text without `secrets` and without what looks like a token."""
    for secret in secrets:
        if text == secret or len(secret) > 3:
            text = text.replace(secret, HIDDEN)
    return _TOKEN_LIKE.sub(lambda found: found[1] + HIDDEN, text)


def redacted_value(name: str, value: Any, secrets: Iterable[str] = ()) -> Any:
    """Return what a message may show of an argument's value: a harmless one as it is, `***` for any other."""
    if value is None or isinstance(value, bool):
        return value
    if is_secret_name(name):
        return HIDDEN
    if isinstance(value, int | float):
        return value
    if (name in _URL_NAMES and not isinstance(value, str)) or (name in _CONTAINERS and not isinstance(value, Mapping)):
        return HIDDEN
    if isinstance(value, str):
        is_address = name in _URL_NAMES or "://" in value or "@" in value
        return redacted(redacted_url(value) if is_address else value, secrets)[:MAX_SHOWN_CHARS]
    if isinstance(value, Mapping):
        return {_shown_key(key, secrets): redacted_value(str(key), item, secrets) for key, item in value.items()}
    if isinstance(value, list | tuple | set):
        return [redacted_value(name, item, secrets) for item in value]
    return f"<{type(value).__name__}>"


def _shown_key(key: Any, secrets: Iterable[str]) -> str:
    return redacted(str(key), secrets)


def secrets_in(arguments: Any) -> list[str]:
    """Return the texts among `arguments` that are secrets by the name that they go by, the longest first."""
    found: set[str] = set()
    _collect(arguments, found, secret=False)
    return sorted(found, key=len, reverse=True)


def _collect(value: Any, found: set[str], *, secret: bool) -> None:
    if isinstance(value, Mapping):
        for key, item in value.items():
            _collect(item, found, secret=secret or is_secret_name(str(key)))
    elif secret and isinstance(value, list | tuple | set):
        for item in value:
            _collect(item, found, secret=True)
    elif secret and isinstance(value, str) and value.strip():
        found.add(value.strip())


def redacted_error(error: ValidationError, arguments: Any) -> ValidationError:
    """Return pydantic's `error` without any input that may hold a secret; nothing of the original hangs on it.

    Args:
        error: What pydantic raised. Raise the result outside of the `except`, so that it has no `__context__`.
        arguments: What was validated; the secrets in it are taken out of all texts.
    """
    secrets = secrets_in(arguments)
    lines = [_line(one, secrets) for one in error.errors(include_url=False)]
    return ValidationError.from_exception_data(error.title, lines, "python")


def _line(one: Any, secrets: list[str]) -> InitErrorDetails:
    loc, context = one["loc"], one.get("ctx") or {}
    names = [str(part) for part in loc]
    secret = next((name for name in names if is_secret_name(name)), None)
    shown = redacted_value(secret or (names[0] if names else "arguments_"), one["input"], secrets)
    message = redacted(one["msg"], secrets)
    kind: str | PydanticCustomError = PydanticCustomError(one["type"], message)
    if isinstance(cause := context.get("error"), Exception):
        message = redacted(str(cause), secrets)
        context = {"error": (ConfigurationError if isinstance(cause, ConfigurationError) else ValueError)(message)}
        kind = one["type"]
    elif _is_builtin(one, context) and message == one["msg"]:
        kind = one["type"]
    details = InitErrorDetails(
        type=kind, loc=tuple(redacted(p, secrets) if isinstance(p, str) else p for p in loc), input=shown
    )
    if kind is one["type"] and context:
        details["ctx"] = context
    return details


def _is_builtin(one: Any, context: Mapping[str, Any]) -> bool:
    """Return whether pydantic can write this error again by its type."""
    details = InitErrorDetails(type=one["type"], loc=(), input=None)
    if context:
        details["ctx"] = dict(context)
    try:
        return bool(ValidationError.from_exception_data("", [details], "python").errors()[0]["msg"] == one["msg"])
    except (KeyError, TypeError, ValueError):
        return False

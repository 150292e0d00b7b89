"""Who pays: the token of a request, resolved when it is sent and never on the event loop."""

from __future__ import annotations

import asyncio
import inspect
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from pydantic import SecretStr

from langchain_hf_inference._protocol.routing import is_hugging_face_host, is_hugging_face_token
from langchain_hf_inference._transport import hub
from langchain_hf_inference.errors import ConfigurationError

TOKEN_VARIABLES = ("HF_TOKEN", "HUGGINGFACEHUB_API_TOKEN", "HF_API_TOKEN")
"""Environment variables that may hold a token, in the order they are asked."""

ApiKey = SecretStr | bool | Callable[[], Any] | None
"""A token, False for none at all, a function (sync or async) that gives one, or None for the ambient one."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """A token for one request. Its repr does not show it."""

    token: str | None = field(repr=False)
    explicit: bool
    """The user gave it, so it goes where the user sends it; an ambient one goes to Hugging Face alone."""

    def for_url(self, url: str) -> str | None:
        """Give the token if it may go to `url`."""
        return self.token if self.explicit or is_hugging_face_host(url) else None

    @property
    def is_provider_key(self) -> bool:
        """Tell whether this is a provider's own key and no Hugging Face token."""
        return self.explicit and bool(self.token) and not is_hugging_face_token(self.token)


class TokenSource:
    """Where tokens come from: the `api_key` given, else the environment, else the stored login."""

    def __init__(self, api_key: ApiKey) -> None:
        self._api_key = api_key

    def credentials(self, *, ambient: bool) -> Credentials:
        """Give the credentials for a request; the ambient token is looked for only if `ambient`."""
        if self._api_key is None:
            return Credentials(_environment_token() or hub.stored_token() if ambient else None, explicit=False)
        value = self._given()
        if inspect.isawaitable(value):
            _discard(value)
            raise ConfigurationError(
                "api_key is an async function, which a sync call cannot await; use ainvoke or astream"
            )
        return Credentials(_checked(value), explicit=True)

    async def acredentials(self, *, ambient: bool) -> Credentials:
        """Like `credentials`."""
        if self._api_key is None:
            token = _environment_token() if ambient else None
            return Credentials(
                token or (await asyncio.to_thread(hub.stored_token) if ambient else None), explicit=False
            )
        if callable(self._api_key) and not inspect.iscoroutinefunction(self._api_key):
            value = await asyncio.to_thread(self._given)  # it may read a file or refresh a token
        else:
            value = self._given()
        if inspect.isawaitable(value):
            value = await value
        return Credentials(_checked(value), explicit=True)

    def place(self) -> str | None:
        """Tell where the token is found, and never the token; None where there is none."""
        if self._api_key is not None:
            return None if self._api_key is False else "the argument"
        if variable := _token_variable():
            return f"the environment variable {variable}"
        return hub.login_place() if hub.stored_token() else None

    def _given(self) -> Any:
        return self._api_key() if callable(self._api_key) else self._api_key


def _environment_token() -> str | None:
    variable = _token_variable()
    return os.environ[variable].strip() if variable else None


def _token_variable() -> str | None:
    return next((name for name in TOKEN_VARIABLES if os.environ.get(name, "").strip()), None)


def _checked(value: Any) -> str | None:
    """Give a token fit for a header; the message of the error never holds it."""
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    if value is None or value is False:
        return None
    if not isinstance(value, str):
        raise ConfigurationError(f"api_key must be a str or give one; it is or gave a {type(value).__name__}")
    token = value.strip()
    if any(not 0x20 < ord(character) < 0x7F for character in token):
        raise ConfigurationError("api_key holds blanks or characters that cannot stand in a header; copy it anew")
    return token or None


def _discard(value: Awaitable[Any]) -> None:
    if inspect.iscoroutine(value):
        value.close()

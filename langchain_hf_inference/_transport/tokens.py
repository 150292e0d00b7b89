"""Where a token comes from: `api_key`, the environment, the stored login. Read when a request is sent, never on the event loop.

Only the waiting is here; what a token may look like, and where it may go, is decided in `_protocol/credentials.py`.
"""

from __future__ import annotations

import asyncio
import inspect
import os
from collections.abc import Awaitable, Callable
from typing import Any

from pydantic import SecretStr

from langchain_hf_inference._protocol.credentials import (
    TOKEN_VARIABLES,
    Credentials,
    Destination,
    environment_variable,
    needs_stored_login,
    resolve_credentials,
)
from langchain_hf_inference._transport import hub
from langchain_hf_inference.errors import ConfigurationError

ApiKey = SecretStr | str | bool | Callable[[], Any] | None
"""A key, False for none at all, a function (sync or async) that returns one, or None for the environment's."""


class TokenSource:
    """Reads the key of a model: `api_key`, else the environment, else the stored login."""

    def __init__(self, api_key: ApiKey) -> None:
        self._api_key = api_key

    def credentials(self, destination: Destination) -> Credentials:
        """Return the credentials for requests to a model.

        Raises:
            ConfigurationError: The key cannot be used, or not there.
        """
        value = self._given()
        if inspect.isawaitable(value):
            _discard(value)
            raise ConfigurationError(
                "api_key is an async function, which a sync call cannot await; use ainvoke or astream"
            )
        if value is not None:
            return resolve_credentials(value, destination, environment={}, stored_login=None)
        environment, login = _environment(), None
        if needs_stored_login(value, destination.endpoint_url, environment):
            login = hub.stored_token()
        return resolve_credentials(value, destination, environment=environment, stored_login=login)

    async def acredentials(self, destination: Destination) -> Credentials:
        """Like `credentials`."""
        if callable(self._api_key) and not inspect.iscoroutinefunction(self._api_key):
            value = await asyncio.to_thread(self._given)  # it may read a file or refresh a token
        else:
            value = self._given()
        if inspect.isawaitable(value):
            value = await value
            value = False if value is None else value
        if value is not None:
            return resolve_credentials(value, destination, environment={}, stored_login=None)
        environment, login = _environment(), None
        if needs_stored_login(value, destination.endpoint_url, environment):
            login = await asyncio.to_thread(hub.stored_token)
        return resolve_credentials(value, destination, environment=environment, stored_login=login)

    def place(self) -> str | None:
        """Return where the token is found, and never the token; None where there is none."""
        if self._api_key is not None:
            return None if self._api_key is False else "the argument"
        if variable := environment_variable(_environment()):
            return f"the environment variable {variable}"
        return hub.login_place() if hub.stored_token() else None

    def _given(self) -> Any:
        """Return `api_key`, or what it returns: a function that returns None gives no key, and not the environment's."""
        if not callable(self._api_key):
            return self._api_key
        value = self._api_key()
        return False if value is None else value


def _environment() -> dict[str, str]:
    return {name: os.environ[name] for name in TOKEN_VARIABLES if name in os.environ}


def _discard(value: Awaitable[Any]) -> None:
    if inspect.iscoroutine(value):
        value.close()

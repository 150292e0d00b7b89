"""Clients that the user supplies: checked when the model is constructed, used as they are, closed by their owner."""

from __future__ import annotations

from typing import Any, Protocol

from langchain_hf_inference._transport import backend
from langchain_hf_inference.errors import ConfigurationError


class Lease(Protocol):
    """A client for one request, and how to return it."""

    client: Any
    is_shared: bool
    """Whether the package created the client."""
    notes_connections: bool
    """Whether new connections are noted on `current_trace`."""

    def release(self, *, is_broken: bool = False) -> None:
        """Return the client; `is_broken` if a response could not be read."""


class SuppliedClient:
    """A client that the user supplied, and closes.

    Raises:
        ConfigurationError: It is closed already.
    """

    __slots__ = ("client", "is_shared", "notes_connections")

    def __init__(self, client: Any, argument: str) -> None:
        if client.is_closed:
            raise ConfigurationError(f"{argument} is closed; pass one that is open, or none")
        self.client = client
        self.is_shared = self.notes_connections = False

    def release(self, *, is_broken: bool = False) -> None:
        """Leave the client to its owner."""


def client_problem(client: object, argument: str) -> str | None:
    """Return what is wrong with a client that the user supplies as `argument`, or None."""
    if argument == "http_client":
        if backend.is_client(client):
            return None
        expected, other = "httpx.Client (or httpx2.Client)", "http_async_client"
        swapped = backend.is_async_client(client)
    else:
        if backend.is_async_client(client):
            return None
        expected, other = "httpx.AsyncClient (or httpx2.AsyncClient)", "http_client"
        swapped = backend.is_client(client)
    kind = f"{type(client).__module__.partition('.')[0]}.{type(client).__name__}"
    hint = f"; pass that as {other}" if swapped else ""
    return f"{argument} must be an {expected}, got {kind}{hint}"

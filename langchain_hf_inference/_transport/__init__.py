"""Sends requests and waits for responses; what is sent is decided in `_protocol`.

The modules are imported by the first call: httpx would add a tenth to the time that importing langchain-core takes.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from langchain_hf_inference._transport import client_builders, clients, http, lookups, streams, supplied

__all__ = ["client_builders", "clients", "http", "lookups", "streams", "supplied"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return import_module(f"{__name__}.{name}")

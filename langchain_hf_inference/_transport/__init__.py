"""How it goes over the wire: all the waiting there is. Nothing here decides what is said.

Its rooms are opened by the first call, since httpx would cost a tenth of langchain-core's own import.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from langchain_hf_inference._transport import http, lookups, pool, streams

__all__ = ["http", "lookups", "pool", "streams"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return import_module(f"{__name__}.{name}")

"""The transport of a model's last call, kept for the next one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from langchain_hf_inference._transport.http import HTTPTransport


class TransportCache:
    """A transport and the settings that it was built for. Not part of a model's state: copies and pickles start empty."""

    def __init__(self) -> None:
        self.key: tuple[Any, ...] | None = None
        self.transport: HTTPTransport | None = None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TransportCache)

    __hash__ = None  # type: ignore[assignment]

    def __reduce__(self) -> tuple[type[TransportCache], tuple[()]]:
        return TransportCache, ()

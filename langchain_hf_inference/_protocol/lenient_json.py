r"""JSON as servers and models write it: parsed no more strictly than `json.loads`, written so that every server can read it.

pydantic-core's parser is several times faster than the standard library's and refuses what the latter accepts: lone
surrogates above all. Servers that split text at token boundaries send one emoji as `"\ud83d"` and `"\ude00"` in two
deltas, and a response truncated by `max_tokens` may end in the first half. A surrogate that stays alone cannot be encoded
as UTF-8, so it would break the next request: it becomes U+FFFD.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

from pydantic_core import from_json

_SURROGATE = re.compile("[\ud800-\udfff]")


def loads(text: str | bytes, *, strict: bool = True) -> Any:
    """Parse JSON with the standard library's parser, which accepts raw line breaks within strings (`strict=False`).

    Raises:
        ValueError: It is not JSON, or nested too deeply to be parsed.
    """
    try:
        return json.loads(text, strict=strict)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def parse_json(data: bytes) -> tuple[Any, bool]:
    """Parse bytes as JSON; return the value, and whether its strings may hold lone surrogates.

    Raises:
        ValueError: It is not JSON by the standard library's rules either.
    """
    try:
        return from_json(data), False
    except ValueError:
        return loads(data.decode("utf-8", "replace"), strict=False), True


def parse_whole_json(data: bytes) -> Any:
    """Parse a complete body: halves of surrogate pairs are joined, single ones become U+FFFD.

    Raises:
        ValueError: It is not JSON.
    """
    value, has_surrogates = parse_json(data)
    return without_surrogates(value) if has_surrogates else value


def join_surrogates(text: str) -> str:
    """Return `text` with surrogate pairs joined, and U+FFFD for each surrogate that stands alone."""
    if not _SURROGATE.search(text):
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def without_surrogates(value: Any) -> Any:
    """Return a decoded JSON value with `join_surrogates` applied to every string in it."""
    if isinstance(value, str):
        return join_surrogates(value)
    if isinstance(value, list):
        return [without_surrogates(item) for item in value]
    if isinstance(value, dict):
        return {join_surrogates(key): without_surrogates(item) for key, item in value.items()}
    return value


def sendable(value: Any) -> Any:
    """Return a decoded JSON value without what no strict parser accepts: lone surrogates, NaN and infinities (null)."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, str):
        return join_surrogates(value)
    if isinstance(value, list | tuple):
        return [sendable(item) for item in value]
    if isinstance(value, dict):
        return {join_surrogates(key) if isinstance(key, str) else key: sendable(item) for key, item in value.items()}
    return value


class SurrogateJoiner:
    """Joins surrogate pairs that a stream splits between two pieces: `feed` each piece, then `close`."""

    __slots__ = ("_held",)

    def __init__(self) -> None:
        self._held = ""

    @property
    def is_holding(self) -> bool:
        """Whether a first half is waiting for its second."""
        return bool(self._held)

    def feed(self, piece: str) -> str:
        """Return the text that is complete; a first half at the end is held back."""
        text, self._held = self._held + piece, ""
        if text and "\ud800" <= text[-1] <= "\udbff":
            text, self._held = text[:-1], text[-1]
        return join_surrogates(text)

    def close(self) -> str:
        """Return U+FFFD if a first half is still waiting, else nothing."""
        held, self._held = self._held, ""
        return "\ufffd" if held else ""

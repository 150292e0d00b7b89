"""HTTP headers as users write them: normalized, checked, immutable, and never shown with their values.

Field names and values: RFC 9110, sections 5.1 and 5.5. Values are limited to printable ASCII: servers disagree on
the meaning of anything else, and httpx refuses it with an error that shows the value.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, NoReturn

from langchain_hf_inference._protocol.credentials import BEARER, normalize_credential, secret_bounds, text_of
from langchain_hf_inference._protocol.redaction import is_secret_name
from langchain_hf_inference.errors import ConfigurationError

_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_FRAMING = frozenset({"content-length", "transfer-encoding"})
"""What frames a body (RFC 9112, section 6): another value would corrupt the request."""
_UNCARRIED = re.compile(r"[^\t\x20-\x7e]")


class Headers(Mapping[str, str]):
    """HTTP headers that cannot be changed; `repr` shows their names only.

    They are part of a model's identity (connections, caches), so a change in place would be lost. Assign a new
    mapping instead.
    """

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, str] | None = None) -> None:
        self._values = MappingProxyType(dict(values or {}))

    def __getitem__(self, name: str) -> str:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"Headers({', '.join(f'{name}: ***' for name in self._values)})"

    def __reduce__(self) -> tuple[type[Headers], tuple[dict[str, str]]]:
        return Headers, (dict(self._values),)

    def __copy__(self) -> Headers:
        return self

    def __deepcopy__(self, memo: Any) -> Headers:
        return self

    def __hash__(self) -> int:
        return hash(frozenset(self._values.items()))

    def __or__(self, other: Mapping[str, str]) -> Headers:
        return merge_headers(self, other)

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        raise TypeError(
            "default_headers cannot be changed in place, since a change would not reach requests; "
            'assign a new mapping: model.default_headers = {**model.default_headers, "X-Name": "value"}'
        )

    __setitem__ = __delitem__ = __ior__ = _refuse
    update = pop = popitem = clear = setdefault = _refuse


_NO_HEADERS = Headers()


def no_headers() -> Headers:
    """Return the headers of a model that has none of its own."""
    return _NO_HEADERS


def merge_headers(base: Mapping[str, str], *others: Mapping[str, str]) -> Headers:
    """Return `base` with `others` over it; names are compared without regard to case, as in HTTP."""
    merged: dict[str, tuple[str, str]] = {name.lower(): (name, value) for name, value in base.items()}
    for other in others:
        merged.update({name.lower(): (name, value) for name, value in other.items()})
    return Headers(dict(merged.values()))


def normalize_headers(headers: Any, *, source: str = "default_headers") -> Headers:
    """Return `headers` ready to be sent.

    Whitespace around a value is removed. Where the name says that the value is a secret, the quotes around it and an
    `HF_TOKEN=` before it are removed as well, and a doubled `Bearer`.

    Args:
        headers: A mapping of names to values.
        source: The argument that held them, for messages.

    Raises:
        ConfigurationError: A name or a value cannot be sent. The message names the header and the position, never
            the value.
    """
    if isinstance(headers, Headers):
        return headers
    if not isinstance(headers, Mapping):
        raise ConfigurationError(f"{source} must be a mapping of names to values, got a {type(headers).__name__}")
    found: dict[str, str] = {}
    for name, value in headers.items():
        if not isinstance(name, str) or not _NAME.fullmatch(name.strip()):
            raise ConfigurationError(
                f"{source}: the name of header number {len(found) + 1} is empty or holds a character that names of "
                "headers cannot have; names are letters, digits and hyphens"
            )
        if name.strip().lower() in _FRAMING:
            raise ConfigurationError(f"{source} must not contain {name.strip()}: it is set from each request's body")
        found = dict(merge_headers(found, {name.strip(): _normalized_value(name.strip(), value, source)}))
    return Headers(found)


def _normalized_value(name: str, value: Any, source: str) -> str:
    text = text_of(value)
    if text is None:
        raise ConfigurationError(f"{source}: the value of {name} must be a string, got a {type(value).__name__}")
    stripped = text.strip(" \t\r\n")
    if bad := _UNCARRIED.search(stripped):
        position = text.index(stripped) + bad.start() + 1
        kind = "a control character" if ord(bad[0]) < 0x80 else "a character that is not ASCII"
        raise ConfigurationError(
            f"{source}: the value of {name} holds {kind}, at position {position}; headers carry ASCII only: "
            "write the value in ASCII, or percent-encode it"
        )
    if not is_secret_name(name) or name.lower() in ("cookie", "www-authenticate"):
        return stripped
    start, end = secret_bounds(stripped)
    if BEARER.search(stripped[:start]):
        return f"Bearer {normalize_credential(stripped, source=f'{source}: {name}') or ''}".rstrip()
    return stripped[start:end]

"""A JSON Schema and a prompt -> data that fits the schema, taken from the prompt where it can be."""

from __future__ import annotations

import re
from typing import Any

_QUOTED = re.compile(r"'([^']+)'|\"([^\"]+)\"|“([^”]+)”")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_AFTER_PREPOSITION = re.compile(
    r"\b(?:in|for|of|about|to|named)\s+(?:the\s+)?([^?!]+?)(?:[?!]|\.\s|\.?$)", re.IGNORECASE
)
_NAME = re.compile(r"(?<=\s)[A-Z][\w-]*")
_FORMATS = {
    "date": "2026-01-01",
    "date-time": "2026-01-01T00:00:00Z",
    "email": "scripted@example.org",
    "time": "00:00:00",
    "uri": "https://example.org",
    "uuid": "00000000-0000-4000-8000-000000000000",
}


class Filler:
    """Fills schemas from one prompt; each quoted text and each number is used once, in order."""

    def __init__(self, prompt: str) -> None:
        self._prompt = prompt
        self._quoted = [next(filter(None, found)) for found in _QUOTED.findall(prompt)]
        bare = _QUOTED.sub(" ", prompt)
        self._numbers = _NUMBER.findall(bare)
        self._names = [found for pattern in (_AFTER_PREPOSITION, _NAME) for found in pattern.findall(bare)]

    def value(self, schema: Any, root: Any = None, name: str = "") -> Any:
        """Give a value for `schema`; `root` holds its `$defs`, `name` is the property's."""
        if not isinstance(schema, dict):
            return self._text(name)
        root = schema if root is None else root
        if "$ref" in schema:
            return self.value(_resolved(schema["$ref"], root), root, name)
        if "const" in schema:
            return schema["const"]
        if choices := schema.get("enum"):
            return next((c for c in choices if str(c).lower() in self._prompt.lower()), choices[0])
        for key in ("anyOf", "oneOf", "allOf"):
            if options := schema.get(key):
                return self._option(options, root, name)
        kind = schema.get("type")
        if isinstance(kind, list):
            kind = next((k for k in kind if k != "null"), "null")
        if kind == "object" or "properties" in schema:
            return {key: self.value(inner, root, key) for key, inner in schema.get("properties", {}).items()}
        if kind == "array":
            count = max(1, schema.get("minItems", 1))
            return [self.value(schema.get("items", {}), root, name) for _ in range(count)]
        if kind in ("integer", "number"):
            return self._number(schema, whole=kind == "integer")
        return (
            {"boolean": True, "null": None}.get(str(kind))
            if kind in ("boolean", "null")
            else self._string(schema, name)
        )

    def _option(self, options: list[Any], root: Any, name: str) -> Any:
        nullable = any(isinstance(o, dict) and o.get("type") == "null" for o in options)
        if nullable and f"no {name}" in self._prompt.lower():
            return None
        real = [o for o in options if not (isinstance(o, dict) and o.get("type") == "null")]
        return self.value(real[0], root, name) if real else None

    def _number(self, schema: dict[str, Any], *, whole: bool) -> int | float:
        value = float(self._numbers.pop(0)) if self._numbers else 1.0
        value = max(value, float(schema.get("minimum", schema.get("exclusiveMinimum", value - 1) + 1)))
        value = min(value, float(schema.get("maximum", schema.get("exclusiveMaximum", value + 1) - 1)))
        return int(value) if whole else value

    def _string(self, schema: dict[str, Any], name: str) -> str:
        text = _FORMATS.get(str(schema.get("format"))) or self._text(name)
        text = text.ljust(int(schema.get("minLength", 0)), "x")
        return str(text[: int(schema.get("maxLength", len(text)))])

    def _text(self, name: str) -> str:
        for source in (self._quoted, self._names):
            if source:
                return str(source.pop(0)).strip()
        return f"{name or 'text'}: {self._prompt}".strip()

    def keys(self) -> dict[str, str]:
        """Give JSON for a prompt that names its keys in quotes; without any, under "answer"."""
        return {key: f"{key} by the scripted server" for key in self._quoted} or {"answer": self._prompt}


def _resolved(pointer: str, root: Any) -> Any:
    found = root
    for part in pointer.removeprefix("#").strip("/").split("/"):
        found = found.get(part, {}) if isinstance(found, dict) and part else found
    return found

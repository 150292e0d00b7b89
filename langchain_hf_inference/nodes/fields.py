"""What people type into forms -> values: numbers as text, empty fields, references into a context.

A form gives strings. "0.7" is a number, "" is nothing, "hot" is a mistake that is told by its field's
name, and `{{path.to.value}}` stands for a value of a given context. There is no more to the language
than that: no arithmetic, no calls.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator

from langchain_hf_inference._protocol.wire import loads

_PATH = re.compile(r"[A-Za-z_][\w-]*(?:\.[\w-]+)*")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def number(value: Any) -> Any:
    """Read a number: of a number or a text, "" and blanks being none at all."""
    if isinstance(value, bool):
        raise ValueError(f"{value} is no number")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{value} is no number to count with")
    if not isinstance(value, str):
        return value
    text = value.strip()
    if not text:
        return None
    if not _NUMBER.fullmatch(text):
        raise ValueError(f"{value[:50]!r} is no number; write it like 0.7 or 1024")
    found = float(text)
    if not math.isfinite(found):
        raise ValueError(f"{value[:50]!r} is too large a number")
    return found


def whole(value: Any) -> Any:
    """Read a whole number; 10.0 is one, 10.5 is not."""
    found = number(value)
    if isinstance(found, float):
        if not found.is_integer():
            raise ValueError(f"{value!r} is no whole number")
        return int(found)
    return found


def text(value: Any) -> Any:
    """Read a text; one of blanks alone is none at all."""
    if isinstance(value, bool | int | float):
        return str(value)  # a reference may lead to a number
    return None if isinstance(value, str) and not value.strip() else value


def texts(value: Any) -> Any:
    """Read texts: a list, a JSON list in a text, or one text."""
    if isinstance(value, str):
        if not value.strip():
            return None
        if value.lstrip().startswith("["):
            try:
                listed = loads(value)
            except ValueError:
                return [value]
            return listed if isinstance(listed, list) else [value]
        return [value]
    return list(value) if isinstance(value, tuple) else value


def data(value: Any) -> Any:
    """Read an object: as it is, or as JSON in a text."""
    if not isinstance(value, str):
        return value
    if not value.strip():
        return None
    if not value.lstrip().startswith("{"):
        return value
    try:
        return loads(value)
    except ValueError as error:
        raise ValueError(f"this is no JSON: {error}") from None


Text = Annotated[str | None, BeforeValidator(text)]
Texts = Annotated[list[str] | None, BeforeValidator(texts)]
Data = Annotated[dict[str, Any] | str | None, BeforeValidator(data)]


def resolved(value: Any, context: Mapping[str, Any] | None) -> Any:
    """Give `value` with each `{{path.to.value}}` in it replaced, lists and objects too.

    A text that is one reference alone becomes the value itself, whatever it is; within a text values
    are written out, objects as JSON.

    Raises:
        ValueError: There is no context, a path leads nowhere, or something else than a path is asked for.
    """
    if isinstance(value, Mapping):
        return {key: resolved(item, context) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [resolved(item, context) for item in value]
    if not isinstance(value, str):
        return value
    alone = value.strip()
    if alone.startswith("{{") and alone.endswith("}}") and "{{" not in (inner := alone[2:-2]):
        return _found(inner, context)
    return "".join(
        before + ("" if inner is None else _written(_found(inner, context))) for before, inner in references(value)
    )


def references(text: str) -> Iterator[tuple[str, str | None]]:
    """Cut a text at each `{{…}}`: what stands before it and what is in it; last what is left, and None.

    No regular expression: they look for an end from each beginning, which takes a minute for a hundred kilobytes of braces.
    """
    at = 0
    while (begin := text.find("{{", at)) >= 0 and (end := text.find("}}", begin + 2)) >= 0:
        yield text[at:begin], text[begin + 2 : end]
        at = end + 2
    yield text[at:], None


def _written(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _found(inner: str, context: Mapping[str, Any] | None) -> Any:
    path = inner.strip()
    if not _PATH.fullmatch(path):
        raise ValueError(f"{{{{{inner}}}}} is not resolved: only {{{{path.to.value}}}} is")
    if context is None:
        raise ValueError(f"{{{{{path}}}}} is not resolved: no context was given")
    value: Any = context
    walked: list[str] = []
    for step in path.split("."):
        if isinstance(value, Mapping) and step in value:
            value = value[step]
        elif isinstance(value, list | tuple) and step.isdigit() and int(step) < len(value):
            value = value[int(step)]
        else:
            there = ".".join(walked) or "the context"
            raise ValueError(f"{{{{{path}}}}} leads nowhere: {there} has no {step!r}")
        walked.append(step)
    return value

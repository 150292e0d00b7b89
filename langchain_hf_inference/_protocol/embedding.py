"""Embeddings: texts -> requests in each server's form, and answers -> vectors in order.

Sources: TEI's OpenAPI and `router/src/http/server.rs` (1.9), OpenAI's API as vLLM, SGLang,
llama.cpp and infinity speak it, hf-inference as recorded 2024-2026.
"""

from __future__ import annotations

import base64
import re
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from langchain_hf_inference._protocol.error_response import read_stream_error
from langchain_hf_inference._protocol.routing import Route
from langchain_hf_inference._protocol.wire import JSON, WireRequest, as_list, as_object
from langchain_hf_inference.errors import APIStatusError, ResponseFormatError

DEFAULT_BATCH = 32
"""TEI's `--max-client-batch-size`; a server that allows more loses little by it."""
MAX_BATCH_CHARS = 400_000
"""TEI and TGI refuse bodies above 2,000,000 bytes: a character is 4 bytes of UTF-8 at most, quotes and escapes aside."""

_BATCH_TOO_LARGE = re.compile(
    r"batch size\D*(\d+)\D*>\D*maximum\D*(\d+)|batch size.*exceed|too many inputs|input array.*too (long|large)"
    r"|length limit exceeded|payload too large|request entity too large",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class EmbeddingSettings:
    """What is asked of vectors; None is "not set"."""

    truncate: bool | None = None
    normalize: bool | None = None
    prompt_name: str | None = None
    dimensions: int | None = None
    truncation_direction: str | None = None
    encoding_format: str | None = None
    extra: Mapping[str, Any] | None = None


def embedding_request(
    route: Route, form: str, texts: Sequence[str], settings: EmbeddingSettings, headers: Mapping[str, str]
) -> tuple[WireRequest, list[str]]:
    """Give the request for one batch of texts, and notes on settings that the server's form cannot say."""
    asked: JSON = {
        "truncate": settings.truncate, "normalize": settings.normalize, "prompt_name": settings.prompt_name,
        "truncation_direction": settings.truncation_direction, "dimensions": settings.dimensions,
        "encoding_format": settings.encoding_format,
    }  # fmt: skip
    known = (
        ("dimensions", "encoding_format")
        if form == "openai"
        else tuple(name for name in asked if name != "encoding_format")
    )
    body: JSON = {"model": route.model, "input": list(texts)} if form == "openai" else {"inputs": list(texts)}
    body |= {name: asked[name] for name in known}
    lost = [name for name, value in asked.items() if value is not None and name not in known]
    notes = [
        f"{'/v1/embeddings' if form == 'openai' else form.upper()} has no {name}; it was left out" for name in lost
    ]
    body = {name: value for name, value in (body | dict(settings.extra or {})).items() if value is not None}
    return WireRequest(route.url, body, headers, model=route.model), notes


def batches(texts: Sequence[str], most: int) -> list[list[str]]:
    """Cut texts into batches of at most `most`, and of a size that servers take, in order."""
    found: list[list[str]] = []
    chars = 0
    for text in texts:
        if not found or len(found[-1]) >= most or chars + len(text) > MAX_BATCH_CHARS:
            found.append([])
            chars = 0
        found[-1].append(text)
        chars += len(text)
    return found


def smaller_batch(error: APIStatusError, count: int) -> int | None:
    """Give the batch size that a refusal asks for: the limit it names, else half; None if it is about something else."""
    found = _BATCH_TOO_LARGE.search(error.message)
    if (found is None and error.status_code != 413) or count < 2:
        return None
    named = int(found[2]) if found and found[2] and found[2].isdigit() else 0
    return named if 0 < named < count else count // 2


def read_embeddings(raw: Any, expected: int, request: WireRequest) -> list[list[float]]:
    """Read vectors of any server: one per text, in the order of the texts.

    OpenAI's rows (by `index`, floats or base64), a matrix, one bare vector for one text, and the
    tokens' vectors of a plain transformer, whose mean is taken.

    Raises:
        APIStatusError: The body reports an error.
        ResponseFormatError: It holds no vectors, or another number of them.
    """
    if isinstance(raw, dict):
        if failure := read_stream_error("", raw, b"", request):
            raise failure
        rows = [as_object(row) for row in as_list(raw.get("data"))]
        rows.sort(key=lambda row: row["index"] if isinstance(row.get("index"), int) else 0)
        vectors = [_vector(row.get("embedding")) for row in rows]
    elif isinstance(raw, list) and raw and all(_is_number(x) for x in raw):
        vectors = [_vector(raw)]
    else:
        vectors = [_vector(item) for item in as_list(raw)]
    if len(vectors) != expected or not all(vectors):
        count = sum(bool(vector) for vector in vectors)
        raise ResponseFormatError(f"{expected} texts were sent and {count} vectors came", body=str(raw)[:500])
    return vectors


def _vector(item: Any) -> list[float]:
    if isinstance(item, str):
        try:
            data = base64.b64decode(item, validate=True)
            return list(struct.unpack(f"<{len(data) // 4}f", data))
        except (ValueError, struct.error) as error:
            raise ResponseFormatError(f"a vector is no base64 of float32 numbers: {item[:50]!r}") from error
    if not isinstance(item, list) or not item:
        return []
    kinds = set(map(type, item))  # of all numbers at once: a vector has thousands
    if kinds == {float}:
        return item
    if kinds <= {float, int}:
        return _floats(item)
    while len(item) == 1 and isinstance(item[0], list) and item[0] and isinstance(item[0][0], list):
        item = item[0]  # [1][tokens][dimensions]
    rows = [_floats(row) for row in item if isinstance(row, list) and row and set(map(type, row)) <= {float, int}]
    if len(rows) != len(item) or len({len(row) for row in rows}) != 1:
        return []
    return [sum(column) / len(rows) for column in zip(*rows, strict=True)]


def _floats(numbers: list[Any]) -> list[float]:
    try:
        return [float(number) for number in numbers]
    except OverflowError as error:
        raise ResponseFormatError("a vector holds a number beyond all floats") from error


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)

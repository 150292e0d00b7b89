"""Text classification, text to image and reranking: requests and answers of each server's form.

Sources: TEI's OpenAPI (1.9); huggingface_hub 2.4.0's providers for hf-inference, Together and
nscale; vLLM's and infinity's `/v1/rerank`, which is Jina's API.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

from typing_extensions import TypedDict  # pydantic refuses typing's before Python 3.12

from langchain_hf_inference._protocol.error_response import read_stream_error
from langchain_hf_inference._protocol.routing import Route
from langchain_hf_inference._protocol.wire import JSON, WireRequest, WireResponse, as_list, as_object
from langchain_hf_inference.errors import ResponseFormatError

_IMAGE_MAGIC = (
    (b"\x89PNG", "image/png"), (b"\xff\xd8\xff", "image/jpeg"), (b"GIF8", "image/gif"), (b"RIFF", "image/webp"),
)  # fmt: skip


class ClassScore(TypedDict):
    """A label and how sure the model is of it, from 0 to 1 (unless raw scores were asked for)."""

    label: str
    score: float


TextOrPair = str | tuple[str, str]


def _known(settings: Mapping[str, Any], names: tuple[str, ...], form: str) -> tuple[JSON, list[str]]:
    """Give the settings that a form can say, and a note for each that it cannot."""
    given = {name: value for name, value in settings.items() if value is not None}
    lost = [name for name in given if name not in names]
    return {n: v for n, v in given.items() if n in names}, [f"{form} has no {name}; it was left out" for name in lost]


def classification_request(
    route: Route, form: str, text: TextOrPair, settings: Mapping[str, Any], headers: Mapping[str, str]
) -> tuple[WireRequest, list[str]]:
    """Give the request for one text or pair, and notes on settings that the server's form cannot say.

    TEI takes a list of two for a pair, hf-inference `{"text", "text_pair"}`.
    """
    pair = None if isinstance(text, str) else list(text)
    if form == "tei":
        given, notes = _known(settings, ("raw_scores", "truncate", "truncation_direction"), "TEI's /predict")
        return WireRequest(route.url, {"inputs": pair or text, **given}, headers, model=route.model), notes
    given, notes = _known(settings, ("top_k", "function_to_apply"), "hf-inference")
    inputs: Any = text if pair is None else {"text": pair[0], "text_pair": pair[1]}
    body = {"inputs": inputs, **({"parameters": given} if given else {})}
    return WireRequest(route.url, body, headers, model=route.model), notes


def read_classes(raw: Any, request: WireRequest) -> list[ClassScore]:
    """Read labels and scores, the best first; hf-inference nests them once more.

    Raises:
        APIStatusError: The body reports an error.
        ResponseFormatError: It holds no labels.
    """
    if failure := read_stream_error("", raw, b"", request):
        raise failure
    rows = as_list(raw)
    while len(rows) == 1 and isinstance(rows[0], list):
        rows = rows[0]
    named = [row for row in map(as_object, rows) if "label" in row and isinstance(row.get("score"), int | float)]
    found = [ClassScore(label=str(row["label"]), score=float(row["score"])) for row in named]
    if not found:
        raise ResponseFormatError(f"the answer holds no labels: {str(raw)[:200]}", body=str(raw)[:500])
    return sorted(found, key=lambda row: -row["score"])


def image_request(
    route: Route, form: str, prompt: str, settings: Mapping[str, Any], headers: Mapping[str, str]
) -> tuple[WireRequest, list[str]]:
    """Give the request for one picture, and notes; together counts steps and nscale writes the size its own way."""
    given = {name: value for name, value in settings.items() if value is not None}
    if form == "pipeline":
        body: JSON = {"inputs": prompt, **({"parameters": given} if given else {})}
        return WireRequest(route.url, body, {**headers, "Accept": "image/png"}, model=route.model), []
    body = {"model": route.model, "prompt": prompt, "response_format": "base64" if form == "together" else "b64_json"}
    notes = []
    if form == "together":
        body |= {{"num_inference_steps": "steps"}.get(name, name): value for name, value in given.items()}
    else:
        size = {name: given.pop(name) for name in ("width", "height") if name in given}
        if len(size) == 1:
            notes = [f"nscale takes width and height together; {next(iter(size))} alone was left out"]
        body |= given | ({"size": f"{size['width']}x{size['height']}"} if len(size) == 2 else {})
    return WireRequest(route.url, body, headers, model=route.model), notes


def read_image(response: WireResponse, request: WireRequest) -> tuple[bytes, str]:
    """Read a picture and its media type, from bytes or from base64 in JSON.

    Raises:
        APIStatusError: The body reports an error.
        ResponseFormatError: It holds no picture.
    """
    content = response.content
    kind = response.headers.get("content-type", "").partition(";")[0].strip()
    if not kind.startswith("image/") and not any(content.startswith(magic) for magic, _ in _IMAGE_MAGIC):
        raw = response.json()
        if failure := read_stream_error("", raw, b"", request):
            raise failure
        rows = map(as_object, as_list(as_object(raw).get("data")))
        written = next((row["b64_json"] for row in rows if isinstance(row.get("b64_json"), str)), None)
        if written is None:
            raise ResponseFormatError(f"the answer holds no picture: {str(raw)[:200]}", body=str(raw)[:500])
        try:
            content = base64.b64decode(written, validate=True)
        except ValueError as error:
            raise ResponseFormatError("the picture is not base64") from error
        kind = ""
    sniffed = next((media for magic, media in _IMAGE_MAGIC if content.startswith(magic)), kind)
    return content, sniffed or "application/octet-stream"


def rerank_request(
    route: Route, form: str, query: str, texts: Sequence[str], settings: Mapping[str, Any], headers: Mapping[str, str]
) -> tuple[WireRequest, list[str]]:
    """Give the request for one ranking, TEI's `texts` or Jina's `documents`, and notes on what the form cannot say."""
    if form == "tei":
        given, notes = _known(settings, ("raw_scores", "truncate"), "TEI's /rerank")
        return WireRequest(
            route.url, {"query": query, "texts": list(texts), **given}, headers, model=route.model
        ), notes
    _, notes = _known(settings, (), "/v1/rerank")
    model = {"model": route.model} if route.model else {}
    return WireRequest(
        route.url, {**model, "query": query, "documents": list(texts)}, headers, model=route.model
    ), notes


def read_ranking(raw: Any, count: int, request: WireRequest) -> list[tuple[int, float]]:
    """Read (index of the text, score), the best first.

    Raises:
        APIStatusError: The body reports an error.
        ResponseFormatError: An index is not among the texts, or a text has no score.
    """
    if failure := read_stream_error("", raw, b"", request):
        raise failure
    rows = [as_object(row) for row in as_list(raw.get("results") if isinstance(raw, dict) else raw)]
    found = [(row.get("index"), row.get("score", row.get("relevance_score"))) for row in rows]
    good = [(i, float(s)) for i, s in found if isinstance(i, int) and 0 <= i < count and isinstance(s, int | float)]
    if len(good) != count or len({i for i, _ in good}) != count:
        raise ResponseFormatError(f"{count} texts were sent and {len(good)} scores came", body=str(raw)[:500])
    return sorted(good, key=lambda row: -row[1])

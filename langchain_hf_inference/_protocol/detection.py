"""What a server says of itself -> which engine it is, and the name of its model.

Source: the routes of the engines on 2026-11-20. TGI and TEI have `/info`; vLLM, SGLang and
llama.cpp sign their `/v1/models`; transformers serve and mlx-lm show themselves by headers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from langchain_hf_inference._protocol.wire import as_list, as_object

_OWNERS = {"vllm": "vllm", "sglang": "sglang", "llamacpp": "llama.cpp"}


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """What was learnt about a server; None where it did not say."""

    engine: str | None = None
    model: str | None = None
    max_batch: int | None = None
    """TEI: the most texts in one request."""
    context_length: int | None = None
    """The most tokens of prompt and answer together that this server takes."""


VERSIONS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "tgi": ("/info", "version"),
        "tei": ("/info", "version"),
        "vllm": ("/version", "version"),
        "sglang": ("/get_server_info", "version"),
        "llama.cpp": ("/props", "build_info"),
    }
)
"""Where an engine tells its version, and under which key; the others do not."""


def read_version(engine: str, body: Any) -> str | None:
    """Read the version out of an engine's own words of it (`VERSIONS`)."""
    found = as_object(body).get(VERSIONS[engine][1]) if engine in VERSIONS else None
    return found if isinstance(found, str) and found else None


def read_info(body: Any) -> ServerFacts | None:
    """Read `GET /info`; None unless it is that of Text Generation Inference or Text Embeddings Inference."""
    info = as_object(body)
    if isinstance(info.get("model_type"), dict) and "max_client_batch_size" in info:
        return ServerFacts("tei", info.get("model_id") or None, _count(info["max_client_batch_size"]))
    if info.get("router") == "text-generation-router" or "max_total_tokens" in info:
        return ServerFacts("tgi", info.get("model_id") or None, context_length=_count(info.get("max_total_tokens")))
    return None


def read_models(body: Any, headers: Mapping[str, str]) -> ServerFacts:
    """Read `GET /v1/models`; the first model is the one that serves where none is named."""
    rows = [as_object(row) for row in as_list(as_object(body).get("data"))]
    first = rows[0] if rows else {}
    model, server = first.get("id"), headers.get("server", "")
    engine = _OWNERS.get(str(first.get("owned_by")))
    if engine is None and server == "llama.cpp":
        engine = "llama.cpp"
    elif engine is None and first and first.get("owned_by") == model and first.get("created") == 0:
        engine = "tgi"
    elif engine is None and server.startswith("BaseHTTP/") and first and "owned_by" not in first:
        engine = "mlx"
    elif engine is None and server == "uvicorn" and "x-request-id" in headers and (
        not rows or first.get("owned_by") not in (None, "openai")
    ):  # fmt: skip
        # transformers serve lists the Hub's cache: nothing, or rows owned by the models' authors.
        engine = "transformers"
    # max_model_len: vLLM, SGLang; meta.n_ctx: llama.cpp.
    context = _count(first.get("max_model_len")) or _count(as_object(first.get("meta")).get("n_ctx"))
    return ServerFacts(engine, model if isinstance(model, str) and model else None, context_length=context)


def read_names(body: Any) -> list[str]:
    """Read the names of all models out of `GET /v1/models`."""
    names = [as_object(row).get("id") for row in as_list(as_object(body).get("data"))]
    return [name for name in names if isinstance(name, str) and name]


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None

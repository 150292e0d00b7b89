"""What the scripted server says of itself and of its models, and how it counts tokens. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from langchain_hf_inference.testing import script

CREATED = 1767225600  # 2026-01-01: answers do not depend on the clock
TEI_BATCH = 32


@dataclass(slots=True)
class Reply:
    """What is answered: a JSON body, or the events of a stream."""

    body: Any = None
    events: list[Any] | None = None
    done: bool = True
    """End the stream with `[DONE]`; TGI's own API does not."""


@dataclass(frozen=True, slots=True)
class Options:
    """How the server was set up."""

    models: tuple[str, ...]
    engine: str | None
    dimensions: int
    more_fields: frozenset[str]
    context_length: int | None = None


def info(options: Options) -> Reply | None:
    """`GET /info`, which tells TGI and TEI; other engines have none."""
    if options.engine == "tgi":
        return Reply({"model_id": "scripted/chat", "router": "text-generation-router", "version": "scripted",
                      "max_total_tokens": 4096, "max_client_batch_size": 4})  # fmt: skip
    if options.engine == "tei":
        return Reply({"model_id": "scripted/embed", "model_type": {"embedding": {"pooling": "mean"}},
                      "max_client_batch_size": TEI_BATCH, "version": "scripted"})  # fmt: skip
    return None


def models(options: Options) -> Reply:
    """`GET /v1/models`."""
    names = options.models or ("scripted/chat",)
    return Reply({"object": "list", "data": [{**offers(name).body, "owned_by": "scripted"} for name in names]})


def offers(name: str) -> Reply:
    """`GET /v1/models/{org}/{name}`, as the Hugging Face router answers it: one provider, cheap and capable."""
    row = {"provider": "scripted", "status": "live", "context_length": 4096, "pricing": {"input": 1.0, "output": 2.0},
           "supports_tools": True, "supports_structured_output": True}  # fmt: skip
    return Reply({"id": name, "object": "model", "created": CREATED, "owned_by": name.partition("/")[0],
                  "architecture": {"input_modalities": ["text"], "output_modalities": ["text"]},
                  "providers": [row]})  # fmt: skip


def account() -> Reply:
    """`GET /api/whoami-v2`, as the Hub answers it, for a token that is good."""
    token = {"displayName": "scripted", "role": "fineGrained", "fineGrained": {
        "global": [], "scoped": [{"entity": {"type": "user", "name": "scripted"},
                                  "permissions": ["inference.serverless.write"]}]}}  # fmt: skip
    return Reply({"type": "user", "name": "scripted", "isPro": False, "orgs": [],
                  "auth": {"type": "access_token", "accessToken": token}})  # fmt: skip


def chat_tokenize(body: dict[str, Any], options: Options) -> Reply | None:
    """`POST /chat_tokenize` of TGI: a token for each word of the prompt."""
    if options.engine != "tgi":
        return None
    pieces = script.prompt_pieces(body)
    return Reply({"tokenize_response": _tokens(pieces), "templated_text": "".join(pieces)})


def tokenize(body: dict[str, Any], options: Options) -> Reply | None:
    """`POST /tokenize` of TGI."""
    if options.engine != "tgi":
        return None
    return Reply(_tokens(script.tokens(str(body.get("inputs") or ""))))


def _tokens(pieces: list[str]) -> list[dict[str, Any]]:
    return [{"id": i, "text": piece, "start": 0, "stop": len(piece)} for i, piece in enumerate(pieces)]

"""What the router says of a model: who serves it, how much context, for how much, and what an answer cost.

Source: huggingface.co/docs/inference-providers (`GET /v1/models/{org}/{name}`), read 2026-11-20. Prices
are US dollars per million tokens. Everything but provider and status may be missing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from langchain_hf_inference._protocol.providers import ROUTING_POLICIES
from langchain_hf_inference._protocol.wire import JSON, as_list, as_object

PER_MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Offer:
    """One provider's offer of a model; None where the router does not say."""

    provider: str
    is_live: bool = True
    context_length: int | None = None
    input_price: float | None = None
    """US dollars per million tokens of prompt."""
    output_price: float | None = None
    """US dollars per million tokens of answer."""
    supports_tools: bool | None = None
    supports_structured_output: bool | None = None
    first_token_latency_ms: float | None = None
    throughput: float | None = None
    """Tokens per second."""


@dataclass(frozen=True, slots=True)
class ModelOffers:
    """A model and all offers of it."""

    model: str
    input_modalities: tuple[str, ...] = ()
    output_modalities: tuple[str, ...] = ()
    offers: tuple[Offer, ...] = ()

    def serving(self, providers: Sequence[str]) -> list[Offer]:
        """Give the live offers among which a request to `providers` may be served; a policy stands for all."""
        live = [offer for offer in self.offers if offer.is_live]
        named = [name for name in providers if name not in ("auto", *ROUTING_POLICIES)]
        return [offer for offer in live if offer.provider in named] if named else live


def read_offers(raw: Any, model: str) -> ModelOffers | None:
    """Read the router's answer for one model, or the row of `model` in its list; None where there is none."""
    body = as_object(raw)
    rows = [as_object(row) for row in as_list(body.get("data"))] if isinstance(body.get("data"), list) else [body]
    row = next((row for row in rows if row.get("id") == model), None)
    return None if row is None else _offered(row, model)


def read_all_offers(raw: Any) -> list[ModelOffers]:
    """Read the router's list of models (`GET /v1/models`)."""
    rows = [as_object(row) for row in as_list(as_object(raw).get("data"))]
    return [_offered(row, row["id"]) for row in rows if isinstance(row.get("id"), str)]


def _offered(row: JSON, model: str) -> ModelOffers:
    architecture = as_object(row.get("architecture"))
    return ModelOffers(
        model,
        tuple(map(str, as_list(architecture.get("input_modalities")))),
        tuple(map(str, as_list(architecture.get("output_modalities")))),
        tuple(_offer(as_object(one)) for one in as_list(row.get("providers")) if as_object(one).get("provider")),
    )


def _offer(row: JSON) -> Offer:
    pricing = as_object(row.get("pricing"))
    free = row.get("is_free") is True
    context = _number(row.get("context_length"))
    return Offer(
        provider=str(row["provider"]),
        is_live=row.get("status") == "live",
        context_length=int(context) if context else None,
        input_price=0.0 if free else _number(pricing.get("input")),
        output_price=0.0 if free else _number(pricing.get("output")),
        supports_tools=_flag(row.get("supports_tools")),
        supports_structured_output=_flag(row.get("supports_structured_output")),
        first_token_latency_ms=_number(row.get("first_token_latency_ms")),
        throughput=_number(row.get("throughput")),
    )


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) and value >= 0 else None


def _flag(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


def cost_of(usage: Mapping[str, Any] | None, provider: str | None, offers: Sequence[Offer]) -> JSON | None:
    """Give what an answer cost by the router's prices, None where it cannot be told.

    Args:
        usage: Token counts, as LangChain's `UsageMetadata`.
        provider: Who served; without it only a single offer can be meant.
        offers: The offers the request could go to.

    Returns:
        `{"input", "output", "total", "currency": "USD", "provider"}`. Cached tokens are counted at the
        full price, for the router names no other: what is billed may be less.
    """
    meant = [offer for offer in offers if offer.provider == provider] if provider else list(offers)
    if usage is None or len(meant) != 1 or meant[0].input_price is None or meant[0].output_price is None:
        return None
    paid_in = usage.get("input_tokens", 0) * meant[0].input_price / PER_MILLION
    paid_out = usage.get("output_tokens", 0) * meant[0].output_price / PER_MILLION
    return {"input": paid_in, "output": paid_out, "total": paid_in + paid_out, "currency": "USD",
            "provider": meant[0].provider}  # fmt: skip

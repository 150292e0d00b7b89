"""The companies behind Hugging Face's router: where each is reached with a key of its own.

Source: huggingface_hub 2.4.0, `inference/_providers/`, read 2026-11-20. The table grows between
its releases, so a name that is not in it is no error: the router is asked, which knows best.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from langchain_hf_inference._protocol.wire import as_object

ROUTING_POLICIES = ("fastest", "cheapest", "preferred")
"""Suffixes with which the router chooses the provider itself; "auto" is no suffix at all."""

PROVIDER_CHAT_URLS: Mapping[str, str] = MappingProxyType(
    {
        "baseten": "https://inference.baseten.co/v1/chat/completions",
        "cerebras": "https://api.cerebras.ai/v1/chat/completions",
        "cohere": "https://api.cohere.com/compatibility/v1/chat/completions",
        "deepinfra": "https://api.deepinfra.com/v1/openai/chat/completions",
        "featherless-ai": "https://api.featherless.ai/v1/chat/completions",
        "fireworks-ai": "https://api.fireworks.ai/inference/v1/chat/completions",
        "groq": "https://api.groq.com/openai/v1/chat/completions",
        "hyperbolic": "https://api.hyperbolic.xyz/v1/chat/completions",
        "nebius": "https://api.studio.nebius.ai/v1/chat/completions",
        "novita": "https://api.novita.ai/v3/openai/chat/completions",
        "nscale": "https://inference.api.nscale.com/v1/chat/completions",
        "openai": "https://api.openai.com/v1/chat/completions",
        "ovhcloud": "https://oai.endpoints.kepler.ai.cloud.ovh.net/v1/chat/completions",
        "publicai": "https://api.publicai.co/v1/chat/completions",
        "sambanova": "https://api.sambanova.ai/v1/chat/completions",
        "scaleway": "https://api.scaleway.ai/v1/chat/completions",
        "together": "https://api.together.xyz/v1/chat/completions",
        "zai-org": "https://api.z.ai/api/paas/v4/chat/completions",
    }
)


def mapping_url(hub_endpoint: str, model: str) -> str:
    """Give the Hub's address for the providers of `model` and their names for it."""
    return f"{hub_endpoint.rstrip('/')}/api/models/{model}?expand[]=inferenceProviderMapping"


@dataclass(frozen=True, slots=True)
class ProviderModel:
    """A model at a provider: the provider's own id of it, and the task it serves there, if told."""

    id: str
    task: str | None = None


def read_provider_models(body: Any) -> dict[str, ProviderModel]:
    """Read the Hub's answer: provider -> the model there.

    The Hub gives an object keyed by provider; its list endpoints give a list of rows. Both are read.
    """
    mapping = as_object(body).get("inferenceProviderMapping")
    rows = mapping if isinstance(mapping, list) else [
        {"provider": provider, **as_object(row)} for provider, row in as_object(mapping).items()
    ]  # fmt: skip
    return {
        str(row["provider"]): ProviderModel(str(row["providerId"]), row.get("task"))
        for row in map(as_object, rows)
        if row.get("provider") and row.get("providerId")
    }

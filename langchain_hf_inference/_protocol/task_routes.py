"""Tasks other than chat: model, provider and URL -> where each request goes, and in which form.

Sources: huggingface_hub 2.4.0 `inference/_providers`, huggingface.js, TGI's and TEI's OpenAPI,
read 2026-11-20. A model has one task per provider, which the Hub's mapping tells.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Literal

from langchain_hf_inference._protocol.providers import ROUTING_POLICIES, ProviderModel
from langchain_hf_inference._protocol.routing import Route, server_url, task_url
from langchain_hf_inference.errors import ConfigurationError

Task = Literal["text-generation", "feature-extraction", "text-classification", "text-to-image", "text-ranking"]

ROUTER = "https://router.huggingface.co"

PROVIDER_TASKS: Mapping[str, Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "text-generation": {
            "featherless-ai": ("completions", "/v1/completions"),
            "together": ("completions", "/v1/completions"),
            "novita": ("completions", "/v3/openai/completions"),
            "deepinfra": ("completions", "/v1/openai/completions"),
            "ovhcloud": ("completions", "/v1/completions"),
            "scaleway": ("completions", "/v1/completions"),
            "hf-inference": ("pipeline", "/models/{model}"),
        },
        "feature-extraction": {
            "hf-inference": ("pipeline", "/models/{model}/pipeline/feature-extraction"),
            "together": ("openai", "/v1/embeddings"),
            "scaleway": ("openai", "/v1/embeddings"),
            "deepinfra": ("openai", "/v1/openai/embeddings"),
        },
        "text-classification": {"hf-inference": ("pipeline", "/models/{model}")},
        "text-to-image": {
            "hf-inference": ("pipeline", "/models/{model}"),
            "together": ("together", "/v1/images/generations"),
            "nscale": ("nscale", "/v1/images/generations"),
        },
    }
)
"""Task -> provider -> (form of the request, path). Jobs that are polled (fal-ai, replicate) are out of scope."""

PROVIDER_HOSTS: Mapping[str, str] = MappingProxyType(
    {
        "deepinfra": "https://api.deepinfra.com",
        "featherless-ai": "https://api.featherless.ai",
        "novita": "https://api.novita.ai",
        "nscale": "https://inference.api.nscale.com",
        "ovhcloud": "https://oai.endpoints.kepler.ai.cloud.ovh.net",
        "scaleway": "https://api.scaleway.ai",
        "together": "https://api.together.xyz",
    }
)

_SAME_TASK = {"feature-extraction": ("feature-extraction", "sentence-similarity")}
"""The Hub files embedding models under either name; both are served alike (thenlper/gte-large)."""

_ENDPOINT_PATHS: Mapping[tuple[str, str], tuple[str, str]] = MappingProxyType(
    {
        ("text-generation", "tgi"): ("generate", "/generate"),
        ("feature-extraction", "tei"): ("tei", "/embed"),
        ("text-classification", "tei"): ("tei", "/predict"),
        ("text-ranking", "tei"): ("tei", "/rerank"),
        ("text-ranking", "openai"): ("jina", "/v1/rerank"),
    }
)
_OPENAI_PATHS = {"text-generation": ("completions", "/completions"), "feature-extraction": ("openai", "/embeddings")}


def endpoint_route(
    task: Task, endpoint_url: str, *, model: str | None, engine: str | None, form: str | None = None
) -> tuple[Route, str]:
    """Give the route to a server of one's own, and the form of its requests.

    TGI and TEI have APIs of their own, the others OpenAI's; "pipeline" is the bare
    `{"inputs", "parameters"}` of Inference Endpoints with a handler, posted to the URL itself.
    """
    found = _ENDPOINT_PATHS.get((task, engine or "openai"))
    if form is None:
        form = found[0] if found else _OPENAI_PATHS[task][0] if task in _OPENAI_PATHS else "pipeline"
    if form == "pipeline":
        url = endpoint_url
    elif form in ("completions", "openai"):
        url = task_url(endpoint_url, _OPENAI_PATHS[task][1])
    else:
        url = server_url(_without_task_path(endpoint_url), _path_of(task, form))
    return Route("endpoint", url, model, engine), form


def _path_of(task: str, form: str) -> str:
    return next(path for (owner, _), (name, path) in _ENDPOINT_PATHS.items() if (owner, name) == (task, form))


def _without_task_path(url: str) -> str:
    head, _, query = url.partition("?")
    for path in ("/generate_stream", "/generate", "/embed", "/predict", "/rerank"):
        head = head.removesuffix(path)
    return f"{head}?{query}" if query else head


def named_provider(model: str, provider: str | Sequence[str] | None) -> tuple[str, str | Sequence[str] | None]:
    """Return the Hub id and the provider of a task: `org/name:together` names one, and a policy of the router none."""
    plain, _, suffix = model.partition(":")
    if not suffix or provider not in (None, "auto"):
        return model, provider
    return plain, None if suffix in ROUTING_POLICIES else suffix


def provider_route(
    task: Task,
    model: str,
    provider: str | Sequence[str] | None,
    *,
    own_key: bool,
    mapping: Mapping[str, ProviderModel],
) -> tuple[Route, str]:
    """Give the route to a provider that serves `model` for `task`, and the form of its requests.

    Args:
        task: What is asked for.
        model: The Hub id.
        provider: A provider, several to choose from, or "auto" for any.
        own_key: The key is the provider's own, so its host is called and not the router.
        mapping: What the Hub tells of the model's providers; empty where it told nothing.

    Raises:
        ConfigurationError: No such provider serves the model for this task.
    """
    known = PROVIDER_TASKS.get(task, {})
    wanted = [provider] if isinstance(provider, str) else list(provider or ["auto"])
    if wanted == ["auto"]:
        wanted = [name for name in known if name in mapping] or ([] if mapping else ["hf-inference"])
    for name in wanted:
        if name not in known:
            continue
        found = mapping.get(name)
        if found is None and mapping:
            continue
        if found and found.task not in (None, *_SAME_TASK.get(task, (task,))):
            continue
        form, path = known[name]
        identity = found.id if found else model
        if own_key and name not in PROVIDER_HOSTS:  # hf-inference is the router, which takes no other company's key
            continue
        host = PROVIDER_HOSTS[name] if own_key else f"{ROUTER}/{name}"
        return Route(
            "provider" if own_key else "router", host + path.format(model=identity), identity, name, name
        ), form
    raise ConfigurationError(_why_not(task, model, wanted, known, mapping))


def _why_not(
    task: str, model: str, wanted: list[str], known: Mapping[str, object], mapping: Mapping[str, ProviderModel]
) -> str:
    chat = [name for name, row in mapping.items() if row.task == "conversational"]
    elsewhere = [name for name, row in mapping.items() if row.task == task and name in known]
    if task == "text-generation" and chat and (set(wanted) <= set(chat) or not elsewhere):
        return f"model={model!r} is a chat model on {', '.join(chat)}, and takes no plain prompts; use ChatHFInference"
    offered = [f"{name} ({row.task})" for name, row in mapping.items()]
    if not offered and not wanted:
        return f"no provider serves model={model!r} for {task}; give an endpoint_url"
    unknown = [name for name in wanted if name not in known]
    if unknown:
        return f"provider={unknown[0]!r} does not do {task}; providers that do are {', '.join(known)}"
    who, listed = ", ".join(wanted) or "any provider", ", ".join(offered) or "none"
    return f"model={model!r} is not served for {task} by {who}; the Hub lists: {listed}"

"""model + provider + endpoint_url + kind of key -> where each request goes.

Sources: huggingface.co/docs/inference-providers (read 2026-11-20) for the router and its model
suffixes; Inference Endpoints' documentation for their hosts.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

from langchain_hf_inference._protocol.dialects import ENGINES, dialect_of
from langchain_hf_inference._protocol.providers import PROVIDER_CHAT_URLS, ROUTING_POLICIES
from langchain_hf_inference._protocol.redaction import redacted, redacted_url
from langchain_hf_inference.errors import ConfigurationError

ROUTER_URL = "https://router.huggingface.co/v1"
CHAT_PATH = "/chat/completions"

_RETIRED_PATH = r"/(?:models|pipeline/[\w-]+)/([^/]+(?:/[^/]+)?)(?:/v1.*)?/?$"

Place = Literal["router", "provider", "endpoint"]


@dataclass(frozen=True, slots=True)
class Route:
    """Where a request goes.

    `model` is the name on the wire, None where the server has to be asked for it; `dialect` is
    the name of a row of `DIALECTS`, None where the engine is not known yet.
    """

    place: Place
    url: str
    model: str | None
    dialect: str | None
    provider: str | None = None


@lru_cache(maxsize=256)
def is_hugging_face_host(url: str) -> bool:
    """Tell whether an ambient Hugging Face token may go to `url`: https, and a host of Hugging Face's own.

    `*.hf.space` is not among them: Spaces run the code of their authors.
    """
    parts = split_url(url)
    if parts is None or parts.scheme != "https" or parts.username is not None or parts.password is not None:
        return False
    host = (parts.hostname or "").rstrip(".").lower()
    return host == "huggingface.co" or host.endswith((".huggingface.co", ".endpoints.huggingface.cloud"))


def is_url(text: str | None) -> bool:
    """Tell a URL from the id of a model."""
    return text is not None and text.lower().startswith(("http://", "https://"))


def normalised_url(url: str) -> str:
    """Give `url` without trailing slashes and fragment.

    Raises:
        ConfigurationError: It is no http(s) URL with a host.
    """
    return _normalised_url.__wrapped__(url) if "@" in url or "?" in url else _normalised_url(url)


@lru_cache(maxsize=256)
def _normalised_url(url: str) -> str:
    parts = split_url(url)
    if parts is None:
        raise ConfigurationError(
            f"endpoint_url={redacted_url(url)!r} is not an http(s) URL; give one like http://localhost:8080/v1"
        )
    return urlunsplit(SplitResult(parts.scheme, parts.netloc, parts.path.rstrip("/"), parts.query, ""))


def split_url(url: str) -> SplitResult | None:
    """Return the parts of an http(s) URL, None where it is none.

    urllib's own errors quote the network location, with user and password in it.
    """
    return _split_url.__wrapped__(url) if "@" in url or "?" in url else _split_url(url)  # no secret is kept in a cache


@lru_cache(maxsize=256)
def _split_url(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url.strip())
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:  # a port that is no number, an unclosed bracket
        return None
    return parts if good else None


def without_userinfo(url: str) -> tuple[str, str | None]:
    """Split `https://user:password@host` into the URL without, and the header that says the same."""
    parts = split_url(url)
    info, at, host = parts.netloc.rpartition("@") if parts else ("", "", "")
    if not at or parts is None:
        return url, None
    plain = unquote(info if ":" in info else info + ":").encode()
    return urlunsplit(parts._replace(netloc=host)), "Basic " + b64encode(plain).decode()


def retired_model(url: str) -> str | None:
    """Give the model that an address of the serverless API before 2025 names, "" where it names none.

    None for any other address. The host api-inference.huggingface.co answers no more; the router took its place.
    """
    parts = split_url(url)
    if parts is None or (parts.hostname or "").lower() != "api-inference.huggingface.co":
        return None
    found = re.match(_RETIRED_PATH, parts.path)
    return found.group(1) if found else ""


def plain_place(given: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Take user and password out of `endpoint_url`, which is kept and shown; send retired addresses to the router.

    Returns:
        The arguments of a connection, and what is to be said of them.
    """
    found = dict(given)
    url = found.get("endpoint_url")
    if not isinstance(url, str):
        return found, []
    found["endpoint_url"], basic = without_userinfo(url)
    headers = found.get("default_headers") or {}
    if basic and isinstance(headers, Mapping) and not any(str(name).lower() == "authorization" for name in headers):
        found["default_headers"] = {"Authorization": basic, **headers}
    model = retired_model(url)
    if model is None:
        return found, []
    found |= {"endpoint_url": None, "model": found.get("model") or model or None}
    return found, [
        "api-inference.huggingface.co is retired: the router is called; give model= in place of this endpoint_url"
    ]


@lru_cache(maxsize=256)
def origin_of(url: str) -> str:
    """Give scheme, host and port: what a connection is made to."""
    parts = split_url(url)
    return "" if parts is None else f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


@lru_cache(maxsize=256)
def shown_url(url: str) -> str:
    """Return `url` fit for a message: without user, password and query, which may hold secrets.

    An `@` in the path is part of the path (`/ai/run/@cf/meta/…`), unless it may end a password that holds a slash.
    """
    parts = split_url(url)
    if parts is None or ("@" in parts.path and ":" in parts.netloc and "@" not in parts.netloc):
        return redacted_url(url)
    return redacted(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}")


def task_url(url: str, path: str = CHAT_PATH) -> str:
    """Give the address of a task under the URL that a user typed; the query is kept.

    `…/v1` (or `/v2`, …) gets `path`; the address of the task itself, or of a sibling
    (`/v1/completions` for chat), is recognised; anything else gets `/v1` + `path`.
    """
    parts = urlsplit(normalised_url(url))
    base = parts.path
    if not base.endswith(path):
        for sibling in ("/chat/completions", "/completions", "/embeddings", "/models"):
            base = base.removesuffix(sibling)
        last = base.rpartition("/")[2]
        versioned = len(last) > 1 and last[0] == "v" and last[1:].isdigit()
        base += path if versioned else "/v1" + path
    return urlunsplit(parts._replace(path=base))


def server_url(url: str, path: str) -> str:
    """Give the address of one of a server's own routes (`/info`, `/v1/models`); the query is kept."""
    parts = urlsplit(task_url(url))
    root = parts.path.removesuffix(CHAT_PATH)
    head, _, last = root.rpartition("/")
    if last[:1] == "v" and last[1:].isdigit():
        root = head
    return urlunsplit(parts._replace(path=root + path))


def resolve_routes(
    model: str | None,
    provider: str | Sequence[str] | None,
    *,
    endpoint_url: str | None,
    engine: str | None,
    own_key: bool,
) -> list[Route]:
    """Give the routes to try, in order: one, or one per provider of a list.

    Args:
        model: A Hub id, `org/name:provider`, a provider's id, or a server's own name.
        provider: A policy, a provider, or several to try one after the other; None is "auto".
        endpoint_url: The server's address; it excludes a provider.
        engine: What serves `endpoint_url`, if known.
        own_key: The key is the provider's own, so its host is called and not the router.

    Raises:
        ConfigurationError: No model is named, or the parts do not go together.
    """
    several = provider if provider is None or isinstance(provider, str) else tuple(provider)
    return list(_routes(model, several, endpoint_url, engine, own_key))


@lru_cache(maxsize=256)
def _routes(
    model: str | None,
    provider: str | tuple[str, ...] | None,
    endpoint_url: str | None,
    engine: str | None,
    own_key: bool,
) -> tuple[Route, ...]:
    """Give what `resolve_routes` says: it is asked for by each call, and costs a tenth of one."""
    if endpoint_url is not None:
        return (_endpoint_route(model, provider, endpoint_url, engine),)
    if not model:
        raise ConfigurationError('model is not set; give a Hub id such as model="Qwen/Qwen3-32B", or an endpoint_url')
    if engine is not None:
        raise ConfigurationError(
            f"engine={engine!r} describes the server at endpoint_url, which is not set; leave it out"
        )
    names = (provider or "auto",) if provider is None or isinstance(provider, str) else provider
    if not names:
        raise ConfigurationError('provider is an empty list; name at least one provider, or "auto"')
    return tuple(_provider_route(model, name, own_key=own_key) for name in names)


def _endpoint_route(model: str | None, provider: str | Sequence[str] | None, url: str, engine: str | None) -> Route:
    if provider not in (None, "auto"):
        raise ConfigurationError(
            f"provider={provider!r} and endpoint_url={redacted_url(url)!r} exclude each other: a provider is chosen by "
            "the router"
        )
    if engine is not None and engine not in ENGINES:
        raise ConfigurationError(f"engine={engine!r} is not known; it is one of {', '.join(ENGINES)}")
    target = task_url(url)
    if urlsplit(target).hostname == "router.huggingface.co":
        return Route("router", target, model, "router")
    return Route("endpoint", target, model, engine)


def _provider_route(model: str, provider: str, *, own_key: bool) -> Route:
    plain, _, suffix = model.partition(":")
    if suffix and provider not in ("auto", suffix):
        raise ConfigurationError(f"model={model!r} names {suffix!r} and provider={provider!r} names another; give one")
    name = suffix if provider == "auto" and suffix else provider
    if own_key and name in PROVIDER_CHAT_URLS:
        return Route("provider", PROVIDER_CHAT_URLS[name], plain if suffix == name else model, name, name)
    if own_key and name not in ("auto", *ROUTING_POLICIES):
        raise ConfigurationError(
            f"the key is not a Hugging Face token (hf_…), and the host of provider={name!r} is not known; "
            "give its address as endpoint_url, or a Hugging Face token"
        )
    wire_name = model if suffix or name == "auto" else f"{model}:{name}"
    return Route("router", ROUTER_URL + CHAT_PATH, wire_name, "router", None if name == "auto" else name)


def check_chats(route: Route) -> None:
    """Refuse to chat with a server that does not.

    Raises:
        ConfigurationError: The route leads there.
    """
    if route.dialect and not (dialect := dialect_of(route.dialect)).chats:
        raise ConfigurationError(
            f"{shown_url(route.url)} is {dialect.title}, which does not chat; "
            "use HFInferenceEmbeddings, HFReranker or HFTextClassifier"
        )

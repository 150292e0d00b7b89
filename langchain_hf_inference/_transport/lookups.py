"""What is asked beside the requests themselves: which engine serves a URL, who serves a model and for how much.

All of it is asked at most once in a while and remembered by the process, for the credentials that it was asked with. What
a call needs never fails it: a server that does not answer counts as OpenAI-compatible, an unknown name is sent as given,
and an unknown price is omitted. Only what the user requests by name may fail. A failure is not an answer: it is
remembered for seconds, so that a server which is down is not asked by each call, and never for other credentials.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from typing import Any, Generic, TypeVar
from weakref import WeakKeyDictionary

from langchain_hf_inference._protocol.account import Account, account_url, read_account
from langchain_hf_inference._protocol.credentials import ANONYMOUS, Credentials
from langchain_hf_inference._protocol.detection import (
    VERSIONS,
    ServerFacts,
    read_info,
    read_models,
    read_names,
    read_version,
)
from langchain_hf_inference._protocol.offers import ModelOffers, read_all_offers, read_offers
from langchain_hf_inference._protocol.providers import ProviderModel, mapping_url, read_provider_models
from langchain_hf_inference._protocol.routing import ROUTER_URL, server_url
from langchain_hf_inference._protocol.wire import WireResponse
from langchain_hf_inference._transport import hub
from langchain_hf_inference._transport.bodies import MAX_LISTING_BYTES
from langchain_hf_inference._transport.http import HTTPTransport
from langchain_hf_inference.errors import APIStatusError, HFInferenceError

LOOKUP_TIMEOUT_S, LISTING_TIMEOUT_S = 5.0, 30.0
KNOWN_S, UNKNOWN_S, FAILED_S = 600.0, 30.0, 5.0
"""How long an answer is remembered, how long one that identifies nothing, and how long a failure."""
MAX_REMEMBERED = 256
"""Answers remembered of each kind; the oldest go first."""

T = TypeVar("T")


class _Memory(Generic[T]):
    """Answers by key, and a lock for each key: of many calls that need to know, one asks."""

    def __init__(self) -> None:
        self._rows: dict[str, tuple[float, T]] = {}
        self._locks: dict[str, threading.Lock] = {}
        self._async_locks: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, asyncio.Lock]] = WeakKeyDictionary()

    def get(self, key: str) -> T | None:
        until, value = self._rows.get(key, (0.0, None))
        return value if time.monotonic() < until else None

    def keep(self, value: T, key: str, *, seconds: float = KNOWN_S) -> T:
        self._rows.pop(key, None)
        self._rows[key] = (time.monotonic() + seconds, value)
        while len(self._rows) > MAX_REMEMBERED:
            self._forget(next(iter(self._rows), key))
        return value

    def _forget(self, key: str) -> None:
        self._rows.pop(key, None)
        self._locks.pop(key, None)
        for locks in list(self._async_locks.values()):
            locks.pop(key, None)

    def lock(self, key: str) -> threading.Lock:
        return self._locks.setdefault(key, threading.Lock())

    def alock(self, key: str) -> asyncio.Lock:
        return self._async_locks.setdefault(asyncio.get_running_loop(), {}).setdefault(key, asyncio.Lock())

    def clear(self) -> None:
        self._rows.clear()

    def forget_locks(self) -> None:
        """Make new locks in a forked child: another thread of the parent may have held the old ones."""
        self._locks.clear()
        self._async_locks.clear()


_servers: _Memory[ServerFacts] = _Memory()
_provider_models: _Memory[dict[str, ProviderModel]] = _Memory()
_offers: _Memory[ModelOffers] = _Memory()


def _forget_locks() -> None:
    for memory in (_servers, _provider_models, _offers):
        memory.forget_locks()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_locks)


def forget_lookups() -> None:
    """Ask servers and the Hub anew."""
    _servers.clear()
    _provider_models.clear()
    _offers.clear()


def server_facts(transport: HTTPTransport, url: str, credentials: Credentials) -> ServerFacts:
    """Ask the server behind `url` what it is and what its model is called."""
    url = server_url(url, "")
    key = f"{url} {credentials.cache_key(url)}"
    if (facts := _servers.get(key)) is not None:
        return facts
    with _servers.lock(key):
        if (facts := _servers.get(key)) is not None:
            return facts
        info = _asked(transport, server_url(url, "/info"), credentials)
        facts, models = read_info(_json(info)), None
        if facts is None:
            models = _asked(transport, server_url(url, "/v1/models"), credentials)
            facts = read_models(_json(models), models.headers if models else {})
        answered = info is not None and (facts.engine is not None or models is not None)
        return _servers.keep(facts, key, seconds=_remembered_s(answered, known=facts.engine is not None))


async def aserver_facts(transport: HTTPTransport, url: str, credentials: Credentials) -> ServerFacts:
    """Like `server_facts`."""
    url = server_url(url, "")
    key = f"{url} {credentials.cache_key(url)}"
    if (facts := _servers.get(key)) is not None:
        return facts
    async with _servers.alock(key):
        if (facts := _servers.get(key)) is not None:
            return facts
        info = await _aasked(transport, server_url(url, "/info"), credentials)
        facts, models = read_info(_json(info)), None
        if facts is None:
            models = await _aasked(transport, server_url(url, "/v1/models"), credentials)
            facts = read_models(_json(models), models.headers if models else {})
        answered = info is not None and (facts.engine is not None or models is not None)
        return _servers.keep(facts, key, seconds=_remembered_s(answered, known=facts.engine is not None))


def provider_models(transport: HTTPTransport, model: str) -> dict[str, ProviderModel]:
    """Ask the Hub who serves `model`; nothing where it does not say."""
    if (known := _provider_models.get(model)) is not None:
        return known
    with _provider_models.lock(model):
        if (known := _provider_models.get(model)) is not None:
            return known
        answer = _asked(transport, mapping_url(hub.hub_endpoint(), model), ANONYMOUS)
        found = read_provider_models(_json(answer))
        return _provider_models.keep(found, model, seconds=_remembered_s(answer is not None, known=True))


async def aprovider_models(transport: HTTPTransport, model: str) -> dict[str, ProviderModel]:
    """Like `provider_models`."""
    if (known := _provider_models.get(model)) is not None:
        return known
    async with _provider_models.alock(model):
        if (known := _provider_models.get(model)) is not None:
            return known
        endpoint = await asyncio.to_thread(hub.hub_endpoint)  # the import of huggingface_hub takes its time
        answer = await _aasked(transport, mapping_url(endpoint, model), ANONYMOUS)
        found = read_provider_models(_json(answer))
        return _provider_models.keep(found, model, seconds=_remembered_s(answer is not None, known=True))


def model_offers(transport: HTTPTransport, model: str, credentials: Credentials) -> ModelOffers:
    """Ask the router who serves `model`, and for how much.

    Raises:
        APIStatusError: The router does not know the model.
        APIConnectionError: The router was not reached.
        ResponseFormatError: The router's answer is not JSON.
    """
    answer = transport.get(f"{ROUTER_URL}/models/{model}", credentials, timeout_s=LOOKUP_TIMEOUT_S)
    return _offers.keep(read_offers(answer.json(), model) or ModelOffers(model), _offers_key(model, credentials))


async def amodel_offers(transport: HTTPTransport, model: str, credentials: Credentials) -> ModelOffers:
    """Like `model_offers`."""
    answer = await transport.aget(f"{ROUTER_URL}/models/{model}", credentials, timeout_s=LOOKUP_TIMEOUT_S)
    return _offers.keep(read_offers(answer.json(), model) or ModelOffers(model), _offers_key(model, credentials))


def known_offers(transport: HTTPTransport, model: str, credentials: Credentials) -> ModelOffers:
    """Give the offers of `model`, asked for at most once in a while; none where the router does not say."""
    key = _offers_key(model, credentials)
    if (known := _offers.get(key)) is not None:
        return known
    with _offers.lock(key):
        if (known := _offers.get(key)) is not None:
            return known
        try:
            return model_offers(transport, model, credentials)
        except HFInferenceError:
            return _offers.keep(ModelOffers(model), key, seconds=FAILED_S)


async def aknown_offers(transport: HTTPTransport, model: str, credentials: Credentials) -> ModelOffers:
    """Like `known_offers`."""
    key = _offers_key(model, credentials)
    if (known := _offers.get(key)) is not None:
        return known
    async with _offers.alock(key):
        if (known := _offers.get(key)) is not None:
            return known
        try:
            return await amodel_offers(transport, model, credentials)
        except HFInferenceError:
            return _offers.keep(ModelOffers(model), key, seconds=FAILED_S)


def server_version(transport: HTTPTransport, url: str, engine: str | None, credentials: Credentials) -> str | None:
    """Ask a server for its version; None where it does not tell."""
    if engine is None or engine not in VERSIONS:
        return None
    return read_version(engine, _json(_asked(transport, server_url(url, VERSIONS[engine][0]), credentials)))


def account(transport: HTTPTransport, credentials: Credentials) -> Account:
    """Ask the Hub whose token this is, and what it may do.

    Raises:
        AuthenticationError: The Hub does not know the token.
        APIConnectionError: The Hub was not reached.
    """
    url = account_url(hub.hub_endpoint())
    return read_account(transport.get(url, credentials, timeout_s=LOOKUP_TIMEOUT_S).json())


def router_models(transport: HTTPTransport, credentials: Credentials) -> list[ModelOffers]:
    """Ask the router for all models that it serves. Raises like `model_offers`."""
    listing = transport.get(
        f"{ROUTER_URL}/models", credentials, timeout_s=LISTING_TIMEOUT_S, max_bytes=MAX_LISTING_BYTES
    )
    return read_all_offers(listing.json())


def server_models(transport: HTTPTransport, url: str, credentials: Credentials) -> list[str]:
    """Ask a server for the names of its models. Raises like `model_offers`."""
    return read_names(transport.get(server_url(url, "/v1/models"), credentials, timeout_s=LOOKUP_TIMEOUT_S).json())


def _offers_key(model: str, credentials: Credentials) -> str:
    return f"{model} {credentials.cache_key(ROUTER_URL)}"


def _remembered_s(answered: bool, *, known: bool) -> float:
    """Return how long to remember what a lookup found."""
    return FAILED_S if not answered else KNOWN_S if known else UNKNOWN_S


def _asked(transport: HTTPTransport, url: str, credentials: Credentials) -> WireResponse | None:
    """Return the answer, a 404 among them; None where there was none."""
    try:
        return transport.get(url, credentials, timeout_s=LOOKUP_TIMEOUT_S)
    except HFInferenceError as error:
        return _missing(error)


async def _aasked(transport: HTTPTransport, url: str, credentials: Credentials) -> WireResponse | None:
    """Like `_asked`."""
    try:
        return await transport.aget(url, credentials, timeout_s=LOOKUP_TIMEOUT_S)
    except HFInferenceError as error:
        return _missing(error)


def _missing(error: HFInferenceError) -> WireResponse | None:
    """Return an empty answer where a server has no such path, which identifies it as little as it can be; else None."""
    if isinstance(error, APIStatusError) and error.status_code in (404, 405, 410, 501):
        return WireResponse(error.status_code, {}, b"null")
    return None


def _json(answer: WireResponse | None) -> Any:
    try:
        return answer.json() if answer else None
    except HFInferenceError:
        return None

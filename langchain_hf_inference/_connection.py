"""HFConnection: where to, as whom, how patiently. The arguments that all models share.

This is the one place where routing, tokens and transport are put together. It holds fields and
joins; behaviour belongs to the rooms it joins.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import ConfigDict, Field, PrivateAttr, SecretStr, ValidationInfo, field_validator, model_validator

from langchain_hf_inference import _transport
from langchain_hf_inference._arguments import connection_arguments
from langchain_hf_inference._checked_model import LIVE, CheckedModel, is_news
from langchain_hf_inference._protocol.credentials import Credentials, Destination
from langchain_hf_inference._protocol.dialects import Engine
from langchain_hf_inference._protocol.headers import Headers, no_headers, normalize_headers
from langchain_hf_inference._protocol.redaction import is_secret_name
from langchain_hf_inference._protocol.retry import RetryPolicy
from langchain_hf_inference._protocol.routing import (
    ROUTER_URL,
    Route,
    check_chats,
    is_hugging_face_host,
    normalised_url,
    origin_of,
    resolve_routes,
)
from langchain_hf_inference._settings import RequestTimeout
from langchain_hf_inference._transport.cache import TransportCache
from langchain_hf_inference._transport.tokens import TokenSource
from langchain_hf_inference.errors import ConfigurationError

if TYPE_CHECKING:
    from langchain_hf_inference._transport.http import HTTPTransport
    from langchain_hf_inference._transport.streams import Timeouts


class HFConnection(CheckedModel):
    """Where a model is served and how it is reached."""

    model_config = ConfigDict(
        arbitrary_types_allowed=True, populate_by_name=True, protected_namespaces=(), defer_build=True
    )

    model: str | None = None
    """Hub id (`"Qwen/Qwen3-32B"`, `"Qwen/Qwen3-32B:together"`), or a server's own name for its model.

    With `endpoint_url` it may be left out: the server is asked. A URL is taken as `endpoint_url`.
    """
    provider: str | list[str] | None = None
    """Who serves: "auto" (default), "fastest", "cheapest", "preferred", a provider, or several in order.

    With several the next is tried, before the first token, where one is down, busy or lacks the model.
    """
    endpoint_url: str | None = None
    """Address of an Inference Endpoint or a server: `http://localhost:8080`, with or without `/v1`."""
    engine: Engine | None = None
    """What serves `endpoint_url`; asked of the server, once, where a request depends on it."""
    api_key: SecretStr | Literal[False] | Callable[[], Any] | None = Field(default=None)
    """Hugging Face token or a provider's own key; a sync or async function that gives one; False for none.

    None takes HF_TOKEN, HUGGINGFACEHUB_API_TOKEN, HF_API_TOKEN or the stored login, at the first
    call, and sends that to Hugging Face's hosts only. A key given here goes to wherever you point.
    A key that does not begin with `hf_` is a provider's: its own host is called then.
    """
    bill_to: str | None = None
    """Organisation or resource group that pays, on the router."""
    timeout: RequestTimeout = 600.0
    """Seconds to wait for an answer to begin, or (connect, read); None waits for ever.

    Connecting may take 10 s of it. A stream is watched by `stream_chunk_timeout`.
    """
    max_retries: int = Field(default=2, ge=0)
    """How often a request that cannot have produced output is sent again."""
    stream_chunk_timeout: float | None = Field(default=120.0, gt=0)
    """Longest silence in a stream, in seconds, up to its first event and between events; None is no limit."""
    scale_up_timeout: float | None = Field(default=None, gt=0)
    """Inference Endpoints: seconds to wait while an endpoint that is scaled to zero starts."""
    default_headers: Mapping[str, str] = Field(default_factory=no_headers, repr=False, exclude=True)
    """Headers sent with each request to the model's own origin, and to no other. Never shown or serialized.

    They cannot be changed in place; assign a new mapping. They may hold secrets.
    """
    http_client: Any = Field(default=None, repr=False, exclude=True)
    """Your own `httpx.Client` (or `httpx2.Client`), for proxies, certificates or tests; yours to close. Not pickled."""
    http_async_client: Any = Field(default=None, repr=False, exclude=True)
    """Your own `httpx.AsyncClient` (or `httpx2.AsyncClient`), likewise."""
    http_backend: Literal["httpx", "aiohttp"] | None = None
    """What carries asynchronous calls: "httpx", or "aiohttp", which takes less CPU time with many requests in flight.

    "aiohttp" needs the extra `langchain-hf-inference[aiohttp]`. None takes HF_INFERENCE_HTTP_BACKEND, else "httpx".
    """
    model_kwargs: dict[str, Any] = Field(default_factory=dict)
    """Further keys of the request's body, sent as they are."""

    _lost_secrets: bool = PrivateAttr(default=False)
    """This model was unpickled, and had a key or secret headers before."""
    _last: TransportCache = PrivateAttr(default_factory=TransportCache)

    @model_validator(mode="before")
    @classmethod
    def _take_names_of_other_packages(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        found, notes = connection_arguments(values, frozenset(cls.model_fields))
        for note in notes:
            warnings.warn(note, UserWarning, stacklevel=6)
        return found

    @field_validator("default_headers", mode="wrap")
    @classmethod
    def _normalize_headers(cls, value: Any, _: Any) -> Headers:
        return normalize_headers({} if value is None else value)

    @field_validator("http_client", "http_async_client")
    @classmethod
    def _check_client(cls, value: Any, info: ValidationInfo) -> Any:
        if value is not None and (problem := _transport.supplied.client_problem(value, info.field_name or "")):
            raise ValueError(problem)
        return value

    @field_validator("endpoint_url")
    @classmethod
    def _normalise_url(cls, value: str | None) -> str | None:
        return None if value is None else normalised_url(value)

    @model_validator(mode="after")
    def _warn_of_idle_settings(self) -> Self:
        if (
            self.endpoint_url
            and self.bill_to
            and is_news("bill_to", "endpoint_url")
            and not is_hugging_face_host(self.endpoint_url)
        ):
            warnings.warn(
                "bill_to works on the Hugging Face router; endpoint_url is another", UserWarning, stacklevel=4
            )
        if self.scale_up_timeout and not self.endpoint_url and is_news("scale_up_timeout", "endpoint_url"):
            warnings.warn(
                "scale_up_timeout works on Inference Endpoints; no endpoint_url is set", UserWarning, stacklevel=4
            )
        return self

    @model_validator(mode="after")
    def _check_route(self) -> Self:
        if self.model or self.endpoint_url:
            resolve_routes(self.model, self.provider, endpoint_url=self.endpoint_url, engine=self.engine, own_key=False)
        return self

    def model_post_init(self, context: Any, /) -> None:
        """Go on to LangChain's own: pydantic would stop at the first class with private attributes."""
        super().model_post_init(context)

    def close(self) -> None:
        """Close the connections to this model's server; the next call opens new ones.

        They are shared by all models of the process that talk to the same host. Clients that you
        gave (`http_client`) stay open.
        """
        _transport.clients.discard(origin_of(self.endpoint_url or ROUTER_URL))

    async def aclose(self) -> None:
        """Like `close`, for the async connections of the running event loop."""
        await _transport.clients.adiscard(origin_of(self.endpoint_url or ROUTER_URL))

    def _resolved(self, model: str | None, *, needs_engine: bool) -> tuple[list[Route], Credentials]:
        """Give the routes to try, complete, and the token; asks the server or the Hub only where it must."""
        credentials, transport = self._credentials(model), self._transport()
        routes = self._routes(model, credentials)
        first = routes[0]
        if first.place == "provider" and first.model and first.provider:
            known = _transport.lookups.provider_models(transport, first.model).get(first.provider)
            routes = [replace(first, model=known.id if known else first.model), *routes[1:]]
        elif first.place == "endpoint" and (first.model is None or (needs_engine and first.dialect is None)):
            facts = _transport.lookups.server_facts(transport, first.url, credentials)
            routes = [replace(first, model=first.model or facts.model,
                                dialect=first.dialect or facts.engine)]  # fmt: skip
        check_chats(routes[0])
        return routes, credentials

    async def _aresolved(self, model: str | None, *, needs_engine: bool) -> tuple[list[Route], Credentials]:
        """Like `_resolved`."""
        credentials, transport = await self._acredentials(model), self._transport()
        routes = self._routes(model, credentials)
        first = routes[0]
        if first.place == "provider" and first.model and first.provider:
            known = (await _transport.lookups.aprovider_models(transport, first.model)).get(first.provider)
            routes = [replace(first, model=known.id if known else first.model), *routes[1:]]
        elif first.place == "endpoint" and (first.model is None or (needs_engine and first.dialect is None)):
            facts = await _transport.lookups.aserver_facts(transport, first.url, credentials)
            routes = [replace(first, model=first.model or facts.model,
                                dialect=first.dialect or facts.engine)]  # fmt: skip
        check_chats(routes[0])
        return routes, credentials

    def _credentials(self, model: str | None = None) -> Credentials:
        """Return the key and the headers of a call, with the origins that they may be sent to."""
        return TokenSource(self.api_key).credentials(self._destination(model))

    async def _acredentials(self, model: str | None = None) -> Credentials:
        """Like `_credentials`."""
        return await TokenSource(self.api_key).acredentials(self._destination(model))

    def _destination(self, model: str | None) -> Destination:
        return Destination(model or self.model, self.provider, self.endpoint_url, self.default_headers)

    def _routes(self, model: str | None, credentials: Credentials) -> list[Route]:
        routes = resolve_routes(
            model,
            self.provider,
            endpoint_url=self.endpoint_url,
            engine=self.engine,
            own_key=credentials.is_provider_key,
        )
        self._check_key(credentials)
        self._check_token(routes[0], credentials)
        return routes

    def _check_key(self, credentials: Credentials) -> None:
        if self._lost_secrets and credentials.secret is None and self.api_key is None:
            raise ConfigurationError(
                "this model was unpickled, and pickles hold no keys: assign api_key (and default_headers) anew, "
                "or api_key=False if none is needed"
            )

    def _check_token(self, route: Route, credentials: Credentials) -> None:
        if route.place == "router" and not credentials.may_send_secret(route.url):
            raise ConfigurationError(
                "there is no Hugging Face token: set HF_TOKEN, run `hf auth login`, or give api_key; "
                "tokens are made at https://huggingface.co/settings/tokens"
            )

    def _route_headers(self, route: Route) -> dict[str, str]:
        headers = {}
        if self.bill_to and route.place == "router":
            headers["X-HF-Bill-To"] = self.bill_to
        if self.scale_up_timeout and route.place == "endpoint":
            headers["X-Scale-Up-Timeout"] = f"{self.scale_up_timeout:g}"
        return headers

    def _transport(self) -> HTTPTransport:
        """Give the transport for the settings as they are now: they may have been assigned since."""
        key = (self.timeout, self.stream_chunk_timeout, self.scale_up_timeout, self.max_retries, self.http_client,
               self.http_async_client, self.http_backend)  # fmt: skip
        last = self._last
        if last.transport is None or last.key != key:
            last.transport = _transport.http.HTTPTransport(
                self._timeouts(),
                RetryPolicy(max_retries=self.max_retries),
                self.http_client,
                self.http_async_client,
                self._async_backend(),
            )
            last.key = key
        return last.transport

    def _async_backend(self) -> Literal["httpx", "aiohttp"]:
        return _transport.client_builders.http_backend(self.http_backend)

    def _forget_connections(self) -> None:
        self._last = TransportCache()

    def _timeouts(self) -> Timeouts:
        return _transport.streams.Timeouts.given(self.timeout, self.stream_chunk_timeout, self.scale_up_timeout)

    def __getstate__(self) -> dict[Any, Any]:
        """Leave out of pickles what is alive, and what is secret: keys, and headers that hold any.

        The unpickled model takes the token of its environment, or is given `api_key` anew; a function
        given as `api_key` is pickled by its name and stays.
        """
        state = super().__getstate__()
        fields = {name: None if name in LIVE else value for name, value in state["__dict__"].items()}
        secret = isinstance(self.api_key, SecretStr)
        if secret:
            fields["api_key"] = None
        plain = {k: v for k, v in self.default_headers.items() if not is_secret_name(k)}
        fields["default_headers"] = Headers(plain)
        secret = secret or fields["default_headers"] != self.default_headers
        private = dict(state["__pydantic_private__"] or {})
        private["_lost_secrets"] = secret or self._lost_secrets
        return {**state, "__dict__": fields, "__pydantic_private__": private}

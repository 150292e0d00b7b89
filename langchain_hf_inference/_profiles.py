"""What a model can do: LangChain's model profile, from data of our own, the router, or the server itself.

Agents read it: the context length decides when to summarise, media flags what to send, and
`structured_output` makes `create_agent` send a schema beside the tools. That one is therefore given
only where the two are known to work together (`Dialect.schema_with_tools`); without it agents ask for
the answer as a tool call, which works wherever tools do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Any, cast

from langchain_core.language_models import ModelProfile
from pydantic import Field, PrivateAttr, model_validator

from langchain_hf_inference import _transport
from langchain_hf_inference._connection import HFConnection
from langchain_hf_inference._protocol.detection import ServerFacts
from langchain_hf_inference._protocol.dialects import dialect_of
from langchain_hf_inference._protocol.offers import ModelOffers, Offer
from langchain_hf_inference._protocol.routing import Route
from langchain_hf_inference.errors import ConfigurationError

_KNOWN_KEYS = frozenset(ModelProfile.__annotations__)
"""What this version of langchain-core knows; it warns of anything else."""
_PLACE = ("model", "provider", "endpoint_url", "engine")


class OwnProfile(dict[str, Any]):
    """A profile that we looked up, for one model at one place: it does not outlive a change of them."""

    place: tuple[Any, ...] = ()


class ProfiledModel(HFConnection):
    """A chat model that tells what it can do."""

    profile: ModelProfile | None = Field(default=None, exclude=True, repr=False)
    """What the model can do, looked up by `model` in our own data unless given; see `refresh_profile`."""
    _offers: tuple[Offer, ...] = PrivateAttr(default=())

    @model_validator(mode="before")
    @classmethod
    def _drop_stale_profile(cls, values: Any) -> Any:
        # `configurable_fields` makes a model anew with every field given, the old model's profile too.
        # A user who passes one model's profile on to another gives a few fields, and means it.
        if isinstance(values, dict) and isinstance(own := values.get("profile"), OwnProfile):
            rebuilt = values.keys() >= cls.model_fields.keys()
            if rebuilt and own.place != tuple(values[name] for name in _PLACE):
                return {**values, "profile": None}
        return values

    @property
    def offers(self) -> tuple[Offer, ...]:
        """Who offers the model, with price, context and speed, as `refresh_profile` learnt it; empty before."""
        return self._offers

    def refresh_profile(self) -> ModelProfile:
        """Ask the router, or the server at `endpoint_url`, what the model can do; sets `profile` and gives it.

        The router tells of each provider's context length, tools, structured output and price (`offers`);
        the profile holds what all that may serve you have in common. Servers of your own tell their
        context length. Never done unasked.

        Raises:
            ConfigurationError: No model is named.
            APIStatusError: The router does not know the model.
            APIConnectionError: The router was not reached.
        """
        routes, credentials = self._resolved(self.model, needs_engine=True)
        route, transport = routes[0], self._transport()
        if route.place == "endpoint":
            return self._learnt(route, facts=_transport.lookups.server_facts(transport, route.url, credentials))
        return self._learnt(route, offers=_transport.lookups.model_offers(transport, _named(self.model), credentials))

    async def arefresh_profile(self) -> ModelProfile:
        """Like `refresh_profile`."""
        routes, credentials = await self._aresolved(self.model, needs_engine=True)
        route, transport = routes[0], self._transport()
        if route.place == "endpoint":
            return self._learnt(route, facts=await _transport.lookups.aserver_facts(transport, route.url, credentials))
        return self._learnt(
            route, offers=await _transport.lookups.amodel_offers(transport, _named(self.model), credentials)
        )

    def _learnt(
        self, route: Route, *, facts: ServerFacts | None = None, offers: ModelOffers | None = None
    ) -> ModelProfile:
        # TGI and others name their model by themselves; where we know that one, its data is the base.
        known = own_profile(self.model or (facts.model if facts else None), route.dialect)
        if facts is not None:
            news = server_profile(facts)
        elif offers is not None:
            news = offered_profile(offers, providers_of(self.model, self.provider))
            self._offers = offers.offers
        else:
            news = {}
        self.profile = profile = cast("ModelProfile", self._placed({**(known or {}), **news}))
        return profile

    def _resolve_model_profile(self) -> ModelProfile | None:
        dialect = self.engine if self.endpoint_url else "router"
        found = own_profile(self.model, dialect)
        return None if found is None else cast("ModelProfile", self._placed(found))

    def _update(self, values: Mapping[str, Any]) -> None:
        """Set fields; a profile that we looked up follows a change of the model."""
        super()._update(values)
        if isinstance(own := self.profile, OwnProfile) and own.place != self._place:
            self.profile = self._resolve_model_profile()

    @property
    def _place(self) -> tuple[Any, ...]:
        return tuple(getattr(self, name) for name in _PLACE)

    def _placed(self, profile: Mapping[str, Any]) -> OwnProfile:
        own = OwnProfile({key: value for key, value in profile.items() if key in _KNOWN_KEYS})
        own.place = self._place
        return own


def providers_of(model: str | None, provider: str | Sequence[str] | None) -> list[str]:
    """Give the providers, or policies, that are asked for by argument or by the model's suffix."""
    suffix = (model or "").partition(":")[2]
    named = [provider] if isinstance(provider, str) else list(provider or ())
    return [name for name in named if name != "auto"] or ([suffix] if suffix else [])


def plain_id(model: str | None) -> str:
    """Give the Hub id in `org/name:provider`."""
    return (model or "").partition(":")[0]


def _named(model: str | None) -> str:
    if not model:
        raise ConfigurationError("model is not set; give the Hub id whose profile is wanted")
    return plain_id(model)


def known_models() -> dict[str, dict[str, Any]]:
    """Give the rows of `data/model_profiles.toml` by Hub id."""
    import tomllib  # four milliseconds, for those who ask

    return tomllib.loads(_known_models())


@cache
def _known_models() -> str:
    return resources.files("langchain_hf_inference").joinpath("data/model_profiles.toml").read_text("utf-8")


@cache
def known_model(name: str) -> dict[str, Any] | None:
    """Give the row of `data/model_profiles.toml` for a Hub id: a row is a line, and one of them is read."""
    _, found, rest = _known_models().partition(f'\n"{name}" = ')
    if not found:
        return None
    import tomllib

    row: dict[str, Any] = tomllib.loads("row = " + rest.partition("\n")[0])["row"]
    return row


def own_profile(model: str | None, dialect: str | None) -> dict[str, Any] | None:
    """Give what our own data tells of `model`, a routing suffix apart; None where it is not in it."""
    row = known_model(plain_id(model))
    if row is None:
        return None
    can = frozenset(row["can"])
    profile: dict[str, Any] = {
        "name": plain_id(model).rpartition("/")[2],
        "open_weights": True,
        "max_input_tokens": row["context"],
        "text_inputs": True,
        "image_inputs": "images" in can,
        "image_url_inputs": "images" in can,
        "video_inputs": "video" in can,
        "audio_inputs": "audio" in can,
        "pdf_inputs": False,
        "image_tool_message": False,
        "pdf_tool_message": False,
        "text_outputs": True,
        "image_outputs": False,
        "audio_outputs": False,
        "video_outputs": False,
        "reasoning_output": "reasoning" in can,
        "tool_calling": "tools" in can,
        "temperature": True,
    }
    if "output" in row:
        profile["max_output_tokens"] = row["output"]
    if "effort" in row:
        profile["reasoning_effort_levels"] = list(row["effort"])
    if "tools" in can:
        profile["tool_call_streaming"] = True
        together = dialect_of(dialect or "openai").schema_with_tools
        if together is not None:
            profile["structured_output"] = together
    return profile


def server_profile(facts: ServerFacts) -> dict[str, Any]:
    """Give what a server of your own tells of its model."""
    return {} if facts.context_length is None else {"max_input_tokens": facts.context_length}


def offered_profile(offers: ModelOffers, providers: Sequence[str]) -> dict[str, Any]:
    """Give what all offers that may serve have in common."""
    profile: dict[str, Any] = {}
    serving = offers.serving(providers)
    if lengths := [offer.context_length for offer in serving if offer.context_length]:
        profile["max_input_tokens"] = min(lengths)
    if (tools := _all(offer.supports_tools for offer in serving)) is not None:
        profile["tool_calling"] = tools
    if (structured := _all(_together(offer) for offer in serving)) is not None:
        profile["structured_output"] = structured
    if offers.input_modalities:
        for key, kind in (("image_inputs", "image"), ("image_url_inputs", "image"), ("audio_inputs", "audio"),
                          ("video_inputs", "video")):  # fmt: skip
            profile[key] = kind in offers.input_modalities
    return profile


def _together(offer: Offer) -> bool | None:
    if offer.supports_structured_output is False:
        return False
    together = dialect_of(offer.provider).schema_with_tools
    return together if offer.supports_structured_output or together is False else None


def _all(flags: Any) -> bool | None:
    """Tell whether all hold: one that does not settles it, one that is not known leaves it open."""
    known = list(flags)
    if False in known:
        return False
    return True if known and all(known) else None

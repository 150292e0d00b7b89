"""What tracers, caches and dumps record of a model: who serves what, and how it is set; never a secret."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, Self, cast

from langchain_core.language_models.base import BaseLanguageModel, LangSmithParams
from pydantic import model_validator

from langchain_hf_inference._connection import HFConnection
from langchain_hf_inference._protocol.chunks import MODEL_PROVIDER
from langchain_hf_inference._protocol.routing import shown_url
from langchain_hf_inference._version import __version__


class TracedModel(HFConnection):
    """A model that traces and dumps tell apart, and that `load` makes anew."""

    @model_validator(mode="after")
    def _set_hf_inference_version(self) -> Self:
        cast("BaseLanguageModel[Any]", self)._add_version("langchain-hf-inference", __version__)
        return self

    @property
    def model_name(self) -> str | None:
        """The model, by the name under which LangChain's agents and tracers look for it."""
        return self.model

    def _get_invocation_params(self, stop: list[str] | None = None, **kwargs: Any) -> dict[str, Any]:
        # As core's, but for the way through the deprecated `dict()`, which each call would go.
        model = cast("Any", self)
        return {**model._identifying_params, "_type": model._llm_type, "stop": stop, **kwargs}

    @property
    def lc_secrets(self) -> dict[str, str]:
        """Serialised forms name the environment variable instead of the token."""
        return {"api_key": "HF_TOKEN"}

    @classmethod
    def is_lc_serializable(cls) -> bool:
        """Tell that `dumpd` and `load` work."""
        return True

    @classmethod
    def get_lc_namespace(cls) -> list[str]:
        """Give the path under which `load` finds the class: its module."""
        return cls.__module__.split(".")


def langsmith_params(
    model: HFConnection, kind: Literal["chat", "llm"], stop: Sequence[str] | None, call: Mapping[str, Any]
) -> LangSmithParams:
    """Give what LangSmith shows of a call: settings of the call stand before those of the model."""

    def of(name: str) -> Any:
        return call.get(name, getattr(model, name))

    params = LangSmithParams(ls_provider=MODEL_PROVIDER, ls_model_type=kind)
    if name := call.get("model") or model.model or (model.endpoint_url and shown_url(model.endpoint_url)):
        params["ls_model_name"] = name
    if (temperature := of("temperature")) is not None:
        params["ls_temperature"] = temperature
    if (max_tokens := of("max_tokens")) is not None:
        params["ls_max_tokens"] = max_tokens
    if stops := stop or getattr(model, "stop", None):
        params["ls_stop"] = list(stops)
    return params


def identifying_params(model: HFConnection, settings: Iterable[str]) -> dict[str, Any]:
    """Give what tells two models apart, for caches: the same values give the same answers."""
    names = ("model", "provider", "endpoint_url", "engine", "model_kwargs", *sorted(settings))
    values = model.__dict__
    found = {name: value for name in names if (value := values[name]) is not None and value != {}}
    return found | {"endpoint_url": shown_url(model.endpoint_url)} if model.endpoint_url else found

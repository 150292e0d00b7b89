"""One chat call: the settings of model and call joined, ready to be written for a route."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from langchain_core.messages import BaseMessage
from langchain_core.utils.function_calling import convert_to_openai_tool

from langchain_hf_inference._protocol.chat_request import chat_request, needs_engine
from langchain_hf_inference._protocol.chat_response import ReadOptions
from langchain_hf_inference._protocol.offers import ModelOffers
from langchain_hf_inference._protocol.routing import Route
from langchain_hf_inference._protocol.wire import WireRequest
from langchain_hf_inference._settings import SETTINGS, canonical, checked_settings, warn_of_typos

if TYPE_CHECKING:
    from langchain_hf_inference._transport.retrying import OnRetry

_TOOL_KEYS = frozenset({"name", "title", "input_schema", "properties"})
"""Keys of which a tool's definition has one, whoever's form it is in."""
_warned: set[str] = set()
"""What the user has been told once, over all models of the process."""


@dataclass(frozen=True, slots=True)
class ChatCall:
    """The conversation, what is set for it, and how its answer is to be read."""

    messages: Sequence[BaseMessage]
    settings: Mapping[str, Any]
    model: str | None
    stream: bool
    options: ReadOptions = field(default_factory=ReadOptions)
    stream_usage: bool = True
    replay_reasoning: bool = False

    @property
    def needs_engine(self) -> bool:
        """Tell whether it matters which engine this meets."""
        return needs_engine(self.messages, self.settings)

    def request(self, route: Route, headers: Mapping[str, str]) -> WireRequest:
        """Write the request for `route`, and warn of what its engine cannot take."""
        made = chat_request(
            route,
            self.messages,
            self.settings,
            stream=self.stream,
            stream_usage=self.stream_usage,
            replay_reasoning=self.replay_reasoning,
            headers=headers,
        )
        tell(made.notes)
        return made.request


def chat_call(
    own: Mapping[str, Any],
    extra: Mapping[str, Any],
    kwargs: Mapping[str, Any],
    *,
    messages: Sequence[BaseMessage],
    stop: list[str] | None,
    stream: bool,
) -> ChatCall:
    """Join the settings of a model and of a call: the call's go over the model's, its None takes one back.

    Args:
        own: The model's settings, by our names.
        extra: The model's further keys of the body (`model_kwargs`).
        kwargs: What the call gives, by any name.
        messages: The conversation.
        stop: LangChain's own argument for stop strings.
        stream: Whether a stream is asked for.

    Raises:
        pydantic.ValidationError: A setting of the call is out of range.
        ValueError: The call gives one thing twice.
    """
    given = canonical(kwargs, SETTINGS | {"model"})
    given.pop("stream", None)
    more = {**extra, **given.pop("model_kwargs", {})}
    model = given.pop("model", None)
    warn_of_typos({name: value for name, value in given.items() if name not in SETTINGS and name != "tools"})
    settings = {**more, **own, **checked_settings(given)}
    if stop is not None:
        settings["stop"] = checked_settings({"stop": stop})["stop"]
    if not settings.get("stop"):
        settings.pop("stop", None)
    return ChatCall(messages, {name: value for name, value in settings.items() if value is not None}, model, stream)


def priced(call: ChatCall, route: Route, offers: ModelOffers | None, providers: Sequence[str]) -> ChatCall:
    """Give `call` the offers by which its answer's cost is told, or say why it cannot be."""
    found = offers.serving(providers) if offers else []
    if route.place != "router":
        tell(["report_cost: only the Hugging Face router tells its prices; answers come without their cost"])
    elif not any(offer.output_price is not None for offer in found):
        tell([f"report_cost: the router tells no price of {call.model}; answers come without their cost"])
    return replace(call, options=replace(call.options, offers=found))


def openai_tool(tool: Any, *, strict: bool | None = None) -> dict[str, Any]:
    """Give a tool of any of LangChain's forms in OpenAI's."""
    if (
        isinstance(tool, dict)
        and tool.get("type", "function") not in ("function", "object")
        and not tool.keys() & _TOOL_KEYS
    ):
        return tool  # a tool of the server's own, such as a provider's web search
    return convert_to_openai_tool(tool, strict=strict)


def tell(notes: Sequence[str]) -> None:
    """Warn of each thing once."""
    news = [note for note in notes if note not in _warned]
    if news:
        _warned.update(news)
        warnings.warn("; ".join(news), UserWarning, stacklevel=2)


def on_retry_of(run_manager: Any) -> OnRetry | None:
    """Give what LangChain's handlers want to hear of retries by."""
    return run_manager.on_retry if run_manager is not None else None

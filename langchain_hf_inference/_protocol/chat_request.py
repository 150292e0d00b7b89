"""Messages, tools and settings -> the body of a chat-completion request, in the engine's dialect."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from langchain_core.messages import BaseMessage

from langchain_hf_inference._protocol.dialects import DIALECTS, ENGINE_SENSITIVE, NO_OPS, Dialect, dialect_of
from langchain_hf_inference._protocol.messages import has_media, wire_messages
from langchain_hf_inference._protocol.response_format import check_schema_with_tools, wire_response_format
from langchain_hf_inference._protocol.routing import Route
from langchain_hf_inference._protocol.tools import wire_tool_settings
from langchain_hf_inference._protocol.wire import JSON, WireRequest

_TOOL_SETTINGS = ("tools", "tool_choice", "parallel_tool_calls")
TGI_PRESENCE_OFFSET = 2.0
"""TGI's chat computes repetition_penalty = presence_penalty + 2.0 (router/src/lib.rs, v1.4 to v3.3)."""


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """A request, and what the user is to be told about settings that this engine cannot take."""

    request: WireRequest
    notes: tuple[str, ...] = ()


def needs_engine(messages: Sequence[BaseMessage], settings: Mapping[str, Any]) -> bool:
    """Tell whether this request would look different on some engine, so that it matters which it meets."""
    for name in ENGINE_SENSITIVE & settings.keys():
        value = settings[name]
        no_op = _is_no_op(name, value)
        if not no_op or any(name in row.omit_no_ops for row in DIALECTS.values()):
            return True
    return has_media(messages)


def chat_request(
    route: Route,
    messages: Sequence[BaseMessage],
    settings: Mapping[str, Any],
    *,
    stream: bool,
    stream_usage: bool = True,
    replay_reasoning: bool = False,
    headers: Mapping[str, str] | None = None,
) -> ChatRequest:
    """Give the request that says all of this to the engine at `route`.

    Args:
        route: Where to; its `model` and `dialect` are decided by now.
        messages: The conversation.
        settings: What is set, by the names of the wire, None meaning not set; `extra_body` last,
            over everything.
        stream: Ask for a stream.
        stream_usage: Ask a stream for its token counts.
        replay_reasoning: See `wire_messages`.
        headers: Headers beside the token's.

    Raises:
        ConfigurationError: Something cannot be said to this engine.
    """
    dialect = dialect_of(route.dialect or "openai")
    given = {name: value for name, value in settings.items() if value is not None}
    extra = given.pop("extra_body", {})
    wire, notes = wire_messages(messages, dialect, replay_reasoning=replay_reasoning)
    tool_settings = wire_tool_settings(
        given.pop("tools", ()), given.pop("tool_choice", None), given.pop("parallel_tool_calls", None), dialect
    )
    given |= {k: v for k, v in tool_settings.items() if k != "tools"}
    if "top_logprobs" in given and "logprobs" not in given:
        given["logprobs"] = True  # servers refuse the one without the other
    given, more = in_dialect(given, dialect)
    if "response_format" in given:
        if "tools" in tool_settings:
            check_schema_with_tools(dialect)
        given["response_format"], note = wire_response_format(given["response_format"], dialect)
        more += [note] if note else []
    model = route.model or dialect.unnamed_model
    body: JSON = {"model": model} if model else {}  # leads, so that the router reads it first
    body |= {"messages": wire, **given}
    if "tools" in tool_settings:
        body["tools"] = tool_settings["tools"]
    body = streamed(body, ask_usage=stream_usage and dialect.stream_options) if stream else _whole(body)
    body = {name: value for name, value in (body | extra).items() if value is not None}
    request = WireRequest(route.url, body, headers or {}, ("stream_options",), route.model, dialect.name)
    return ChatRequest(request, tuple(notes + more))


def streamed(body: JSON, *, ask_usage: bool) -> JSON:
    """Give a body that asks for a stream, and for its token counts unless it says otherwise by itself."""
    asked = {"stream_options": {"include_usage": True}} if ask_usage and "stream_options" not in body else {}
    return {**body, "stream": True, **asked}


def _whole(body: JSON) -> JSON:
    return {name: value for name, value in body.items() if name != "stream_options"}


def _is_no_op(name: str, value: Any) -> bool:
    return value in NO_OPS.get(name, ()) and not (value is True or (value is False and name != "logprobs"))


def in_dialect(given: JSON, dialect: Dialect) -> tuple[JSON, list[str]]:
    """Translate settings, leave out no-ops and what harms, and note what the engine cannot do."""
    wire: JSON = {}
    notes: list[str] = []
    ignored: list[str] = []
    for name, value in given.items():
        if _is_no_op(name, value) and (name in dialect.omit_no_ops or name in dialect.ignored | dialect.refused.keys()):
            continue
        if name == "repetition_penalty" and dialect.repetition_as_presence:
            wire["presence_penalty"] = value - TGI_PRESENCE_OFFSET
        elif name in dialect.refused:
            notes.append(f"{dialect.title}: {name}={value!r} was left out: {dialect.refused[name]}")
        else:
            if name in dialect.ignored:
                ignored.append(name)
            wire[dialect.renamed.get(name, name)] = value
    if ignored:
        notes.append(f"{dialect.title} ignores {', '.join(sorted(ignored))} in chat requests")
    return wire, notes

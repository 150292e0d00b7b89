"""A whole chat-completion answer -> LangChain's ChatResult."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.messages.content import InvalidToolCall
from langchain_core.messages.tool import ToolCall
from langchain_core.outputs import ChatGeneration, ChatResult

from langchain_hf_inference._protocol.chunks import MODEL_PROVIDER
from langchain_hf_inference._protocol.error_response import read_stream_error
from langchain_hf_inference._protocol.offers import Offer, cost_of
from langchain_hf_inference._protocol.reasoning import ThinkTagSplitter
from langchain_hf_inference._protocol.reasoning_details import reasoning_details
from langchain_hf_inference._protocol.response_end import end_reason, of_last_generation, opens_empty_arguments
from langchain_hf_inference._protocol.stop_text import StopCutter
from langchain_hf_inference._protocol.tool_calls import read_tool_calls
from langchain_hf_inference._protocol.usage import raw_usage, read_usage
from langchain_hf_inference._protocol.wire import JSON, WireRequest, as_list, as_object
from langchain_hf_inference.errors import ResponseFormatError

_SERVED_BY = ("x-inference-provider",)
_REQUEST_IDS = ("x-request-id", "inference-id", "x-inference-id")
_TGI_TIMES = ("x-compute-time", "x-total-time", "x-validation-time", "x-queue-time", "x-inference-time",
              "x-time-per-token", "x-prompt-tokens", "x-generated-tokens", "x-compute-type")  # fmt: skip
_SOURCES = ("citations", "search_results")
_OTHER_OUTPUT = ("refusal", "audio", "annotations", "images", *_SOURCES)
_BODY_FACTS = ("id", "system_fingerprint", "created", "service_tier", "timings", "time_info")


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """What the reader of an answer has to know about the request.

    `think_tags`: False leaves `<think>` in the text; True splits it off; "open" also where the
    template opened the tag. `stop`: the stop strings asked for, to be cut where a server leaves them.
    `offers`: the offers that may serve, where the answer's cost is to be told.
    """

    think_tags: bool | str = False
    stop: Sequence[str] = ()
    offers: Sequence[Offer] = ()


def header_facts(headers: Mapping[str, str]) -> JSON:
    """Give what the headers tell for `response_metadata`: who served, the request's id, TGI's timings (ms)."""
    facts: JSON = {}
    if provider := next((headers[h] for h in _SERVED_BY if headers.get(h)), None):
        facts["served_provider"] = provider
    if identity := next((headers[h] for h in _REQUEST_IDS if headers.get(h)), None):
        facts["request_id"] = identity
    if times := {h.removeprefix("x-").replace("-", "_"): headers[h] for h in _TGI_TIMES if headers.get(h)}:
        facts["timings_ms"] = times
    return facts


def cost_facts(usage: Mapping[str, Any] | None, facts: JSON, options: ReadOptions) -> JSON:
    """Give what the answer cost, for `response_metadata`, where it was asked for and can be told."""
    if not options.offers:
        return {}
    cost = cost_of(usage, facts.get("served_provider"), options.offers)
    return {} if cost is None else {"cost": cost}


def body_facts(body: JSON) -> JSON:
    """Give what the body tells for `response_metadata`, empty values left out."""
    facts = {key: body[key] for key in _BODY_FACTS if body.get(key) not in (None, "", 0)}
    if body.get("model"):
        facts["model_name"] = str(body["model"])
    if isinstance(body.get("provider"), str):  # OpenRouter
        facts["served_provider"] = body["provider"]
    return facts


def content_pieces(raw: Any) -> tuple[str, str]:
    """Split `content` of any form into (text, reasoning).

    Strings, null, Mistral's list with `thinking` parts, and Cloudflare's object, which is the JSON
    that was asked for, already parsed.
    """
    if raw is None or isinstance(raw, str):
        return raw or "", ""
    if isinstance(raw, dict) and "type" not in raw:
        return json.dumps(raw, ensure_ascii=False), ""
    text, reasoning = [], []
    for part in as_list(raw):
        if isinstance(part, str):
            text.append(part)
        elif as_object(part).get("type") in ("thinking", "reasoning"):
            inner = part.get("thinking") or part.get("reasoning") or part.get("text")
            reasoning.append("".join(content_pieces(inner)))
        else:
            text.append(str(as_object(part).get("text") or ""))
    return "".join(text), "".join(reasoning)


def reasoning_text(message: JSON) -> str:
    """Find the reasoning of a message or delta.

    One of its names is taken, never two: vLLM of winter 2025-26 sent the same text under both.
    """
    for key in ("reasoning_content", "reasoning"):
        value = message.get(key)
        if isinstance(value, str) and value:
            return value
        if isinstance(value, dict | list) and value:
            return "".join(content_pieces(value))
    rows = map(as_object, as_list(message.get("reasoning_details")))
    return "".join(str(row.get("text") or row.get("summary") or "") for row in rows)


def read_chat_response(raw: Any, headers: Mapping[str, str], options: ReadOptions, request: WireRequest) -> ChatResult:
    """Parse a whole response: one generation per choice.

    Raises:
        APIStatusError: The body reports an error, whatever its status said, or a response that failed. What it
            holds beside that is in `partial`.
        ResponseFormatError: There is no choice that holds a message or says why it ended without one.
    """
    body = of_last_generation(as_object(raw), headers, request)
    choices = [as_object(choice) for choice in as_list(body.get("choices"))]
    if failure := read_stream_error("", body, b"", request):
        failure.headers = dict(headers)
        texts = [content_pieces(as_object(choice.get("message")).get("content"))[0] for choice in choices]
        failure.partial = AIMessageChunk(content=texts[0]) if any(texts[:1]) else None
        raise failure
    if not any(isinstance(choice.get("message"), dict) or choice.get("finish_reason") for choice in choices):
        start = json.dumps(raw, ensure_ascii=False, default=str)[:500]
        raise ResponseFormatError(
            f"the response holds no chat completion: {start[:200]}; check that the URL is that of a chat API",
            body=start,
        )
    facts = {"model_provider": MODEL_PROVIDER, **body_facts(body), **header_facts(headers)}
    raw_counts = raw_usage(body)
    usage = read_usage(raw_counts)
    facts |= cost_facts(usage, facts, options)
    generations = []
    for choice in sorted(choices, key=_position):
        message = _message(choice, body, facts, options, request)
        if len(choices) == 1:
            message.usage_metadata = usage
        generations.append(ChatGeneration(message=message, generation_info=_generation_info(message)))
    if len(choices) > 1 and usage:
        generations[0].message.usage_metadata = usage  # type: ignore[attr-defined]  # counts all choices: reported once
    output = {"model_name": facts.get("model_name"), "token_usage": raw_counts}
    output = {name: value for name, value in output.items() if value}  # as in streams, which have no `llm_output`
    return ChatResult(generations=generations, llm_output=output)


def _generation_info(message: AIMessage) -> JSON:
    keys = ("finish_reason", "logprobs")
    return {key: message.response_metadata[key] for key in keys if key in message.response_metadata}


def _position(choice: JSON) -> int:
    index = choice.get("index")
    return index if isinstance(index, int) else 0


def _message(choice: JSON, body: JSON, facts: JSON, options: ReadOptions, request: WireRequest) -> AIMessage:
    raw = as_object(choice.get("message"))
    text, thought = content_pieces(raw.get("content"))
    reasoning = reasoning_text(raw) + thought
    text, split = _without_tags(text, options)
    cutter = StopCutter(options.stop)
    text = cutter.feed(text) + cutter.close()
    calls, invalid = _calls(raw, choice, body, request, was_cut=cutter.found)
    extra: JSON = {}
    if reasoning or split:
        extra["reasoning_content"] = reasoning + split
    if rows := reasoning_details(raw):
        extra["reasoning_details"] = rows
    extra |= other_output(raw) | sources(body)
    metadata = {**facts, **choice_facts(choice, has_calls=bool(calls or invalid), cut=cutter.found)}
    return AIMessage(
        content=text, additional_kwargs=extra, response_metadata=metadata, tool_calls=calls, invalid_tool_calls=invalid
    )


def _calls(
    raw: JSON, choice: JSON, body: JSON, request: WireRequest, *, was_cut: bool
) -> tuple[list[ToolCall], list[InvalidToolCall]]:
    listed: Any = raw.get("tool_calls")
    if not listed and as_object(raw.get("function_call")).get("name"):  # OpenAI before tools
        listed = {"function": raw["function_call"]}
    if not listed:
        return [], []
    reason = end_reason(choice.get("finish_reason"), has_calls=False, was_cut=was_cut)
    open_is_empty = opens_empty_arguments(request, str(body.get("system_fingerprint") or ""))
    return read_tool_calls(listed, reason, open_is_empty=open_is_empty)


def other_output(message: JSON) -> JSON:
    """Return what a message or delta holds beside text, reasoning and tool calls."""
    return {key: message[key] for key in _OTHER_OUTPUT if message.get(key)}


def sources(body: JSON) -> JSON:
    """Return the sources that a server lists beside the choices (Perplexity); streams repeat them with each event."""
    return {key: value for key in _SOURCES if (value := body.get(key))}


def choice_facts(choice: JSON, *, has_calls: bool, cut: bool) -> JSON:
    """Return `finish_reason`, the server's own where it differs, logprobs, and the channel (gpt-oss on Groq)."""
    raw = choice.get("finish_reason")
    raw = raw if raw is None else str(raw)
    reason = end_reason(raw, has_calls=has_calls, was_cut=cut)
    facts: JSON = {} if reason is None else {"finish_reason": reason}
    if native := choice.get("native_finish_reason") or (raw if raw != reason else None):
        facts["native_finish_reason"] = native
    for key in ("stop_reason", "matched_stop", "content_filter_results"):
        if choice.get(key) is not None:
            facts[key] = choice[key]
    if channel := as_object(choice.get("message")).get("channel"):
        facts["channel"] = channel
    if choice.get("logprobs"):
        facts["logprobs"] = choice["logprobs"]
    return facts


def _without_tags(text: str, options: ReadOptions) -> tuple[str, str]:
    if not options.think_tags:
        return text, ""
    splitter = ThinkTagSplitter(opened=options.think_tags == "open")
    pieces = splitter.feed(text) + splitter.close()
    texts = "".join(piece for kind, piece in pieces if kind == "text")
    return texts, "".join(piece for kind, piece in pieces if kind == "reasoning")

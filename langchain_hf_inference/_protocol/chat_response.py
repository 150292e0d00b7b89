"""A whole chat-completion answer -> LangChain's ChatResult."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, ChatResult

from langchain_hf_inference._protocol.chunks import MODEL_PROVIDER
from langchain_hf_inference._protocol.error_response import read_stream_error
from langchain_hf_inference._protocol.offers import Offer, cost_of
from langchain_hf_inference._protocol.reasoning import ThinkTagSplitter
from langchain_hf_inference._protocol.stop_text import StopCutter
from langchain_hf_inference._protocol.tool_calls import read_tool_calls
from langchain_hf_inference._protocol.usage import finish_reason, read_usage
from langchain_hf_inference._protocol.wire import JSON, WireRequest, as_list, as_object
from langchain_hf_inference.errors import ResponseFormatError, ServerError

FAILED_REASONS = ("error", "abort", "insufficient_system_resource")
"""Reasons to finish that mean a broken answer (vLLM, SGLang, DeepSeek)."""

_SERVED_BY = ("x-inference-provider",)
_REQUEST_IDS = ("x-request-id", "inference-id", "x-inference-id")
_TGI_TIMES = ("x-compute-time", "x-total-time", "x-validation-time", "x-queue-time", "x-inference-time",
              "x-time-per-token", "x-prompt-tokens", "x-generated-tokens", "x-compute-type")  # fmt: skip
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


def opaque_reasoning(message: JSON) -> list[Any]:
    """Give `reasoning_details` that hold more than text (signatures, encrypted thoughts), else nothing."""
    rows = as_list(message.get("reasoning_details"))
    plain = {"type", "text", "format", "index", "summary", "id"}
    return rows if any(value for row in rows for key, value in as_object(row).items() if key not in plain) else []


def read_chat_response(raw: Any, headers: Mapping[str, str], options: ReadOptions, request: WireRequest) -> ChatResult:
    """Read a whole answer: one generation per choice.

    Raises:
        APIStatusError: The body reports an error, whatever its status said, or an answer that failed.
        ResponseFormatError: There is no choice with a message in it.
    """
    body = as_object(raw)
    if not body.get("choices") and (failure := read_stream_error("", body, b"", request)):
        raise failure
    choices = [as_object(choice) for choice in as_list(body.get("choices"))]
    if not any(isinstance(choice.get("message"), dict) for choice in choices):
        start = json.dumps(raw, ensure_ascii=False, default=str)[:500]
        raise ResponseFormatError(
            f"the answer holds no chat completion: {start[:200]}; check that the URL is that of a chat API", body=start
        )
    facts = {"model_provider": MODEL_PROVIDER, **body_facts(body), **header_facts(headers)}
    usage = read_usage(body.get("usage"))
    facts |= cost_facts(usage, facts, options)
    if failed := [choice["finish_reason"] for choice in choices if choice.get("finish_reason") in FAILED_REASONS]:
        raise ServerError(
            f"the server ended the answer with {failed[0]!r}", status_code=500, body=body, headers=dict(headers)
        )
    generations = []
    for choice in sorted(choices, key=_position):
        message = _message(choice, facts, options)
        if len(choices) == 1:
            message.usage_metadata = usage
        generations.append(ChatGeneration(message=message, generation_info=_generation_info(message)))
    if len(choices) > 1 and usage:
        generations[0].message.usage_metadata = usage  # type: ignore[attr-defined]  # counts all choices: given once
    output = {"model_name": facts.get("model_name"), "token_usage": body.get("usage") or {}}
    return ChatResult(generations=generations, llm_output=output)


def _generation_info(message: AIMessage) -> JSON:
    keys = ("finish_reason", "logprobs")
    return {key: message.response_metadata[key] for key in keys if key in message.response_metadata}


def _position(choice: JSON) -> int:
    index = choice.get("index")
    return index if isinstance(index, int) else 0


def _message(choice: JSON, facts: JSON, options: ReadOptions) -> AIMessage:
    raw = as_object(choice.get("message"))
    text, thought = content_pieces(raw.get("content"))
    reasoning = reasoning_text(raw) + thought
    text, split = _without_tags(text, options)
    cutter = StopCutter(options.stop)
    text = cutter.feed(text) + cutter.close()
    calls, invalid = read_tool_calls(raw.get("tool_calls"))
    if not (calls or invalid) and as_object(raw.get("function_call")).get("name"):  # OpenAI before tools
        calls, invalid = read_tool_calls({"function": raw["function_call"]})
    extra: JSON = {}
    if reasoning or split:
        extra["reasoning_content"] = reasoning + split
    if details := opaque_reasoning(raw):
        extra["reasoning_details"] = details
    extra |= other_output(raw)
    metadata = {**facts, **choice_facts(choice, has_calls=bool(calls or invalid), cut=cutter.found)}
    return AIMessage(
        content=text, additional_kwargs=extra, response_metadata=metadata, tool_calls=calls, invalid_tool_calls=invalid
    )


def other_output(message: JSON) -> JSON:
    """Give what a message or delta holds beside text, reasoning and tool calls: refusal, audio, annotations, images."""
    return {key: message[key] for key in ("refusal", "audio", "annotations", "images") if message.get(key)}


def choice_facts(choice: JSON, *, has_calls: bool, cut: bool) -> JSON:
    """Give `finish_reason`, the server's own word where it differs, and logprobs."""
    raw = choice.get("finish_reason")
    raw = raw if raw is None else str(raw)
    reason = finish_reason(raw, has_calls=has_calls)
    if cut and reason not in ("tool_calls", "content_filter"):
        reason = "stop"
    facts: JSON = {} if reason is None else {"finish_reason": reason}
    if native := choice.get("native_finish_reason") or (raw if raw != reason else None):
        facts["native_finish_reason"] = native
    for key in ("stop_reason", "matched_stop", "content_filter_results"):
        if choice.get(key) is not None:
            facts[key] = choice[key]
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

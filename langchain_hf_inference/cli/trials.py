"""The checks of `hf-inference doctor` that ask a model: an answer, a tool call, a JSON Schema; or an embedding."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from langchain_core.messages import AIMessage, AIMessageChunk
from pydantic import ValidationError

from langchain_hf_inference._protocol.dialects import dialect_of
from langchain_hf_inference.chat_models import ChatHFInference
from langchain_hf_inference.cli.checks import check_offers, check_route, check_server, credentials_of, first_checks
from langchain_hf_inference.cli.findings import Finding, failed
from langchain_hf_inference.embeddings import HFInferenceEmbeddings
from langchain_hf_inference.errors import HFInferenceError

QUESTION = "What is the capital of France?"
TOOL_QUESTION = "What is the weather in Paris?"
SCHEMA_QUESTION = "Alice is 30 years old."
MAX_TOKENS = 2048
"""Enough to think before such questions."""
WEATHER = {
    "name": "get_weather", "description": "Tell the weather of a city.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}  # fmt: skip
PERSON = {
    "title": "Person", "description": "A person.", "type": "object", "required": ["name", "age"],
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}}, "additionalProperties": False,
}  # fmt: skip


def examine(place: dict[str, Any], *, timeout: float = 60.0) -> Iterator[Finding]:
    """Check one thing after the other, and stop where nothing more can be learnt.

    Args:
        place: `model`, `provider`, `endpoint_url`, `api_key`, `engine`, of those that are given.
        timeout: Seconds for each answer.
    """
    try:
        healthy = True
        for finding in first_checks(place):
            healthy = healthy and finding.state != "failure"
            yield finding
        if not place.get("model") and not place.get("endpoint_url"):
            to_do = "to try one: hf-inference doctor Qwen/Qwen3-32B, or --endpoint-url URL"
            yield Finding("model", "skipped", "none is named", to_do)
        elif healthy:
            patience: dict[str, Any] = {"timeout": timeout, "stream_chunk_timeout": timeout, "max_retries": 0}
            yield from _of_model(ChatHFInference(**place, **patience, temperature=0, max_tokens=MAX_TOKENS))
    except (HFInferenceError, ValidationError) as error:
        yield failed("settings", error)


def _of_model(model: ChatHFInference) -> Iterator[Finding]:
    if model.endpoint_url:
        # Not by way of `_resolved`, which asks the server: whether it is there is what is to be found.
        server = check_server(model, credentials_of(model))
        yield server
        if server.state == "failure":
            return
        if not server.facts["chats"]:
            yield try_embedding(model)
            return
    routes, _ = model._resolved(model.model, needs_engine=True)
    yield check_route(routes)
    if routes[0].place == "router":
        offers = check_offers(model)
        yield offers
        if offers.state == "failure":
            return
    answer = try_answer(model)
    yield answer
    if answer.state == "failure":
        yield Finding("tool call", "skipped", "not tried: there was no answer")
        yield Finding("JSON Schema", "skipped", "not tried: there was no answer")
        return
    yield try_tool(model, routes[0].dialect)
    yield try_schema(model, routes[0].dialect)


@contextmanager
def _listening() -> Iterator[list[str]]:
    """Collect what warnings say."""
    said: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield said
        said += dict.fromkeys(str(one.message) for one in caught)


def try_answer(model: ChatHFInference) -> Finding:
    """Ask a question, and take the time."""
    begun, first_s, whole = time.monotonic(), None, None
    with _listening() as warned:
        try:
            for chunk in model.stream(QUESTION):
                if first_s is None and (chunk.content or chunk.additional_kwargs or chunk.tool_call_chunks):
                    first_s = time.monotonic() - begun
                whole = chunk if whole is None else whole + chunk
        except HFInferenceError as error:
            return failed("answer", error)
    took_s = time.monotonic() - begun
    if not isinstance(whole, AIMessageChunk) or first_s is None:
        return Finding("answer", "failure", "the stream ended without a word", "look at the server's log")
    usage = whole.usage_metadata
    facts = {"first_token_s": round(first_s, 3), "seconds": round(took_s, 3), "text": whole.text, "usage": usage,
             "reasoning": bool(whole.additional_kwargs.get("reasoning_content")), "warnings": warned,
             "finish_reason": whole.response_metadata.get("finish_reason"),
             "served_provider": whole.response_metadata.get("served_provider")}  # fmt: skip
    said = f"{_short(whole.text)!r}; first token after {first_s * 1000:,.0f} ms, all after {took_s:,.2f} s"
    if usage:
        said += f", {usage['input_tokens']} + {usage['output_tokens']} tokens"
    if facts["reasoning"]:
        said += ", reasoning kept apart"
    if not whole.text.strip():
        return Finding("answer", "warning", said + "; no text", "a reasoning model may need more tokens", facts)
    if "</think>" in whole.text:
        return Finding(
            "answer", "warning", said + "; its reasoning stands in the text", "set parse_think_tags=True", facts
        )
    if not usage:
        return Finding(
            "answer", "warning", said + "; no token counts", "this server does not tell them in streams", facts
        )
    return Finding("answer", "ok", said, facts=facts)


def try_tool(model: ChatHFInference, dialect: str | None) -> Finding:
    """Have a tool called."""
    row = dialect_of(dialect or "openai")
    switch = f"start {row.title} with {row.tools_switch}" if row.tools_switch else None
    with _listening() as warned:
        try:
            message = model.bind_tools([WEATHER], tool_choice="any").invoke(TOOL_QUESTION)
        except HFInferenceError as error:
            return failed("tool call", error, switch)
    facts = {"tool_calls": message.tool_calls, "invalid_tool_calls": message.invalid_tool_calls, "text": message.text,
             "warnings": warned}  # fmt: skip
    if not message.tool_calls and message.response_metadata.get("finish_reason") == "length":
        said = f"it had not called any after {MAX_TOKENS:,} tokens"
        return Finding(
            "tool call",
            "warning",
            said,
            "give it more tokens, or have it think less: reasoning_effort, chat_template_kwargs",
            facts,
        )
    if not message.tool_calls:
        broken = [call["error"] or call["args"] for call in message.invalid_tool_calls]
        said = (
            f"arguments that are no JSON: {broken[0]}"
            if broken
            else f"none was called; it said {_short(message.text)!r}"
        )
        return Finding("tool call", "failure", said, switch or "choose a model that was trained to call tools", facts)
    call = message.tool_calls[0]
    said = f"{call['name']}({', '.join(f'{name}={value!r}' for name, value in call['args'].items())})"
    if warned:
        return Finding("tool call", "warning", f"{said}; {warned[0]}", facts=facts)
    return Finding("tool call", "ok", said, facts=facts)


def try_schema(model: ChatHFInference, dialect: str | None) -> Finding:
    """Have an answer held to a JSON Schema."""
    with _listening() as warned:
        try:
            found: Any = model.with_structured_output(PERSON, method="json_schema", include_raw=True).invoke(
                SCHEMA_QUESTION
            )
        except HFInferenceError as error:
            return failed("JSON Schema", error, 'use with_structured_output(…, method="function_calling")')
    parsed, raw = found["parsed"], found["raw"]
    facts = {"parsed": parsed, "text": raw.text if isinstance(raw, AIMessage) else "", "warnings": warned}
    if isinstance(parsed, dict) and parsed.keys() == {"name", "age"}:
        said = f"{parsed}"
        if warned:
            return Finding("JSON Schema", "warning", f"{said}, by chance; {warned[0]}", facts=facts)
        return Finding("JSON Schema", "ok", said, facts=facts)
    usual = dialect_of(dialect or "openai").structured_output
    mend = 'use with_structured_output(…, method="function_calling")' + (
        ", as is the default here" if usual == "function_calling" else ""
    )
    return Finding("JSON Schema", "warning", f"not kept to: it said {_short(facts['text'])!r}", mend, facts)


def try_embedding(model: ChatHFInference) -> Finding:
    """Embed a text."""
    begun = time.monotonic()
    embeddings = HFInferenceEmbeddings(
        endpoint_url=model.endpoint_url, api_key=model.api_key, engine="tei", max_retries=0, timeout=model.timeout
    )
    try:
        vector = embeddings.embed_query(QUESTION)
    except HFInferenceError as error:
        return failed("embedding", error)
    took_s = time.monotonic() - begun
    facts = {"dimensions": len(vector), "seconds": round(took_s, 3)}
    return Finding("embedding", "ok", f"{len(vector)} numbers after {took_s * 1000:,.0f} ms", facts=facts)


def _short(text: str, most: int = 80) -> str:
    plain = " ".join(text.split())
    return plain if len(plain) <= most else plain[: most - 1] + "…"

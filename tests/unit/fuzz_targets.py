"""What strangers can send to us, as functions of bytes: a target may raise errors of ours, and nothing else.

`make fuzz` feeds them by coverage; test_fuzz.py by hypothesis, and with all that was found before (corpus/).
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from pydantic_core import from_json

from langchain_hf_inference._protocol.account import MAY_CALL_PROVIDERS, read_account
from langchain_hf_inference._protocol.chat_response import ReadOptions, read_chat_response
from langchain_hf_inference._protocol.chat_stream import ChatStreamReader
from langchain_hf_inference._protocol.completion import CompletionStreamReader, read_completion
from langchain_hf_inference._protocol.credentials import (
    Destination,
    is_hugging_face_token,
    normalize_credential,
    resolve_credentials,
)
from langchain_hf_inference._protocol.detection import VERSIONS, read_info, read_models, read_names, read_version
from langchain_hf_inference._protocol.embedding import read_embeddings
from langchain_hf_inference._protocol.error_response import error_for_response
from langchain_hf_inference._protocol.generate import GenerateStreamReader, read_generate
from langchain_hf_inference._protocol.headers import normalize_headers
from langchain_hf_inference._protocol.offers import cost_of, read_all_offers, read_offers
from langchain_hf_inference._protocol.other_tasks import read_classes, read_image, read_ranking
from langchain_hf_inference._protocol.providers import read_provider_models
from langchain_hf_inference._protocol.reasoning import ThinkTagSplitter
from langchain_hf_inference._protocol.redaction import redacted_url
from langchain_hf_inference._protocol.routing import is_hugging_face_host, origin_of
from langchain_hf_inference._protocol.sse import SSEDecoder
from langchain_hf_inference._protocol.stop_text import StopCutter
from langchain_hf_inference._protocol.text_answer import TextOptions
from langchain_hf_inference._protocol.tool_calls import ToolCallReader, read_tool_calls
from langchain_hf_inference._protocol.wire import WireRequest, WireResponse
from langchain_hf_inference.batch.lines import read_line
from langchain_hf_inference.errors import ConfigurationError, HFInferenceError
from langchain_hf_inference.nodes import ChatCompletionAction, from_n8n

REQUEST = WireRequest("https://h/v1/chat/completions", {"model": "m"}, model="m")
NOW = datetime(2026, 11, 20, tzinfo=UTC)
OURS = (HFInferenceError,)
KEYS = (
    "choices", "delta", "message", "content", "tool_calls", "function", "arguments", "name", "id", "index", "type", "text",
    "finish_reason", "usage", "error", "model", "role", "reasoning", "reasoning_content", "reasoning_details", "logprobs",
    "prompt_tokens", "completion_tokens", "total_tokens", "completion_tokens_details", "prompt_tokens_details", "details",
    "generated_text", "token", "special", "data", "embedding", "message", "code", "status", "label", "score", "results",
    "relevance_score", "object", "refusal", "annotations", "images", "audio", "_name", "estimated_time", "providers",
    "pricing", "input", "output", "nodes", "parameters", "options", "connections", "credentials", "typeVersion", "custom_id",
    "body", "method", "url", "messages", "created", "system_fingerprint", "timings", "prefill", "tokens", "top_tokens",
)  # fmt: skip
WORDS = ("", "stop", "length", "tool_calls", "assistant", "text", "{", "}", '{"a": 1}', "[DONE]", "0", "null", "error", "<think>",
         "</think>", "@n8n/n8n-nodes-langchain.lmChatHuggingFaceInference", "={{ $json.x }}", "AAAA", "\ud7ff", "1e999")  # fmt: skip
PASTED = ("hf_", "HF_", "x", "A", "_", "-", "=", " ", "\n", '"', "'", "“", "`", "Bearer ", "bearer", "HF_TOKEN=", "hf_token =", "export ", "set ",
          "Authorization:", "HF_API_TOKEN=", "api_org_", "gsk_", "é", "\u200b", "\x00")  # fmt: skip
MAX_DEPTH = 6


class _Taken(Exception):
    """All bytes are used."""


def grown(data: bytes) -> Any:
    """Give JSON that bytes stand for: as it is written, or grown out of the names that answers have."""
    if data[:1] in (b"{", b"[", b'"'):
        with suppress(ValueError):
            return from_json(data)
    numbers = iter(data)
    return _value(numbers, 0)


def _value(numbers: Iterator[int], depth: int) -> Any:
    kind = next(numbers, 0)
    if kind < 70 and depth < MAX_DEPTH:
        return {KEYS[next(numbers, 0) % len(KEYS)]: _value(numbers, depth + 1) for _ in range(kind % 6)}
    if kind < 110 and depth < MAX_DEPTH:
        return [_value(numbers, depth + 1) for _ in range(kind % 5)]
    if kind < 180:
        return WORDS[next(numbers, 0) % len(WORDS)]
    return (None, True, False, 0, 1, -1, 2.5, float("nan"), float("inf"), 10**400, 7, "x" * (kind % 30))[kind % 12]


def cut(data: bytes) -> list[bytes]:
    """Cut bytes into pieces, as their first byte says."""
    step = data[0] % 17 + 1 if data else 1
    return [data[1:][i : i + step] for i in range(0, len(data), step)]


def sse(data: bytes) -> None:
    decoder = SSEDecoder()
    whole = SSEDecoder()
    found = [event for piece in cut(data) for event in decoder.feed(piece)] + decoder.close()
    assert found == whole.feed(data[1:]) + whole.close()


def _streamed(reader: Any, data: bytes) -> None:
    decoder = SSEDecoder()
    if data[:1] == b"S":  # events as they are written
        pieces = cut(data[1:])
    else:
        rows = [grown(part) for part in data.split(b"\xfe")]
        pieces = [b"data: " + json.dumps(row).encode() + b"\n\n" for row in rows]
    for piece in pieces:
        for event in decoder.feed(piece):
            reader.read(event)
    for event in decoder.close():
        reader.read(event)
    reader.close(decoder.stray)


def chat_stream(data: bytes) -> None:
    _streamed(ChatStreamReader(REQUEST, {}, ReadOptions(think_tags=True, stop=("x}",))), data)


def plain_chat_stream(data: bytes) -> None:
    _streamed(ChatStreamReader(REQUEST, {}, ReadOptions()), data)


def completion_stream(data: bytes) -> None:
    _streamed(CompletionStreamReader(REQUEST, {}, TextOptions(stop=("x",), details=True)), data)


def generate_stream(data: bytes) -> None:
    _streamed(GenerateStreamReader(REQUEST, {}, TextOptions(stop=("x",), details=True)), data)


def chat_response(data: bytes) -> None:
    read_chat_response(grown(data), {}, ReadOptions(think_tags="open", stop=("x",)), REQUEST)


def completion(data: bytes) -> None:
    read_completion(grown(data), TextOptions(stop=("x",)), REQUEST)


def generate(data: bytes) -> None:
    read_generate(grown(data), TextOptions(prompt="x", full_text=True), REQUEST)


def embedding(data: bytes) -> None:
    read_embeddings(grown(data[1:]), data[0] % 4 if data else 1, REQUEST)


def other_tasks(data: bytes) -> None:
    value = grown(data)
    for read in (lambda: read_classes(value, REQUEST), lambda: read_ranking(value, 2, REQUEST)):
        with suppress(HFInferenceError):
            read()
    read_image(WireResponse(200, {"content-type": "application/json"}, json.dumps(value).encode()), REQUEST)


def lookups(data: bytes) -> None:
    value = grown(data)
    read_info(value)
    read_models(value, {})
    offers = read_offers(value, "m")
    cost_of({"input_tokens": 3, "output_tokens": 2}, None, offers.serving(["auto"]) if offers else [])
    read_provider_models(value)
    assert all(isinstance(name, str) for name in read_names(value))
    for engine in VERSIONS:
        assert isinstance(read_version(engine, value), str | None)
    for one in read_all_offers(value):
        one.serving([])
    account = read_account(value)
    assert account.may(MAY_CALL_PROVIDERS) in (True, False, None)


def credential(data: bytes) -> None:
    if data[:1] == b"p":
        text = "".join(PASTED[number % len(PASTED)] for number in data[1:])
    else:
        text = data.decode("utf-8", "surrogateescape" if data[:1] == b"s" else "replace")
    with suppress(ConfigurationError):
        secret = normalize_credential(text, source="api_key")
        assert secret is None or all(0x20 < ord(character) < 0x7F for character in secret)
        assert normalize_credential(secret, source="api_key") == secret
        assert not (secret or "").startswith(("Bearer ", '"', "'"))
        assert not (secret or "").lower().startswith("hf_") or is_hugging_face_token(secret)
    with suppress(ConfigurationError):
        headers = normalize_headers({"Authorization": text, "X-Api-Key": text, "X-Title": text})
        assert all(value.isascii() and "\n" not in value and "\r" not in value for value in headers.values())
        assert normalize_headers(dict(headers)) == headers


def origin(data: bytes) -> None:
    key, _, url = data.decode("utf-8", "replace").partition("|")
    place, _, provider = url.partition("|")
    with suppress(ConfigurationError):
        made = resolve_credentials(
            key, Destination("m", provider or None, place or None), environment={}, stored_login=None
        )
        secret = normalize_credential(key, source="api_key")
        for other in (
            "https://evil.example",
            f"{place}.evil.example",
            place.replace("://", "://evil."),
            "http://router.huggingface.co",
        ):
            if secret and origin_of(other) != origin_of(place):
                assert not made.may_send_secret(other) or is_hugging_face_host(other)
        assert is_hugging_face_token(secret) or not made.may_send_secret("https://router.huggingface.co/v1")
    shown = redacted_url(f"https://user:{'pw' * 9}@{url}")
    assert "pwpw" not in shown or "pwpw" in url


def error_response(data: bytes) -> None:
    headers = {name: "".join(map(chr, data[1:20])) for name in ("retry-after", "ratelimit", "x-ratelimit-reset-tokens")}
    error = error_for_response(400 + (data[0] if data else 0) % 130, headers, data[1:], REQUEST, now=NOW)
    assert str(error)
    error_for_response(503, {}, json.dumps(grown(data)).encode(), REQUEST, now=NOW)


def tool_calls(data: bytes) -> None:
    value = grown(data)
    read_tool_calls(value)
    reader = ToolCallReader()
    for delta in value if isinstance(value, list) else [value]:
        if reader.further(delta) is None:
            reader.read(delta)
        reader.is_complete()
    reader.close()


def reasoning(data: bytes) -> None:
    splitter = ThinkTagSplitter(opened=bool(data[:1] == b"o"))
    text = data[1:].decode("utf-8", "replace")
    pieces = [text[i : i + 3] for i in range(0, len(text), 3)]
    found = [part for piece in pieces for part in splitter.feed(piece)] + splitter.close()
    whole = ThinkTagSplitter(opened=bool(data[:1] == b"o"))
    expected = whole.feed(text) + whole.close()
    assert [_joined(found, kind) for kind in ("text", "reasoning")] == [
        _joined(expected, kind) for kind in ("text", "reasoning")
    ]


def _joined(parts: list[Any], kind: str) -> str:
    return "".join(text for found, text in parts if found == kind)


def stop_text(data: bytes) -> None:
    stops, _, text = data.decode("utf-8", "replace").partition("|")
    cutter = StopCutter([stop for stop in stops.split(",") if stop])
    shown = "".join(cutter.feed(text[i : i + 2]) for i in range(0, len(text), 2)) + cutter.close()
    assert text.startswith(shown)


def n8n(data: bytes) -> None:
    from_n8n(grown(data), [{"x": 1}])
    from_n8n(data)


def action(data: bytes) -> None:
    value = grown(data)
    fields = list(ChatCompletionAction.model_fields)
    given = dict(zip(fields, value if isinstance(value, list) else [value], strict=False))
    with suppress(ValueError):  # pydantic's ValidationError is one
        ChatCompletionAction.parse(given, {"x": value})
    with suppress(ValueError):
        ChatCompletionAction.parse(value if isinstance(value, dict) else {"message": data.decode("utf-8", "replace")})


def batch_line(data: bytes) -> None:
    read_line(data, 1, action=None, defaults={"model": "m"})
    read_line(json.dumps(grown(data)).encode(), 1, action="chat_completion", defaults={})


TARGETS: dict[str, Callable[[bytes], None]] = {
    one.__name__: one
    for one in (sse, chat_stream, plain_chat_stream, completion_stream, generate_stream, chat_response, completion,
                generate, embedding, other_tasks, lookups, credential, origin, error_response, tool_calls, reasoning, stop_text, n8n, action, batch_line)
}  # fmt: skip


def tried(name: str, data: bytes) -> None:
    """Feed a target; what it raises that is not ours is a finding."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            TARGETS[name](data)
        except OURS:
            pass

"""OpenAI's text completions (`/v1/completions`), as vLLM, SGLang, llama.cpp, transformers serve and providers take them.

Sources: the running engines on 2026-11-20; recordings of Together and Featherless.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from langchain_core.messages import AIMessageChunk
from langchain_core.outputs import Generation, GenerationChunk

from langchain_hf_inference._protocol.chat_request import in_dialect, streamed
from langchain_hf_inference._protocol.chat_response import content_pieces
from langchain_hf_inference._protocol.dialects import GrammarForm, dialect_of
from langchain_hf_inference._protocol.error_response import read_stream_error
from langchain_hf_inference._protocol.response_end import end_reason
from langchain_hf_inference._protocol.response_format import schema_format, schema_of
from langchain_hf_inference._protocol.routing import Route
from langchain_hf_inference._protocol.text_answer import TextOptions, TextStreamReader, generation_info, without_stop
from langchain_hf_inference._protocol.usage import raw_usage, read_usage
from langchain_hf_inference._protocol.wire import JSON, WireRequest, as_list, as_object
from langchain_hf_inference.errors import ResponseFormatError

_TGI_ONLY = ("truncate", "watermark", "adapter_id", "decoder_input_details", "top_n_tokens", "do_sample", "details")
_CLIENT_SIDE = ("return_full_text",)


def completion_request(
    route: Route, prompt: str, settings: Mapping[str, Any], *, stream: bool, headers: Mapping[str, str] | None = None
) -> tuple[WireRequest, list[str]]:
    """Give the request for one prompt, and notes on settings that only TGI has.

    One prompt a request is the form that all servers share (transformers serve refuses lists).

    Args:
        route: Where to; its dialect is decided by now.
        prompt: The text to go on from.
        settings: By our names, None meaning not set.
        stream: Ask for a stream.
        headers: Headers beside the token's.
    """
    dialect = dialect_of(route.dialect or "openai")
    given = {name: value for name, value in settings.items() if value is not None and name not in _CLIENT_SIDE}
    extra = given.pop("extra_body", {})
    notes = [
        f"{dialect.title} has no {name}; it was left out"
        for name in _TGI_ONLY
        if given.pop(name, None) not in (None, False, 0)
    ]
    if grammar := given.pop("grammar", None):
        given |= _constraint(grammar, dialect.grammar_form)
    given, more = in_dialect(given, dialect)
    body: JSON = {"model": route.model} if route.model else {}
    body |= {"prompt": prompt, **given}
    if stream:
        body = streamed(body, ask_usage=dialect.stream_options)
    body = {name: value for name, value in (body | extra).items() if value is not None}
    return WireRequest(route.url, body, headers or {}, droppable=("stream_options",), model=route.model), notes + more


def _constraint(grammar: JSON, form: GrammarForm) -> JSON:
    """Write TGI's form of a grammar the way the engine takes it."""
    schema, regex = schema_of(grammar), grammar.get("value") if grammar.get("type") == "regex" else None
    if form == "structured_outputs":
        return {"structured_outputs": {"regex": regex} if regex else {"json": schema}}
    if form == "bare":
        return {"regex": regex} if regex else {"json_schema": json.dumps(schema)}
    if form == "json_schema" and schema:
        return {"json_schema": schema}
    return {"response_format": schema_format("answer", schema)} if schema else {"regex": regex}


def read_completion(raw: Any, options: TextOptions, request: WireRequest) -> list[Generation]:
    """Read a whole answer: one generation per choice, in the order of their indices.

    Raises:
        APIStatusError: The body reports an error.
        ResponseFormatError: It holds no text.
    """
    body = as_object(raw)
    choices = [as_object(choice) for choice in as_list(body.get("choices"))]
    if failure := read_stream_error("", body, b"", request):
        text = _choice_text(choices[0]) if choices else ""
        failure.partial = AIMessageChunk(content=text) if text else None
        raise failure
    if not any(_has_text(choice) or choice.get("finish_reason") for choice in choices):
        raise ResponseFormatError(f"the response holds no text completion: {str(raw)[:200]}", body=str(raw)[:500])
    generations: list[Generation] = []
    for choice in sorted(choices, key=lambda c: c["index"] if isinstance(c.get("index"), int) else 0):
        text, info = _text_and_info(choice, options, body if not generations else {})
        generations.append(Generation(text=text, generation_info=info))
    return generations


def _has_text(choice: JSON) -> bool:
    return isinstance(choice.get("text"), str) or any(isinstance(choice.get(key), dict) for key in ("message", "delta"))


def _choice_text(choice: JSON) -> str:
    """Return the text of a choice; some servers answer `/completions` with the shape of chat completions."""
    if isinstance(choice.get("text"), str):
        return str(choice["text"])
    said = as_object(choice.get("delta")) or as_object(choice.get("message"))
    return content_pieces(said.get("content"))[0]


def _text_and_info(choice: JSON, options: TextOptions, body: JSON) -> tuple[str, JSON]:
    text, was_cut = without_stop(_choice_text(choice), options)
    info = _info(choice, raw_usage(body), was_cut)
    if choice.get("logprobs"):
        info["logprobs"] = choice["logprobs"]
    if body.get("model"):
        info["model_name"] = body["model"]
    return (options.prompt if options.full_text else "") + text, info


def _info(choice: JSON, usage: Any, was_cut: bool) -> JSON:
    raw = choice.get("finish_reason")
    counts = read_usage(usage)
    reason = end_reason(raw, has_calls=False, was_cut=was_cut)
    return generation_info(
        reason, raw, counts["input_tokens"] if counts else None, counts["output_tokens"] if counts else None
    )


class CompletionStreamReader(TextStreamReader):
    """OpenAI's events: a finish_reason or `[DONE]` is the end; usage and model may come with any of them."""

    _usage: Any = None
    _model: Any = None
    _finish: JSON | None = None

    def _mark_end(self) -> None:
        self._finish = self._finish or {}

    def _event(self, body: JSON) -> list[GenerationChunk]:
        self._usage = raw_usage(body) or self._usage
        self._model = body.get("model") or self._model
        return [chunk for choice in as_list(body.get("choices")) for chunk in self._choice(as_object(choice))]

    def _choice(self, choice: JSON) -> list[GenerationChunk]:
        if choice.get("finish_reason"):  # TGI sends "" on the way
            self._finish = choice
        info = {"logprobs": choice["logprobs"]} if choice.get("logprobs") else None
        repeats = self._texts and not choice.get("delta") and isinstance(choice.get("message"), dict)
        return self._chunk("" if repeats and "text" not in choice else _choice_text(choice), info)

    def _end(self) -> JSON | None:
        if self._finish is None:
            return None
        model = {"model_name": self._model} if self._model else {}
        return _info(self._finish, self._usage, self._cutter.found) | model

    def _whole(self, body: Any) -> Generation:
        return read_completion(body, self._options, self._request)[0]

"""OpenAI's text completions (`/v1/completions`), as vLLM, SGLang, llama.cpp, transformers serve and providers take them.

Sources: the running engines on 2026-11-20; recordings of Together and Featherless.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from langchain_core.outputs import Generation, GenerationChunk
from pydantic_core import from_json

from langchain_hf_inference._protocol.chat_request import in_dialect
from langchain_hf_inference._protocol.dialects import dialect_of
from langchain_hf_inference._protocol.error_response import read_stream_error
from langchain_hf_inference._protocol.response_format import schema_format, schema_of
from langchain_hf_inference._protocol.routing import Route
from langchain_hf_inference._protocol.sse import ServerSentEvent
from langchain_hf_inference._protocol.stop_text import StopCutter
from langchain_hf_inference._protocol.text_answer import TextOptions, generation_info
from langchain_hf_inference._protocol.usage import finish_reason, read_usage
from langchain_hf_inference._protocol.wire import JSON, WireRequest, as_list, as_object
from langchain_hf_inference.errors import ResponseFormatError, StreamError

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
        given |= _constraint(grammar, dialect.name)
    given, more = in_dialect(given, dialect)
    body: JSON = {"model": route.model} if route.model else {}
    body |= {"prompt": prompt, **given}
    if stream:
        body["stream"] = True
        if dialect.stream_options:
            body.setdefault("stream_options", {"include_usage": True})
    body = {name: value for name, value in (body | extra).items() if value is not None}
    return WireRequest(route.url, body, headers or {}, droppable=("stream_options",), model=route.model), notes + more


def _constraint(grammar: JSON, engine: str) -> JSON:
    """Write TGI's form of a grammar the way the engine takes it."""
    schema, regex = schema_of(grammar), grammar.get("value") if grammar.get("type") == "regex" else None
    if engine == "vllm":
        return {"structured_outputs": {"regex": regex} if regex else {"json": schema}}
    if engine == "sglang":
        return {"regex": regex} if regex else {"json_schema": json.dumps(schema)}
    if engine == "llama.cpp" and schema:
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
    if not any(isinstance(choice.get("text"), str) for choice in choices):
        if failure := read_stream_error("", body, b"", request):
            raise failure
        raise ResponseFormatError(f"the answer holds no text completion: {str(raw)[:200]}", body=str(raw)[:500])
    generations: list[Generation] = []
    for choice in sorted(choices, key=lambda c: c["index"] if isinstance(c.get("index"), int) else 0):
        text, info = _text_and_info(choice, options, body if not generations else {})
        generations.append(Generation(text=text, generation_info=info))
    return generations


def _text_and_info(choice: JSON, options: TextOptions, body: JSON) -> tuple[str, JSON]:
    cutter = StopCutter(options.stop)
    text = cutter.feed(str(choice.get("text") or "")) + cutter.close()
    info = _info(choice, body.get("usage"), cutter.found)
    if choice.get("logprobs"):
        info["logprobs"] = choice["logprobs"]
    if body.get("model"):
        info["model_name"] = body["model"]
    return (options.prompt if options.full_text else "") + text, info


def _info(choice: JSON, usage: Any, was_cut: bool) -> JSON:
    raw = choice.get("finish_reason")
    counts = read_usage(usage)
    reason = "stop" if was_cut else finish_reason(None if raw is None else str(raw), has_calls=False)
    return generation_info(
        reason, raw, counts["input_tokens"] if counts else None, counts["output_tokens"] if counts else None
    )


class CompletionStreamReader:
    """Reads the events of one stream: `read` each, then `close`."""

    def __init__(self, request: WireRequest, options: TextOptions) -> None:
        self._request, self._options = request, options
        self._cutter = StopCutter(options.stop)
        self._texts: list[str] = []
        self._finish: JSON = {}
        self._usage: Any = None
        self._model: Any = None
        self._done = False

    def read(self, event: ServerSentEvent) -> list[GenerationChunk]:
        """Give the text of an event.

        Raises:
            APIStatusError: The event reports a failure before any text.
            StreamError: It does so after text, or is not JSON.
        """
        if self._done or not event.data.strip():
            return []
        if event.is_end:
            self._done = True
            return []
        try:
            body = from_json(event.data)
        except ValueError:
            body = None
        if failure := read_stream_error(event.event, body, event.data, self._request):
            raise self._options.failure(failure, "".join(self._texts))
        found = as_object(body)
        if not found:
            raise StreamError(f"an event of the stream is not JSON: {event.data[:200].decode('utf-8', 'replace')!r}")
        self._usage = found.get("usage") or self._usage
        self._model = found.get("model") or self._model
        return [chunk for choice in as_list(found.get("choices")) for chunk in self._choice(as_object(choice))]

    def _choice(self, choice: JSON) -> list[GenerationChunk]:
        if choice.get("finish_reason"):  # TGI sends "" on the way
            self._finish = choice
        text = self._cutter.feed(str(choice.get("text") or ""))
        info = {"logprobs": choice["logprobs"]} if choice.get("logprobs") else None
        if text:
            self._texts.append(text)
        return [GenerationChunk(text=text, generation_info=info)] if text or info else []

    def close(self, stray: bytes = b"") -> list[GenerationChunk]:
        """Give what was held, and a last chunk with the reason to finish, the counts and the model.

        Raises:
            StreamError: The stream broke off: neither a finish_reason nor [DONE] came.
        """
        if not (self._done or self._finish):
            if not self._texts and stray:
                return self._plain_answer(stray)
            raise StreamError("the stream broke off before its end: no finish_reason and no [DONE] came")
        rest = self._cutter.close()
        info = _info(self._finish, self._usage, self._cutter.found)
        if self._model:
            info["model_name"] = self._model
        return [GenerationChunk(text=rest, generation_info=info)]

    def _plain_answer(self, stray: bytes) -> list[GenerationChunk]:
        try:
            body = from_json(stray)
        except ValueError:
            shown = stray[:200].decode("utf-8", "replace")
            raise StreamError(f"the server sent no events; it sent {shown!r}") from None
        whole = read_completion(body, self._options, self._request)[0]
        return [GenerationChunk(text=whole.text, generation_info=whole.generation_info)]

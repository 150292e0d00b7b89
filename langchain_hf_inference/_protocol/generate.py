"""TGI's own text generation (`/generate`, `/generate_stream`), and the pipelines that share its form.

Source: TGI's OpenAPI, versions 1.4.5 to 3.3.6, and `router/src/validation.rs`; the answers of
hf-inference as recorded 2024-2025.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from langchain_core.messages import AIMessageChunk
from langchain_core.outputs import Generation, GenerationChunk

from langchain_hf_inference._protocol.error_response import read_stream_error
from langchain_hf_inference._protocol.response_end import end_reason
from langchain_hf_inference._protocol.response_format import schema_of
from langchain_hf_inference._protocol.routing import Route
from langchain_hf_inference._protocol.text_answer import TextOptions, TextStreamReader, generation_info, without_stop
from langchain_hf_inference._protocol.wire import JSON, WireRequest, as_object
from langchain_hf_inference.errors import ResponseFormatError

PARAMETERS = {
    "max_tokens": "max_new_tokens",
    **{
        name: name
        for name in ("adapter_id", "best_of", "decoder_input_details", "details", "do_sample", "frequency_penalty",
                     "grammar", "repetition_penalty", "return_full_text", "seed", "stop", "temperature", "top_k",
                     "top_n_tokens", "top_p", "truncate", "typical_p", "watermark")
    },
}  # fmt: skip
"""Our settings, by TGI's names."""

_NO_OPS: dict[str, tuple[Any, ...]] = {
    "temperature": (0,), "top_p": (1,), "typical_p": (1,), "top_k": (0, -1), "min_p": (0,), "presence_penalty": (0,),
    "best_of": (1,), "top_n_tokens": (0,), "n": (1,), "logit_bias": ({},),
}  # fmt: skip
"""Values that ask for nothing, which TGI refuses (`temperature` must be above 0) or does not know: left out."""


def generate_request(
    route: Route,
    prompt: str,
    settings: Mapping[str, Any],
    *,
    form: str,
    stream: bool,
    headers: Mapping[str, str] | None = None,
) -> tuple[WireRequest, list[str]]:
    """Give the request, and notes on settings that TGI does not have.

    `details` are asked for unless set to False: they bear the reason to finish and the token counts.

    Args:
        route: Where to.
        prompt: The text to go on from.
        settings: By our names, None meaning not set.
        form: "generate" for TGI's own paths, "pipeline" for the form posted to the URL itself.
        stream: Ask for a stream.
        headers: Headers beside the token's.
    """
    given = {name: value for name, value in settings.items() if value is not None}
    extra = given.pop("extra_body", {})
    parameters: JSON = {"details": True, "return_full_text": False}
    if given.get("details") is False:
        del parameters["details"], given["details"]
    notes = []
    if "response_format" in given:
        given.setdefault("grammar", _grammar_of(given.pop("response_format")))
    if given.get("temperature") == 0:
        parameters["do_sample"] = False  # greedy is what 0 means
    for name, value in given.items():
        if value in _NO_OPS.get(name, ()) and not isinstance(value, bool):
            continue
        if name in PARAMETERS:
            parameters[PARAMETERS[name]] = value
        else:
            notes.append(f"Text Generation Inference has no {name} for text generation; it was left out")
    lost = [n for n in ("best_of", "decoder_input_details") if parameters.pop(n, None)] if stream else []
    notes += [f"Text Generation Inference has no {name} in streams; it was left out" for name in lost]
    body: JSON = {"inputs": prompt, "parameters": {k: v for k, v in parameters.items() if v is not None}}
    url, droppable = route.url, tuple[str, ...]()
    if form == "pipeline":
        body |= {"stream": True} if stream else {}
        droppable = tuple(f"parameters.{name}" for name in body["parameters"])
    elif stream:
        path, mark, query = url.partition("?")
        url = path.removesuffix("/generate") + "/generate_stream" + mark + query
    return WireRequest(url, body | extra, headers or {}, droppable=droppable, model=route.model), notes


def _grammar_of(response_format: JSON) -> JSON | None:
    schema = schema_of(response_format)
    return {"type": "json", "value": schema} if schema else None


def read_generate(raw: Any, options: TextOptions, request: WireRequest) -> Generation:
    """Read a whole answer: TGI's object, or the list of one of `/` and of pipelines.

    Raises:
        APIStatusError: The body reports an error.
        ResponseFormatError: It holds no generated text.
    """
    body = raw[0] if isinstance(raw, list) and raw else raw
    body = body[0] if isinstance(body, list) and body else body  # pipelines nest once more for a list of inputs
    found = as_object(body)
    text = found.get("generated_text")
    if failure := read_stream_error("", found, b"", request):
        failure.partial = AIMessageChunk(content=text) if isinstance(text, str) and text else None
        raise failure
    if not isinstance(text, str):
        raise ResponseFormatError(f"the answer holds no generated text: {str(raw)[:200]}", body=str(raw)[:500])
    prefix = options.prompt if options.full_text and text.startswith(options.prompt) else ""
    text, was_cut = without_stop(text[len(prefix) :], options)
    if options.full_text and not prefix:
        prefix = options.prompt
    details = as_object(found.get("details"))
    return Generation(text=prefix + text, generation_info=_info(details, was_cut))


def _info(details: JSON, was_cut: bool) -> JSON:
    prefill, raw = details.get("prefill"), details.get("finish_reason")
    prompt = details.get("input_length") or (len(prefill) if isinstance(prefill, list) and prefill else None)
    reason = end_reason(raw, has_calls=False, was_cut=was_cut)
    info = generation_info(reason, raw, prompt, details.get("generated_tokens"))
    kept = ("seed", "prefill", "tokens", "top_tokens", "best_of_sequences")
    return info | {name: details[name] for name in kept if details.get(name) not in (None, [])}


class GenerateStreamReader(TextStreamReader):
    """TGI's own events: a token each; the one that bears generated_text or details is the last."""

    _last: JSON | None = None

    def _event(self, body: JSON) -> list[GenerationChunk]:
        token = as_object(body.get("token"))
        if body.get("generated_text") is not None or body.get("details"):
            self._last = body
        told = {"tokens": "token", "top_tokens": "top_tokens"} if self._options.details else {}
        info = {name: [body[key]] for name, key in told.items() if body.get(key)}
        return self._chunk("" if token.get("special") else str(token.get("text") or ""), info)

    def _end(self) -> JSON | None:
        if self._last is None:
            return None
        info = _info(as_object(self._last.get("details")), self._cutter.found)
        info.pop("tokens", None)  # given one by one, where asked for
        return info

    def _whole(self, body: Any) -> Generation:
        return read_generate(body, self._options, self._request)

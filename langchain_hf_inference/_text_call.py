"""One call of text generation: the settings of model and call joined, in the API that the server speaks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from langchain_core.outputs import Generation, GenerationChunk

from langchain_hf_inference._chat_call import tell
from langchain_hf_inference._protocol.chat_response import header_facts
from langchain_hf_inference._protocol.completion import CompletionStreamReader, completion_request, read_completion
from langchain_hf_inference._protocol.generate import GenerateStreamReader, generate_request, read_generate
from langchain_hf_inference._protocol.text_answer import TextOptions, TextStreamReader
from langchain_hf_inference._protocol.wire import WireRequest, WireResponse
from langchain_hf_inference._settings import TEXT_SETTINGS, TextSettings, canonical, checked_settings, warn_of_typos
from langchain_hf_inference._task_connection import TaskRoute


@dataclass(frozen=True, slots=True)
class TextCall:
    """One prompt, and what is set for it."""

    prompt: str
    settings: Mapping[str, Any]
    options: TextOptions

    def request(self, target: TaskRoute, headers: Mapping[str, str], *, stream: bool) -> WireRequest:
        if target.form == "completions":
            made, notes = completion_request(target.route, self.prompt, self.settings, stream=stream, headers=headers)
        else:
            made, notes = generate_request(
                target.route, self.prompt, self.settings, form=target.form, stream=stream, headers=headers
            )
        tell(notes)
        return made

    def read(self, target: TaskRoute, response: WireResponse, request: WireRequest) -> list[Generation]:
        if target.form == "completions":
            found = read_completion(response.json(), self.options, request)
        else:
            found = [read_generate(response.json(), self.options, request)]
        for generation in found:
            generation.generation_info = (generation.generation_info or {}) | header_facts(response.headers)
        return found

    def reader(self, target: TaskRoute, request: WireRequest, headers: Mapping[str, str]) -> TextStreamReader:
        kind = CompletionStreamReader if target.form == "completions" else GenerateStreamReader
        return kind(request, headers, self.options)

    def opening(self) -> list[GenerationChunk]:
        """Give what stands before the answer's own text: the prompt, where it was asked for."""
        return [GenerationChunk(text=self.prompt)] if self.options.full_text else []


def text_call(
    own: Mapping[str, Any], extra: Mapping[str, Any], kwargs: Mapping[str, Any], *, prompt: str, stop: list[str] | None
) -> TextCall:
    """Join the settings of a model and of a call: the call's go over the model's, its None takes one back.

    Raises:
        pydantic.ValidationError: A setting of the call is out of range.
        ValueError: The call gives one thing twice.
    """
    given = canonical(kwargs, TEXT_SETTINGS)
    more = {**extra, **given.pop("model_kwargs", {})}
    warn_of_typos({name: value for name, value in given.items() if name not in TEXT_SETTINGS}, TEXT_SETTINGS)
    settings = {**more, **own, **checked_settings(given, TextSettings)}
    if stop is not None:
        settings["stop"] = checked_settings({"stop": stop}, TextSettings)["stop"]
    settings = {name: value for name, value in settings.items() if value is not None and value != []}
    options = TextOptions(
        prompt,
        settings.get("stop", ()),
        full_text=bool(settings.get("return_full_text")),
        details=bool(settings.get("details")),
    )
    return TextCall(prompt, settings, options)


def repeated(call: TextCall, form: str) -> list[TextCall]:
    """Give the calls that make up `n` answers: TGI gives one at a time, each with a seed of its own."""
    count = call.settings.get("n") or 1
    if form == "completions" or count == 1:
        return [call]
    rest = {name: value for name, value in call.settings.items() if name != "n"}
    seed = rest.get("seed")
    seeds: list[dict[str, Any]] = [{} if seed is None else {"seed": seed + i} for i in range(count)]
    return [replace(call, settings={**rest, **own}) for own in seeds]


def added(chunks: Sequence[GenerationChunk]) -> Generation:
    """Add the chunks of a stream up."""
    total = chunks[0]
    for chunk in chunks[1:]:
        total += chunk
    return Generation(text=total.text, generation_info=total.generation_info)

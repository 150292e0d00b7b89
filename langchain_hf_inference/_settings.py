"""What a user may set for each answer: names, other names, ranges.

`ChatSettings` is a part of the chat model (its fields are constructor arguments) and checks the
same settings when they are given to a single call.
"""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from langchain_hf_inference._protocol.redaction import HIDDEN, names_credential, redacted_error, redacted_value
from langchain_hf_inference.errors import ConfigurationError

ALIASES: Mapping[str, str] = {
    # ChatOpenAI, ChatHuggingFace and HuggingFaceEndpoint, Haystack, Langflow, huggingface_hub
    "model_name": "model", "model_id": "model", "repo_id": "model",
    "base_url": "endpoint_url", "api_base": "endpoint_url", "openai_api_base": "endpoint_url", "url": "endpoint_url",
    "inference_server_url": "endpoint_url", "inference_endpoint": "endpoint_url", "api_base_url": "endpoint_url",
    "token": "api_key", "hf_token": "api_key", "huggingfacehub_api_token": "api_key", "openai_api_key": "api_key",
    "max_new_tokens": "max_tokens", "max_completion_tokens": "max_tokens", "max_output_tokens": "max_tokens",
    "stop_sequences": "stop", "stop_words": "stop",
    "repeat_penalty": "repetition_penalty", "typ_p": "typical_p",
    "request_timeout": "timeout", "retry_attempts": "max_retries", "num_retries": "max_retries",
    "headers": "default_headers", "extra_headers": "default_headers",
}  # fmt: skip
"""Other packages' names for our arguments. Giving both names is an error unless they agree."""

CONTAINERS = ("model_kwargs", "generation_kwargs", "api_params")
"""Dicts in which other packages keep settings: their known entries are taken as if given directly."""


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else list(value) if isinstance(value, tuple | set) else value


def _no_bool(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("True and False are no numbers here")
    return value


def _phases(value: Any) -> Any:
    """Return the phases of an httpx.Timeout that are ours, and any other value as it is."""
    return (value.connect, value.read) if hasattr(value, "connect") and hasattr(value, "read") else value


def _positive(value: Any) -> Any:
    for seconds in value if isinstance(value, tuple) else (value,):
        if seconds is not None and seconds <= 0:
            raise ValueError(f"timeout must be above 0 seconds, got {value!r}; None waits without limit")
    return value


RequestTimeout = Annotated[
    float | tuple[float | None, float | None] | None, BeforeValidator(_phases), AfterValidator(_positive)
]
Number = Annotated[float, BeforeValidator(_no_bool)]
Count = Annotated[int, BeforeValidator(_no_bool)]
StopStrings = Annotated[list[Annotated[str, Field(min_length=1)]], BeforeValidator(_listed)]


class SamplingSettings(BaseModel):
    """What chat and text generation have in common. None is "not set": the server's own default holds."""

    model_config = ConfigDict(protected_namespaces=(), defer_build=True)

    temperature: Annotated[Number, Field(ge=0)] | None = None
    """Randomness; 0 is greedy."""
    max_tokens: Annotated[Count, Field(ge=1)] | None = None
    """The most tokens to generate, reasoning included."""
    top_p: Annotated[Number, Field(gt=0, le=1)] | None = None
    """Sample from the likeliest tokens that make up this probability."""
    top_k: Annotated[Count, Field(ge=-1)] | None = None
    """Sample from so many of the likeliest tokens; 0 and -1 are no limit. TGI's chat does not know it."""
    min_p: Annotated[Number, Field(ge=0, le=1)] | None = None
    """Leave out tokens less likely than this share of the likeliest one."""
    typical_p: Annotated[Number, Field(gt=0, le=1)] | None = None
    """Locally typical sampling; llama.cpp only, in chat."""
    frequency_penalty: Annotated[Number, Field(ge=-2, le=2)] | None = None
    """Penalty for each time that a token has come."""
    presence_penalty: Annotated[Number, Field(ge=-2, le=2)] | None = None
    """Penalty for a token that has come at all."""
    repetition_penalty: Annotated[Number, Field(gt=0)] | None = None
    """Factor against tokens that have come, the prompt's included; 1 is none."""
    seed: Annotated[Count, Field(ge=0)] | None = None
    """Seed of the sampling."""
    stop: StopStrings | None = None
    """Texts that end the answer and are not part of it."""
    n: Annotated[Count, Field(ge=1)] | None = None
    """Number of answers; more than one comes through `generate`, and is not streamed."""
    logit_bias: dict[str | int, Number] | None = None
    """Token id to bias, -100 to 100."""
    response_format: dict[str, Any] | None = None
    """OpenAI's form: `{"type": "json_schema", "json_schema": {…}}`; written as each engine wants it."""
    user: str | None = None
    """Your user, for the provider's abuse detection."""
    extra_body: dict[str, Any] | None = None
    """Merged into the request's body last, over everything."""


class ChatSettings(SamplingSettings):
    """The settings of a chat completion."""

    logprobs: bool | None = None
    """Give the log probability of each token, in `response_metadata["logprobs"]`."""
    top_logprobs: Annotated[Count, Field(ge=0, le=20)] | None = None
    """Give those of so many alternatives too; implies `logprobs`."""
    tool_choice: str | bool | dict[str, Any] | None = None
    """Sent along whenever tools are bound."""
    tool_prompt: str | None = None
    """TGI: the sentence that introduces the tools to the model."""
    parallel_tool_calls: bool | None = None
    """Allow several calls in one answer."""
    reasoning_effort: str | float | None = None
    """"none", "low", "medium", "high" and others, by model; SGLang also takes a number."""
    chat_template_kwargs: dict[str, Any] | None = None
    """Variables of the chat template, such as `{"enable_thinking": False}`."""
    stream_options: dict[str, Any] | None = None
    """Sent with streams in place of `{"include_usage": True}`."""


class TextSettings(SamplingSettings):
    """The settings of text generation; those below `echo` are TGI's own."""

    logprobs: Annotated[Count, Field(ge=0, le=20)] | None = None
    """OpenAI's completions: log probabilities of so many tokens, in `generation_info["logprobs"]`."""
    echo: bool | None = None
    """OpenAI's completions: let the server say the prompt back; `return_full_text` works with every server."""
    suffix: str | None = None
    """OpenAI's completions: the text that comes after the gap to be filled."""
    best_of: Annotated[Count, Field(ge=1)] | None = None
    """Let the server generate so many and give the best; TGI tells of the others in `generation_info`."""
    return_full_text: bool | None = None
    """Put the prompt before the answer."""
    do_sample: bool | None = None
    """Sample; False is greedy. Implied by the settings of sampling."""
    truncate: Annotated[Count, Field(ge=1)] | None = None
    """Keep only so many of the prompt's last tokens."""
    watermark: bool | None = None
    """Watermark the text (Kirchenbauer et al. 2023)."""
    grammar: dict[str, Any] | None = None
    """`{"type": "json", "value": SCHEMA}`, `{"type": "regex", "value": …}`, or 3.3's "json_schema"; brought into vLLM's,
    SGLang's and llama.cpp's forms for them."""
    adapter_id: str | None = None
    """LoRA adapter to use."""
    details: bool | None = None
    """Tell of each token in `generation_info["tokens"]`, streams included."""
    decoder_input_details: bool | None = None
    """Tell of the prompt's tokens too, in `generation_info["prefill"]`; not in streams."""
    top_n_tokens: Annotated[Count, Field(ge=0)] | None = None
    """Tell of so many alternatives to each token, in `generation_info["top_tokens"]`."""


SETTINGS = frozenset(ChatSettings.model_fields)
TEXT_SETTINGS = frozenset(TextSettings.model_fields)


def canonical(values: Mapping[str, Any], known: frozenset[str]) -> dict[str, Any]:
    """Bring arguments under our names, and settings out of containers; the rest stays as it is.

    Raises:
        ValueError: The same thing is given twice with different values.
    """
    found: dict[str, Any] = {}
    for name, value in values.items():
        if name in CONTAINERS and isinstance(value, Mapping):
            inner = canonical(value, known)
            rest = {key: item for key, item in inner.items() if key not in known}
            for key in inner.keys() & known:
                _put(found, key, inner[key], f"{name}[{key!r}]")
            found["model_kwargs"] = {**found.get("model_kwargs", {}), **rest}
        else:
            key = name if name in known else ALIASES.get(name, name)
            _put(found, key, value, name)
    return found


def _put(found: dict[str, Any], key: str, value: Any, name: str) -> None:
    if key in found and found[key] != value:
        raise ValueError(f"{key} is given twice, as {_shown(key, found[key])} and, by {name}, as {_shown(key, value)}")
    found[key] = value


def _shown(key: str, value: Any) -> str:
    shown = redacted_value(key, value)
    return HIDDEN if shown == HIDDEN else repr(shown)


def without_unknown(values: Mapping[str, Any], known: frozenset[str]) -> dict[str, Any]:
    """Move arguments that we do not know to `model_kwargs`, which goes into the body, and say so."""
    unknown = {name: value for name, value in values.items() if name not in known}
    if extra := values.get("model_kwargs"):
        refuse_credentials(as_mapping(extra))
    if not unknown:
        return dict(values)
    refuse_credentials(unknown)
    for name in unknown:
        warnings.warn(f"{name} is not a parameter of ours: it was moved to model_kwargs and goes into the request "
                      f"as it is.{_suggestion(name, known)}", UserWarning, stacklevel=7)  # fmt: skip
    kept = {name: value for name, value in values.items() if name in known}
    return {**kept, "model_kwargs": {**kept.get("model_kwargs", {}), **unknown}}


def as_mapping(value: Any) -> Mapping[str, Any]:
    """Return `value` if it is a mapping, else an empty one."""
    return value if isinstance(value, Mapping) else {}


def refuse_credentials(names: Iterable[str]) -> None:
    """Raise for an argument that is not ours and is a key by its name: it would go into the request's body, and into traces.

    Raises:
        ConfigurationError: It names the argument.
    """
    for name in names:
        if names_credential(name):
            raise ConfigurationError(
                f"{name} is not a parameter; give a key as api_key, which is sent as a header and never shown "
                "(extra_body sends anything in the body)"
            )


def _suggestion(name: str, known: frozenset[str]) -> str:
    close = difflib.get_close_matches(name, [*known, *ALIASES], n=1, cutoff=0.75)
    return f" Did you mean {close[0]}?" if close else ""


def warn_of_typos(names: Mapping[str, Any], known: frozenset[str] = SETTINGS) -> None:
    """Warn of settings of a call that look like slips of one of ours; all others are the user's own."""
    refuse_credentials(names)
    for name in names:
        if suggestion := _suggestion(name, known):
            warnings.warn(f"{name} is not a setting of ours and goes into the request as it is.{suggestion}",
                          UserWarning, stacklevel=5)  # fmt: skip


def checked_settings(values: Mapping[str, Any], kind: type[SamplingSettings] = ChatSettings) -> dict[str, Any]:
    """Check the settings of one call; names that are not ours pass.

    Raises:
        pydantic.ValidationError: A value is out of range; it names the setting.
    """
    ours = {name: value for name, value in values.items() if name in kind.model_fields and value is not None}
    if not ours:
        return dict(values)
    try:
        checked = kind.model_validate(ours)
        return {**values, **{name: getattr(checked, name) for name in ours}}
    except ValidationError as error:
        failure = redacted_error(error, ours)
    raise failure

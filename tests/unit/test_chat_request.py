"""_protocol/chat_request.py with dialects.py, tools.py, response_format.py: every setting on the wire, engine by engine."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.messages import HumanMessage

from langchain_hf_inference import ConfigurationError
from langchain_hf_inference._protocol.chat_request import ChatRequest, chat_request, needs_engine
from langchain_hf_inference._protocol.dialects import CHAT_ENGINES, DIALECTS
from langchain_hf_inference._protocol.routing import Route
from langchain_hf_inference._settings import SETTINGS

HELLO = [HumanMessage("Hello")]
MESSAGES = [{"role": "user", "content": "Hello"}]
TOOL = {
    "type": "function",
    "function": {"name": "f", "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}}},
}
OTHER = {"type": "function", "function": {"name": "g", "description": "d"}}
SCHEMA = {"title": "P", "type": "object", "properties": {"a": {"type": "integer", "default": None}}}
FORMAT = {"type": "json_schema", "json_schema": {"name": "P", "schema": SCHEMA, "strict": True}}
NAMED = {"type": "function", "function": {"name": "f"}}


def asked(
    dialect: str | None = "openai", *, stream: bool = False, model: str | None = "m", **settings: Any
) -> ChatRequest:
    return chat_request(
        Route("endpoint", "http://h/v1/chat/completions", model, dialect), HELLO, settings, stream=stream
    )


def body(dialect: str | None = "openai", **settings: Any) -> dict[str, Any]:
    found = asked(dialect, **settings).request.body
    assert found.pop("messages") == MESSAGES
    found.pop("model", None)
    return found


ALL: dict[str, Any] = {
    "temperature": 0.0, "max_tokens": 7, "top_p": 0.5, "top_k": 5, "min_p": 0.1, "typical_p": 0.9, "frequency_penalty": 0.5,
    "presence_penalty": -0.5, "repetition_penalty": 1.1, "seed": 0, "stop": ["x"], "n": 2, "logprobs": True, "top_logprobs": 3,
    "logit_bias": {"5": -100}, "response_format": {"type": "json_object"}, "tool_prompt": "Use tools.",
    "reasoning_effort": "low", "chat_template_kwargs": {"enable_thinking": False}, "user": "u",
}  # fmt: skip


def test_every_setting_is_mapped() -> None:
    """Each setting goes out under its name, 0 and False included; none is forgotten by this test."""
    assert body(**ALL) == ALL
    tools = {"tools": [TOOL], "tool_choice": "auto", "parallel_tool_calls": False}
    assert body(**tools) == tools
    assert body(stream=True, stream_options={"include_usage": False}) == {
        "stream": True,
        "stream_options": {"include_usage": False},
    }
    assert ALL.keys() | tools.keys() - {"tools"} | {"stream_options", "extra_body"} == SETTINGS


@pytest.mark.parametrize("name", sorted(ALL))
def test_none_is_not_sent(name: str) -> None:
    """None means "not set", and null is never sent."""
    assert body(**{name: None}) == {}


def test_falsy_values_mean_what_they_say() -> None:
    """0, 0.0 and False reach a server that takes them."""
    falsy = {
        "temperature": 0.0,
        "seed": 0,
        "frequency_penalty": 0,
        "presence_penalty": 0,
        "top_k": 0,
        "logprobs": False,
        "min_p": 0.0,
    }

    assert body("vllm", **falsy) == falsy


def test_model_leads() -> None:
    """`model` is the first key, for routers that read the head of the body."""
    assert list(asked(temperature=1.0).request.body)[0] == "model"
    assert list(asked(temperature=1.0, stream=True).request.body)[0] == "model"


def test_no_dummy_model() -> None:
    """Where no name is known none is sent, but to TGI, which takes "tgi" for the model it serves."""
    assert "model" not in asked("vllm", model=None).request.body
    assert asked("tgi", model=None).request.body["model"] == "tgi"
    assert asked("tgi", model="my/model").request.body["model"] == "my/model"


def test_stream() -> None:
    """A stream is asked for its token counts, which may be dropped where a server refuses; transformers serve gives them unasked."""
    assert body(stream=True) == {"stream": True, "stream_options": {"include_usage": True}}
    assert asked(stream=True).request.droppable == ("stream_options",)
    assert body("transformers", stream=True) == {"stream": True}
    assert body(stream_options={"include_usage": True}) == {}


def test_extra_body_wins() -> None:
    """extra_body is merged last, over everything; None in it takes a key out."""
    assert body(temperature=0.5, extra_body={"temperature": 1, "mirostat": 2}) == {"temperature": 1, "mirostat": 2}
    assert body(stream=True, extra_body={"stream_options": None}) == {"stream": True}


def test_top_logprobs_need_logprobs() -> None:
    """top_logprobs switches logprobs on, since servers refuse the one without the other."""
    assert body(top_logprobs=2) == {"top_logprobs": 2, "logprobs": True}


@pytest.mark.parametrize(
    ("settings", "wire", "note"),
    [
        ({"top_p": 1.0}, {}, None),
        ({"top_p": 0.5}, {"top_p": 0.5}, None),
        ({"presence_penalty": 0}, {}, None),
        (
            {"presence_penalty": 0.5},
            {},
            r"presence_penalty=0.5 was left out: TGI's chat API would read it as repetition_penalty",
        ),
        ({"repetition_penalty": 1.1}, {"presence_penalty": pytest.approx(-0.9)}, None),
        ({"repetition_penalty": 1}, {}, None),
        ({"frequency_penalty": 0}, {"frequency_penalty": 0}, None),
        ({"top_k": 5}, {"top_k": 5}, "Text Generation Inference ignores top_k in chat requests"),
        ({"top_k": 0, "n": 1, "min_p": 0}, {}, None),
        ({"top_k": 5, "min_p": 0.1}, {"top_k": 5, "min_p": 0.1}, "ignores min_p, top_k"),
        ({"logit_bias": {"5": 1}}, {}, "logit_bias=.* was left out"),
        ({"temperature": 0.0}, {"temperature": 0.0}, None),
        ({"response_format": {"type": "text"}}, {}, None),
    ],
)
def test_tgi_settings(settings: dict[str, Any], wire: dict[str, Any], note: str | None) -> None:
    """TGI's chat gets what it takes; no-ops go silently, what is lost is told."""
    made = asked("tgi", **settings)

    assert {k: v for k, v in made.request.body.items() if k not in ("model", "messages")} == wire
    assert len(made.notes) == (0 if note is None else 1)
    if note:
        assert __import__("re").search(note, made.notes[0])


def test_transformers_settings() -> None:
    """transformers serve refuses top_k: it is left out, and the user told."""
    made = asked("transformers", top_k=5, repetition_penalty=1.0, temperature=0.5)

    assert {k: v for k, v in made.request.body.items() if k not in ("model", "messages")} == {"temperature": 0.5}
    assert made.notes == (
        "transformers serve: top_k=5 was left out: transformers serve refuses it (422 Unexpected fields)",
    )


def test_llama_names() -> None:
    """llama.cpp has names of its own."""
    assert body("llama.cpp", repetition_penalty=1.1, typical_p=0.9) == {"repeat_penalty": 1.1, "typ_p": 0.9}


@pytest.mark.parametrize(
    ("dialect", "wire"),
    [
        ("openai", FORMAT),
        ("router", FORMAT),
        ("vllm", FORMAT),
        ("sglang", FORMAT),
        ("llama.cpp", FORMAT),
        ("tgi", {"type": "json", "value": SCHEMA}),
        ("together", {"type": "json_schema", "schema": SCHEMA}),
        ("fireworks-ai", {"type": "json_object", "schema": SCHEMA}),
        ("cohere", {"type": "json_object", "schema": SCHEMA}),
        ("groq", FORMAT),
    ],
)
def test_schema(dialect: str, wire: dict[str, Any]) -> None:
    """A JSON Schema is written as each engine and provider wants it, its nulls kept."""
    assert body(dialect, response_format=FORMAT) == {"response_format": wire}


def test_schema_in_tgi_form_elsewhere() -> None:
    """TGI's own form is brought into OpenAI's for engines that know only that; an unknown server gets what was written."""
    tgi = {"type": "json", "value": SCHEMA}

    assert body("vllm", response_format=tgi) == {
        "response_format": {"type": "json_schema", "json_schema": {"name": "P", "schema": SCHEMA}}
    }
    assert body("openai", response_format=tgi) == {"response_format": tgi}
    assert body("tgi", response_format={"type": "regex", "value": "a+"}) == {
        "response_format": {"type": "regex", "value": "a+"}
    }


def test_json_mode_on_tgi() -> None:
    """TGI has no JSON mode without a schema, which is told."""
    made = asked("tgi", response_format={"type": "json_object"})

    assert "response_format" not in made.request.body
    assert "no JSON mode without a schema" in made.notes[0]


def test_schema_beside_tools() -> None:
    """TGI refuses a schema beside tools: so do we, before anything is sent, with the way round it."""
    with pytest.raises(ConfigurationError, match="refuses response_format beside tools.*function_calling"):
        body("tgi", response_format=FORMAT, tools=[TOOL])
    assert body("vllm", response_format=FORMAT, tools=[TOOL]) == {"response_format": FORMAT, "tools": [TOOL]}


@pytest.mark.parametrize(
    ("choice", "wire"),
    [
        (None, None), (False, None), ("auto", "auto"), ("none", "none"), ("any", "required"), ("required", "required"),
        (True, "required"), ("f", NAMED), (NAMED, NAMED), ({"type": "tool", "name": "f"}, NAMED), ({"name": "f"}, NAMED),
        ({"type": "any"}, "required"), ({"type": "auto"}, "auto"),
    ],
)  # fmt: skip
def test_tool_choice(choice: Any, wire: Any) -> None:
    """Each of LangChain's forms of a choice becomes OpenAI's, with any number of tools."""
    sent = body("vllm", tools=[TOOL, OTHER], tool_choice=choice)

    assert sent.get("tool_choice") == wire
    assert sent["tools"][1]["function"]["parameters"] == {"type": "object", "properties": {}}


def test_named_choice_on_llama() -> None:
    """llama.cpp reads only words: a tool demanded by name is sent alone, and required."""
    assert body("llama.cpp", tools=[TOOL, OTHER], tool_choice="f") == {"tools": [TOOL], "tool_choice": "required"}


@pytest.mark.parametrize(
    ("choice", "words"),
    [("h", "names 'h', which is no tool here; there are: f"), (7, "is not known"), ({"x": 1}, "is not known")],
)
def test_bad_choice(choice: Any, words: str) -> None:
    """A choice that cannot be is refused."""
    with pytest.raises(ConfigurationError, match=words):
        body(tools=[TOOL], tool_choice=choice)


def test_nothing_without_tools() -> None:
    """Neither an empty list nor a choice without tools is sent."""
    assert body(tools=[], tool_choice="auto", parallel_tool_calls=True) == {}


def test_tools_of_the_server() -> None:
    """A tool of the server's own passes as it is; what is no tool is refused."""
    assert body(tools=[{"type": "web_search", "depth": 2}])["tools"] == [{"type": "web_search", "depth": 2}]
    with pytest.raises(ConfigurationError, match="pass tools through bind_tools"):
        body(tools=[len])


@pytest.mark.parametrize(
    ("settings", "matters"),
    [
        ({}, False), ({"temperature": 0.5, "max_tokens": 5, "seed": 1, "stop": ["x"]}, False), ({"top_k": 5}, True),
        ({"top_p": 1.0}, True), ({"top_p": 0.5}, True), ({"presence_penalty": 0}, True), ({"n": 1}, False),
        ({"response_format": FORMAT}, True), ({"tools": [TOOL], "tool_choice": "auto"}, False), ({"tools": [TOOL], "tool_choice": "f"}, True),
    ],
)  # fmt: skip
def test_engine_is_asked_only_if_it_matters(settings: dict[str, Any], matters: bool) -> None:
    """A server is asked what it is only where some engine would get another request."""
    assert needs_engine(HELLO, settings) is matters


@pytest.mark.parametrize("settings", [{name: value} for name, value in ALL.items()])
def test_asking_covers_all_differences(settings: dict[str, Any]) -> None:
    """Where the engine is not asked, every engine gets the same request."""
    if not needs_engine(HELLO, settings):
        assert {str(body(engine, **settings)) for engine in CHAT_ENGINES} == {str(body("openai", **settings))}


def test_rows_have_their_names() -> None:
    """Each row of the table stands under its own name, and every engine has one."""
    assert all(name == row.name for name, row in DIALECTS.items())
    assert set(CHAT_ENGINES) <= DIALECTS.keys()

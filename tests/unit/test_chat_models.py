"""chat_models.py and _structured_output.py: LangChain's hooks, against functions and the scripted server."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Callable
from typing import Any, Literal, TypedDict
from uuid import UUID

import pytest
from calling import Call, both_ways
from langchain_core.caches import InMemoryCache
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.exceptions import OutputParserException
from langchain_core.load import dumpd, dumps, load
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage
from langchain_core.rate_limiters import InMemoryRateLimiter
from langchain_core.runnables import ConfigurableField
from langchain_core.tools import tool
from langchain_core.utils.function_calling import convert_to_json_schema
from pydantic import BaseModel, Field
from pydantic.v1 import BaseModel as BaseModelV1

from conftest import COMPLETION, FarEnd
from langchain_hf_inference import ChatHFInference, ConfigurationError
from langchain_hf_inference.testing import InferenceServer

FarEndMaker = Callable[..., FarEnd]


class Person(BaseModel):
    """A person."""

    name: str
    age: int = Field(description="in years")


class PersonV1(BaseModelV1):
    """A person."""

    name: str
    age: int


class PersonDict(TypedDict):
    """A person."""

    name: str
    age: int


PERSON_SCHEMA = convert_to_json_schema(Person)


@tool
def get_weather(city: str, unit: Literal["C", "F"] = "C") -> str:
    """Tell the weather."""
    return f"sunny in {city}, {unit}"


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def chat(server: InferenceServer, **settings: Any) -> ChatHFInference:
    return ChatHFInference(**{"endpoint_url": server.url, "model": "m", "engine": "openai", **settings})


@both_ways
def test_invoke(call: Call, server: InferenceServer) -> None:
    """An answer with text, counts, and the facts about it."""
    message = call.invoke(chat(server), "Hello there")

    assert message.text == "You said: Hello there"
    assert message.usage_metadata["output_tokens"] == 4
    assert message.response_metadata["model_provider"] == "huggingface"
    assert message.response_metadata["model_name"] == "scripted/m"
    assert message.response_metadata["request_id"] == "scripted-1"
    assert message.id.startswith("lc_run-")


@both_ways
@pytest.mark.parametrize(
    "given",
    [
        "Hello",
        [("system", "Be brief."), ("human", "Hello")],
        [HumanMessage("Hello")],
        [{"role": "user", "content": "Hello"}],
    ],
)
def test_inputs(call: Call, server: InferenceServer, given: Any) -> None:
    """Strings, tuples, messages and dicts."""
    assert call.invoke(chat(server), given).text == "You said: Hello"


@both_ways
def test_stream(call: Call, server: InferenceServer) -> None:
    """A stream in pieces; the last chunk bears reason, counts and facts; the same message as invoke."""
    chunks = call.stream(chat(server, seed=1), "one two three")
    total: AIMessageChunk = sum(chunks[1:], chunks[0])
    whole = call.invoke(chat(server, seed=1), "one two three")

    assert [c.text for c in chunks if c.text] == ["You", " said:", " one", " two", " three"]
    assert all(c.response_metadata["model_provider"] == "huggingface" for c in chunks)
    assert (total.text, total.usage_metadata) == (whole.text, whole.usage_metadata)
    facts = {k: v for k, v in whole.response_metadata.items() if k != "request_id"}
    assert {k: v for k, v in total.response_metadata.items() if k != "request_id"} == facts


@both_ways
def test_streaming_invoke(call: Call, server: InferenceServer) -> None:
    """`streaming=True` lets invoke read a stream: the same message, counts included."""
    message = call.invoke(chat(server, streaming=True), "Hello")

    assert server.requests[0].body["stream"] is True
    assert (message.text, message.usage_metadata["output_tokens"]) == ("You said: Hello", 3)
    assert type(message) is AIMessage


@both_ways
def test_tokens_are_told(call: Call, server: InferenceServer) -> None:
    """Handlers see each piece once."""
    tokens: list[str] = []

    class Handler(BaseCallbackHandler):
        def on_llm_new_token(self, token: str, **kwargs: Any) -> None:
            tokens.append(token)

    call.stream(chat(server), "Hello", config={"callbacks": [Handler()]})

    assert "".join(tokens) == "You said: Hello"


@both_ways
def test_n(call: Call, server: InferenceServer) -> None:
    """Several answers come through generate, whole even where streaming is on."""
    model = chat(server, n=2, streaming=True)

    result = (
        asyncio.run(model.agenerate([[HumanMessage("Hi")]]))
        if call.is_async
        else model.generate([[HumanMessage("Hi")]])
    )

    assert [g.text for g in result.generations[0]] == ["You said: Hi", "You said: Hi (2)"]
    assert [c.text for c in call.stream(model, "Hi") if c.text] == ["You said: Hi"]


@both_ways
def test_batch(call: Call, server: InferenceServer) -> None:
    """A batch keeps its order."""
    model = chat(server)
    prompts = [f"number {i}" for i in range(20)]

    messages = asyncio.run(model.abatch(prompts)) if call.is_async else model.batch(prompts)

    assert [m.text for m in messages] == [f"You said: {p}" for p in prompts]


@both_ways
def test_reasoning(call: Call, server: InferenceServer) -> None:
    """Reasoning comes apart from the text, whole and streamed."""
    model = chat(server, reasoning_effort="high")

    for message in (call.invoke(model, "Why?"), call.total(model, "Why?")):
        assert (message.text, message.additional_kwargs["reasoning_content"]) == ("You said: Why?", "I was asked: Why?")
        assert message.usage_metadata["output_token_details"]["reasoning"] == 4
        kinds = [block["type"] for block in message.content_blocks]
        assert kinds == ["reasoning", "text"]


@both_ways
def test_v1_output(call: Call, server: InferenceServer) -> None:
    """`output_version="v1"` gives standard content blocks, whole and streamed."""
    model = chat(server, output_version="v1")

    for message in (call.invoke(model, "Hello"), call.total(model, "Hello")):
        assert [(b["type"], b["text"]) for b in message.content] == [("text", "You said: Hello")]


@both_ways
def test_v1_reasoning_and_tools(call: Call, server: InferenceServer) -> None:
    """In v1 content reasoning and tool calls stay apart, whole and streamed (core's own numbering merges them)."""
    bound = chat(server, output_version="v1", reasoning_effort="high").bind_tools([get_weather])

    for message in (call.invoke(bound, "weather in Paris"), call.total(bound, "weather in Paris")):
        kinds = [(block["type"], block.get("reasoning") or block.get("args")) for block in message.content]
        assert kinds == [("reasoning", "I was asked: weather in Paris"), ("tool_call", {"city": "Paris", "unit": "C"})]
        assert message.tool_calls[0]["args"] == {"city": "Paris", "unit": "C"}


def test_content_blocks() -> None:
    """Blocks of hand-made content of our messages: strings, unknown kinds, invalid calls; a piece has no finished call."""
    ours = {"model_provider": "huggingface"}
    message = AIMessage(
        ["a", {"type": "image", "url": "https://x"}, {"type": "odd", "x": 1}, {"type": "tool_use", "id": "c"}], response_metadata=ours,
        invalid_tool_calls=[{"name": "f", "args": "{", "id": "c", "error": "cut"}],
    )  # fmt: skip
    piece = AIMessageChunk(
        "t", response_metadata=ours, tool_call_chunks=[{"name": "f", "args": '{"a', "id": "c", "index": 0, "type": "tool_call_chunk"}]
    )  # fmt: skip

    assert [block["type"] for block in message.content_blocks] == ["text", "image", "non_standard", "invalid_tool_call"]
    assert [(block["type"], block["index"]) for block in piece.content_blocks] == [
        ("text", "lc_text"),
        ("tool_call_chunk", "lc_tc_0"),
    ]


@both_ways
def test_tools(call: Call, server: InferenceServer) -> None:
    """Tools of several kinds are bound; calls come whole and streamed."""
    bound = chat(server).bind_tools([get_weather, add, Person])

    for message in (call.invoke(bound, "weather in Paris"), call.total(bound, "weather in Paris")):
        (found,) = message.tool_calls
        assert (found["name"], found["args"]) == ("get_weather", {"city": "Paris", "unit": "C"})
        assert message.response_metadata["finish_reason"] == "tool_calls"
    names = [t["function"]["name"] for t in server.requests[0].body["tools"]]
    assert names == ["get_weather", "add", "Person"]


@pytest.mark.parametrize(
    ("choice", "wire"),
    [("any", "required"), (True, "required"), ("required", "required"), ("auto", "auto"), ("none", "none"),
     ("add", {"type": "function", "function": {"name": "add"}})],
)  # fmt: skip
def test_tool_choice(server: InferenceServer, choice: Any, wire: Any) -> None:
    """A choice goes with two tools as with one (the peer raises, and calls a tool named "any")."""
    chat(server).bind_tools([get_weather, add], tool_choice=choice, parallel_tool_calls=False, strict=True).invoke(
        "Hello"
    )

    body = server.requests[0].body
    assert (body["tool_choice"], body["parallel_tool_calls"]) == (wire, False)
    assert [t["function"]["strict"] for t in body["tools"]] == [True, True]


def test_bind_tools_forms(server: InferenceServer) -> None:
    """OpenAI's and Anthropic's dicts and JSON Schemas are tools too; a server's own passes."""
    anthropic = {"name": "a", "description": "d", "input_schema": {"type": "object", "properties": {}}}
    openai = {
        "type": "function",
        "function": {"name": "o", "description": "d", "parameters": {"type": "object", "properties": {}}},
    }
    schema = {"title": "S", "description": "d", "type": "object", "properties": {"x": {"type": "string"}}}
    bound = chat(server).bind_tools([anthropic, openai, schema, {"type": "web_search"}])

    names = [t.get("function", t).get("name") for t in bound.kwargs["tools"]]  # type: ignore[attr-defined]
    assert names == ["a", "o", "S", None]
    with pytest.raises(ConfigurationError, match="names 'zzz', which is no tool here; there are: add"):
        chat(server).bind_tools([add], tool_choice="zzz")


def test_no_tools_but_a_format(server: InferenceServer) -> None:
    """create_agent's ProviderStrategy binds no tools and a format: the format alone is sent."""
    wanted = {"type": "json_schema", "json_schema": {"name": "Person", "schema": PERSON_SCHEMA}}
    message = chat(server).bind_tools([], response_format=wanted, tool_choice="any").invoke("'Ann' is 5")

    assert message.text == '{"name": "Ann", "age": 5}'
    assert server.requests[0].body.keys() == {"model", "messages", "response_format"}


SCHEMAS: list[Any] = [Person, PersonV1, PersonDict, PERSON_SCHEMA]


@both_ways
@pytest.mark.parametrize("method", ["json_schema", "function_calling", None])
@pytest.mark.parametrize("strict", [None, True, False])
@pytest.mark.parametrize("schema", SCHEMAS, ids=["pydantic", "pydantic v1", "typeddict", "json schema"])
def test_structured_output(call: Call, server: InferenceServer, schema: Any, strict: bool | None, method: Any) -> None:
    """Each kind of schema by each method: Pydantic in, Pydantic out, dicts else; streamed too."""
    model = chat(server).with_structured_output(schema, method=method, strict=strict)
    expected = (
        schema(name="Ann", age=5)
        if isinstance(schema, type) and issubclass(schema, BaseModel | BaseModelV1)
        else {"name": "Ann", "age": 5}
    )

    assert call.invoke(model, "'Ann' is 5 years old") == expected
    assert call.stream(model, "'Ann' is 5 years old")[-1] == expected


@both_ways
def test_structured_raw(call: Call, server: InferenceServer) -> None:
    """include_raw gives message, parsed and error; a bad answer is told there and not raised."""
    for method in ("json_schema", "function_calling"):
        found = call.invoke(chat(server).with_structured_output(Person, method=method, include_raw=True), "'Ann' is 5")
        assert (found["parsed"], found["parsing_error"], type(found["raw"])) == (
            Person(name="Ann", age=5),
            None,
            AIMessage,
        )

    cut = call.invoke(
        chat(server, max_tokens=1).with_structured_output(Person, method="json_schema", include_raw=True), "'Ann' is 5"
    )
    assert (cut["parsed"], type(cut["parsing_error"])) == (None, OutputParserException)


def test_json_mode(server: InferenceServer) -> None:
    """JSON mode asks for any JSON, with or without a schema to read it by."""
    model = chat(server)

    assert "a" in model.with_structured_output(method="json_mode").invoke("JSON with 'a'")
    assert server.requests[0].body["response_format"] == {"type": "json_object"}
    with pytest.raises(ConfigurationError, match="strict goes with a schema"):
        model.with_structured_output(Person, method="json_mode", strict=True)


@pytest.mark.parametrize(
    ("arguments", "method"),
    [
        ({"model": "a/b"}, "response_format"), ({"endpoint_url": "http://h:1"}, "tools"),
        ({"endpoint_url": "http://h:1", "engine": "vllm"}, "response_format"), ({"endpoint_url": "http://h:1", "engine": "tgi"}, "response_format"),
        ({"endpoint_url": "http://h:1", "engine": "transformers"}, "tools"), ({"endpoint_url": "http://h:1", "engine": "mlx"}, "tools"),
    ],
)  # fmt: skip
def test_default_method(arguments: dict[str, Any], method: str) -> None:
    """By default a schema goes the way that the route takes best."""
    bound = ChatHFInference(**arguments).with_structured_output(Person).first  # type: ignore[attr-defined]

    assert method in bound.kwargs


def test_structured_errors(server: InferenceServer) -> None:
    """A method that is not known, or has no schema, is refused."""
    with pytest.raises(ConfigurationError, match="method='magic' is not known"):
        chat(server).with_structured_output(Person, method="magic")  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="needs a schema"):
        chat(server).with_structured_output()
    with pytest.raises(ConfigurationError, match="is no schema"):
        chat(server).bind_tools([], response_format=7)  # type: ignore[arg-type]


def test_warnings_once(far_end: FarEndMaker, told: list[str]) -> None:
    """What an engine cannot do is told once, naming engine and setting."""
    model = far_end().model(endpoint_url="http://h:1", engine="tgi", top_k=5)
    with pytest.warns(UserWarning, match="Text Generation Inference ignores top_k in chat requests"):
        model.invoke("Hello")
    model.invoke("Hello")

    assert told == []


def test_cache(server: InferenceServer) -> None:
    """The same call of the same settings is answered from the cache; other settings are another call."""
    cache = InMemoryCache()
    for settings in ({"temperature": 0.0}, {"temperature": 0.0}, {"temperature": 0.5}):
        chat(server, cache=cache, **settings).invoke("Hello")

    assert len(server.requests) == 2


def test_rate_limiter(server: InferenceServer) -> None:
    """LangChain's rate limiter is asked before a call."""

    class Counting(InMemoryRateLimiter):
        asked = 0

        def acquire(self, *, blocking: bool = True) -> bool:
            Counting.asked += 1
            return True

    chat(server, rate_limiter=Counting()).invoke("Hello")

    assert Counting.asked == 1


def test_traced_parameters() -> None:
    """Tracers see provider, model and settings, a call's before the model's."""
    model = ChatHFInference(model="a/b", temperature=0, max_tokens=5, stop=["x"], api_key="hf_x")

    assert model._get_ls_params() == {
        "ls_provider": "huggingface", "ls_model_type": "chat", "ls_model_name": "a/b", "ls_temperature": 0, "ls_max_tokens": 5,
        "ls_stop": ["x"],
    }  # fmt: skip
    params = model._get_ls_params(stop=["y"], model="c/d", temperature=1)
    assert (params["ls_model_name"], params["ls_temperature"], params["ls_stop"]) == ("c/d", 1, ["y"])
    assert model.model_name == "a/b"


def test_serialises() -> None:
    """dumpd and load give the model back, the token named and not written."""
    model = ChatHFInference(
        model="a/b", temperature=0, api_key="hf_secret", provider="groq", default_headers={"X": "hf_secret"}
    )

    assert "hf_secret" not in dumps(model)
    twin = load(
        dumpd(model),
        allowed_objects=[ChatHFInference],
        valid_namespaces=["langchain_hf_inference"],
        secrets_map={"HF_TOKEN": "hf_other"},
    )
    assert (twin.model, twin.temperature, twin.provider, twin.api_key.get_secret_value()) == (
        "a/b",
        0,
        "groq",
        "hf_other",
    )


def test_configurable_fields(far_end: FarEndMaker) -> None:
    """Fields may be made configurable, and changed for a call."""
    far = far_end()
    model = far.model().configurable_fields(temperature=ConfigurableField(id="t"), model=ConfigurableField(id="m"))

    model.invoke("Hello", config={"configurable": {"t": 0.75, "m": "other/model"}})

    assert (far.bodies[0]["temperature"], far.bodies[0]["model"]) == (0.75, "other/model")


def test_message_pickles(server: InferenceServer) -> None:
    """Messages and chunks pickle."""
    message = chat(server).invoke("Hello")

    assert pickle.loads(pickle.dumps(message)) == message


def test_event_stream_v3(server: InferenceServer) -> None:
    """LangChain's event streams work over ours."""

    async def events() -> list[Any]:
        stream = await chat(server).astream_events("Hello", version="v3")
        return [event async for event in stream]

    kinds = [event["event"] for event in asyncio.run(events())]
    assert (kinds[0], kinds[-1]) == ("message-start", "message-finish")


def test_on_chat_model_start_has_no_secret(server: InferenceServer) -> None:
    """What handlers are given at the start holds no key."""
    seen: list[str] = []

    class Handler(BaseCallbackHandler):
        def on_chat_model_start(self, serialized: Any, messages: Any, *, run_id: UUID, **kwargs: Any) -> None:
            seen.append(f"{serialized} {kwargs}")

    chat(server, api_key="hf_secret").invoke("Hello", config={"callbacks": [Handler()]})

    assert "hf_secret" not in seen[0]
    assert "'ls_provider': 'huggingface'" in seen[0]


def test_construction_does_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A constructor opens no socket, makes no client and reads no token."""
    import socket

    from langchain_hf_inference._transport import clients, hub

    def never(*args: Any, **kwargs: Any) -> Any:
        raise AssertionError("I/O at construction")

    monkeypatch.setattr(socket, "socket", never)
    monkeypatch.setattr(hub, "stored_token", never)
    monkeypatch.setattr(clients, "acquire_client", never)

    ChatHFInference(model="a/b").with_structured_output(Person)
    ChatHFInference(endpoint_url="http://h:1").bind_tools([add])


def test_answer_without_usage(far_end: FarEndMaker) -> None:
    """A server that counts nothing gives None, not zeros."""
    assert far_end({**COMPLETION, "usage": None}).model().invoke("Hello").usage_metadata is None

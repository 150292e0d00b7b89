"""LangChain agents against the scripted server: loops, structured answers, streaming."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from calling import Call, both_ways
from langchain.agents import create_agent
from langchain.agents.middleware import (
    ClearToolUsesEdit,
    ContextEditingMiddleware,
    HumanInTheLoopMiddleware,
    LLMToolSelectorMiddleware,
    ModelFallbackMiddleware,
    ModelRetryMiddleware,
    SummarizationMiddleware,
)
from langchain.agents.structured_output import ProviderStrategy, ToolStrategy
from langchain.chat_models import base as chat_base
from langchain.chat_models import init_chat_model
from langchain.embeddings import base as embeddings_base
from langchain.embeddings import init_embeddings
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, ToolMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command
from pydantic import BaseModel

from langchain_hf_inference import AuthenticationError, ChatHFInference, register_with_langchain
from langchain_hf_inference.registration import PROVIDER
from langchain_hf_inference.testing import Fault, InferenceServer


class Report(BaseModel):
    """A weather report."""

    city: str
    degrees: int


def get_weather(city: str) -> str:
    """Tell the weather."""
    return f"22 degrees in {city}"


def search(query: str) -> str:
    """Search the web."""
    return "nothing"


@pytest.fixture
def model(server: InferenceServer) -> ChatHFInference:
    return ChatHFInference(endpoint_url=server.url, model="m", engine="openai", max_retries=0)


HELLO: Any = {"messages": [HumanMessage("Hello")]}
LONG_TALK = [HumanMessage(f"message number {i} of a long talk") for i in range(20)]
ASKED: Any = {"messages": [HumanMessage("What is the weather in Paris?")]}


def test_loop(model: ChatHFInference) -> None:
    """Ask, call, answer."""
    messages = create_agent(model, [get_weather, search]).invoke(ASKED)["messages"]

    assert [m.type for m in messages] == ["human", "ai", "tool", "ai"]
    assert messages[-1].text == "The result is: 22 degrees in Paris"


def test_streamed(model: ChatHFInference) -> None:
    """`messages` gives pieces, `updates` the steps, async."""

    async def streamed() -> tuple[list[str], list[str]]:
        steps: list[str] = []
        pieces: list[str] = []
        async for mode, item in create_agent(model, [get_weather]).astream(ASKED, stream_mode=["updates", "messages"]):
            if mode == "updates":
                steps.extend(item)
            elif isinstance(item[0], AIMessageChunk):
                pieces.append(item[0].text)
        return steps, pieces

    steps, pieces = asyncio.run(streamed())
    assert steps == ["model", "tools", "model"]
    assert "".join(pieces) == "The result is: 22 degrees in Paris"


@pytest.mark.parametrize("strategy", [ToolStrategy(Report), ProviderStrategy(Report), Report])
def test_structured(model: ChatHFInference, strategy: Any) -> None:
    """A Pydantic class as a tool, as the server's format, or as LangChain chooses."""
    state = create_agent(model, [get_weather, search], response_format=strategy).invoke(ASKED)

    assert isinstance(state["structured_response"], Report)
    assert state["structured_response"].city == "Paris"


def test_retry_middleware_knows_our_errors(model: ChatHFInference, server: InferenceServer) -> None:
    """A passing failure is retried by the middleware, a wrong key is not."""
    retry = ModelRetryMiddleware(max_retries=2, initial_delay=0.0, jitter=False, on_failure="error")
    agent = create_agent(model, [search], middleware=[retry])
    server.fail(Fault.of_status(500), times=2)
    assert agent.invoke({"messages": [HumanMessage("Hello")]})["messages"][-1].text == "You said: Hello"

    before = len(server.requests)
    server.fail(Fault.of_status(401), times=3)
    with pytest.raises(AuthenticationError):
        agent.invoke({"messages": [HumanMessage("Hello")]})
    assert len(server.requests) == before + 1


def test_summarisation_by_reported_tokens(model: ChatHFInference) -> None:
    """Token counts of answers are ours by provider, so that the middleware can use them."""
    agent = create_agent(
        model, [search], middleware=[SummarizationMiddleware(model, trigger=("tokens", 30), keep=("messages", 1))]
    )

    assert len(agent.invoke({"messages": LONG_TALK})["messages"]) < 20


def test_summarisation_by_fraction(server: InferenceServer) -> None:
    """A fraction of the context needs a profile: ours, by the model's Hub id, or the server's own."""
    model = ChatHFInference(endpoint_url=server.url, model="Qwen/Qwen3-32B", engine="openai")
    model.profile["max_input_tokens"] = 200
    agent = create_agent(
        model, [search], middleware=[SummarizationMiddleware(model, trigger=("fraction", 0.5), keep=("messages", 2))]
    )

    messages = agent.invoke({"messages": LONG_TALK})["messages"]

    assert len(messages) == 4  # the summary, two that were kept, the answer
    assert "summary" in messages[0].text.lower()


@pytest.mark.skipif(
    not hasattr(SummarizationMiddleware, "_overflow_retry_prompt"), reason="langchain 1.4.1 does not ask again"
)
def test_overflow_of_a_summary() -> None:
    """A history that is too long even to be summarised is told as `ContextOverflowError`, cut, and asked again."""
    with InferenceServer(context_length=900) as server:
        model = ChatHFInference(endpoint_url=server.url, model="m", engine="openai", max_tokens=5)
        middleware = SummarizationMiddleware(model, trigger=("messages", 5), keep=("messages", 1))
        long = [HumanMessage(f"message {i} " + "word " * 80) for i in range(10)]

        messages = create_agent(model, [search], middleware=[middleware]).invoke({"messages": long})["messages"]

    assert [m.type for m in messages] == ["human", "human", "ai"]
    assert messages[-1].text.startswith("You said: message 9")
    assert len(server.requests) == 3


def test_fallback_to_another_model(model: ChatHFInference, server: InferenceServer) -> None:
    """A model that fails gives way to the next."""
    dead = ChatHFInference(endpoint_url="http://127.0.0.1:9", model="dead", max_retries=0)

    messages = create_agent(dead, [search], middleware=[ModelFallbackMiddleware(model)]).invoke(HELLO)["messages"]

    assert messages[-1].text == "You said: Hello"


@pytest.mark.parametrize("count", ["approximate", "model"])
def test_old_tool_results_are_cleared(count: Any) -> None:
    """Context editing counts by the model, tools included, and the cleared history is accepted."""
    talk: list[Any] = [HumanMessage("What is the weather in Paris?")]
    for i in range(4):
        talk.append(AIMessage("", tool_calls=[{"name": "get_weather", "args": {"city": "Paris"}, "id": f"c{i}"}]))
        talk.append(ToolMessage("22 degrees " * 20, tool_call_id=f"c{i}"))
    with InferenceServer(engine="tgi") as server:
        model = ChatHFInference(endpoint_url=server.url, model="tgi")
        editing = ContextEditingMiddleware(edits=[ClearToolUsesEdit(trigger=100, keep=1)], token_count_method=count)

        create_agent(model, [get_weather], middleware=[editing]).invoke({"messages": talk})

        asked = [r for r in server.requests if r.path == "/v1/chat/completions"]
        counted = [r for r in server.requests if r.path == "/chat_tokenize"]
    results = [m["content"] for m in asked[-1].body["messages"] if m["role"] == "tool"]
    assert [text == "[cleared]" for text in results] == [True, True, True, False]
    assert bool(counted) == (count == "model")


def test_tools_are_selected(model: ChatHFInference, server: InferenceServer) -> None:
    """The selector asks for a list of names as structured output; only those tools are bound then."""
    selector = LLMToolSelectorMiddleware(model=model, max_tools=1)

    create_agent(model, [get_weather, search], middleware=[selector]).invoke(ASKED)

    first, second = server.requests[0].body, server.requests[1].body
    assert "get_weather" in str(first["tools" if "tools" in first else "response_format"])
    assert len(second["tools"]) == 1


def test_a_person_is_asked(model: ChatHFInference) -> None:
    """A call waits for approval, is edited, and goes on with another argument."""
    agent = create_agent(
        model, [get_weather], middleware=[HumanInTheLoopMiddleware({"get_weather": True})], checkpointer=InMemorySaver()
    )
    config: Any = {"configurable": {"thread_id": "1"}}

    held = agent.invoke(ASKED, config)
    request = held["__interrupt__"][0].value["action_requests"][0]
    edited = {"type": "edit", "edited_action": {"name": "get_weather", "args": {"city": "Rome"}}}
    messages = agent.invoke(Command(resume={"decisions": [edited]}), config)["messages"]

    assert (request["name"], request["args"]) == ("get_weather", {"city": "Paris"})
    assert [m.text[-18:] for m in messages if isinstance(m, ToolMessage)] == ["22 degrees in Rome"]


@both_ways
@pytest.mark.parametrize("version", ["v1", "v3"])
def test_stream_of_a_graph(call: Call, model: ChatHFInference, version: Any) -> None:
    """LangGraph's streams of messages: pieces of text (v1), content-block events (v3), once each."""
    agent = create_agent(model, [get_weather])

    async def events() -> list[Any]:
        return [event async for event in await agent.astream_events(ASKED, version="v3")]

    if version == "v1":
        options = {"stream_mode": "messages"}
        chunks = [item for item, _ in call.stream(agent, ASKED, **options) if isinstance(item, AIMessageChunk)]
        assert "".join(chunk.text for chunk in chunks) == "The result is: 22 degrees in Paris"
        assert len({chunk.id for chunk in chunks}) == 2
    else:
        found = asyncio.run(events()) if call.is_async else list(agent.stream_events(ASKED, version="v3"))
        data = [e["params"]["data"] for e in found if e["method"] == "messages"]
        spoken = [one[0] if isinstance(one, tuple | list) else one for one in data]
        deltas = [e["delta"] for e in spoken if e.get("event") == "content-block-delta"]
        assert "".join(d["text"] for d in deltas if d["type"] == "text-delta") == "The result is: 22 degrees in Paris"
        assert [e["event"] for e in spoken if e["event"].startswith("message-")] == [
            "message-start",
            "message-finish",
        ] * 2


def test_init_chat_model() -> None:
    """After `register_with_langchain()` a model is made by its name, its routing suffix kept, configurable too."""
    with pytest.raises(ValueError, match="infer"):
        init_chat_model("hf_inference:Qwen/Qwen3-32B:fastest")
    try:
        register_with_langchain()
        register_with_langchain()

        model = init_chat_model("hf_inference:Qwen/Qwen3-32B:fastest", temperature=0)
        assert (type(model), model.model, model.temperature) == (ChatHFInference, "Qwen/Qwen3-32B:fastest", 0)
        assert init_embeddings("hf_inference:BAAI/bge-m3").model == "BAAI/bge-m3"
    finally:
        chat_base._BUILTIN_PROVIDERS.pop(PROVIDER)
        embeddings_base._BUILTIN_PROVIDERS.pop(PROVIDER)
        chat_base._get_chat_model_creator.cache_clear()
        embeddings_base._get_embeddings_class_creator.cache_clear()

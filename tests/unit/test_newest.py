"""What needs the newest packages: deepagents and MCP tools (`make test-newest`), against the scripted server."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest
from deepagents import create_deep_agent
from langchain.chat_models import base as chat_base
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_mcp_adapters.client import MultiServerMCPClient
from pydantic import BaseModel

from conftest import FarEnd
from langchain_hf_inference import ChatHFInference
from langchain_hf_inference.registration import PROVIDER
from langchain_hf_inference.testing import InferenceServer

ASKED: Any = {"messages": [HumanMessage("What is the weather in Paris?")]}


def get_weather(city: str) -> str:
    """Tell the weather."""
    return f"22 degrees in {city}"


class Report(BaseModel):
    """A weather report."""

    city: str


@pytest.fixture
def model(server: InferenceServer) -> ChatHFInference:
    return ChatHFInference(endpoint_url=server.url, model="Qwen/Qwen3-32B", engine="openai")


def test_deep_agent(model: ChatHFInference, server: InferenceServer) -> None:
    """A deep agent, with its own tools for files and plans beside ours, calls ours and answers."""
    messages = create_deep_agent(model, tools=[get_weather]).invoke(ASKED)["messages"]

    assert [m.text for m in messages if isinstance(m, ToolMessage)] == ["22 degrees in Paris"]
    assert messages[-1].text == "The result is: 22 degrees in Paris"
    offered = {tool["function"]["name"] for tool in server.requests[0].body["tools"]}
    assert {"get_weather", "read_file", "task"} <= offered


def test_deep_agent_async_structured(model: ChatHFInference) -> None:
    """The same with `ainvoke` and a Pydantic class for the answer."""
    agent = create_deep_agent(model, tools=[get_weather], response_format=Report)

    state = asyncio.run(agent.ainvoke(ASKED))

    assert state["structured_response"] == Report(city="Paris")


def test_deep_agent_recovers_from_overflow() -> None:
    """A conversation that overflows the server's context is summarised, and the call made again."""
    with InferenceServer(context_length=4000) as server:
        model = ChatHFInference(endpoint_url=server.url, model="m", engine="openai", max_tokens=5)
        agent = create_deep_agent(model)
        long = []
        for i in range(40):
            long += [HumanMessage(f"message {i} " + "word " * 100), AIMessage("good")]

        messages = agent.invoke({"messages": [*long, HumanMessage("Hello")]})["messages"]

    assert messages[-1].type == "ai"
    sizes = [len(str(request.body["messages"])) for request in server.requests]
    assert sizes[-1] < sizes[0]


def test_deep_agent_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """deepagents finds our entry point: "hf_inference:…" names a model of ours."""
    monkeypatch.setenv("HF_TOKEN", "hf_test")
    from deepagents._models import resolve_model

    try:
        model = resolve_model("hf_inference:Qwen/Qwen3-32B:fastest")
    finally:
        chat_base._BUILTIN_PROVIDERS.pop(PROVIDER, None)
        chat_base._get_chat_model_creator.cache_clear()

    assert (type(model), model.model) == (ChatHFInference, "Qwen/Qwen3-32B:fastest")


def test_mcp_tools(model: ChatHFInference) -> None:
    """Tools of an MCP server, in a process of its own, are called by an agent."""
    from langchain.agents import create_agent

    async def ran() -> Any:
        script = str(Path(__file__).with_name("mcp_server.py"))
        client = MultiServerMCPClient({"weather": {"command": sys.executable, "args": [script], "transport": "stdio"}})
        return (await create_agent(model, await client.get_tools()).ainvoke(ASKED))["messages"]

    messages = asyncio.run(ran())

    assert [m.text for m in messages if isinstance(m, ToolMessage)] == ["22 degrees in Paris"]
    assert messages[-1].text == "The result is: 22 degrees in Paris"


def test_refusal_is_a_block_and_an_error(far_end: Any) -> None:
    """A refusal is a content block (langchain-core 1.7.5), which structured output turns into an error."""
    from langchain_core.exceptions import ModelRefusalError

    message = {"role": "assistant", "content": None, "refusal": "I cannot"}
    far: FarEnd = far_end({"model": "m", "choices": [{"message": message, "finish_reason": "stop"}]})

    answer = far.model().invoke("Hello")

    assert answer.content_blocks == [{"type": "refusal", "refusal": "I cannot"}]
    with pytest.raises(ModelRefusalError):
        far.model().with_structured_output(Report, method="function_calling").invoke("Hello")

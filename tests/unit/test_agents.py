"""LangChain agents against the scripted server: loops, structured answers, streaming."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import ModelRetryMiddleware, SummarizationMiddleware
from langchain.agents.structured_output import ProviderStrategy, ToolStrategy
from langchain_core.messages import AIMessageChunk, HumanMessage
from pydantic import BaseModel

from langchain_hf_inference import AuthenticationError, ChatHFInference
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
    history = [HumanMessage(f"message number {i} of a long talk") for i in range(20)]

    messages = agent.invoke({"messages": history})["messages"]

    assert len(messages) < 20

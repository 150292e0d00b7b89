"""LangChain agents on live engines: tools in a loop, structured answers, streamed."""

from __future__ import annotations

import asyncio
import warnings
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain.agents.structured_output import ProviderStrategy, ToolStrategy
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, ToolMessage
from pydantic import BaseModel

from engines import Running
from langchain_hf_inference import ChatHFInference

WEATHER = "What is the weather in Paris?"


class WeatherReport(BaseModel):
    """WeatherReport"""

    city: str
    conditions: str


def get_weather(city: str) -> str:
    """get_weather"""
    return "sunny, 22C"


def add(a: int, b: int) -> int:
    """add"""
    return a + b


def multiply(a: int, b: int) -> int:
    """multiply"""
    return a * b


@pytest.fixture
def model(engine: Running) -> ChatHFInference:
    return ChatHFInference(
        model=engine.model, endpoint_url=engine.url, engine=engine.engine.dialect, temperature=0, max_tokens=200
    )  # fmt: skip


@pytest.fixture(autouse=True)
def _quiet() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # mlx-lm ignores tool_choice, and we say so
        yield


def asked(prompt: str) -> dict[str, Any]:
    return {"messages": [HumanMessage(prompt)]}


def test_two_steps(model: ChatHFInference) -> None:
    """The agent calls one tool, then the other with its result, then answers."""
    agent = create_agent(model, [add, multiply])

    messages = agent.invoke(asked("Add 3 and 4, then multiply by 5."))["messages"]

    calls = [(c["name"], c["args"]) for m in messages if isinstance(m, AIMessage) for c in m.tool_calls]
    assert calls == [("add", {"a": 3, "b": 4}), ("multiply", {"a": 7, "b": 5})]
    assert messages[-1].text == "The result is 35."


def test_two_steps_async(model: ChatHFInference) -> None:
    """The same with `ainvoke`."""
    messages = asyncio.run(create_agent(model, [add, multiply]).ainvoke(asked("Add 3 and 4, then multiply by 5.")))[
        "messages"
    ]

    assert messages[-1].text == "The result is 35."


def test_parallel_calls(model: ChatHFInference) -> None:
    """Two calls of one answer are both run, and both results are used."""
    messages = create_agent(model, [get_weather, add]).invoke(asked("What is the weather in Paris and in London?"))[
        "messages"
    ]

    assert [m.content for m in messages if isinstance(m, ToolMessage)] == ["sunny, 22C"] * 2
    assert messages[-1].text == "The weather in Paris: sunny, 22C The weather in London: sunny, 22C"


def test_stream_modes(model: ChatHFInference) -> None:
    """`updates` gives each step, `messages` each piece of text as it comes."""
    agent = create_agent(model, [add, multiply])
    steps, pieces = [], []

    for mode, item in agent.stream(asked("Add 3 and 4, then multiply by 5."), stream_mode=["updates", "messages"]):
        if mode == "updates":
            steps += list(item)
        elif isinstance(item[0], AIMessageChunk) and item[0].text:
            pieces.append(item[0].text)

    assert steps == ["model", "tools", "model", "tools", "model"]
    assert len(pieces) > 3
    assert "".join(pieces) == "The result is 35."


@pytest.mark.parametrize("streamed", [False, True])
def test_tool_strategy(model: ChatHFInference, streamed: bool) -> None:
    """A Pydantic class as the last tool: the weather is asked for, then reported."""
    agent = create_agent(model, [get_weather, add], response_format=ToolStrategy(WeatherReport))

    state = (
        agent.invoke(asked(WEATHER)) if not streamed else list(agent.stream(asked(WEATHER), stream_mode="values"))[-1]
    )

    assert state["structured_response"] == WeatherReport(city="Paris", conditions="sunny, 22C")


@pytest.mark.parametrize("streamed", [False, True])
def test_provider_strategy(engine: Running, model: ChatHFInference, streamed: bool) -> None:
    """A Pydantic class as the engine's own grammar; tools and schema go out in one request.

    vLLM lets the grammar decide, so that no tool is called; llama.cpp allows the call first.
    """
    if engine.engine.name not in ("llama", "vllm"):
        pytest.skip(f"{engine.engine.name} ignores response_format")
    agent = create_agent(model, [get_weather, add], response_format=ProviderStrategy(WeatherReport))

    state = (
        agent.invoke(asked(WEATHER)) if not streamed else list(agent.stream(asked(WEATHER), stream_mode="values"))[-1]
    )

    report = state["structured_response"]
    assert isinstance(report, WeatherReport)
    assert report.city == "Paris"

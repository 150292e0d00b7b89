"""deepagents on live engines (`make test-newest`): files, plans and subagents on offer, our tools called."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
from deepagents import create_deep_agent
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage

from engines import Running
from langchain_hf_inference import ChatHFInference


def add(a: int, b: int) -> int:
    """add"""
    return a + b


def multiply(a: int, b: int) -> int:
    """multiply"""
    return a * b


@pytest.fixture(autouse=True)
def _quiet() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.mark.parametrize("streamed", [False, True])
def test_deep_agent(engine: Running, streamed: bool) -> None:
    """The tiny model, under deepagents' own long prompt, calls one tool, then the other, then answers."""
    model = ChatHFInference(model=engine.model, endpoint_url=engine.url, temperature=0, max_tokens=100)
    agent = create_deep_agent(model, tools=[add, multiply])
    asked: Any = {"messages": [HumanMessage("Add 3 and 4, then multiply by 5.")]}

    state = list(agent.stream(asked, stream_mode="values"))[-1] if streamed else agent.invoke(asked)

    messages = state["messages"]
    calls = [(c["name"], c["args"]) for m in messages if isinstance(m, AIMessage) for c in m.tool_calls]
    assert calls[0] == ("add", {"a": 3, "b": 4})
    assert [name for name, _ in calls] == ["add", "multiply"]
    # Ten more tools than it was taught with make the tiny model forget a factor: what is shown is the loop.
    product = [m.text for m in messages if isinstance(m, ToolMessage)][1]
    assert messages[-1].text == f"The result is {product}."

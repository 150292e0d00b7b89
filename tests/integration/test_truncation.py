"""A response that `max_tokens` truncates, on each live engine: no half tool call runs, no half data is returned."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_core.exceptions import OutputParserException
from langchain_core.messages import HumanMessage

from engines import Running
from langchain_hf_inference import HFInferenceError
from test_features import WEATHER, Person, chat

Outcome = Callable[[str], None]
MAX_TOKENS = 8
both_modes = pytest.mark.parametrize("streaming", [False, True], ids=["whole", "streamed"])


def truncated(engine: Running, streaming: bool, **settings: Any) -> Any:
    return chat(
        engine, engine=engine.engine.dialect, max_tokens=MAX_TOKENS, streaming=streaming, max_retries=0, **settings
    )


@both_modes
def test_agent(engine: Running, streaming: bool, outcome: Outcome) -> None:
    """An agent whose model's call was truncated runs nothing; it gets the call as invalid, as text, or the server's error."""
    ran: list[str] = []

    def get_weather(city: str = "") -> str:
        """get_weather"""
        ran.append(city)
        return "sunny"

    try:
        state = create_agent(truncated(engine, streaming), [get_weather]).invoke({"messages": [HumanMessage(WEATHER)]})
    except HFInferenceError as error:
        outcome(f"{type(error).__name__}: {error.message[:60]}")
    else:
        last = state["messages"][-1]
        assert last.tool_calls == []
        assert last.response_metadata["finish_reason"] == "length"
        invalid = [(bad["name"], bad["args"]) for bad in last.invalid_tool_calls]
        outcome(f"invalid {invalid}" if invalid else f"text {last.text!r}")
    assert ran == []


@both_modes
@pytest.mark.parametrize("method", ["json_schema", "function_calling", "json_mode"])
def test_structured_output(engine: Running, streaming: bool, method: Any, outcome: Outcome) -> None:
    """Truncated data is an error that names max_tokens, or the server's own."""
    model = truncated(engine, streaming).with_structured_output(Person, method=method, include_raw=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            found = model.invoke("'Alice' is 30 years old. Answer with JSON.")
        except HFInferenceError:
            outcome("an error, no half data")
            return
    assert found["parsed"] is None
    assert isinstance(found["parsing_error"], OutputParserException)
    is_truncated = found["raw"].response_metadata["finish_reason"] == "length"
    assert ("max_tokens" in str(found["parsing_error"])) == is_truncated
    outcome("an error, no half data")

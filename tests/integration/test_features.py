"""Each feature on each live engine, sync and async. The tiny model's answers are known word for word.

Where an engine lacks a feature the test says what comes instead, so that a change is seen.
"""

from __future__ import annotations

import asyncio
import re
import warnings
from collections.abc import Callable
from typing import Any

import pytest
from calling import Call, both_ways
from langchain_core.exceptions import ContextOverflowError, OutputParserException
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_tests.utils.stream_lifecycle import assert_valid_event_stream
from pydantic import BaseModel

from engines import Running
from langchain_hf_inference import APIStatusError, ChatHFInference, InvalidRequestError, ModelNotFoundError, ServerError
from langchain_hf_inference._transport import lookups
from langchain_hf_inference.compat import ChatHuggingFace, HuggingFaceEndpoint

pytestmark = both_ways
Outcome = Callable[[str], None]
GREETING = "Hello! How can I help you today?"
WEATHER = "What is the weather in Paris?"


class Person(BaseModel):
    """A person."""

    name: str
    age: int


def get_weather(city: str) -> str:
    """get_weather"""
    return f"sunny, 22C in {city}"


def chat(engine: Running, /, **settings: Any) -> ChatHFInference:
    return ChatHFInference(
        **{"model": engine.model, "endpoint_url": engine.url, "temperature": 0, "max_tokens": 100, **settings}
    )


def is_one_of(engine: Running, *names: str) -> bool:
    return engine.engine.name in names


def test_chat(engine: Running, call: Call, outcome: Outcome) -> None:
    """An answer with its text, token counts, reason to finish and model."""
    message = call.invoke(chat(engine), "Hello")

    assert message.text == GREETING
    assert message.usage_metadata["input_tokens"] > 5
    assert 8 <= message.usage_metadata["output_tokens"] <= 12
    assert message.response_metadata["finish_reason"] == "stop"
    assert "tiny-chat" in message.response_metadata["model_name"]
    assert message.response_metadata["model_provider"] == "huggingface"
    outcome("text, usage, stop")


def test_model_from_server(engine: Running, call: Call, outcome: Outcome) -> None:
    """Without a model the server is asked for its name; where it does not tell, none is sent."""
    assert call.invoke(chat(engine, model=None), "Hello").text == GREETING
    outcome("left out" if is_one_of(engine, "transformers", "mlx") else "asked of /v1/models")


def test_detection(engine: Running, call: Call, outcome: Outcome) -> None:
    """A setting that depends on the engine makes us ask which one it is; it is recognised."""
    lookups.forget_lookups()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what this engine lacks of the two
        call.invoke(chat(engine, top_k=2, typical_p=0.9), "Hello")

    ((_, known),) = lookups._servers._rows.values()
    assert known.engine == engine.engine.dialect
    outcome("recognised")


def test_stream_usage(engine: Running, call: Call, outcome: Outcome) -> None:
    """A stream gives the text in pieces, and its counts once, at the end."""
    chunks = call.stream(chat(engine), "Hello")

    total = sum(chunks[1:], chunks[0])
    assert total.text == GREETING
    assert len([c for c in chunks if c.text]) > 3
    assert [c.usage_metadata is not None for c in chunks].count(True) == 1
    assert 8 <= total.usage_metadata["output_tokens"] <= 12
    assert total.response_metadata["finish_reason"] == "stop"
    assert total.chunk_position == "last"
    outcome("pieces, usage once")


def test_emoji_stream(engine: Running, call: Call, outcome: Outcome) -> None:
    """Characters of four byte tokens each arrive whole."""
    assert call.total(chat(engine), "Send me an emoji.").text == "Here: 🤗🚀"
    outcome("whole")


def test_tool_call(engine: Running, call: Call, outcome: Outcome) -> None:
    """A tool call comes parsed, with an id."""
    message = call.invoke(chat(engine).bind_tools([get_weather]), WEATHER)

    (found,) = message.tool_calls
    assert (found["name"], found["args"]) == ("get_weather", {"city": "Paris"})
    assert found["id"]
    assert message.response_metadata["finish_reason"] == "tool_calls"
    outcome("1 call")


def test_tool_call_stream(engine: Running, call: Call, outcome: Outcome) -> None:
    """Two parallel calls stream as chunks that add up to two calls."""
    total = call.total(chat(engine).bind_tools([get_weather]), "What is the weather in Paris and in London?")

    assert [c["args"] for c in total.tool_calls] == [{"city": "Paris"}, {"city": "London"}]
    assert len({c["id"] for c in total.tool_calls}) == 2
    assert total.response_metadata["finish_reason"] == "tool_calls"
    outcome("2 parallel calls")


def test_tool_result_turn(engine: Running, call: Call, outcome: Outcome) -> None:
    """After the tool's result the model answers with it."""
    asked = AIMessage("", tool_calls=[{"name": "get_weather", "args": {"city": "Paris"}, "id": "call_1"}])
    messages = [HumanMessage(WEATHER), asked, ToolMessage("sunny, 22C", tool_call_id="call_1")]

    message = call.invoke(chat(engine).bind_tools([get_weather]), messages)

    assert message.text == "The weather in Paris: sunny, 22C"
    outcome("answers with it")


def test_tool_choice_named(engine: Running, call: Call, outcome: Outcome) -> None:
    """A tool demanded by name is called though the prompt does not ask for it."""
    bound = chat(engine).bind_tools([get_weather, Person], tool_choice="Person")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        message = call.invoke(bound, "Hello")
    if is_one_of(engine, "mlx", "transformers"):
        assert message.text == GREETING
        outcome("ignored by engine, warned")
        return
    assert [c["name"] for c in message.tool_calls] == ["Person"]
    assert message.response_metadata["finish_reason"] == "tool_calls"
    outcome("obeyed")


def test_json_schema(engine: Running, call: Call, outcome: Outcome) -> None:
    """A schema gives an instance of the Pydantic class, forced by the engine's grammar where it has one."""
    model = chat(engine).with_structured_output(Person, method="json_schema")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if is_one_of(engine, "mlx", "transformers"):
            with pytest.raises(OutputParserException):
                call.invoke(model, "Alice is 30 years old.")
            outcome("ignored by engine, warned")
            return
        assert call.invoke(model, "Alice is 30 years old.") == Person(name="Alice", age=30)
    outcome("Pydantic object")


def test_structured_default(engine: Running, call: Call, outcome: Outcome) -> None:
    """The method chosen for an engine gives an instance, whole and streamed."""
    model = chat(engine, engine=engine.engine.dialect).with_structured_output(Person)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert call.invoke(model, "Alice is 30 years old.") == Person(name="Alice", age=30)
        assert call.stream(model, "Alice is 30 years old.")[-1] == Person(name="Alice", age=30)
    outcome("Pydantic object")


def test_stop(engine: Running, call: Call, outcome: Outcome) -> None:
    """A stop string ends the answer and is not part of it, whole and streamed."""
    model = chat(engine, stop=["you"])

    whole, streamed = call.invoke(model, "Hello"), call.total(model, "Hello")

    assert "you" not in whole.text
    assert whole.text == streamed.text
    if is_one_of(engine, "mlx"):
        assert whole.text.startswith("Hello! How can I help ")
        outcome("engine leaves the word out and goes on")
    else:
        assert whole.text == "Hello! How can I help "
        outcome("cut before it")


def test_max_tokens(engine: Running, call: Call, outcome: Outcome) -> None:
    """max_tokens cuts the answer, which says so."""
    message = call.invoke(chat(engine, max_tokens=3), "Sing forever.")

    assert re.fullmatch(r"la( la)*\s?", message.text)
    assert message.usage_metadata["output_tokens"] == 3
    assert message.response_metadata["finish_reason"] == "length"
    outcome("length")


def test_logprobs(engine: Running, call: Call, outcome: Outcome) -> None:
    """Log probabilities arrive, one row for each token, whole and streamed."""
    model = chat(engine, top_logprobs=2, max_tokens=5)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        whole, streamed = call.invoke(model, "Hello"), call.total(model, "Hello")
    if is_one_of(engine, "transformers"):
        assert "logprobs" not in whole.response_metadata
        outcome("ignored by engine, warned")
        return
    for message in (whole,) if is_one_of(engine, "mlx") else (whole, streamed):
        rows = message.response_metadata["logprobs"]["content"]
        assert "".join(row["token"] for row in rows).startswith("Hello!")
        assert all(row["logprob"] <= 0.001 for row in rows)
    outcome("whole only: its streams have none" if is_one_of(engine, "mlx") else "whole and streamed")


def test_reasoning(engine: Running, call: Call, outcome: Outcome) -> None:
    """Thinking switched on gives reasoning apart from the text; switched off it gives none."""
    thought, question = "This is a simple question. I will answer it.", "What is the capital of France?"
    thinking = chat(engine, chat_template_kwargs={"enable_thinking": True})

    for message in (call.invoke(thinking, question), call.total(thinking, question)):
        assert message.additional_kwargs["reasoning_content"].strip() == thought
        assert message.text.strip() == "The capital of France is Paris."
    off = call.invoke(chat(engine, chat_template_kwargs={"enable_thinking": False}), question)
    assert "reasoning_content" not in off.additional_kwargs
    outcome("on and off")


def test_prompt_too_long(engine: Running, call: Call, outcome: Outcome) -> None:
    """A prompt beyond the context is ContextOverflowError, streamed and not, before any output."""
    prompt = "Hello " * 5000
    if is_one_of(engine, "mlx", "transformers"):
        outcome("engine does not check")
        return
    for attempt in (call.invoke, call.stream):
        with pytest.raises(ContextOverflowError) as failure:
            attempt(chat(engine), prompt)
        assert isinstance(failure.value, InvalidRequestError)
    outcome("ContextOverflowError")


def test_unknown_model(engine: Running, call: Call, outcome: Outcome) -> None:
    """A model that is not served is an error that names it, unless the engine does not care."""
    model = chat(engine, model="no-such-model", max_retries=0)
    if is_one_of(engine, "llama"):
        assert call.invoke(model, "Hello").text == GREETING
        outcome("engine ignores the name")
        return
    with pytest.raises(APIStatusError) as failure:
        call.invoke(model, "Hello")
    if is_one_of(engine, "transformers"):
        assert isinstance(failure.value, InvalidRequestError | ServerError)
    else:
        assert isinstance(failure.value, ModelNotFoundError)
    outcome(type(failure.value).__name__)


def test_bad_parameter(engine: Running, call: Call, outcome: Outcome) -> None:
    """A parameter that a server refuses is InvalidRequestError with the server's words."""
    model = chat(engine, extra_body={"temperature": "hot"}, max_retries=0)
    with pytest.raises(APIStatusError) as failure:
        call.invoke(model, "Hello")
    assert failure.value.status_code in (400, 422, 500)
    outcome(f"{type(failure.value).__name__} {failure.value.status_code}")


def test_unknown_field(engine: Running, call: Call, outcome: Outcome) -> None:
    """A field that the engine does not know is refused by transformers serve alone."""
    model = chat(engine, extra_body={"no_such_field": 1}, max_retries=0)
    if is_one_of(engine, "transformers"):
        with pytest.raises(InvalidRequestError, match="no_such_field"):
            call.invoke(model, "Hello")
        outcome("InvalidRequestError 422")
        return
    assert call.invoke(model, "Hello").text == GREETING
    outcome("ignored by engine")


def test_token_count(engine: Running, call: Call, outcome: Outcome) -> None:
    """Engines that count give the very number that an answer's usage tells, tools included; elsewhere an estimate."""
    model, talk = chat(engine), [HumanMessage(WEATHER)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        counted = [model.get_num_tokens_from_messages(talk), model.get_num_tokens_from_messages(talk, [get_weather])]
        used = [
            call.invoke(one, talk).usage_metadata["input_tokens"] for one in (model, model.bind_tools([get_weather]))
        ]

    if is_one_of(engine, "llama", "vllm"):
        assert counted == used
        assert model.get_num_tokens(WEATHER) == len(model.get_token_ids(WEATHER))
        outcome("exact")
    else:
        assert 0 < counted[0] < counted[1]
        outcome("estimated, told")


def test_profile_of_server(engine: Running, call: Call, outcome: Outcome) -> None:
    """The server tells its context length, where it does."""
    profile = asyncio.run(chat(engine).arefresh_profile()) if call.is_async else chat(engine).refresh_profile()

    if is_one_of(engine, "llama", "vllm"):
        assert profile["max_input_tokens"] == 2048
        outcome("2048 tokens")
    else:
        assert "max_input_tokens" not in profile
        outcome("not told by engine")


def test_events(engine: Running, call: Call, outcome: Outcome) -> None:
    """LangChain's events (v3) of a tool call, then of a text: a valid lifecycle, the same message as without."""
    model = chat(engine)

    async def collected(one: Any, asked: Any) -> Any:
        stream = await one.astream_events(asked, version="v3")
        return [event async for event in stream], await stream.output

    for one, asked in ((model.bind_tools([get_weather]), WEATHER), (model, "Hello")):
        if call.is_async:
            events, output = asyncio.run(collected(one, asked))
        else:
            stream = one.stream_events(asked, version="v3")
            events, output = list(stream), stream.output
        assert_valid_event_stream(events)
        plain = call.invoke(one, asked)
        assert output.text == plain.text
        assert [(c["name"], c["args"]) for c in output.tool_calls] == [(c["name"], c["args"]) for c in plain.tool_calls]
        assert output.usage_metadata["output_tokens"] > 0
    outcome("call and text, valid")


def test_drop_in(engine: Running, call: Call, outcome: Outcome) -> None:
    """langchain-huggingface's names: chat over an endpoint object, and the endpoint alone."""
    endpoint = HuggingFaceEndpoint(endpoint_url=engine.url, max_new_tokens=100, do_sample=False)
    llm = HuggingFaceEndpoint(endpoint_url=engine.url, model=engine.model, max_new_tokens=5, do_sample=False)

    assert call.invoke(ChatHuggingFace(llm=endpoint, model_id=engine.model), "Hello").text == GREETING
    assert call.invoke(llm, "Hello")
    outcome("chat and text")

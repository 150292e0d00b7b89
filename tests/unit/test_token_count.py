"""_token_count.py and token_count.py: tokens counted by a tokenizer, by the server, or estimated."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage, trim_messages
from langchain_core.tools import tool

from conftest import COMPLETION, FarEnd
from langchain_hf_inference import ChatHFInference, ConfigurationError, HFInferenceLLM
from langchain_hf_inference._protocol.token_count import read_token_count, read_token_ids
from langchain_hf_inference.testing import InferenceServer

FarEndMaker = Callable[..., FarEnd]


@tool
def add(a: int, b: int) -> int:
    """Add."""
    return a + b


TALK = [
    SystemMessage("Be brief."),
    HumanMessage("Add 1 and 2"),
    AIMessage("", tool_calls=[{"name": "add", "args": {"a": 1, "b": 2}, "id": "c1"}]),
    ToolMessage("3", tool_call_id="c1"),
]


class Templated:
    """A tokenizer like those of transformers 5: it has a chat template, and gives a mapping."""

    chat_template = "{{ messages }}"

    def apply_chat_template(self, messages: Any, *, tools: Any, add_generation_prompt: bool, tokenize: bool) -> Any:
        assert add_generation_prompt
        assert tokenize
        self.seen = (messages, tools)
        return {"input_ids": [0] * (10 * len(messages) + len(tools or ()))}

    def encode(self, text: str) -> list[int]:
        return list(range(len(text.split())))


class Encoding:
    ids = [1, 2, 3]


class Plain:
    """One like those of tokenizers: no template, an object of ids."""

    def encode(self, text: str) -> Encoding:
        return Encoding()


def test_tokenizer_with_template() -> None:
    """The conversation is put into the template, arguments as objects, tools beside."""
    tokenizer = Templated()
    model = ChatHFInference(model="org/name", tokenizer=tokenizer)

    assert model.get_num_tokens_from_messages(TALK, [add]) == 41
    messages, tools = tokenizer.seen
    assert messages[2]["tool_calls"][0]["function"]["arguments"] == {"a": 1, "b": 2}
    assert messages[2]["content"] == ""
    assert tools[0]["function"]["name"] == "add"
    assert model.get_token_ids("one two") == [0, 1]
    assert "tokenizer" not in repr(model) + json.dumps(model.model_dump(mode="json"))


def test_tokenizer_without_template() -> None:
    """Without a template the conversation is counted as it is written out, tools too."""
    model = ChatHFInference(model="org/name", tokenizer=Plain())

    assert model.get_num_tokens("Hello") == 3
    assert model.get_num_tokens_from_messages(TALK) == 12
    assert model.get_num_tokens_from_messages(TALK, [add]) == 15


def test_function_comes_first() -> None:
    """`custom_get_token_ids` counts, whatever else is at hand."""
    model = ChatHFInference(
        model="org/name", custom_get_token_ids=lambda text: [7] * len(text.split()), tokenizer=Plain()
    )

    assert model.get_token_ids("one two") == [7, 7]
    assert model.get_num_tokens_from_messages([HumanMessage("one two")]) == 3  # "Human: one two"
    assert HFInferenceLLM(model="org/name", custom_get_token_ids=list).get_num_tokens("abc") == 3


ENGINES: dict[str, Any] = {
    "tgi": (
        "/chat_tokenize",
        {"tokenize_response": [{"id": 5}, {"id": 6}], "templated_text": "x"},
        {"inputs": "Hi"},
        [{"id": 5, "text": "Hi"}],
    ),
    "vllm": (
        "/tokenize",
        {"count": 2, "max_model_len": 9, "tokens": [5, 6]},
        {"prompt": "Hi", "model": "org/name"},
        {"tokens": [5]},
    ),
    "sglang": (
        "/tokenize",
        {"count": 2, "max_model_len": 9, "tokens": [5, 6]},
        {"prompt": "Hi", "model": "org/name"},
        {"tokens": [5]},
    ),
    "llama.cpp": (
        "/v1/chat/completions/input_tokens",
        {"input_tokens": 2},
        {"content": "Hi", "add_special": True, "parse_special": True},
        {"tokens": [5]},
    ),
}


@pytest.mark.parametrize("engine", ENGINES)
def test_server_counts(far_end: FarEndMaker, engine: Any) -> None:
    """An engine with a tokenizer is asked for the very prompt that it would be sent, settings left out."""
    path, answer, text_body, ids = ENGINES[engine]
    far = far_end(
        lambda r: httpx.Response(200, json=answer if r.url.path == path and b"messages" in r.content else ids)
    )
    model = far.model(endpoint_url="http://h:1/v1", engine=engine, temperature=0.5, max_tokens=9)

    assert model.get_num_tokens_from_messages(TALK, [add]) == 2
    assert model.get_token_ids("Hi") == [5]
    assert model.get_num_tokens("Hi") == 1
    assert far.requests[0].url.path == path
    assert far.bodies[0].keys() == {"model", "messages", "tools"}
    assert far.requests[1].url.path == "/tokenize"
    assert far.bodies[1] == text_body
    assert far.requests[0].headers["authorization"] == "Bearer hf_test"


def test_scripted_server_counts() -> None:
    """Against the scripted TGI the count is what an answer's usage tells."""
    with InferenceServer(engine="tgi") as server:
        model = ChatHFInference(endpoint_url=server.url)

        counted = model.get_num_tokens_from_messages(TALK[:2], [add])

        assert counted == model.bind_tools([add]).invoke(TALK[:2]).usage_metadata["input_tokens"]
        assert HFInferenceLLM(endpoint_url=server.url).get_num_tokens("one two three") == 3


@pytest.mark.parametrize("status", [404, 500])
def test_server_that_does_not_count(far_end: FarEndMaker, status: int) -> None:
    """An old version, or a failure, is asked once, not retried, and gives way to the estimate."""
    far = far_end(httpx.Response(status, json={"error": "no"}))
    model = far.model(endpoint_url="http://h:1", engine="tgi")

    with pytest.warns(UserWarning, match="estimated at 4 bytes"):
        assert model.get_num_tokens("Hello you") == 3
    assert len(far.requests) == 1
    with pytest.raises(ConfigurationError, match="the ids of tokens are not known"):
        model.get_token_ids("Hello")


def test_estimate_is_said_once(far_end: FarEndMaker) -> None:
    """Without a tokenizer nothing is downloaded: four bytes are a token, and a warning says so, once."""
    far = far_end(COMPLETION)
    model = far.model(model="org/name")

    with pytest.warns(UserWarning, match="estimated at 4 bytes"):
        english = model.get_num_tokens_from_messages([HumanMessage("a" * 400)])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        chinese = model.get_num_tokens_from_messages([HumanMessage("字" * 400)])
        with_tools = model.get_num_tokens_from_messages([HumanMessage("a" * 400)], [add])

    assert 100 <= english <= 110
    assert 300 <= chinese <= 310
    assert with_tools > english + 10
    assert far.requests == []


def test_trims_a_history() -> None:
    """LangChain's own trimming counts by the model."""
    model = ChatHFInference(model="org/name", custom_get_token_ids=lambda text: text.split())
    history = [HumanMessage(f"message {i}") for i in range(10)]

    assert trim_messages(history, max_tokens=9, token_counter=model, strategy="last") == history[-3:]


@pytest.mark.parametrize("odd", [None, {}, {"tokens": "x"}, [{"text": "a"}], {"count": True}, {"tokens": [None]}, "x"])
def test_odd_answers_count_nothing(odd: Any) -> None:
    """What holds no tokens is no count."""
    assert read_token_count(odd) is None
    assert read_token_ids(odd) is None

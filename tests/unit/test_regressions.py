"""What is broken elsewhere works here; each test names the issues, and docs/regressions.md lists them.

SUBJECT=huggingface (or openai) runs the same tests on langchain-huggingface (on ChatOpenAI): there they fail,
which shows that they test what was broken. Ours is run on loopback, as they are.
"""

from __future__ import annotations

import asyncio
import base64
import gc
import importlib
import json
import os
import socket
import time
from importlib.metadata import requires
from typing import Any

import pytest
from langchain_core.exceptions import ModelRateLimitError
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from loopback import TGI_INFO, Loopback, events, message
from pydantic import BaseModel
from regressions import PAGE, issue, page

SUBJECT = os.environ.get("SUBJECT", "ours")
NAMES = importlib.import_module(
    "langchain_huggingface" if SUBJECT == "huggingface" else "langchain_hf_inference.compat"
)
PNG = base64.b64encode(b"\x89PNG").decode()


class Person(BaseModel):
    """A person."""

    name: str
    age: int


def get_weather(city: str) -> str:
    """Tell the weather."""
    return "sun"


def add(a: int, b: int) -> int:
    """Add."""
    return a + b


def chat(server: Loopback, **kwargs: Any) -> Any:
    """Give a chat model at `server`: ours, or the one under test."""
    if SUBJECT == "huggingface":
        endpoint = {name: kwargs.pop(name) for name in ("timeout",) if name in kwargs}
        return NAMES.ChatHuggingFace(llm=NAMES.HuggingFaceEndpoint(endpoint_url=server.url, **endpoint), **kwargs)
    if SUBJECT == "openai":
        from langchain_openai import ChatOpenAI

        return ChatOpenAI(base_url=server.url + "/v1", api_key="k", model="m", **kwargs)
    from langchain_hf_inference import ChatHFInference

    return ChatHFInference(**{"endpoint_url": server.url, "model": "m", "engine": "openai", **kwargs})


def endpoint(server: Loopback, **kwargs: Any) -> Any:
    """Give a text model at `server`, by langchain-huggingface's names."""
    return NAMES.HuggingFaceEndpoint(endpoint_url=server.url, **kwargs)


def tgi(method: str, path: str, body: Any) -> Any:
    """Play Text Generation Inference's own API."""
    if method == "GET":
        return TGI_INFO if path == "/info" else None
    return {"generated_text": "Hi", "details": {"finish_reason": "stop", "generated_tokens": 1}}


def tei(method: str, path: str, body: Any) -> Any:
    """Play Text Embeddings Inference."""
    if method == "GET":
        return (
            {"model_id": "org/e", "model_type": {"embedding": {}}, "max_client_batch_size": 32}
            if path == "/info"
            else None
        )
    return [[0.5, 1.0]] * len(body["inputs"])


def call_of(name: str, arguments: Any, identity: Any = "c1", **more: Any) -> dict[str, Any]:
    return {"id": identity, "type": "function", "function": {"name": name, "arguments": arguments}, **more}


def total(model: Any) -> Any:
    first, *rest = model.stream("Hello")
    return sum(rest, first)


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing out but to loopback."""
    connect, find = socket.socket.connect, socket.getaddrinfo

    def guarded(self: Any, address: Any) -> Any:
        assert str(address[0]).startswith("127."), f"{address} was called"
        return connect(self, address)

    def found(host: Any, *args: Any, **kwargs: Any) -> Any:
        assert str(host).startswith("127."), f"{host} was looked up"
        return find(host, *args, **kwargs)

    monkeypatch.setattr(socket.socket, "connect", guarded)
    monkeypatch.setattr(socket, "getaddrinfo", found)


@issue("langchain#40447", broken="an explicit token was dropped on the way to an endpoint of one's own")
def test_explicit_token_is_sent() -> None:
    with Loopback() as server:
        llm = endpoint(server, huggingfacehub_api_token="hf_mine")
        NAMES.ChatHuggingFace(llm=llm).invoke("Hello")

    assert server.headers[-1].get("authorization") == "Bearer hf_mine"


@issue("langchain#23872", broken="a local server needed a Hugging Face token, and was sent the one of the environment")
def test_ambient_token_stays_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_ambient")
    with Loopback() as server:
        chat(server, **({"api_key": None} if SUBJECT == "ours" else {})).invoke("Hello")

    assert "hf_ambient" not in str(server.headers)


@issue("langchain#30333", "langchain#31357", "langchain#23808", "langchain#20342", "langchain#22456",
       broken="constructing or calling a local model called the Hub, or logged in")  # fmt: skip
@pytest.mark.usefixtures("no_network")
def test_nobody_else_is_called() -> None:
    with Loopback() as server:
        model = NAMES.ChatHuggingFace(llm=endpoint(server, huggingfacehub_api_token="hf_mine"))
        assert server.asked == []
        model.invoke("Hello")

    assert {path for method, path in server.asked if method == "POST"} == {"/v1/chat/completions"}
    assert server.bodies[-1].get("model") != "dummy"


@issue(
    "langchain#32197",
    "langchain#29569",
    "langchain#23660",
    broken="structured output with a Pydantic class raised, or gave a dict",
)
@pytest.mark.parametrize("method", ["json_schema", "function_calling", "json_mode", None])
def test_pydantic_comes_back(method: Any) -> None:
    text = '{"name": "Ann", "age": 3}'

    def answer(method: str, path: str, body: Any) -> Any:
        return body and (
            message(content=None, tool_calls=[call_of("Person", text)]) if body.get("tools") else message(content=text)
        )

    with Loopback(answer) as server:
        options = {} if method is None else {"method": method}
        found = chat(server).with_structured_output(Person, **options).invoke("Who?")

    assert found == Person(name="Ann", age=3)


@issue("langchain#28226", broken="`init_chat_model` and configurable factories had no `model` to give")
def test_model_is_an_argument() -> None:
    from langchain_core.runnables import ConfigurableField

    with Loopback() as server:
        model = chat(server).configurable_fields(model=ConfigurableField("m"))
        model.invoke("Hello", config={"configurable": {"m": "org/other"}})

    assert server.bodies[-1]["model"] == "org/other"


@issue("langchain#34134", broken="async calls needed a client that was not there")
def test_async_is_native() -> None:
    async def many(model: Any) -> list[str]:
        return [answer.text for answer in await asyncio.gather(*(model.ainvoke("Hello") for _ in range(20)))]

    def slow(method: str, path: str, body: Any) -> Any:
        time.sleep(0.2)
        return message(content="Hi")

    with Loopback(slow) as server:
        began = time.monotonic()
        assert asyncio.run(many(chat(server))) == ["Hi"] * 20

    assert time.monotonic() - began < 3  # one after the other they would take 4 s


@issue(
    "langchain#35783",
    "local-deep-research#6293",
    "deer-flow#2405",
    broken="a second `asyncio.run` met a closed event loop",
)
def test_two_event_loops() -> None:
    with Loopback() as server:
        model = chat(server)

        assert [asyncio.run(model.ainvoke("Hello")).text for _ in range(3)] == ["Hi"] * 3


@issue("langchain#32221", broken="text generation used methods of huggingface_hub that went away")
def test_text_generation() -> None:
    with Loopback(tgi) as server:
        assert endpoint(server, max_new_tokens=5).invoke("Hello") == "Hi"

    assert server.bodies[-1]["inputs"] == "Hello"


@issue("langchain#25219", broken="`max_new_tokens` was ignored by text generation")
def test_text_length() -> None:
    with Loopback(tgi) as server:
        endpoint(server, max_new_tokens=1000).invoke("Hello")

    assert server.bodies[-1]["parameters"]["max_new_tokens"] == 1000


@issue("langchain#28572", broken="text generation gave the prompt back")
def test_no_echo() -> None:
    with Loopback(tgi) as server:
        endpoint(server).invoke("Hello")

    assert server.bodies[-1]["parameters"]["return_full_text"] is False


@issue("langchain#23586", broken="`max_new_tokens` was ignored in chat, and 512 could not be taken back")
def test_chat_length() -> None:
    with Loopback() as server:
        NAMES.ChatHuggingFace(llm=endpoint(server, max_new_tokens=7)).invoke("Hello")
        NAMES.ChatHuggingFace(llm=endpoint(server), max_tokens=None).invoke("Hello")

    assert [body.get("max_tokens") for body in server.bodies] == [7, None]


@issue("langchain#32234", broken="what was given as 0 gave way to the endpoint's default")
def test_zero_is_a_value() -> None:
    with Loopback() as server:
        NAMES.ChatHuggingFace(llm=endpoint(server), temperature=0).invoke("Hello")
        NAMES.ChatHuggingFace(llm=endpoint(server, temperature=0, seed=0)).invoke("Hello")

    assert [body.get("temperature") for body in server.bodies] == [0, 0]
    assert server.bodies[1].get("seed") == 0


@issue("langchain#24742", broken="a Hub id alone was refused for want of a URL")
def test_repo_id_is_enough() -> None:
    model = NAMES.ChatHuggingFace(llm=NAMES.HuggingFaceEndpoint(repo_id="org/name", huggingfacehub_api_token="hf_x"))

    assert model.model_id == "org/name"


@issue("langchain#29565", broken="a URL was not called, but some other endpoint")
def test_url_is_called_as_given() -> None:
    with Loopback() as server:
        model = NAMES.ChatHuggingFace(llm=NAMES.HuggingFaceEndpoint(endpoint_url=server.url + "/deep/v1"))
        model.invoke("Hello")

    assert server.asked[-1] == ("POST", "/deep/v1/chat/completions")


@issue("langchain#39072", "langchain-docs#3767", "langchain-docs#3766", "langchain-docs#4323",
       broken="embeddings took no URL: TEI could not be used")  # fmt: skip
def test_embeddings_of_a_url() -> None:
    with Loopback(tei) as server:
        made = NAMES.HuggingFaceEndpointEmbeddings(model=server.url)

        assert made.embed_documents(["a", "b"]) == [[0.5, 1.0]] * 2


@issue("langflow#6345", broken="a custom endpoint for embeddings got the model's name put behind its URL")
def test_embeddings_url_as_given() -> None:
    def answer(method: str, path: str, body: Any) -> Any:
        if body is None:
            return None
        rows = body.get("inputs", body.get("input"))
        found = [{"embedding": [0.5, 1.0], "index": i} for i in range(len(rows))]
        return {"data": found} if "input" in body else [[0.5, 1.0]] * len(rows)

    with Loopback(answer) as server:
        NAMES.HuggingFaceEndpointEmbeddings(model="org/e", endpoint_url=server.url + "/v1").embed_documents(["a"])

    assert "org/e" not in server.asked[-1][1]


@issue("langchain#16443", broken="all texts went out in one request, which the server refused as too large (413)")
def test_embeddings_are_batched() -> None:
    with Loopback(tei) as server:
        found = NAMES.HuggingFaceEndpointEmbeddings(model=server.url).embed_documents(["text"] * 100)

    assert len(found) == 100
    assert max(len(body["inputs"]) for body in server.bodies) <= 32


@issue("langchain#35060", broken="the package pinned huggingface-hub and transformers against each other")
def test_few_requirements() -> None:
    package = {"huggingface": "langchain-huggingface", "openai": "langchain-openai"}.get(
        SUBJECT, "langchain-hf-inference"
    )
    names = [line.split(";")[0] for line in requires(package) or [] if "extra ==" not in line]

    assert not [name for name in names if name.startswith(("transformers", "tokenizers", "torch", "tiktoken"))]
    assert [name for name in names if name.startswith("huggingface-hub")] == ["huggingface-hub<3,>=1"]


@issue(
    "langchain#28171",
    "TGI#2986",
    broken="a tool's result was not given back, or under another id, and the call was made again",
)
def test_tool_results_go_back() -> None:
    with Loopback(message(content=None, tool_calls=[call_of("add", '{"a": 1, "b": 2}', identity="0")])) as server:
        model = chat(server).bind_tools([add])
        first, second = model.invoke("Add"), model.invoke("Add")
        talk = [HumanMessage("Add"), first, ToolMessage("3", tool_call_id=first.tool_calls[0]["id"])]
        model.invoke([*talk, second, ToolMessage("3", tool_call_id=second.tool_calls[0]["id"])])

    sent = server.bodies[-1]["messages"]
    asked = [call["id"] for m in sent for call in m.get("tool_calls") or ()]
    assert asked == [m["tool_call_id"] for m in sent if m["role"] == "tool"]
    assert len(set(asked)) == 2
    assert [m["content"] for m in sent if m["role"] == "tool"] == ["3", "3"]


@issue("langchain#22379", "langchain#30453", "langchain#21352", broken="`bind_tools` was not there, or had no effect")
def test_tools_are_sent() -> None:
    with Loopback(message(content=None, tool_calls=[call_of("add", '{"a": 1, "b": 2}')])) as server:
        answer = chat(server).bind_tools([add, get_weather], parallel_tool_calls=False).invoke("Add")

    assert [tool["function"]["name"] for tool in server.bodies[-1]["tools"]] == ["add", "get_weather"]
    assert answer.tool_calls[0]["args"] == {"a": 1, "b": 2}


@issue("langchain#28842", broken='`tool_choice="any"` asked for a tool named "any", and more than one tool was refused')
def test_tool_choice() -> None:
    with Loopback() as server:
        model = chat(server)
        model.bind_tools([add, get_weather], tool_choice="any").invoke("Hello")
        model.bind_tools([add, get_weather], tool_choice="add").invoke("Hello")

    assert [body["tool_choice"] for body in server.bodies] == [
        "required", {"type": "function", "function": {"name": "add"}}]  # fmt: skip


@issue("langchain#32708", broken="streams gave no token counts unless asked to")
def test_streamed_usage() -> None:
    counts = {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4}

    def answer(method: str, path: str, body: Any) -> Any:
        asked = body and body.get("stream_options", {}).get("include_usage")
        return body and events({"content": "Hi"}, usage=counts if asked else None)

    with Loopback(answer) as server:
        assert total(chat(server)).usage_metadata["total_tokens"] == 4


REASONED = ["reasoning_content", "reasoning"]


@issue("langchain#34328", "langchain#34706", "langchain#32981", "langchain#35059", "langchain#38764", "huggingface_hub#3338",
       "litellm#20246", "haystack#9701", broken="reasoning was dropped, under one of its two names or both")  # fmt: skip
@pytest.mark.parametrize("name", REASONED)
def test_reasoning_is_kept(name: str) -> None:
    def answer(method: str, path: str, body: Any) -> Any:
        if body and body.get("stream"):
            return events({name: "Hm"}, {name: "m"}, {"content": "Yes"})
        return body and message(content="Yes", **{name: "Hmm"})

    with Loopback(answer) as server:
        whole, streamed = chat(server).invoke("Hello"), total(chat(server))

    for one in (whole, streamed):
        assert [block["type"] for block in one.content_blocks] == ["reasoning", "text"]
        assert one.content_blocks[0]["reasoning"] == "Hmm"
        assert one.text == "Yes"


@issue("langchain#39910", "langchain#40366", broken="reasoning was lost in streams, and could not be sent back")
def test_reasoning_goes_back() -> None:
    said = AIMessage(
        "Yes", additional_kwargs={"reasoning_content": "Hmm"}, response_metadata={"model_provider": "huggingface"}
    )
    with Loopback() as server:
        kwargs = {"replay_reasoning": True} if SUBJECT == "ours" else {}
        chat(server, **kwargs).invoke([HumanMessage("a"), said, HumanMessage("b")])

    assert server.bodies[-1]["messages"][1].get("reasoning_content") == "Hmm"


@issue("pydantic-ai#2292", broken="`<think>` in a stream was taken for text")
def test_think_tags() -> None:
    with Loopback(events({"content": "<thi"}, {"content": "nk>Hm</th"}, {"content": "ink>Yes"})) as server:
        found = total(chat(server, **({"parse_think_tags": True} if SUBJECT == "ours" else {})))

    assert (found.text, found.additional_kwargs["reasoning_content"]) == ("Yes", "Hm")


@issue(
    "langchain#30113",
    "llama-cpp-python#1907",
    "TGI#2844",
    broken="`max_tokens` went out under a name that servers do not know",
)
def test_name_of_max_tokens() -> None:
    with Loopback() as server:
        chat(server, max_tokens=5).invoke("Hello")

    assert server.bodies[-1].get("max_tokens") == 5
    assert "max_completion_tokens" not in server.bodies[-1]


@issue("TGI#2136", "langchain#27523", broken="a call's arguments as an object crashed the reader")
def test_arguments_as_object() -> None:
    with Loopback(message(content=None, tool_calls=[call_of("add", {"a": 1, "b": 2})])) as server:
        assert chat(server).invoke("Add").tool_calls[0]["args"] == {"a": 1, "b": 2}


@issue("TGI#2794", "TGI#2954", "TGI#2864", broken="a streamed call as an object, not a list, crashed the reader")
def test_delta_as_object() -> None:
    with Loopback(events({"tool_calls": {"index": 0, **call_of("add", '{"a": 1, "b": 2}')}})) as server:
        assert total(chat(server)).tool_calls[0]["args"] == {"a": 1, "b": 2}


@issue("lmdeploy#3412", broken="several streamed calls under one index ran into each other")
def test_one_index_for_two_calls() -> None:
    deltas = [{"tool_calls": [{"index": 0, **call_of("add", '{"a": 1}', identity="c1")}]},
              {"tool_calls": [{"index": 0, **call_of("get_weather", '{"city": "Rome"}', identity="c2")}]}]  # fmt: skip
    with Loopback(events(*deltas)) as server:
        assert [(c["name"], c["args"]) for c in total(chat(server)).tool_calls] == [
            ("add", {"a": 1}), ("get_weather", {"city": "Rome"})]  # fmt: skip


@issue("vllm#9693", broken="streamed arguments of null crashed the reader")
def test_null_arguments() -> None:
    deltas = [{"tool_calls": [{"index": 0, **call_of("add", None)}]},
              {"tool_calls": [{"index": 0, "function": {"arguments": '{"a": 1}'}}]}]  # fmt: skip
    with Loopback(events(*deltas)) as server:
        assert total(chat(server)).tool_calls[0]["args"] == {"a": 1}


@issue("haystack#9369", broken="tool calls were lost when streaming")
def test_streamed_calls() -> None:
    deltas = [{"tool_calls": [{"index": i, **call_of("add", f'{{"a": {i}}}', identity=f"c{i}")}]} for i in range(2)]
    with Loopback(events(*deltas)) as server:
        found = total(chat(server))

    assert [c["args"] for c in found.tool_calls] == [{"a": 0}, {"a": 1}]
    assert found.additional_kwargs == {}


@issue("huggingface_hub#2461", broken="a stream's last event without choices raised")
@pytest.mark.parametrize(
    "last", [{"choices": []}, {"choices": None}, {"id": "c1", "usage": {"prompt_tokens": 1}, "error": None}]
)
def test_odd_last_event(last: Any) -> None:
    with Loopback(
        events({"content": "Hi"}, {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}, last, done=False)
    ) as server:
        assert total(chat(server)).text == "Hi"


@issue("haystack#9671", broken="LangChain's standard pictures went out raw, and were refused")
def test_standard_pictures() -> None:
    block = {"type": "image", "base64": PNG, "mime_type": "image/png"}
    with Loopback() as server:
        chat(server).invoke([HumanMessage([{"type": "text", "text": "What?"}, block])])

    assert server.bodies[-1]["messages"][0]["content"][1] == {
        "type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}  # fmt: skip


@issue("haystack#8860", broken="there was no async; it blocked the event loop")
def test_async_does_not_block() -> None:
    async def ticks(model: Any) -> int:
        task, count = asyncio.create_task(model.ainvoke("Hello")), 0
        while not task.done():
            await asyncio.sleep(0.01)
            count += 1
        return count

    def slow(method: str, path: str, body: Any) -> Any:
        time.sleep(0.3)
        return message(content="Hi")

    with Loopback(slow) as server:
        assert asyncio.run(ticks(chat(server))) > 10


@issue("litellm#2180", broken="an error inside a stream, whose status was 200, passed for an answer or lost its words")
def test_error_in_a_stream() -> None:
    with Loopback(
        events({"content": "Hal"}, {"error": "out of memory", "error_type": "generation"}, done=False)
    ) as server:
        with pytest.raises(Exception, match="out of memory"):
            total(chat(server))


@issue("litellm#1334", broken="a stream died after five seconds of the HTTP library's own")
def test_no_hidden_timeout() -> None:
    def slow(method: str, path: str, body: Any) -> Any:
        time.sleep(5.1)
        return events({"content": "Hi"})

    with Loopback(slow) as server:
        assert total(chat(server)).text == "Hi"


@issue("smolagents#61", broken="timeouts had no effect, and a busy server was not asked again")
def test_timeout_and_busy() -> None:
    def busy_once(method: str, path: str, body: Any) -> Any:
        if len(server.bodies) == 1:
            return 503, {"Retry-After": "0"}, b'{"error": "Model too busy"}'
        return message(content="Hi")

    with Loopback(busy_once) as server:
        assert chat(server).invoke("Hello").text == "Hi"

    def slow(method: str, path: str, body: Any) -> Any:
        time.sleep(1.5)

    with Loopback(slow) as server:
        began = time.monotonic()
        with pytest.raises(TimeoutError):
            chat(
                server,
                timeout=1 if SUBJECT == "huggingface" else 0.5,
                **({} if SUBJECT == "huggingface" else {"max_retries": 0}),
            ).invoke("Hello")
        assert time.monotonic() - began < 1.4


@issue("cline#5098", "page-assist#727", broken="the router's own words for a refusal were lost")
def test_words_of_a_refusal() -> None:
    words = "The requested model 'org/name' is not supported by any provider you have enabled."
    with Loopback(lambda m, p, body: body and (400, {}, json.dumps({"error": words}).encode())) as server:
        with pytest.raises(Exception, match="not supported by any provider you have enabled"):
            chat(server).invoke("Hello")


@issue("page-assist#339", broken="TGI refused `top_p` of 1")
def test_top_p_of_one() -> None:
    with Loopback(lambda m, p, body: TGI_INFO if p == "/info" else body and message(content="Hi")) as server:
        chat(server, top_p=1.0, **({"engine": None} if SUBJECT == "ours" else {})).invoke("Hello")

    assert "top_p" not in server.bodies[-1]


@issue("huggingface_hub#2493", "huggingface_hub#2521", broken="a stream that was left early kept its connection")
def test_abandoned_streams() -> None:
    with Loopback(lambda m, p, body: body and events(*({"content": "x" * 1000} for _ in range(2000)))) as server:
        model = chat(server)
        for _ in range(20):
            next(iter(model.stream("Hello")))
        gc.collect()
        time.sleep(0.2)

        assert server.open_connections <= 2


def _for_ours() -> Any:
    if SUBJECT != "ours":
        pytest.skip("needs hosts that loopback cannot play for it")
    from langchain_hf_inference import ConfigurationError, HFInferenceLLM

    return ConfigurationError, HFInferenceLLM


@issue("langchain#31434", "huggingface_hub#3196", "api-inference-community#476", "hub-docs#1766", "dify-official-plugins#2542",
       "slide-deck-ai#113", broken="a model that only chats failed in text generation, without a word of what to do")  # fmt: skip
def test_chat_only_model(far_end: Any) -> None:
    error, kind = _for_ours()
    mapping = {"inferenceProviderMapping": {"novita": {"providerId": "n", "status": "live", "task": "conversational"}}}
    far = far_end(mapping)

    with pytest.raises(error, match="ChatHFInference"):
        kind(model="org/name", api_key="hf_x", **far.clients).invoke("Hello")
    assert [request.method for request in far.requests] == ["GET"]


@issue("huggingface_hub#3064", broken="a provider younger than the installed library was refused")
def test_new_providers(far_end: Any) -> None:
    _for_ours()
    far = far_end()

    far.model(model="org/name", provider="founded-yesterday").invoke("Hello")

    assert far.bodies[-1]["model"] == "org/name:founded-yesterday"


@issue("n8n#15246", broken="the retired host api-inference.huggingface.co was still called")
def test_retired_host(far_end: Any) -> None:
    _for_ours()
    far = far_end()

    with pytest.warns(UserWarning, match="retired"):
        far.model(model=None, endpoint_url="https://api-inference.huggingface.co/models/org/name").invoke("Hello")

    assert far.requests[-1].url.host == "router.huggingface.co"


def test_rate_limit_is_langchains() -> None:
    """A failure is of LangChain's own kinds, so that retries know it (peers.md 2.7; no issue of its own)."""
    with Loopback(lambda m, p, body: body and (429, {}, b'{"error": "slow down"}')) as server:
        with pytest.raises(ModelRateLimitError):
            chat(server, **({} if SUBJECT == "huggingface" else {"max_retries": 0})).invoke("Hello")


@pytest.mark.skipif(SUBJECT != "ours", reason="a page of ours")
def test_page_is_current() -> None:
    """docs/regressions.md is what `python tests/unit/regressions.py` writes."""
    assert PAGE.read_text() == page()

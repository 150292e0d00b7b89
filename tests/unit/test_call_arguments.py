"""_per_call.py and _checked_model.py: the constructor's arguments in a call, in an assignment, in a copy."""

from __future__ import annotations

import asyncio
import copy
import json
import pickle
import warnings
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from calling import Call, both_ways
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.load import dumpd, dumps
from langchain_core.messages import HumanMessage
from langchain_core.runnables import ConfigurableField, RunnableBinding
from pydantic import ValidationError

from conftest import COMPLETION, FarEnd
from langchain_hf_inference import (
    ChatHFInference,
    ConfigurationError,
    HFInferenceEmbeddings,
    HFInferenceLLM,
    HFTextClassifier,
    HFTextToImage,
)
from langchain_hf_inference.batch import BatchJob
from langchain_hf_inference.compat import ChatHuggingFace, HuggingFaceEndpoint
from langchain_hf_inference.nodes import ChatCompletionAction

FarEndMaker = Callable[..., FarEnd]
STREAM = b'data: {"choices":[{"index":0,"delta":{"content":"<think>a</think>Hi"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'


class Handler(BaseCallbackHandler):
    """Keeps what a run is said to be called with."""

    def __init__(self) -> None:
        self.params: dict[str, Any] = {}

    def on_chat_model_start(self, *args: Any, **kwargs: Any) -> None:
        self.params = {
            **kwargs.get("invocation_params", {}),
            **(kwargs.get("metadata") or {}),
            **kwargs.get("options", {}),
        }

    on_llm_start = on_chat_model_start


ASK: dict[str, Callable[[Call, Any, dict[str, Any], Any], Any]] = {
    "a call": lambda call, model, given, config: call.invoke(model, "Hello", config=config, **given),
    "bind": lambda call, model, given, config: call.invoke(model.bind(**given), "Hello", config=config),
    "a bound model, bound again": lambda call, model, given, config: call.invoke(
        model.bind(temperature=0).bind(**given), "Hello", config=config
    ),
    "a stream": lambda call, model, given, config: call.stream(model, "Hello", config=config, **given),
    "a bound stream": lambda call, model, given, config: call.stream(model.bind(**given), "Hello", config=config),
}
HONOURED: dict[str, Any] = {
    "timeout": 7, "request_timeout": (2, 7), "max_retries": 0, "num_retries": 0, "stream_chunk_timeout": 3.0, "scale_up_timeout": 5,
    "bill_to": None, "default_headers": {"X-A": "1"}, "headers": {"X-A": "1"}, "extra_headers": {"X-A": "1"}, "streaming": True,
    "cache": False, "verbose": False,
}  # fmt: skip
CHAT_ONLY: dict[str, Any] = {"stream_usage": False, "parse_think_tags": True, "replay_reasoning": True, "report_cost": False,
                             "output_version": "v1", "rate_limiter": None, "disable_streaming": False}  # fmt: skip


def any_answer(request: httpx.Request) -> Any:
    if request.method == "GET":
        return httpx.Response(404)
    body = json.loads(request.content)
    if body.get("stream"):
        text = b'data: {"choices":[{"index":0,"text":"Hi","finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
        return text if "prompt" in body else STREAM
    return {"choices": [{"index": 0, "text": "Hi", "finish_reason": "stop"}]} if "prompt" in body else COMPLETION


@both_ways
@pytest.mark.parametrize("entry", ASK)
@pytest.mark.parametrize(
    ("kind", "name"),
    [
        *((kind, name) for kind in (ChatHFInference, ChatHuggingFace) for name in (*HONOURED, *CHAT_ONLY)),
        *((kind, name) for kind in (HFInferenceLLM, HuggingFaceEndpoint) for name in HONOURED),
    ],
)
def test_honoured_and_never_sent(call: Call, kind: Any, name: str, entry: str, far_end: FarEndMaker) -> None:
    """An argument of the constructor that a call may set is in neither the body nor the trace of the call."""
    far, handler = far_end(any_answer), Handler()
    model = kind(endpoint_url="http://h:1", model="m", engine="openai", api_key="k", **far.clients)
    plain = Handler()
    value = {**HONOURED, **CHAT_ONLY}[name]

    ASK[entry](call, model, {}, {"callbacks": [plain]})
    ASK[entry](call, model, {name: value}, {"callbacks": [handler]})

    before, after = far.bodies
    assert after.keys() - {"stream", "stream_options"} == before.keys() - {"stream", "stream_options"}
    assert handler.params.keys() == plain.params.keys()
    if "headers" in name:
        assert [request.headers.get("x-a") for request in far.requests] == [None, "1"]


def test_bindings_show_no_headers(far_end: FarEndMaker) -> None:
    """Headers that are bound, first or last, are in no repr and no dump; bindings are LangChain's own to `load`."""
    far = far_end(any_answer)
    model = ChatHFInference(endpoint_url="http://h:1", model="m", engine="openai", api_key="k", **far.clients)
    tools = [{"name": "f", "description": "f", "input_schema": {"type": "object", "properties": {}}}]
    for bound in (
        model.bind(extra_headers={"X-Key": "s3cr3t"}).bind(temperature=0),
        model.bind(temperature=0).bind(extra_headers={"X-Key": "s3cr3t"}),
        model.bind_tools(tools).bind(extra_headers={"X-Key": "s3cr3t"}),
        model.with_config(tags=["a"])
        .bound.bind(temperature=0)
        .with_config(tags=["b"])
        .bind(headers={"X-Key": "s3cr3t"}),
    ):
        assert isinstance(bound, RunnableBinding)
        assert "s3cr3t" not in repr(bound) + dumps(bound)
        assert dumpd(bound)["id"] == ["langchain", "schema", "runnable", "RunnableBinding"]
        bound.invoke("Hello")
        assert far.requests[-1].headers["x-key"] == "s3cr3t"
        with pytest.raises(ConfigurationError, match="^api_key belongs"):
            bound.bind(api_key="hf_S")


@both_ways
def test_hooks_called_directly(call: Call, far_end: FarEndMaker) -> None:
    """The hooks below LangChain's entry points take no argument of the constructor for the body."""
    far = far_end(any_answer)
    for kind in (ChatHFInference, HFInferenceLLM):
        model = kind(endpoint_url="http://h:1", model="m", engine="openai", api_key="k", **far.clients)
        prompt: Any = [HumanMessage("x")] if kind is ChatHFInference else ["x"]
        for given in ({"api_key": "hf_S"}, {"timeout": 5}, {"extra_headers": {}}):
            with pytest.raises(ConfigurationError, match="cannot be set here"):
                if call.is_async:
                    asyncio.run(model._agenerate(prompt, **given))
                else:
                    model._generate(prompt, **given)
    assert not far.requests


def test_no_warning_is_repeated(told: list[str]) -> None:
    """A model that was warned of at construction is not warned of again by calls, assignments and copies."""
    model = ChatHFInference(endpoint_url="http://h:1", model="m", bill_to="me")
    model.temperature = 0.5
    model.model_copy(update={"timeout": 5})
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.temperature = 0.6
        model.bind(timeout=5)
    assert not caught


REFUSED: dict[str, Any] = {
    "api_key": "hf_S", "token": "hf_S", "hf_token": "hf_S", "huggingfacehub_api_token": "hf_S", "openai_api_key": "hf_S",
    "endpoint_url": "http://i:1", "base_url": "http://i:1", "provider": "groq", "engine": "vllm", "http_client": None,
    "http_async_client": None, "profile": {}, "tokenizer": None, "groq_api_key": "gsk_S",
}  # fmt: skip


@both_ways
@pytest.mark.parametrize("entry", ASK)
@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("kind", [ChatHFInference, HFInferenceLLM, ChatHuggingFace, HuggingFaceEndpoint])
def test_refused_by_name(call: Call, kind: Any, name: str, entry: str, far_end: FarEndMaker) -> None:
    """One that belongs to the model is refused by the name that was written, before anything is sent or traced."""
    far, handler = far_end(any_answer), Handler()
    model = kind(endpoint_url="http://h:1", model="m", engine="openai", api_key="k", **far.clients)

    for given in ({name: REFUSED[name]}, {"model_kwargs": {name: REFUSED[name]}}):
        with pytest.raises(ConfigurationError, match=rf"^{name} "):
            ASK[entry](call, model, given, {"callbacks": [handler]})

    assert not far.requests
    assert handler.params == {}


@pytest.mark.parametrize("name", CHAT_ONLY)
def test_chat_arguments_of_a_text_model(name: str, far_end: FarEndMaker) -> None:
    """What only chat models take does not go into the request of a text model."""
    far = far_end(any_answer)
    model = HFInferenceLLM(endpoint_url="http://h:1", model="m", engine="openai", api_key="k", **far.clients)
    with pytest.raises(ConfigurationError, match=f"^{name} is not an argument of a call"):
        model.invoke("Hello", **{name: CHAT_ONLY[name]})
    assert not far.requests


@pytest.mark.parametrize("name", ["server_kwargs", "client", "llm", "task"])
def test_refused_of_other_packages(name: str, far_end: FarEndMaker) -> None:
    """What only the constructors of `compat` take is refused as well."""
    far = far_end(any_answer)
    model = ChatHuggingFace(endpoint_url="http://h:1", model="m", engine="openai", api_key="k", **far.clients)
    with pytest.raises(ConfigurationError, match=f"^{name} is not an argument of a call"):
        model.invoke("Hello", **{name: {"headers": {"X": "S"}}})
    assert not far.requests


@pytest.mark.parametrize("name", ["callbacks", "tags", "metadata"])
def test_what_belongs_in_the_config(name: str, far_end: FarEndMaker) -> None:
    """A message says where LangChain takes it."""
    model = ChatHFInference(endpoint_url="http://h:1", model="m", engine="openai", api_key="k")
    for act in (lambda: model.bind(**{name: None}), lambda: list(model.stream("Hello", **{name: None}))):
        with pytest.raises(ConfigurationError, match=f"^{name} belongs in the call's config"):
            act()


def test_v3_events(far_end: FarEndMaker) -> None:
    """The newer events honour and refuse alike."""
    far = far_end(STREAM)
    model = ChatHFInference(endpoint_url="http://h:1", model="m", engine="openai", api_key="k", **far.clients)
    if not hasattr(model, "_chat_model_stream_v3"):
        pytest.skip("this langchain-core has no v3 events")

    stream = model.stream_events("Hello", version="v3", extra_headers={"X-A": "1"}, parse_think_tags=True)
    assert str(stream.text) == "Hi"
    assert far.requests[0].headers["x-a"] == "1"
    assert str(model.bind(temperature=0).stream_events("Hello", version="v3", parse_think_tags=True).text) == "Hi"
    assert not far.bodies[0].keys() & {"extra_headers", "parse_think_tags"}
    with pytest.raises(ConfigurationError, match="^api_key belongs"):
        model.stream_events("Hello", version="v3", api_key="hf_S")
    with pytest.raises(ConfigurationError, match="^api_key belongs"):
        asyncio.run(_awaited(lambda: model.astream_events("Hello", version="v3", api_key="hf_S")))


async def _awaited(act: Callable[[], Any]) -> Any:
    return await act()


@both_ways
def test_effects(call: Call, far_end: FarEndMaker) -> None:
    """What a call sets takes effect for that call, and for no other."""
    far = far_end(any_answer)
    model = far.model(endpoint_url="http://h:1", engine="openai", default_headers={"X-A": "0", "X-B": "2"})

    assert call.invoke(model, "Hello", streaming=True, parse_think_tags=True).text == "Hi"
    assert far.bodies[-1]["stream"]
    call.invoke(model, "Hello", timeout=7)
    assert far.requests[-1].extensions["timeout"]["read"] == 7
    message = call.total(model, "Hello", stream_usage=False)
    assert "stream_options" not in far.bodies[-1]
    assert "<think>" in message.text
    assert len(call.stream(model, "Hello", streaming=False)) == 1
    assert not far.bodies[-1].get("stream")
    call.invoke(model, "Hello", extra_headers={"x-a": "1"})
    sent = far.requests[-1].headers
    assert (sent.get_list("x-a"), sent["x-b"]) == (["1"], "2")
    call.invoke(model, "Hello")
    assert far.requests[-1].headers["x-a"] == "0"
    assert not far.bodies[-1].get("stream")
    assert far.requests[-1].extensions["timeout"]["read"] == 600


@both_ways
def test_retries_of_a_call(call: Call, far_end: FarEndMaker) -> None:
    """`max_retries` holds for the call."""
    far = far_end(httpx.Response(503))
    model = far.model(max_retries=2)
    with pytest.raises(Exception, match="503"):
        call.invoke(model, "Hello", max_retries=0)
    assert len(far.requests) == 1


@pytest.mark.parametrize(
    "given", [{"timeout": -1}, {"max_retries": "many"}, {"extra_headers": {"X": "é"}}, {"headers": 5}]
)
def test_bad_values_of_a_call(given: dict[str, Any], far_end: FarEndMaker) -> None:
    """A value that the constructor refuses is refused in a call."""
    far = far_end(any_answer)
    with pytest.raises(ValueError, match=r"timeout|max_retries|default_headers"):
        far.model().invoke("Hello", **given)
    assert not far.requests


@both_ways
def test_tasks(call: Call, far_end: FarEndMaker) -> None:
    """A call of another task sets what the constructor sets, and refuses the rest by name."""
    far = far_end(httpx.Response(200, json=[[{"label": "a", "score": 0.5}]]))
    classifier = HFTextClassifier(endpoint_url="http://h:1", model="m", engine="tei", api_key="k", **far.clients)

    call.invoke(classifier, "x", raw_scores=True, extra_headers={"X-A": "1"}, timeout=7)

    assert far.bodies[-1]["raw_scores"] is True
    assert far.requests[-1].headers["x-a"] == "1"
    assert far.requests[-1].extensions["timeout"]["read"] == 7
    for kind in (HFTextClassifier, HFTextToImage):
        model = kind(endpoint_url="http://h:1", model="m", engine="tei", api_key="k", **far.clients)
        for name in ("api_key", "token", "endpoint_url", "provider"):
            with pytest.raises(ConfigurationError, match=f"^{name} belongs to the model"):
                call.invoke(model, "x", **{name: "hf_S"})
            with pytest.raises(ConfigurationError, match=f"^{name} belongs to the model"):
                model.bind(**{name: "hf_S"})
        with pytest.raises(ConfigurationError, match="^temprature is not an argument of a call; a call takes"):
            call.invoke(model, "x", temprature=1)
    assert len(far.requests) == 1


# Assignment and copies.

MODELS: dict[Any, tuple[str, Any]] = {
    ChatHFInference: ("temperature", -5), HFInferenceLLM: ("best_of", 0), HFInferenceEmbeddings: ("batch_size", 0),
    HFTextClassifier: ("top_k", 0), HFTextToImage: ("width", 0), BatchJob: ("max_attempts", 0),
}  # fmt: skip


def change(model: Any, way: str, **values: Any) -> Any:
    if way == "copy":
        return model.model_copy(update=values)
    for name, value in values.items():
        setattr(model, name, value)
    return model


@pytest.mark.parametrize("way", ["assign", "copy"])
@pytest.mark.parametrize("kind", MODELS)
def test_assignment_is_checked(kind: Any, way: str) -> None:
    """What the constructor refuses is refused by an assignment and by a copy; the model stays as it was."""
    name, bad = MODELS[kind]
    model = kind(model="a/b")
    before = copy.deepcopy(model)
    for field, value in ((name, bad), ("timeout", -1), ("endpoint_url", "ftp://u:pw@h"), ("engine", "tgl"), ("api_key", 5),
                         ("default_headers", {"X": "é"})):  # fmt: skip
        with pytest.raises(ValidationError, match=field) as failure:
            change(model, way, **{field: value})
        assert "pw" not in str(failure.value)
        assert model == before


@pytest.mark.parametrize("way", ["assign", "copy"])
def test_assignment_is_normalized(way: str) -> None:
    """Values are taken as the constructor takes them: aliases of values, URLs, passwords, empty texts."""
    model = ChatHFInference(model="a/b", temperature=1)

    assert change(model, way, stop="x").stop == ["x"]
    assert change(model, way, timeout=httpx.Timeout(9, connect=3)).timeout == (3, 9)
    assert change(model, way, provider="").provider is None
    changed = change(model, way, endpoint_url="https://user:pw@h.example/v1/")
    assert changed.endpoint_url == "https://h.example/v1"
    assert changed.default_headers["Authorization"].startswith("Basic ")
    assert "pw" not in repr(changed)
    assert changed.temperature == 1


@pytest.mark.parametrize("way", ["assign", "copy"])
def test_a_password_stays_with_its_server(way: str, far_end: FarEndMaker) -> None:
    """Another endpoint is not sent the password of the former one's URL; its other headers stay."""
    far = far_end(any_answer)
    model = far.model(
        endpoint_url="https://user:pw@h.example", engine="openai", api_key=False, default_headers={"X-A": "1"}
    )

    change(model, way, endpoint_url="https://i.example").invoke("Hello")

    assert "authorization" not in far.requests[-1].headers
    assert far.requests[-1].headers["x-a"] == "1"


def test_assignment_takes_effect(far_end: FarEndMaker) -> None:
    """Assigned values hold for the next call, in whatever order a model was used."""
    far = far_end(any_answer)
    model = far.model(endpoint_url="http://h:1", engine="openai")
    model.invoke("Hello")

    model.temperature = 0.5
    model.api_key = "hf_other"  # type: ignore[assignment]
    model.timeout = 7
    model.default_headers = {"X-A": "1"}
    model.invoke("Hello")

    request = far.requests[-1]
    assert far.bodies[-1]["temperature"] == 0.5
    assert (request.headers["authorization"], request.headers["x-a"]) == ("Bearer hf_other", "1")
    assert request.extensions["timeout"]["read"] == 7


def test_assignment_after_unpickling(far_end: FarEndMaker) -> None:
    """A model that lost its key is given one by assignment."""
    far = far_end(any_answer)
    model = ChatHFInference(
        endpoint_url="http://h:1", model="m", engine="openai", api_key="hf_x", default_headers={"X-Key": "k"}
    )
    twin = pickle.loads(pickle.dumps(model))
    with pytest.raises(ConfigurationError, match="assign api_key"):
        twin.invoke("Hello")

    twin.api_key, twin.default_headers = "hf_y", {"X-Key": "l"}
    twin.http_client = far.clients["http_client"]
    twin.invoke("Hello")

    assert (far.requests[0].headers["authorization"], far.requests[0].headers["x-key"]) == ("Bearer hf_y", "l")


def test_copies_are_apart(far_end: FarEndMaker) -> None:
    """A copy with changes leaves the model as it was; several changes are checked together."""
    model = ChatHFInference(model="a/b", provider="groq", temperature=1, metadata={"a": 1})
    other = model.model_copy(update={"provider": None, "endpoint_url": "http://h:1", "temperature": 0})

    assert (model.provider, model.endpoint_url, model.temperature) == ("groq", None, 1)
    assert (other.provider, other.endpoint_url, other.temperature) == (None, "http://h:1", 0)
    assert other.metadata == model.metadata
    assert other.model_fields_set >= {"endpoint_url", "temperature"}
    with pytest.raises(ValidationError, match="exclude each other"):
        model.model_copy(update={"endpoint_url": "http://h:1"})


def test_configurable_fields(far_end: FarEndMaker) -> None:
    """Values of a config are checked by the constructor."""
    model = ChatHFInference(model="a/b").configurable_fields(temperature=ConfigurableField("t"))
    with pytest.raises(ValidationError, match="temperature"):
        model.with_config(configurable={"t": -5}).invoke("Hello")


def test_harmless_values_are_shown() -> None:
    """Messages show what is no secret: a user has to see what was wrong."""
    for given, shown in (({"temperature": "hot"}, "'hot'"), ({"timeout": -1}, "-1"), ({"max_tokens": 0}, "input_value=0"),
                         ({"provider": {"a": 1}}, "'a': 1"), ({"endpoint_url": "localhost:8080"}, "localhost:8080"),
                         ({"engine": "tgl", "endpoint_url": "http://h"}, "tgl")):  # fmt: skip
        with pytest.raises(ValidationError) as failure:
            ChatHFInference(**{"model": "a/b", "api_key": "hf_secret", **given})
        assert shown in str(failure.value)
    with pytest.raises(ValidationError, match="'hot'"):
        ChatCompletionAction(model="a/b", message="x", temperature="hot")

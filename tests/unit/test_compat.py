"""compat.py: code written for langchain-huggingface, on our classes; what it sends."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from calling import Call, both_ways
from langchain_core.load import dumpd, load
from langchain_core.runnables import ConfigurableField
from pydantic import ValidationError

from conftest import COMPLETION, FarEnd
from langchain_hf_inference import ChatHFInference, ConfigurationError, HFInferenceLLM, compat
from langchain_hf_inference.compat import (
    ChatHuggingFace,
    HuggingFaceEmbeddings,
    HuggingFaceEndpoint,
    HuggingFaceEndpointEmbeddings,
    HuggingFacePipeline,
)
from langchain_hf_inference.testing import InferenceServer

FarEndMaker = Callable[..., FarEnd]
TGI = {"router": "text-generation-router", "model_id": "org/m", "max_total_tokens": 4096}


def tgi(request: httpx.Request) -> Any:
    if request.url.path == "/info":
        return TGI
    if request.url.path == "/generate":
        return {"generated_text": "Hi"}
    return COMPLETION


def chat_body(far: FarEnd, call: Call, /, endpoint: dict[str, Any], **chat: Any) -> dict[str, Any]:
    llm = HuggingFaceEndpoint(**{"huggingfacehub_api_token": "hf_x", **endpoint}, **far.clients)
    call.invoke(ChatHuggingFace(llm=llm, **chat), "Hello")
    return {key: value for key, value in far.bodies[-1].items() if key != "messages"}


def text_parameters(far: FarEnd, call: Call, **arguments: Any) -> dict[str, Any]:
    call.invoke(HuggingFaceEndpoint(endpoint_url="http://h:1", **arguments, **far.clients), "Hello")
    return far.bodies[-1]["parameters"]


def test_names() -> None:
    """Everything that code imports from langchain_huggingface is there."""
    assert compat.__all__ == ["ChatHuggingFace", "HuggingFaceEmbeddings", "HuggingFaceEndpoint",
                              "HuggingFaceEndpointEmbeddings", "HuggingFacePipeline"]  # fmt: skip
    assert issubclass(ChatHuggingFace, ChatHFInference)
    assert issubclass(HuggingFaceEndpoint, HFInferenceLLM)


@both_ways
def test_chat_defaults(call: Call, far_end: FarEndMaker) -> None:
    """Nothing given: what langchain-huggingface sends in chat, and no more."""
    far = far_end()

    body = chat_body(far, call, {"repo_id": "org/name"})

    assert body == {"model": "org/name", "temperature": 0.8, "max_tokens": 512}
    assert str(far.requests[-1].url) == "https://router.huggingface.co/v1/chat/completions"
    assert far.requests[-1].headers["authorization"] == "Bearer hf_x"


ENDPOINT: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    # what                      endpoint                                   chat                       in the body
    "zero temperature":        ({"temperature": 0},                        {},                        {"temperature": 0}),
    "chat's zero wins":        ({"temperature": 0.8},                      {"temperature": 0},        {"temperature": 0}),
    "chat's zero, unset":      ({},                                        {"temperature": 0},        {"temperature": 0}),
    "no cap":                  ({},                                        {"max_tokens": None},      {"max_tokens": None}),
    "no cap at the endpoint":  ({"max_new_tokens": None},                  {},                        {"max_tokens": None}),
    "max_new_tokens":          ({"max_new_tokens": 7},                     {},                        {"max_tokens": 7}),
    "max_tokens":              ({"max_tokens": 7},                         {},                        {"max_tokens": 7}),
    "max_length":              ({"max_length": 7},                         {},                        {"max_tokens": 7}),
    "max_length in kwargs":    ({"model_kwargs": {"max_length": 7}},       {},                        {"max_tokens": 7}),
    "the newer name wins":     ({"max_length": 9, "max_new_tokens": 7},    {},                        {"max_tokens": 7}),
    "top_p of the endpoint":   ({"top_p": 0.5},                            {},                        {"top_p": 0.5}),
    "top_p of chat":           ({},                                        {"top_p": 0.5},            {"top_p": 0.5}),
    "top_k":                   ({"top_k": 5},                              {},                        {"top_k": 5}),
    "seed 0":                  ({"seed": 0},                               {},                        {"seed": 0}),
    "penalties":               ({}, {"presence_penalty": 0.0, "frequency_penalty": 0.5}, {"presence_penalty": 0.0, "frequency_penalty": 0.5}),
    "repetition_penalty":      ({"repetition_penalty": 1.1},               {},                        {"repetition_penalty": 1.1, "frequency_penalty": None}),
    "logprobs":                ({}, {"logprobs": True, "top_logprobs": 2}, {"logprobs": True, "top_logprobs": 2}),
    "logit_bias":              ({}, {"logit_bias": {"1": 5}},              {"logit_bias": {"1": 5}}),
    "stop by its name":        ({}, {"stop": ["a"]},                       {"stop": ["a"]}),
    "stop_sequences":          ({"stop_sequences": ["a"]},                 {},                        {"stop": ["a"]}),
    "greedy":                  ({"do_sample": False},                      {},                        {"temperature": 0, "top_p": None}),
    "sampled":                 ({"do_sample": True},                       {},                        {"temperature": 0.8, "do_sample": None}),
    "model_kwargs":            ({"model_kwargs": {"response_format": {"type": "json_object"}}}, {}, {"response_format": {"type": "json_object"}}),
    "task":                    ({"task": "text-generation"},               {},                        {"task": None}),
    "provider":                ({"provider": "novita"},                    {},                        {"model": "org/name:novita"}),
}  # fmt: skip


@both_ways
@pytest.mark.parametrize("case", ENDPOINT)
@pytest.mark.filterwarnings("ignore:do_sample")
def test_what_is_given_arrives(call: Call, far_end: FarEndMaker, case: str) -> None:
    """Each old argument, given to the endpoint or to the chat model, does what its author meant."""
    endpoint, chat, wanted = ENDPOINT[case]

    body = chat_body(far_end(), call, {"repo_id": "org/name", **endpoint}, **chat)

    assert {name: body.get(name) for name in wanted} == wanted


@both_ways
def test_text_defaults(call: Call, far_end: FarEndMaker) -> None:
    """The endpoint alone sends langchain-huggingface's defaults to TGI's own API."""
    far = far_end(tgi)

    assert text_parameters(far, call) == {"max_new_tokens": 512, "temperature": 0.8, "top_p": 0.95, "typical_p": 0.95,
                                          "return_full_text": False, "details": True}  # fmt: skip
    assert text_parameters(far, call, top_k=3, seed=0, stop_sequences=["a"], max_new_tokens=4).items() >= {
        "top_k": 3, "seed": 0, "stop": ["a"], "max_new_tokens": 4}.items()  # fmt: skip


@both_ways
def test_greedy_text(call: Call, far_end: FarEndMaker, told: list[str]) -> None:
    """`do_sample=False` is greedy: no temperature goes along; one that was given is told of."""
    far = far_end(tgi)

    quiet = text_parameters(far, call, do_sample=False)
    with pytest.warns(UserWarning, match="do_sample=False is greedy: temperature"):
        loud = text_parameters(far, call, do_sample=False, temperature=0.5)

    assert quiet == loud
    assert quiet["do_sample"] is False
    assert quiet.keys().isdisjoint({"temperature", "top_p", "typical_p", "top_k"})


@both_ways
def test_endpoints_of_ones_own(call: Call, far_end: FarEndMaker) -> None:
    """A URL is taken as it is, under any of its names; the model's name is asked for; an explicit token goes along."""
    for name in ("endpoint_url", "inference_server_url", "model"):
        far = far_end(tgi)
        body = chat_body(far, call, {name: "https://abc.us-east-1.aws.endpoints.huggingface.cloud"})
        assert body["model"] == "org/m"
        assert far.requests[-1].headers["authorization"] == "Bearer hf_x"
        assert far.requests[-1].url.host == "abc.us-east-1.aws.endpoints.huggingface.cloud"

    named = chat_body(far_end(tgi), call, {"endpoint_url": "http://h:1"}, model_id="org/other")
    assert named["model"] == "org/other"


def test_places_in_odd_fields(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Hub id in `endpoint_url`, a URL in `repo_id`, the old variable of the environment."""
    assert HuggingFaceEndpoint(endpoint_url="org/name").model == "org/name"
    assert HuggingFaceEndpoint(repo_id="http://h:1").endpoint_url == "http://h:1"
    assert HuggingFaceEndpoint(repo_id="org/name", inference_server_url="").repo_id == "org/name"
    monkeypatch.setenv("HF_INFERENCE_ENDPOINT", "http://h:2")
    assert HuggingFaceEndpoint().endpoint_url == "http://h:2"
    assert HuggingFaceEndpoint(repo_id="org/name").endpoint_url is None


@both_ways
def test_server_kwargs(call: Call, far_end: FarEndMaker) -> None:
    """What InferenceClient took goes where it belongs; what has no meaning is named."""
    far = far_end()
    server = {"headers": {"X-Team": "a"}, "cookies": {"s": "1"}, "bill_to": "org", "timeout": 5, "proxies": {}}

    with pytest.warns(UserWarning, match="server_kwargs\\['proxies'\\] has no meaning"):
        chat_body(far, call, {"repo_id": "org/name", "server_kwargs": server})

    sent = far.requests[-1].headers
    assert (sent["x-team"], sent["cookie"], sent["x-hf-bill-to"]) == ("a", "s=1", "org")


def test_settings_without_part_in_chat() -> None:
    """What belongs to plain text generation is told of where it was asked for."""
    llm = HuggingFaceEndpoint(repo_id="org/name", watermark=True, return_full_text=False)

    with pytest.warns(UserWarning, match="^watermark of the endpoint"):
        ChatHuggingFace(llm=llm)


def test_without_endpoint_object() -> None:
    """The chat model takes the endpoint's arguments itself, by any name, and LangChain's own."""
    chat = ChatHuggingFace(repo_id="org/name", max_new_tokens=5, token="hf_x", streaming=True, tags=["a"])

    assert (chat.model_id, chat.max_tokens, chat.streaming, chat.tags) == ("org/name", 5, True, ["a"])
    assert chat.temperature is None
    assert chat.api_key.get_secret_value() == "hf_x"


def test_from_model_id() -> None:
    """`from_model_id` serves by endpoint; running a model in this process is not ours, and says what to do."""
    chat = ChatHuggingFace.from_model_id("org/name", task="text-generation", backend="endpoint", temperature=0)

    assert (chat.model, chat.temperature, chat.max_tokens) == ("org/name", 0, 512)
    assert ChatHuggingFace.from_model_id("org/name").model == "org/name"
    for act in (
        lambda: ChatHuggingFace.from_model_id("org/name", backend="pipeline"),
        lambda: HuggingFacePipeline(),
        lambda: HuggingFacePipeline.from_model_id("gpt2", task="text-generation"),
        lambda: HuggingFaceEmbeddings(model_name="m"),
        lambda: ChatHuggingFace(llm=type("HuggingFacePipeline", (), {})()),
    ):
        with pytest.raises((ConfigurationError, ValidationError), match="transformers serve"):
            act()
    with pytest.raises(ValidationError, match="give a HuggingFaceEndpoint"):
        ChatHuggingFace(llm=object())


def test_endpoint_of_the_other_package() -> None:
    """An endpoint object of langchain-huggingface itself is taken over, what was set on it counting as set."""

    class Theirs:
        model_fields_set = {"repo_id", "model", "temperature", "huggingfacehub_api_token", "client"}
        repo_id = model = "org/name"
        temperature = 0.0
        huggingfacehub_api_token = "hf_x"

    Theirs.__name__ = "HuggingFaceEndpoint"

    chat = ChatHuggingFace(llm=Theirs())

    assert (chat.model, chat.temperature, chat.max_tokens) == ("org/name", 0.0, 512)
    assert "hf_x" not in repr(chat)


def test_configurable_and_serialised() -> None:
    """They may be configured at run time and loaded like ours; nothing that was given is lost on the way."""
    chat = ChatHuggingFace(llm=HuggingFaceEndpoint(repo_id="org/name", temperature=0, top_p=0.5))
    other = chat.configurable_fields(model=ConfigurableField("m")).with_config(configurable={"m": "org/b"}).prepare()[0]

    assert (type(other), other.model, other.temperature, other.top_p) == (ChatHuggingFace, "org/b", 0, 0.5)
    for one in (chat, HuggingFaceEndpoint(repo_id="org/name", seed=0)):
        twin = load(dumpd(one), allowed_objects=[type(one)], valid_namespaces=["langchain_hf_inference"])
        assert twin == one


EMBEDDINGS: dict[str, tuple[dict[str, Any], str | None, str | None]] = {
    "default": ({}, "sentence-transformers/all-mpnet-base-v2", None),
    "model": ({"model": "org/e"}, "org/e", None),
    "repo_id": ({"repo_id": "org/e", "task": "feature-extraction"}, "org/e", None),
    "TEI by model": ({"model": "http://h:1"}, None, "http://h:1"),
    "TEI by repo_id": ({"repo_id": "http://h:1"}, None, "http://h:1"),
    "no kwargs": ({"model": "org/e", "model_kwargs": None}, "org/e", None),
}


@pytest.mark.parametrize("case", EMBEDDINGS)
def test_embeddings_place(case: str) -> None:
    """Models and URLs in any of the old fields."""
    arguments, model, url = EMBEDDINGS[case]

    made = HuggingFaceEndpointEmbeddings(**arguments)

    assert (made.model, made.repo_id, made.endpoint_url) == (model, model, url)


def test_embeddings_settings(server: InferenceServer) -> None:
    """`model_kwargs` of old reach TEI, and texts go out as they are, line breaks too."""
    with InferenceServer(engine="tei") as tei:
        made = HuggingFaceEndpointEmbeddings(
            model=tei.url, model_kwargs={"normalize": True, "truncate": False, "prompt_name": "query"},
            huggingfacehub_api_token="hf_x",
        )  # fmt: skip
        made.embed_documents(["a\nb"])

    assert tei.requests[-1].body == {"inputs": ["a\nb"], "normalize": True, "truncate": False, "prompt_name": "query"}
    assert "hf_x" not in repr(made) + json.dumps(made.model_dump(mode="json"))


RETIRED = {
    "https://api-inference.huggingface.co/models/org/name": "org/name",
    "https://api-inference.huggingface.co/models/org/name/v1/chat/completions": "org/name",
    "https://api-inference.huggingface.co/models/gpt2": "gpt2",
    "https://api-inference.huggingface.co/pipeline/feature-extraction/org/name": "org/name",
    "https://API-INFERENCE.huggingface.co/v1/": None,
}


@pytest.mark.parametrize("url", RETIRED)
@pytest.mark.parametrize("kind", [ChatHFInference, HuggingFaceEndpoint, HuggingFaceEndpointEmbeddings])
def test_retired_host(kind: Any, url: str) -> None:
    """The serverless API's old host leads to the router, with a warning."""
    with pytest.warns(UserWarning, match=r"api-inference\.huggingface\.co is retired"):
        made = kind(endpoint_url=url)

    assert (made.model, made.endpoint_url) == (RETIRED[url], None)


@both_ways
def test_retired_host_keeps_the_model(call: Call, far_end: FarEndMaker) -> None:
    """A model that is named stands; the request goes to the router."""
    far = far_end()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = far.model(endpoint_url="https://api-inference.huggingface.co/v1", model="org/name")

    call.invoke(model, "Hello")

    assert (far.requests[-1].url.host, far.bodies[-1]["model"]) == ("router.huggingface.co", "org/name")

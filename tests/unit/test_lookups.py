"""_transport/lookups.py and detection.py: what a server is asked, when, and how often."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from calling import Call, both_ways

from conftest import COMPLETION, FarEnd
from langchain_hf_inference import ConfigurationError
from langchain_hf_inference._protocol.detection import ServerFacts, read_info, read_models
from langchain_hf_inference._protocol.providers import ProviderModel, read_provider_models

FarEndMaker = Callable[..., FarEnd]
TGI_INFO = {"model_id": "org/model", "router": "text-generation-router", "version": "3.3.4", "max_total_tokens": 4096}


def engine_server(paths: dict[str, Any]) -> Callable[[httpx.Request], Any]:
    def answer(request: httpx.Request) -> Any:
        if request.method == "POST":
            return COMPLETION
        found = paths.get(request.url.path)
        return httpx.Response(404, json={"detail": "Not Found"}) if found is None else found

    return answer


def asked(far: FarEnd) -> list[str]:
    return [f"{request.method} {request.url.path}" for request in far.requests]


@both_ways
def test_asked_once(call: Call, far_end: FarEndMaker) -> None:
    """A setting that depends on the engine makes us ask, once per server; the answer shapes the request."""
    far = far_end(engine_server({"/info": TGI_INFO}))
    model = far.model(endpoint_url="http://h:1", top_p=1.0)

    call.invoke(model, "Hello")
    call.invoke(model, "Hello")

    assert asked(far) == ["GET /info", "POST /v1/chat/completions", "POST /v1/chat/completions"]
    assert "top_p" not in far.bodies[0]


def test_many_at_once_ask_once(far_end: FarEndMaker) -> None:
    """Of many calls at once one asks, on threads and in an event loop."""
    for way in ("sync", "async"):
        far = far_end(engine_server({"/info": TGI_INFO}))
        model = far.model(endpoint_url=f"http://{way}:1", top_p=1.0)

        model.batch(["Hello"] * 20) if way == "sync" else asyncio.run(model.abatch(["Hello"] * 20))

        assert asked(far).count("GET /info") == 1


@both_ways
def test_not_asked_without_need(call: Call, far_end: FarEndMaker) -> None:
    """A plain request, and one to a known engine, ask nothing."""
    far = far_end(engine_server({}))

    call.invoke(far.model(endpoint_url="http://h:1", temperature=0), "Hello")
    call.invoke(far.model(endpoint_url="http://h:1", engine="tgi", top_p=1.0), "Hello")
    call.invoke(far.model(top_p=1.0), "Hello")

    assert asked(far) == ["POST /v1/chat/completions"] * 3


@both_ways
def test_model_is_asked_for(call: Call, far_end: FarEndMaker) -> None:
    """Without a model the server is asked for its own; where it is mute, none is sent."""
    far = far_end(engine_server({"/v1/models": {"data": [{"id": "served", "owned_by": "vllm"}]}}))
    call.invoke(far.model(model=None, endpoint_url="http://h:1"), "Hello")
    assert far.bodies[0]["model"] == "served"

    far = far_end(engine_server({}))
    call.invoke(far.model(model=None, endpoint_url="http://h:2"), "Hello")
    assert "model" not in far.bodies[0]


@both_ways
@pytest.mark.parametrize(
    "answer", [httpx.ConnectError("x"), httpx.Response(500), httpx.Response(200, text="<html>"), httpx.ReadTimeout("x")]
)
def test_never_fatal(call: Call, far_end: FarEndMaker, answer: Any) -> None:
    """A server that does not say what it is, is an OpenAI-compatible one, and is not asked again at once."""

    def far_answer(request: httpx.Request) -> Any:
        if request.method == "POST":
            return COMPLETION
        if isinstance(answer, Exception):
            raise answer
        return answer

    far = far_end(far_answer)
    model = far.model(endpoint_url="http://h:1", top_k=5)

    assert call.invoke(model, "Hello").text == "Hi"
    assert call.invoke(model, "Hello").text == "Hi"
    assert asked(far).count("GET /info") == 1
    assert json.loads(far.requests[-1].content)["top_k"] == 5


@both_ways
def test_tei_does_not_chat(call: Call, far_end: FarEndMaker) -> None:
    """A server that is TEI is told apart before a chat is sent to it."""
    far = far_end(engine_server({"/info": {"model_type": {"embedding": {}}, "max_client_batch_size": 32}}))
    for arguments in ({"model": None}, {"engine": "tei"}):
        with pytest.raises(ConfigurationError, match="Text Embeddings Inference, which does not chat"):
            call.invoke(far.model(endpoint_url="http://h:1", **arguments), "Hello")


@pytest.mark.parametrize(
    ("body", "headers", "engine", "model"),
    [
        ({"data": [{"id": "m", "owned_by": "vllm"}]}, {}, "vllm", "m"),
        ({"data": [{"id": "m", "owned_by": "sglang"}]}, {}, "sglang", "m"),
        ({"data": [{"id": "m", "owned_by": "llamacpp"}]}, {}, "llama.cpp", "m"),
        ({"data": [{"id": "m", "owned_by": "me"}]}, {"server": "llama.cpp"}, "llama.cpp", "m"),
        ({"data": [{"id": "m", "owned_by": "m", "created": 0}]}, {}, "tgi", "m"),
        ({"data": [{"id": "m"}]}, {"server": "BaseHTTP/0.6 Python/3.12"}, "mlx", "m"),
        ({"data": []}, {"server": "uvicorn", "x-request-id": "r"}, "transformers", None),
        ({"data": [{"id": "m", "owned_by": "someone"}]}, {}, None, "m"),
        ({"data": [{"id": 5}]}, {}, None, None),
        (None, {}, None, None),
        ("text", {}, None, None),
    ],
)
def test_models_route(body: Any, headers: dict[str, str], engine: str | None, model: str | None) -> None:
    """`/v1/models` tells engines by their signature."""
    assert read_models(body, headers) == ServerFacts(engine, model)


def test_info_route() -> None:
    """`/info` tells TGI of any version."""
    assert read_info(TGI_INFO) == ServerFacts("tgi", "org/model", context_length=4096)
    assert read_info({"model_id": "m", "max_total_tokens": 2048}) == ServerFacts("tgi", "m", context_length=2048)
    tei = {"model_id": "m", "model_type": {"embedding": {"pooling": "cls"}}, "max_client_batch_size": 8}
    assert read_info(tei) == ServerFacts("tei", "m", 8)
    assert read_info(None) is None


@pytest.mark.parametrize(
    "mapping",
    [
        {"novita": {"status": "live", "providerId": "n/x"}, "groq": {"status": "live"}},
        [{"provider": "novita", "providerId": "n/x"}, {}],
    ],
)
def test_provider_ids(mapping: Any) -> None:
    """The Hub's mapping is read as object and as list; rows without an id are passed over."""
    assert read_provider_models({"inferenceProviderMapping": mapping}) == {"novita": ProviderModel("n/x")}
    assert read_provider_models({"inferenceProviderMapping": None}) == read_provider_models([]) == {}

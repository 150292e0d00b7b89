"""_profiles.py and offers.py: what a model can do and costs, by our data, the router, the server."""

from __future__ import annotations

import asyncio
import copy
import pickle
import tomllib
import warnings
from collections.abc import Callable
from importlib import resources
from typing import Any

import httpx
import pytest
from calling import Call, both_ways
from langchain_core.language_models import ModelProfile
from langchain_core.runnables import ConfigurableField

from conftest import COMPLETION, FarEnd
from langchain_hf_inference import ChatHFInference, ConfigurationError, ModelNotFoundError
from langchain_hf_inference._profiles import known_model, known_models, own_profile
from langchain_hf_inference._protocol.offers import ModelOffers, Offer, cost_of, read_offers

FarEndMaker = Callable[..., FarEnd]
QWEN = "Qwen/Qwen3-32B"

OFFERED: dict[str, Any] = {
    "id": "org/name", "object": "model", "created": 1, "owned_by": "org",
    "architecture": {"input_modalities": ["text", "image"], "output_modalities": ["text"]},
    "providers": [
        {"provider": "fast", "status": "live", "context_length": 131072, "pricing": {"input": 0.5, "output": 2},
         "supports_tools": True, "supports_structured_output": True, "first_token_latency_ms": 100, "throughput": 99.5},
        {"provider": "small", "status": "live", "context_length": 32768, "pricing": {"input": 0.1, "output": 0.3},
         "supports_tools": True, "supports_structured_output": False},
        {"provider": "gone", "status": "error", "context_length": 8},
        {"provider": "gratis", "status": "live", "is_free": True},
    ],
}  # fmt: skip
"""An answer of the router, after its documentation; invented."""


def router(offers: Any = OFFERED, served_by: str = "fast") -> Callable[[httpx.Request], Any]:
    def answer(request: httpx.Request) -> Any:
        if request.url.path.startswith("/v1/models/"):
            return httpx.Response(200, json=offers) if isinstance(offers, dict) else offers
        if request.method == "GET":
            return httpx.Response(404)
        if b'"stream":true' in request.content:
            usage = COMPLETION["usage"]
            event = {"id": "1", "model": "m", "choices": [{"delta": {"content": "Hi"}, "finish_reason": "stop"}]}
            lines = b"".join(
                b"data: %s\n\n" % httpx.Response(200, json=e).content for e in (event, {"choices": [], "usage": usage})
            )
            return httpx.Response(200, headers={"x-inference-provider": served_by}, content=lines + b"data: [DONE]\n\n")
        return httpx.Response(200, json=COMPLETION, headers={"x-inference-provider": served_by})

    return answer


def asked(far: FarEnd) -> list[str]:
    return [f"{request.method} {request.url.path}" for request in far.requests]


def test_own_data_is_whole() -> None:
    """Each row has the keys that are documented, and makes a profile that core knows, media flags all told."""
    rows = tomllib.loads(
        resources.files("langchain_hf_inference").joinpath("data/model_profiles.toml").read_text("utf-8")
    )
    assert len(rows) > 90
    for model, row in rows.items():
        assert row.keys() <= {"context", "output", "can", "effort"}
        assert set(row["can"]) <= {"tools", "reasoning", "images", "video", "audio"}
        assert row.get("output", 1) <= row["context"] >= 8192
        profile = own_profile(model, "router")
        assert profile.keys() - {"reasoning_effort_levels"} <= ModelProfile.__annotations__.keys()
        media = ("image_inputs", "image_url_inputs", "audio_inputs", "video_inputs", "pdf_inputs",
                 "image_tool_message", "pdf_tool_message")  # fmt: skip
        assert all(isinstance(profile[flag], bool) for flag in media)


@pytest.mark.parametrize("name", [QWEN, QWEN + ":fastest", QWEN + ":together"])
def test_suffix_is_stripped(name: str) -> None:
    """A routing suffix is no part of the model; nothing is asked, nothing warned of."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = ChatHFInference(model=name, api_key="hf_x")

    assert model.profile["max_input_tokens"] == 40960
    assert model.profile["tool_calling"] is True
    assert model.profile["image_inputs"] is False
    assert "structured_output" not in model.profile
    assert ChatHFInference(model="org/unheard-of").profile is None


def test_structured_output_where_seen() -> None:
    """`structured_output` is told only of engines where tools and a schema were seen together, or refused."""

    def told(engine: Any) -> Any:
        model = ChatHFInference(model=QWEN, endpoint_url="http://h:1", engine=engine)
        return model.profile.get("structured_output")

    assert {engine: told(engine) for engine in ("llama.cpp", "tgi", "vllm", None)} == {
        "llama.cpp": True, "tgi": False, "vllm": None, None: None}  # fmt: skip


def test_given_profile_stands() -> None:
    """What the user says of a model wins, also when it comes from another model."""
    assert ChatHFInference(model=QWEN, profile={"max_input_tokens": 7}).profile == {"max_input_tokens": 7}

    local = ChatHFInference(endpoint_url="http://h:1", profile=ChatHFInference(model=QWEN).profile)
    assert local.profile["max_input_tokens"] == 40960


def test_no_stale_profile() -> None:
    """Another model by `configurable_fields` or `model_copy` has its own profile; one that was given stays."""
    model = ChatHFInference(model=QWEN, api_key="hf_x")
    both = model.configurable_fields(model=ConfigurableField("m"), temperature=ConfigurableField("t"))

    def configured(**values: Any) -> Any:
        return both.with_config(configurable=values).prepare()[0]

    assert configured(m="openai/gpt-oss-20b").profile["reasoning_effort_levels"] == ["low", "medium", "high"]
    assert configured(m="org/unheard-of").profile is None
    assert configured(t=0.5).profile == model.profile
    assert model.model_copy(update={"model": "openai/gpt-oss-20b"}).profile["max_input_tokens"] == 131072
    given = ChatHFInference(model=QWEN, profile={"max_input_tokens": 7})
    assert given.model_copy(update={"model": "org/x"}).profile == {"max_input_tokens": 7}
    assert pickle.loads(pickle.dumps(model)).profile == copy.deepcopy(model).profile == model.profile


def refreshed(call: Call, model: ChatHFInference) -> Any:
    return asyncio.run(model.arefresh_profile()) if call.is_async else model.refresh_profile()


@both_ways
def test_refreshed_from_router(call: Call, far_end: FarEndMaker) -> None:
    """An explicit call asks the router; the profile holds what all live offers have in common."""
    far = far_end(router())
    model = far.model(model="org/name")
    assert (model.profile, model.offers, asked(far)) == (None, (), [])

    profile = refreshed(call, model)

    assert asked(far) == ["GET /v1/models/org/name"]
    assert profile is model.profile
    assert profile == {"max_input_tokens": 32768, "structured_output": False, "image_inputs": True,
                       "image_url_inputs": True, "audio_inputs": False, "video_inputs": False}  # fmt: skip
    assert [offer.provider for offer in model.offers] == ["fast", "small", "gone", "gratis"]
    assert model.offers[0] == Offer("fast", True, 131072, 0.5, 2.0, True, True, 100.0, 99.5)


@both_ways
def test_refreshed_for_provider(call: Call, far_end: FarEndMaker) -> None:
    """With a provider its own offer counts alone; that tools and a schema go together is not known of it."""
    far = far_end(router())

    profile = refreshed(call, far.model(model="org/name:fast"))

    assert (profile["max_input_tokens"], profile["tool_calling"]) == (131072, True)
    assert "structured_output" not in profile


@both_ways
def test_refresh_fails_loudly(call: Call, far_end: FarEndMaker) -> None:
    """What the user asked for by name may fail, and says how."""
    far = far_end(router(httpx.Response(404, json={"error": {"message": "Model not found"}})))

    with pytest.raises(ModelNotFoundError):
        refreshed(call, far.model(model="org/name"))
    with pytest.raises(ConfigurationError, match="model is not set"):
        refreshed(call, far.model(model=None))


@both_ways
@pytest.mark.parametrize(
    ("path", "body", "tokens"),
    [
        ("/info", {"router": "text-generation-router", "model_id": QWEN, "max_total_tokens": 4096}, 4096),
        ("/v1/models", {"data": [{"id": QWEN, "owned_by": "vllm", "max_model_len": 2048}]}, 2048),
        ("/v1/models", {"data": [{"id": QWEN, "owned_by": "llamacpp", "meta": {"n_ctx": 1024}}]}, 1024),
        ("/v1/models", {"data": [{"id": QWEN}]}, 40960),
    ],
    ids=["tgi", "vllm", "llama.cpp", "silent"],
)
def test_refreshed_from_server(call: Call, far_end: FarEndMaker, path: str, body: Any, tokens: int) -> None:
    """A server of one's own tells its model and its context; what we know of the model is the base."""
    far = far_end(lambda r: body if r.url.path == path else httpx.Response(404))

    profile = refreshed(call, far.model(model=None, endpoint_url="http://h:1"))

    assert (profile["max_input_tokens"], profile["reasoning_output"]) == (tokens, True)


@both_ways
def test_cost_is_told(call: Call, far_end: FarEndMaker) -> None:
    """`report_cost` asks for prices once and tells the cost of whole and streamed answers, by who served."""
    far = far_end(router())
    model = far.model(model="org/name", report_cost=True)
    cost = {"input": 0.5e-6, "output": 4e-6, "total": 4.5e-6, "currency": "USD", "provider": "fast"}

    assert call.invoke(model, "Hello").response_metadata["cost"] == pytest.approx(cost)
    assert call.total(model, "Hello").response_metadata["cost"] == pytest.approx(cost)
    assert asked(far).count("GET /v1/models/org/name") == 1


@both_ways
def test_cost_untold(call: Call, far_end: FarEndMaker, told: list[str]) -> None:
    """Not asked for: no look-up. Not known: no cost, and a word why; the call goes on."""
    quiet, dear = far_end(router()), far_end(router(httpx.Response(500)))

    assert "cost" not in call.invoke(quiet.model(model="org/name"), "Hello").response_metadata
    assert asked(quiet) == ["POST /v1/chat/completions"]
    assert "cost" not in call.invoke(dear.model(model="org/other", report_cost=True), "Hello").response_metadata
    with pytest.warns(UserWarning, match="only the Hugging Face router tells its prices"):
        call.invoke(dear.model(endpoint_url="http://h:1", report_cost=True), "Hello")


@pytest.mark.parametrize(
    ("provider", "offers", "total"),
    [
        ("fast", ["fast", "small"], 4.5e-6),
        (None, ["small"], 0.7e-6),
        (None, ["fast", "small"], None),
        ("unheard-of", ["fast"], None),
        ("gratis", ["gratis"], 0.0),
    ],
)
def test_cost_of(provider: str | None, offers: list[str], total: float | None) -> None:
    """The served provider's price counts; without it a single offer's; else there is no telling."""
    read = read_offers(OFFERED, "org/name")
    usage = {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}

    cost = cost_of(usage, provider, read.serving(offers))

    assert cost is None if total is None else cost["total"] == pytest.approx(total)
    assert cost_of(None, provider, read.serving(offers)) is None


def test_offers_read_in_any_shape() -> None:
    """One model or a list of them; what is missing or odd is not known."""
    assert read_offers({"data": [{"id": "other"}, OFFERED]}, "org/name") == read_offers(OFFERED, "org/name")
    assert read_offers({"data": []}, "org/name") is None
    assert read_offers(None, "org/name") is None
    odd = {
        "id": "m",
        "architecture": None,
        "providers": [{"provider": "p", "pricing": {"input": "1"}, "context_length": True}, {}],
    }
    assert read_offers(odd, "m") == ModelOffers("m", offers=(Offer("p", False),))


def test_a_row_is_a_line() -> None:
    """A model's row, which is read by itself, is what the whole file says of it."""
    rows = known_models()
    assert len(rows) > 90
    assert {name: known_model(name) for name in rows} == rows
    assert known_model("org/unknown") is None

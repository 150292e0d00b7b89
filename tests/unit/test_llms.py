"""llms.py with _protocol/generate.py and completion.py: every parameter, both APIs, batches, streams."""

from __future__ import annotations

import asyncio
import json
import os
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pytest
from calling import Call, both_ways
from jsonschema import Draft202012Validator
from langchain_core.callbacks import BaseCallbackHandler
from pydantic import ValidationError
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from conftest import COMPLETION, FarEnd
from langchain_hf_inference import (
    APIStatusError,
    ConfigurationError,
    HFInferenceLLM,
    InvalidRequestError,
    RateLimitError,
    ResponseFormatError,
    StreamError,
)
from langchain_hf_inference.testing import Fault, InferenceServer

FarEndMaker = Callable[..., FarEnd]
SPECS = Path(os.environ.get("HF_SPECS") or Path(__file__).parents[3] / "shared" / "specs")
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}}
ANSWER = {
    "generated_text": " text",
    "details": {"finish_reason": "eos_token", "generated_tokens": 2, "seed": 5, "prefill": [], "tokens": []},
}
NATIVE: dict[str, tuple[Any, str, Any]] = {
    "max_tokens": (7, "max_new_tokens", 7), "temperature": (0.5, "temperature", 0.5), "top_k": (5, "top_k", 5), "top_p": (0.5, "top_p", 0.5),
    "typical_p": (0.5, "typical_p", 0.5), "repetition_penalty": (1.5, "repetition_penalty", 1.5), "frequency_penalty": (0.5, "frequency_penalty", 0.5),
    "seed": (7, "seed", 7), "stop": (["x"], "stop", ["x"]), "best_of": (2, "best_of", 2), "truncate": (5, "truncate", 5),
    "watermark": (True, "watermark", True), "return_full_text": (True, "return_full_text", True), "do_sample": (True, "do_sample", True),
    "grammar": ({"type": "json", "value": SCHEMA}, "grammar", {"type": "json", "value": SCHEMA}), "adapter_id": ("a", "adapter_id", "a"),
    "decoder_input_details": (True, "decoder_input_details", True), "top_n_tokens": (2, "top_n_tokens", 2), "details": (True, "details", True),
}  # fmt: skip


def tgi(far: FarEnd, **settings: Any) -> HFInferenceLLM:
    return HFInferenceLLM(
        **{"model": "m", "endpoint_url": "http://h:1", "engine": "tgi", "api_key": False, **far.clients, **settings}
    )


def openai(far: FarEnd, engine: str = "vllm", **settings: Any) -> HFInferenceLLM:
    return tgi(far, engine=engine, **settings)


def sent(far: FarEnd) -> dict[str, Any]:
    return far.bodies[-1]


@both_ways
@pytest.mark.parametrize(("name", "given", "wire", "value"), [(name, *row) for name, row in NATIVE.items()])
def test_native_parameters(call: Call, far_end: FarEndMaker, name: str, given: Any, wire: str, value: Any) -> None:
    """Each of TGI's parameters reaches `/generate` under its name, from constructor and call."""
    for settings, kwargs in (({name: given}, {}), ({}, {name: given})):
        far = far_end(ANSWER)
        call.invoke(tgi(far, **settings), "Go", **kwargs)
        assert far.requests[-1].url.path == "/generate"
        assert sent(far)["inputs"] == "Go"
        assert sent(far)["parameters"][wire] == value


@pytest.mark.parametrize(
    ("settings", "parameters"),
    [
        ({}, {}), ({"temperature": 0}, {"do_sample": False}), ({"top_p": 1.0}, {}), ({"typical_p": 1}, {}), ({"top_k": 0}, {}), ({"top_k": -1}, {}),
        ({"best_of": 1}, {}), ({"presence_penalty": 0}, {}), ({"min_p": 0}, {}), ({"max_new_tokens": 5}, {"max_new_tokens": 5}),
        ({"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}}}, {"grammar": {"type": "json", "value": SCHEMA}}),
        ({"grammar": {"type": "regex", "value": "a+"}}, {"grammar": {"type": "regex", "value": "a+"}}),
    ],
)  # fmt: skip
def test_values_that_tgi_refuses(far_end: FarEndMaker, settings: dict[str, Any], parameters: dict[str, Any]) -> None:
    """Values that TGI refuses are translated to what they mean; parameters are always sent, with details."""
    far = far_end(ANSWER)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tgi(far, **settings).invoke("Go")

    assert sent(far)["parameters"] == {"details": True, "return_full_text": False, **parameters}


def test_what_tgi_lacks_is_told(far_end: FarEndMaker) -> None:
    """A setting that TGI's API does not have is named in a warning."""
    with pytest.warns(UserWarning, match="Text Generation Inference has no min_p for text generation"):
        tgi(far_end(ANSWER), min_p=0.5).invoke("Go")


@cache
def validators() -> dict[str, Draft202012Validator]:
    """Give a validator of a generate request for each version of TGI's OpenAPI."""
    found = {}
    for path in sorted(SPECS.glob("tgi_openapi_*.json")):
        resource = Resource(contents=json.loads(path.read_text()), specification=DRAFT202012)
        registry: Registry[Any] = Registry().with_resource("urn:tgi", resource)
        reference = {"$ref": "urn:tgi#/components/schemas/GenerateRequest"}
        found[path.stem] = Draft202012Validator(reference, registry=registry)
    return found


@pytest.mark.skipif(not SPECS.exists(), reason="HF_SPECS is not there")
@pytest.mark.parametrize("stream", [False, True])
def test_bodies_fit_the_specification(far_end: FarEndMaker, stream: bool) -> None:
    """Each parameter's request fits TGI's own OpenAPI, in every version that has the parameter."""
    assert len(validators()) == 9
    for name, (given, wire, _) in NATIVE.items():
        far = far_end(
            b'data: {"token":{"id":1,"text":"x","logprob":0,"special":false},"generated_text":"x","details":null}\n\n'
            if stream
            else ANSWER
        )
        model = tgi(far, **{name: given})
        list(model.stream("Go")) if stream else model.invoke("Go")
        for version, validator in validators().items():
            known = validator._resolver.lookup("urn:tgi#/components/schemas/GenerateParameters").contents["properties"]
            body = sent(far)
            body["parameters"] = {key: value for key, value in body["parameters"].items() if key in known}
            assert [e.message for e in validator.iter_errors(body)] == [], f"{name} {version}"
            assert wire in known or (wire == "adapter_id" and version < "tgi_openapi_v2.1"), (
                f"{wire} is not in {version}"
            )


def registered(version: str) -> tuple[Registry[Any], dict[str, Any]]:
    resource = Resource(contents=json.loads((SPECS / f"{version}.json").read_text()), specification=DRAFT202012)
    return Registry().with_resource("urn:tgi", resource), resource.contents["components"]["schemas"]


CHAT = {"temperature": 0.0, "max_tokens": 5, "top_p": 1.0, "frequency_penalty": 0.5, "presence_penalty": 0, "repetition_penalty": 1.1, "seed": 7,
        "stop": "x", "logprobs": True, "top_logprobs": 3, "tool_prompt": "Use tools.", "top_k": 5, "logit_bias": {"5": 1}, "n": 1}  # fmt: skip


@pytest.mark.skipif(not SPECS.exists(), reason="HF_SPECS is not there")
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("version", sorted(path.stem for path in SPECS.glob("tgi_openapi_*.json")))
def test_chat_fits_the_specification(far_end: FarEndMaker, version: str) -> None:
    """Chat requests in TGI's dialect, with tools or a schema, fit TGI's OpenAPI in every version that has them."""
    registry, schemas = registered(version)
    validator = Draft202012Validator({"$ref": "urn:tgi#/components/schemas/ChatRequest"}, registry=registry)
    known = schemas["ChatRequest"]["properties"]
    far = far_end(COMPLETION)
    tool = {"type": "function", "function": {"name": "f", "description": "d", "parameters": SCHEMA}}
    for name, value in CHAT.items():
        far.model(endpoint_url="http://h:1", engine="tgi", **{name: value}).invoke("Go")
    model = far.model(endpoint_url="http://h:1", engine="tgi")
    for choice in ("auto", "none", "any", "f"):
        model.bind_tools([tool], tool_choice=choice).invoke("Go")
    model.invoke("Go", response_format={"type": "json_schema", "json_schema": {"name": "S", "schema": SCHEMA}})
    for body in far.bodies:
        body = {key: value for key, value in body.items() if key in known}
        body.pop("tool_choice", None)  # the document describes Rust's enumeration, not the words that the server reads
        if "arguments" in schemas["FunctionDefinition"]["properties"]:
            for sent_tool in body.get("tools", []):  # and a field by its Rust name, which it reads as `parameters`
                sent_tool["function"]["arguments"] = sent_tool["function"].pop("parameters")
        found = [e.message for e in validator.iter_errors(body)]
        assert found == [], body


@both_ways
def test_native_stream(call: Call, far_end: FarEndMaker) -> None:
    """A stream goes to `/generate_stream`; special tokens have no text; the last event has the reason."""
    tokens = [("Hel", False), ("lo", False), ("</s>", True)]
    events = [
        {"token": {"id": 1, "text": t, "logprob": -1, "special": s}, "generated_text": None, "details": None}
        for t, s in tokens
    ]
    events[-1] |= {
        "generated_text": "Hello",
        "details": {"finish_reason": "eos_token", "generated_tokens": 3, "input_length": 4, "seed": None},
    }
    far = far_end(b"".join(b"data:" + json.dumps(e).encode() + b"\n\n" for e in events))
    told: list[str] = []

    class Handler(BaseCallbackHandler):
        def on_llm_new_token(self, token: str, **kwargs: Any) -> None:
            told.append(token)

    assert call.stream(tgi(far), "Go", config={"callbacks": [Handler()]}) == ["Hel", "lo", ""]
    assert far.requests[0].url.path == "/generate_stream"
    assert told == ["Hel", "lo", ""]


def test_stop_across_chunks(far_end: FarEndMaker) -> None:
    """A stop text that TGI leaves in is cut even where it lies across chunks."""
    events = [{"token": {"text": t, "special": False}, "generated_text": g, "details": d} for t, g, d in [
        ("one S", None, None), ("TO", None, None), ("P", "one STOP", {"finish_reason": "stop_sequence", "generated_tokens": 3})]]  # fmt: skip
    stream = b"".join(b"data:" + json.dumps(e).encode() + b"\n\n" for e in events)
    whole = {"generated_text": "one STOP", "details": {"finish_reason": "stop_sequence", "generated_tokens": 3}}

    assert "".join(tgi(far_end(stream), stop=["STOP"]).stream("Go")) == "one "
    result = tgi(far_end(whole), stop=["STOP"]).generate(["Go"])
    assert result.generations[0][0].text == "one "
    assert result.generations[0][0].generation_info == {
        "finish_reason": "stop", "native_finish_reason": "stop_sequence", "token_usage": {"completion_tokens": 3},
    }  # fmt: skip


def test_stop_found_at_the_end(far_end: FarEndMaker) -> None:
    """A stop text that is certain only when the stream has ended is cut, and told as the reason."""
    far = far_end(b'data: {"choices": [{"text": "xaba", "finish_reason": "length"}]}\n\ndata: [DONE]\n\n')
    chunks = list(openai(far, stop=["b", "aba!"])._stream("Go"))

    assert "".join(c.text for c in chunks) == "xa"
    assert chunks[-1].generation_info["finish_reason"] == "stop"  # type: ignore[index]


def test_details(far_end: FarEndMaker) -> None:
    """Seed, prefill, tokens and the sequences that were not the best are told."""
    details = {**ANSWER["details"], "prefill": [{"id": 1, "text": "Go", "logprob": None}], "best_of_sequences": [{"generated_text": "other"}],
               "tokens": [{"id": 2, "text": " text", "logprob": -1, "special": False}], "top_tokens": [[{"id": 3}]]}  # fmt: skip
    result = tgi(far_end({**ANSWER, "details": details}), best_of=2, decoder_input_details=True).generate(["Go"])
    info = result.generations[0][0].generation_info

    assert info["token_usage"] == {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    assert (info["seed"], info["best_of_sequences"], info["tokens"], info["prefill"], info["top_tokens"]) == (
        5, details["best_of_sequences"], details["tokens"], details["prefill"], details["top_tokens"])  # fmt: skip
    assert result.llm_output == {
        "token_usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
        "model_name": "m",
    }


@both_ways
def test_n(call: Call, far_end: FarEndMaker) -> None:
    """Several answers: TGI is asked so often, each with a seed of its own; OpenAI's API takes n."""
    far = far_end(ANSWER)
    model = tgi(far, n=3, seed=7)
    result = asyncio.run(model.agenerate(["Go"])) if call.is_async else model.generate(["Go"])
    assert len(result.generations[0]) == 3
    assert sorted(body["parameters"]["seed"] for body in far.bodies) == [7, 8, 9]

    far = far_end({"choices": [{"index": i, "text": str(i), "finish_reason": "stop"} for i in (1, 0)]})
    model = openai(far, n=2, best_of=3)
    result = asyncio.run(model.agenerate(["Go"])) if call.is_async else model.generate(["Go"])
    assert [g.text for g in result.generations[0]] == ["0", "1"]
    assert (sent(far)["n"], sent(far)["best_of"]) == (2, 3)


@both_ways
@pytest.mark.parametrize("url", ["http://h:1", "http://h:1/v1", "http://h:1/v1/completions"])
def test_completions(call: Call, far_end: FarEndMaker, url: str) -> None:
    """Other engines are asked by `/v1/completions`, one prompt a request, with the model's name."""
    far = far_end(
        {
            "model": "served",
            "choices": [{"index": 0, "text": " text", "finish_reason": "length"}],
            "usage": {"prompt_tokens": 1, "completion_tokens": 2},
        }
    )

    assert call.invoke(openai(far, endpoint_url=url, temperature=0, top_k=5, max_tokens=2, stop="zz"), "Go") == " text"
    assert far.requests[0].url.path == "/v1/completions"
    assert sent(far) == {"model": "m", "prompt": "Go", "temperature": 0, "top_k": 5, "max_tokens": 2, "stop": ["zz"]}


@pytest.mark.parametrize(
    ("engine", "grammar", "wire"),
    [
        ("vllm", {"type": "json", "value": SCHEMA}, {"structured_outputs": {"json": SCHEMA}}),
        ("vllm", {"type": "regex", "value": "a+"}, {"structured_outputs": {"regex": "a+"}}),
        ("sglang", {"type": "json", "value": SCHEMA}, {"json_schema": json.dumps(SCHEMA)}),
        ("sglang", {"type": "regex", "value": "a+"}, {"regex": "a+"}),
        ("llama.cpp", {"type": "json", "value": SCHEMA}, {"json_schema": SCHEMA}),
        (
            "openai",
            {"type": "json_schema", "value": {"name": "x", "schema": SCHEMA}},
            {"response_format": {"type": "json_schema", "json_schema": {"name": "answer", "schema": SCHEMA}}},
        ),
    ],
)
def test_grammars(far_end: FarEndMaker, engine: str, grammar: dict[str, Any], wire: dict[str, Any]) -> None:
    """A grammar is written the way each engine takes it."""
    far = far_end({"choices": [{"text": "{}", "finish_reason": "stop"}]})

    openai(far, engine, grammar=grammar).invoke("Go")

    assert {k: v for k, v in sent(far).items() if k not in ("model", "prompt")} == wire


def test_what_others_lack_is_told(far_end: FarEndMaker) -> None:
    """TGI's own parameters are named in a warning elsewhere; watermark=False asks for nothing."""
    far = far_end({"choices": [{"text": "x"}]})
    with pytest.warns(UserWarning, match="vLLM has no truncate; it was left out"):
        openai(far, truncate=5, watermark=False).invoke("Go")
    assert sent(far) == {"model": "m", "prompt": "Go"}


@both_ways
@pytest.mark.parametrize("engine", ["tgi", "vllm"])
def test_full_text(call: Call, server: InferenceServer, engine: str) -> None:
    """return_full_text puts the prompt first, whatever the server, whole and streamed."""
    model = HFInferenceLLM(endpoint_url=server.url, model="m", engine=engine, return_full_text=True, max_tokens=2)

    assert call.invoke(model, "Go") == "".join(call.stream(model, "Go")) == "Go and so"


@both_ways
def test_api_is_found(call: Call) -> None:
    """TGI is known by its /info and asked by its own API; what is not known, by OpenAI's."""
    for engine, path in (("tgi", "/generate"), (None, "/v1/completions")):
        with InferenceServer(engine=engine) as server:
            assert call.invoke(HFInferenceLLM(endpoint_url=server.url, max_tokens=2), "Go") == " and so"
            assert server.requests[0].path == path


@both_ways
@pytest.mark.parametrize("engine", ["tgi", "vllm"])
def test_batch_with_failures(call: Call, engine: str) -> None:
    """1,000 prompts of which 1 in 100 fails: the others' work is there, in order."""
    prompts = [f"bad {i}" if i % 100 == 0 else f"good {i}" for i in range(1000)]

    def failing(request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content)
        if (body.get("inputs") or body.get("prompt")).startswith("bad"):
            return httpx.Response(422, json={"error": "bad prompt", "error_type": "validation"})
        return httpx.Response(
            200,
            json=ANSWER if "inputs" in body else {"choices": [{"index": 0, "text": " text", "finish_reason": "stop"}]},
        )

    transport = httpx.MockTransport(failing)
    clients = {
        "http_client": httpx.Client(transport=transport),
        "http_async_client": httpx.AsyncClient(transport=transport),
    }
    model = HFInferenceLLM(endpoint_url="http://h:1", model="m", engine=engine, max_retries=0, **clients)

    found = (
        asyncio.run(model.abatch(prompts, return_exceptions=True))
        if call.is_async
        else model.batch(prompts, return_exceptions=True)
    )

    assert [i for i, answer in enumerate(found) if isinstance(answer, APIStatusError)] == list(range(0, 1000, 100))
    assert {answer for i, answer in enumerate(found) if i % 100} == {" text"}


@both_ways
def test_bounded(call: Call) -> None:
    """No more requests are in work than max_concurrent_requests."""
    running = most = 0

    async def busy(request: httpx.Request) -> httpx.Response:
        nonlocal running, most
        running, most = running + 1, max(most, running + 1)
        await asyncio.sleep(0.005)
        running -= 1
        return httpx.Response(200, json=ANSWER)

    def busy_sync(request: httpx.Request) -> httpx.Response:
        nonlocal running, most
        import time

        running, most = running + 1, max(most, running + 1)
        time.sleep(0.005)
        running -= 1
        return httpx.Response(200, json=ANSWER)

    clients = {
        "http_client": httpx.Client(transport=httpx.MockTransport(busy_sync)),
        "http_async_client": httpx.AsyncClient(transport=httpx.MockTransport(busy)),
    }
    model = HFInferenceLLM(endpoint_url="http://h:1", model="m", engine="tgi", max_concurrent_requests=5, **clients)

    result = asyncio.run(model.agenerate(["Go"] * 40)) if call.is_async else model.generate(["Go"] * 40)

    assert len(result.generations) == 40
    assert 2 <= most <= 5


@both_ways
def test_first_failure_is_raised(call: Call, far_end: FarEndMaker) -> None:
    """Without return_exceptions a failure is raised as our error."""
    far = far_end(httpx.Response(422, json={"error": "no", "error_type": "validation"}))
    with pytest.raises(APIStatusError, match="no"):
        model = tgi(far)
        asyncio.run(model.abatch(["a", "b", "c"])) if call.is_async else model.batch(["a", "b", "c"])


@both_ways
def test_pipeline(call: Call, far_end: FarEndMaker) -> None:
    """The form posted to the URL itself; what a pipeline says it does not use is left out from then on, and told."""

    def answer(request: httpx.Request) -> Any:
        if unused := [n for n in ("details", "stop", "seed") if n in json.loads(request.content)["parameters"]]:
            refusal = f"The following `model_kwargs` are not used by the model: {unused}"
            return httpx.Response(400, json={"error": refusal, "warnings": []})
        return httpx.Response(200, json=[{"generated_text": " text STOP more"}])

    far = far_end(answer)
    model = tgi(
        far,
        engine="openai",
        api="pipeline",
        endpoint_url="http://h:1/custom",
        max_tokens=5,
        stop=["STOP"],
        temperature=0.5,
        typical_p=0.9,
        seed=7,
        extra_body={"options": {"wait_for_model": True}},
    )

    with pytest.warns(UserWarning, match="does not take seed, left out from now on"):
        assert call.invoke(model, "Go") == " text "
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert call.invoke(model, "Go") == " text "
    assert [r.url.path for r in far.requests] == ["/custom"] * 3
    assert (
        far.bodies[1]
        == far.bodies[2]
        == {
            "inputs": "Go",
            "parameters": {"return_full_text": False, "max_new_tokens": 5, "temperature": 0.5, "typical_p": 0.9},
            "options": {"wait_for_model": True},
        }
    )


@both_ways
def test_pipeline_refuses_a_value(call: Call, far_end: FarEndMaker) -> None:
    """A parameter whose value is wrong is not left out: the error is raised."""
    far = far_end(httpx.Response(400, json={"error": "'temperature' has to be a strictly positive float"}))
    model = tgi(far, engine="openai", api="pipeline", endpoint_url="http://h:1/custom", temperature=5)

    with pytest.raises(InvalidRequestError, match="strictly positive"):
        call.invoke(model, "Go")
    assert len(far.requests) == 1


MAPPING = {"featherless-ai": {"status": "live", "providerId": "Their/Name", "task": "text-generation"},
           "novita": {"status": "live", "providerId": "n", "task": "conversational"}}  # fmt: skip


def hub(mapping: Any) -> Callable[[httpx.Request], Any]:
    def answer(request: httpx.Request) -> Any:
        if request.url.host == "huggingface.co":
            return {"id": "org/name", "inferenceProviderMapping": mapping}
        if "inputs" in json.loads(request.content):
            return httpx.Response(200, json=[{"generated_text": " text"}])
        return {"choices": [{"index": 0, "text": " text", "finish_reason": "stop"}]}

    return answer


@both_ways
@pytest.mark.parametrize(
    ("provider", "key", "url"),
    [
        (None, "hf_x", "https://router.huggingface.co/featherless-ai/v1/completions"),
        ("featherless-ai", "hf_x", "https://router.huggingface.co/featherless-ai/v1/completions"),
        (["novita", "featherless-ai"], "hf_x", "https://router.huggingface.co/featherless-ai/v1/completions"),
        ("featherless-ai", "their-key", "https://api.featherless.ai/v1/completions"),
    ],
)
def test_providers(call: Call, far_end: FarEndMaker, provider: Any, key: str, url: str) -> None:
    """A provider that serves the model for plain prompts is found by one look-up, and asked by its own name for it."""
    far = far_end(hub(MAPPING))
    model = HFInferenceLLM(model="org/name", provider=provider, api_key=key, **far.clients)

    assert call.invoke(model, "Go") == call.invoke(model, "Go") == " text"
    assert [str(r.url) for r in far.requests[1:]] == [url, url]
    assert sent(far)["model"] == "Their/Name"


def test_hf_inference(far_end: FarEndMaker) -> None:
    """hf-inference takes the pipeline form at the model's own path."""
    far = far_end(hub({"hf-inference": {"status": "live", "providerId": "org/name", "task": "text-generation"}}))

    HFInferenceLLM(model="org/name", api_key="hf_x", **far.clients).invoke("Go")

    assert str(far.requests[-1].url) == "https://router.huggingface.co/hf-inference/models/org/name"


@pytest.mark.parametrize(
    ("mapping", "provider", "words"),
    [
        ({"novita": MAPPING["novita"]}, None, "is a chat model on novita.*use ChatHFInference"),
        ({"novita": MAPPING["novita"]}, "novita", "is a chat model on novita.*use ChatHFInference"),
        (MAPPING, "groq", "provider='groq' does not do text-generation; providers that do are featherless-ai"),
        ({"fal-ai": {"providerId": "x", "task": "text-to-image"}}, None, r"the Hub lists: fal-ai \(text-to-image\)"),
    ],
)
def test_chat_models_are_told_apart(far_end: FarEndMaker, mapping: Any, provider: Any, words: str) -> None:
    """A model that only chats is told to use ChatHFInference before anything is sent."""
    far = far_end(hub(mapping))
    with pytest.raises(ConfigurationError, match=words):
        HFInferenceLLM(model="org/name", provider=provider, api_key="hf_x", **far.clients).invoke("Go")
    assert [r.method for r in far.requests] == ["GET"]


@both_ways
@pytest.mark.parametrize("engine", ["tgi", "vllm"])
def test_faults(call: Call, server: InferenceServer, engine: str) -> None:
    """Retries, rate limits, cut streams and failures inside them, as for chat."""
    model = HFInferenceLLM(endpoint_url=server.url, model="m", engine=engine, max_retries=1)
    server.fail(Fault.rate_limited(0.01))
    assert call.invoke(model, "Go").startswith(" and so")
    server.fail(Fault.cut_stream(2))
    with pytest.raises(StreamError) as cut:
        call.stream(model, "Go")
    assert cut.value.partial is not None
    assert cut.value.partial.text == " and so"
    server.fail(Fault.in_stream("boom", after_events=2))
    with pytest.raises(StreamError, match="boom"):
        call.stream(model, "Go")
    server.fail(Fault.rate_limited(0.01), times=2)
    with pytest.raises(RateLimitError):
        call.invoke(model, "Go")


@both_ways
@pytest.mark.parametrize("engine", ["tgi", "vllm"])
def test_facts_of_headers(call: Call, server: InferenceServer, engine: str) -> None:
    """The request's id is in generation_info, whole and streamed."""
    model = HFInferenceLLM(endpoint_url=server.url, model="m", engine=engine)
    streaming = model.model_copy(update={"streaming": True})

    for one in (model, streaming):
        result = asyncio.run(one.agenerate(["Go"])) if call.is_async else one.generate(["Go"])
        assert result.generations[0][0].generation_info["request_id"].startswith("scripted-")


@pytest.mark.parametrize("name", ["best_of", "decoder_input_details"])
def test_what_streams_lack_is_told(far_end: FarEndMaker, name: str) -> None:
    """TGI refuses these in streams: they are left out, with a warning."""
    far = far_end(b'data: {"token":{"text":"x","special":false},"generated_text":"x"}\n\n')
    with pytest.warns(UserWarning, match=f"Text Generation Inference has no {name} in streams"):
        list(tgi(far, **{name: 2 if name == "best_of" else True}).stream("Go"))
    assert name not in sent(far)["parameters"]


@both_ways
def test_unreadable(call: Call, far_end: FarEndMaker) -> None:
    """An answer of another kind is told as such."""
    with pytest.raises(ResponseFormatError, match="no generated text"):
        call.invoke(tgi(far_end({"x": 1})), "Go")
    with pytest.raises(ResponseFormatError, match="no text completion"):
        call.invoke(openai(far_end({"choices": [{"x": "y"}]})), "Go")
    with pytest.raises(APIStatusError, match="boom"):
        call.invoke(openai(far_end({"error": {"message": "boom", "code": 500}})), "Go")


def test_checks() -> None:
    """Values out of range are refused by name; typos are warned of; nothing secret shows."""
    with pytest.raises(ValidationError, match="top_n_tokens"):
        HFInferenceLLM(model="m", top_n_tokens=-1)
    with pytest.warns(UserWarning, match=r"Did you mean watermark\?"):
        HFInferenceLLM(model="m", watermrk=True)
    model = HFInferenceLLM(model="m", api_key="hf_secret", max_new_tokens=5, temperature=0)
    assert "hf_secret" not in f"{model!r} {model} {model._identifying_params}"
    assert model._get_ls_params() == {
        "ls_provider": "huggingface",
        "ls_model_type": "llm",
        "ls_model_name": "m",
        "ls_temperature": 0,
        "ls_max_tokens": 5,
    }


@both_ways
def test_streaming_invoke(call: Call, server: InferenceServer) -> None:
    """`streaming=True` reads a stream behind invoke, and tells handlers of its pieces."""
    told: list[str] = []

    class Handler(BaseCallbackHandler):
        def on_llm_new_token(self, token: str, **kwargs: Any) -> None:
            told.append(token)

    model = HFInferenceLLM(endpoint_url=server.url, model="m", engine="tgi", streaming=True, max_tokens=2)

    assert call.invoke(model, "Go", config={"callbacks": [Handler()]}) == "".join(told) == " and so"

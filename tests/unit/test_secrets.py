"""No secret is seen anywhere but in the request that it belongs to; and what is alive survives copies."""

from __future__ import annotations

import asyncio
import copy
import json
import logging
import pickle
import re
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from calling import Call, both_ways
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.load import dumps, load
from langchain_core.runnables import ConfigurableField
from langchain_core.tracers.base import BaseTracer

from conftest import COMPLETION, FarEnd
from langchain_hf_inference import (
    ChatHFInference,
    ConfigurationError,
    HFInferenceEmbeddings,
    HFInferenceLLM,
    HFReranker,
    HFTextClassifier,
    HFTextToImage,
)
from langchain_hf_inference._transport import clients
from langchain_hf_inference.compat import ChatHuggingFace, HuggingFaceEndpoint, HuggingFaceEndpointEmbeddings
from langchain_hf_inference.testing import Fault, InferenceServer

FarEndMaker = Callable[..., FarEnd]
SECRET = "hf_s3cr3t"
CLASSES = [ChatHFInference, HFInferenceLLM, HFInferenceEmbeddings, HFTextClassifier, HFTextToImage, HFReranker,
           ChatHuggingFace, HuggingFaceEndpoint, HuggingFaceEndpointEmbeddings]  # fmt: skip

GIVEN: dict[str, dict[str, Any]] = {
    "api_key": {"model": "org/name", "api_key": SECRET},
    "another name": {"model": "org/name", "token": SECRET},
    "a header": {"model": "org/name", "default_headers": {"Authorization": f"Bearer {SECRET}", "X-Key": SECRET}},
    "the URL": {"endpoint_url": f"http://user:{SECRET}@localhost:9/v1", "model": "m"},
}

SHOWN: dict[str, Callable[[Any], Any]] = {
    "repr": repr,
    "str": str,
    "format": lambda m: f"{m}",
    "model_dump": lambda m: m.model_dump(),
    "model_dump of JSON": lambda m: m.model_dump(mode="json"),
    "model_dump_json": lambda m: m.model_dump_json(),
    "dumps": dumps,
    "pickle": pickle.dumps,
    "pickle of a copy": lambda m: pickle.dumps(copy.deepcopy(m)),
    "repr of a copy": lambda m: repr(m.model_copy()),
    "the schema": lambda m: type(m).model_json_schema(mode="serialization"),
    "graph": lambda m: m.get_graph().to_json() if hasattr(m, "get_graph") else "",
    "identity": lambda m: getattr(m, "_identifying_params", ""),
    "LangSmith": lambda m: m._get_ls_params() if hasattr(m, "_get_ls_params") else "",
}


@pytest.mark.parametrize("place", SHOWN)
@pytest.mark.parametrize("given", GIVEN)
@pytest.mark.parametrize("kind", CLASSES)
def test_shown_nowhere(kind: Any, given: str, place: str) -> None:
    """Every way to show, dump or pickle a model, whichever way the secret was given."""
    shown = SHOWN[place](kind(**GIVEN[given]))

    assert SECRET not in str(shown)
    assert SECRET.encode() not in (shown if isinstance(shown, bytes) else b"")


class Tracer(BaseTracer):
    """Keeps whole runs, as LangSmith would be sent them."""

    def __init__(self) -> None:
        super().__init__()
        self.runs: list[str] = []

    def _persist_run(self, run: Any) -> None:
        self.runs.append(str(run.model_dump() if hasattr(run, "model_dump") else vars(run)))


class Handler(BaseCallbackHandler):
    """Keeps all that handlers are told."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def on_chat_model_start(self, *args: Any, **kwargs: Any) -> None:
        self.heard.append(f"{args} {kwargs}")

    def on_llm_start(self, *args: Any, **kwargs: Any) -> None:
        self.heard.append(f"{args} {kwargs}")

    def on_llm_end(self, *args: Any, **kwargs: Any) -> None:
        self.heard.append(f"{args} {kwargs}")

    def on_llm_error(self, *args: Any, **kwargs: Any) -> None:
        self.heard.append(f"{args} {kwargs}")

    def on_retry(self, *args: Any, **kwargs: Any) -> None:
        self.heard.append(f"{args} {kwargs}")


FAILURES = [None, Fault.of_status(401), Fault.of_status(500), Fault.cut_stream(0), Fault.cut_stream(2)]


@both_ways
@pytest.mark.parametrize("fault", FAILURES, ids=["none", "401", "500", "cut", "cut in the middle"])
@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("kind", [ChatHFInference, HFInferenceLLM, ChatHuggingFace])
@pytest.mark.parametrize("given", ["key", "URL"])
def test_traced_nowhere(
    call: Call, caplog: pytest.LogCaptureFixture, kind: Any, streamed: bool, fault: Fault | None, given: str
) -> None:
    """Traces, handlers, logs at DEBUG, errors with all their causes, and pickles of errors."""
    caplog.set_level(logging.DEBUG)
    tracer, handler, caught = Tracer(), Handler(), None
    with InferenceServer() as server:
        url = server.url if given == "key" else server.url.replace("http://", f"http://user:{SECRET}@")
        secret = {"api_key": SECRET} if given == "key" else {}
        model = kind(endpoint_url=url, model="m", engine="openai", max_retries=0, **secret)
        if fault is not None:
            server.fail(fault, times=2)
        try:
            ask = call.stream if streamed else call.invoke
            ask(model, "Hello", config={"callbacks": [tracer, handler]})
        except Exception as error:  # noqa: BLE001 - whatever comes is searched
            caught = error
        sent = server.requests[-1].headers["authorization"]

    assert (caught is None) == (fault is None)
    assert sent == (f"Bearer {SECRET}" if given == "key" else httpx.BasicAuth("user", SECRET)._auth_header)
    texts = [*tracer.runs, *handler.heard, caplog.text]
    assert len(tracer.runs) == 1
    if caught is not None:
        texts += ["".join(traceback.format_exception(caught)), repr(caught), str(vars(caught))]
        texts += [repr(pickle.dumps(caught)), repr(pickle.loads(pickle.dumps(caught)))]
    assert not [text for text in texts if SECRET in text or httpx.BasicAuth("user", SECRET)._auth_header in text]


def test_environment_token_is_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """A token of the environment is named in dumps by its variable, and taken from there again."""
    monkeypatch.setenv("HF_TOKEN", SECRET)
    for kind in (ChatHFInference, HFInferenceLLM):
        model = kind(model="org/name", api_key="hf_other")
        text = dumps(model)
        twin = load(
            json.loads(text), allowed_objects=[kind], valid_namespaces=["langchain_hf_inference"], secrets_from_env=True
        )

        assert "hf_other" not in text
        assert twin.api_key.get_secret_value() == SECRET
        assert (twin.model, type(twin)) == ("org/name", kind)


def opened() -> int:
    return sum(len(pool.clients) for pool in clients._pools.values())


def test_copies_share_connections(server: InferenceServer) -> None:
    """A thousand models made by `configurable_fields`, copies and pickles talk over the connections of the first."""
    model = ChatHFInference(endpoint_url=server.url, model="m", engine="openai")
    model.invoke("Hello")
    before, connections = opened(), server.connections
    both = model.configurable_fields(temperature=ConfigurableField("t"))

    for i in range(1000):
        both.invoke("Hello", config={"configurable": {"t": i / 1000}})
    pickle.loads(pickle.dumps(model)).invoke("Hello")
    copy.deepcopy(model).invoke("Hello")
    list(both.stream("Hello", config={"configurable": {"t": 0.5}}))

    assert (opened(), server.connections) == (before, connections)
    assert server.requests[-1].body["temperature"] == 0.5


def test_configured_still_streams(server: InferenceServer) -> None:
    """A model that `configurable_fields` made streams: no default of ours counts as a user's word against it."""
    model = ChatHFInference(endpoint_url=server.url, model="m", engine="openai")
    other = model.configurable_fields(temperature=ConfigurableField("t")).with_config(configurable={"t": 0.5})

    assert len(list(other.stream("Hello"))) > 2


def test_used_models_pickle_and_copy(server: InferenceServer) -> None:
    """Models pickle and copy after use too, sync and async, and work from then on."""
    model = ChatHFInference(endpoint_url=server.url, model="m", engine="openai", temperature=0)
    model.invoke("Hello")
    asyncio.run(model.ainvoke("Hello"))

    for twin in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model), model.model_copy(deep=True)):
        assert twin == model
        assert twin.invoke("Hello").text == "You said: Hello"


@pytest.mark.parametrize("kind", [ChatHFInference, HFInferenceLLM])
def test_versions_are_traced(kind: Any) -> None:
    """Traces tell the versions of langchain-core and of this package."""
    versions = kind(model="org/name").metadata["lc_versions"]

    assert versions.keys() >= {"langchain-core", "langchain-hf-inference"}


LOOK_ALIKES = [
    "http://router.huggingface.co/v1", "https://huggingface.co.evil.example", "https://evilhuggingface.co/v1",
    "https://x.endpoints.huggingface.cloud.evil.example", "https://huggingface.co%2eevil.example", "https://huggingf\u0430ce.co",
    "https://evil.example/huggingface.co", "https://author-demo.hf.space", "http://127.0.0.1:9", "https://huggingface.co@evil.example",
]  # fmt: skip


@pytest.mark.parametrize("url", LOOK_ALIKES)
def test_ambient_token_stays_at_home(url: str, far_end: FarEndMaker, monkeypatch: pytest.MonkeyPatch) -> None:
    """A token of the environment goes to no host that only looks like Hugging Face's; one that is given goes along."""
    monkeypatch.setenv("HF_TOKEN", SECRET)
    for given in ({"api_key": None}, {"api_key": "hf_given"}):
        far = far_end(COMPLETION)
        try:
            far.model(endpoint_url=url, model="m", **given).invoke("Hello")
        except ConfigurationError:  # no address at all
            continue
        headers = str(far.requests[0].headers.raw)
        assert SECRET not in headers
        assert ("hf_given" in headers) == (given["api_key"] is not None and "@" not in url)


def test_recordings_hold_no_secret() -> None:
    """What we recorded holds no token."""
    token = re.compile(rb"hf_[A-Za-z0-9]{20,}|sk-[A-Za-z0-9]{20,}|Bearer [A-Za-z0-9._-]{20,}")
    folder = Path(__file__).parents[1]
    files = [path for path in folder.rglob("*") if path.is_file() and path.suffix in (".json", ".bin", ".yaml", ".txt")]
    assert files
    assert [path for path in files if token.search(path.read_bytes())] == []

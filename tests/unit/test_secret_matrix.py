"""No secret is shown by anything that fails, nor sent to a host that it is not for: kinds of failure × ways to write a secret.

Each parameter is a cell. Only the public API is used, so that the matrix runs on earlier versions too.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
import traceback
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from langchain_core.caches import InMemoryCache
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.load import dumps
from langchain_core.tracers.base import BaseTracer
from pydantic import SecretStr, ValidationError

from conftest import COMPLETION, FarEnd
from langchain_hf_inference import (
    ChatHFInference,
    HFInferenceEmbeddings,
    HFInferenceLLM,
    HFReranker,
    HFTextClassifier,
    HFTextToImage,
)
from langchain_hf_inference.batch import BatchJob
from langchain_hf_inference.compat import ChatHuggingFace, HuggingFaceEndpoint, HuggingFaceEndpointEmbeddings
from langchain_hf_inference.nodes import ChatCompletionAction, EmbeddingsAction

SECRETS = {"a token": "hf_s3cr3tT0ken", "a key": "gsk_0therK3y", "a short one": "Zq9"}

MODELS: list[Any] = [ChatHFInference, HFInferenceLLM, HFInferenceEmbeddings, HFTextClassifier, HFTextToImage, HFReranker,
                     BatchJob, ChatHuggingFace, HuggingFaceEndpoint, HuggingFaceEndpointEmbeddings]  # fmt: skip
ACTIONS: dict[Any, dict[str, Any]] = {ChatCompletionAction: {"message": "x"}, EmbeddingsAction: {"input": "x"}}

WRITTEN: dict[str, Callable[[str], dict[str, Any]]] = {
    "api_key": lambda s: {"model": "a/b", "api_key": s},
    "token": lambda s: {"model": "a/b", "token": s},
    "huggingfacehub_api_token": lambda s: {"model": "a/b", "huggingfacehub_api_token": s},
    "key as bytes": lambda s: {"model": "a/b", "api_key": s.encode()},
    "key in a list": lambda s: {"model": "a/b", "api_key": [s]},
    "two keys": lambda s: {"model": "a/b", "api_key": s, "token": s + "2"},
    "another package's key": lambda s: {"model": "a/b", "groq_api_key": s},
    "default_headers": lambda s: {"model": "a/b", "default_headers": {"X-Api-Key": s, "Authorization": f"Bearer {s}"}},
    "headers as text": lambda s: {"model": "a/b", "default_headers": f"X-Api-Key: {s}"},
    "headers with an accent": lambda s: {"model": "a/b", "headers": {"X-Api-Key": s + "é"}},
    "two sets of headers": lambda s: {"model": "a/b", "headers": {"X": s}, "extra_headers": {"X": s + "2"}},
    "settings as text": lambda s: {"model": "a/b", "model_kwargs": f"token={s}", "extra_body": f"token={s}"},
    "a header as number": lambda s: {"model": "a/b", "headers": {"X-Api-Key": s, "X-Number": 5}},
    "URL": lambda s: {"endpoint_url": f"http://user:{s}@h.example/v1"},
    "URL without scheme": lambda s: {"endpoint_url": f"user:{s}@h.example/v1"},
    "URL with an open bracket": lambda s: {"endpoint_url": f"http://user:{s}@[h.example/v1"},
    "URL with a bad port": lambda s: {"endpoint_url": f"http://user:{s}@h.example:port/v1"},
    "URL with odd letters": lambda s: {"endpoint_url": f"http://user:{s}@h℀.example/v1"},
    "URL as bytes": lambda s: {"endpoint_url": f"http://user:{s}@h.example/v1".encode()},
    "bad URL as bytes": lambda s: {"endpoint_url": f"user:{s}@h.example/v1".encode()},
    "URL with a query": lambda s: {"endpoint_url": f"http://h.example/v1?api_key={s}", "provider": "groq"},
    "FTP": lambda s: {"endpoint_url": f"ftp://user:{s}@h.example"},
    "two URLs": lambda s: {"endpoint_url": f"http://u:{s}@h.example", "model": f"http://u:{s}@i.example"},
    "URLs by two names": lambda s: {"endpoint_url": f"http://u:{s}@h.example", "base_url": f"http://u:{s}@i.example"},
    "URL as model": lambda s: {"model": f" http://user:{s}@h.example/v1"},
    "address as model": lambda s: {"model": f"user:{s}@h.example"},
}  # fmt: skip

BROKEN: dict[str, dict[str, Any]] = {
    "nothing else": {}, "timeout": {"timeout": 0}, "retries": {"max_retries": "many"}, "provider": {"provider": {"a": 1}},
    "engine": {"engine": "tgl"},
}  # fmt: skip


def texts_of(error: BaseException | None) -> Iterator[str]:
    """Yield all that an error and those behind it show."""
    seen: set[int] = set()
    left: list[Any] = [error]
    while left:
        one = left.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        yield from (str(one), repr(one), "".join(traceback.format_exception_only(one)), str(one.args))
        if isinstance(one, ValidationError):
            yield from (str(one.errors()), repr(one.errors()), one.json() if one.errors() else "")
            left += [(line.get("ctx") or {}).get("error") for line in one.errors()]
        left += [one.__cause__, one.__context__]


def shown_while_making(kind: Any, arguments: dict[str, Any]) -> list[str]:
    """Return all texts that making a model shows, whether it fails or not."""
    error: BaseException | None = None
    made: Any = None
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            made = kind(**arguments)
        except Exception as failure:  # noqa: BLE001 - whatever comes is searched
            error = failure
    texts = [str(one.message) for one in caught]
    texts += list(texts_of(error))
    if made is not None:
        texts += [repr(made), str(made), str(getattr(made, "_identifying_params", ""))]
    return texts


@pytest.mark.parametrize("broken", BROKEN)
@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("written", WRITTEN)
def test_construction(written: str, secret: str, broken: str) -> None:
    """Making any model, with anything else wrong beside the secret."""
    for kind in MODELS:
        arguments = {**WRITTEN[written](SECRETS[secret]), **BROKEN[broken]}
        assert not [text for text in shown_while_making(kind, arguments) if SECRETS[secret] in text], kind


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize(
    "written", ["api_key", "token", "default_headers", "URL without scheme", "URL as model", "URL"]
)
@pytest.mark.parametrize("kind", ACTIONS)
def test_actions(kind: Any, written: str, secret: str) -> None:
    """Reading an action."""
    arguments = {**WRITTEN[written](SECRETS[secret]), **ACTIONS[kind], "temperature": "hot", "dimensions": "long"}
    texts = shown_while_making(kind, arguments)
    texts += shown_while_making(kind.parse, {"data": arguments})
    assert not [text for text in texts if SECRETS[secret] in text]


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("name", ["endpoint_url", "model", "api_key", "default_headers", "temperature", "timeout"])
def test_assignment(name: str, secret: str) -> None:
    """Assigning a secret where it does not fit, or does; and copying with one."""
    value = SECRETS[secret]
    values: list[Any] = [f"https://u:{value}@h.example", f"u:{value}@h.example", f"https://u:{value}@[h", f"http://h?key={value}",
                         {"X-Key": value + "é"}, {"X-Key": value}]  # fmt: skip
    if name in ("endpoint_url", "api_key", "default_headers"):
        values.append([value])
    for one in values:
        for way in ("assign", "copy"):
            model = ChatHFInference(endpoint_url="http://h.example", model="m")

            def change(model: Any = model, one: Any = one, way: str = way) -> Any:
                if way == "copy":
                    return model.model_copy(update={name: one})
                setattr(model, name, one)
                return model

            assert not [text for text in shown_while_making(change, {}) if value in text], (one, way)


class Tracer(BaseTracer):
    """Keeps all that tracers and handlers are told."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def _persist_run(self, run: Any) -> None:
        self.texts.append(str(run.model_dump() if hasattr(run, "model_dump") else vars(run)))


class Handler(BaseCallbackHandler):
    """Keeps what handlers are told at the start of a run."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def on_chat_model_start(self, *args: Any, **kwargs: Any) -> None:
        self.texts.append(f"{args} {kwargs}")

    def on_llm_start(self, *args: Any, **kwargs: Any) -> None:
        self.texts.append(f"{args} {kwargs}")

    def on_chain_start(self, *args: Any, **kwargs: Any) -> None:
        self.texts.append(f"{args} {kwargs}")


class Cache(InMemoryCache):
    """Keeps the keys of a cache."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def lookup(self, prompt: str, llm_string: str) -> Any:
        self.texts.append(llm_string)
        return None


ENTRIES: dict[str, Callable[[Any, dict[str, Any], Any], Any]] = {
    "invoke": lambda m, a, c: m.invoke("Hello", config=c, **a),
    "ainvoke": lambda m, a, c: asyncio.run(m.ainvoke("Hello", config=c, **a)),
    "stream": lambda m, a, c: list(m.stream("Hello", config=c, **a)),
    "astream": lambda m, a, c: asyncio.run(_all(m.astream("Hello", config=c, **a))),
    "batch": lambda m, a, c: m.batch(["Hello"], config=c, **a),
    "bind": lambda m, a, c: m.bind(**a).invoke("Hello", config=c),
    "a chain": lambda m, a, c: (m.bind(**a) | str).invoke("Hello", config=c),
    "bind, stream": lambda m, a, c: list(m.bind(**a).stream("Hello", config=c)),
    "events": lambda m, a, c: asyncio.run(_all(m.astream_events("Hello", config=c, version="v2", **a))),
}

CALLS: dict[str, Callable[[str], dict[str, Any]]] = {
    "api_key": lambda s: {"api_key": s},
    "SecretStr": lambda s: {"api_key": SecretStr(s)},
    "token": lambda s: {"token": s},
    "huggingfacehub_api_token": lambda s: {"huggingfacehub_api_token": s},
    "openai_api_key": lambda s: {"openai_api_key": s},
    "another package's key": lambda s: {"groq_api_key": s},
    "inside model_kwargs": lambda s: {"model_kwargs": {"api_key": s}},
    "default_headers": lambda s: {"default_headers": {"X-Api-Key": s}},
    "extra_headers": lambda s: {"extra_headers": {"X-Api-Key": s}},
    "headers": lambda s: {"headers": {"Authorization": f"Bearer {s}"}},
    "bad headers": lambda s: {"headers": {"X-Api-Key": s + "é"}},
    "endpoint_url": lambda s: {"endpoint_url": f"http://user:{s}@127.0.0.1:9"},
    "base_url": lambda s: {"base_url": f"http://user:{s}@127.0.0.1:9"},
    "provider": lambda s: {"provider": s},
    "a URL as model": lambda s: {"model": f"http://user:{s}@127.0.0.1:9"},
    "an address as model": lambda s: {"model_name": f"user:{s}@127.0.0.1:9"},
}


async def _all(found: Any) -> list[Any]:
    return [item async for item in found]


@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.parametrize("argument", CALLS)
@pytest.mark.parametrize("kind", [ChatHFInference, HFInferenceLLM, ChatHuggingFace, HuggingFaceEndpoint])
def test_calls(kind: Any, argument: str, entry: str, far_end: Any) -> None:
    """Arguments of the constructor in a call: neither in a body, nor a trace, nor a cache's key, nor a message."""
    far = far_end(_answer)
    for secret in list(SECRETS.values())[:1]:
        tracer, handler, cache = Tracer(), Handler(), Cache()
        model = kind(endpoint_url="http://h.example", model="m", engine="openai", cache=cache, **far.clients)
        given = CALLS[argument](secret)
        texts: list[str] = []
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                texts += [repr(ENTRIES[entry](model, given, {"callbacks": [tracer, handler]}))]
            except Exception as error:  # noqa: BLE001 - whatever comes is searched
                texts += texts_of(error)
            try:
                texts += [repr(model.bind(**given)), dumps(model.bind(**given))]
            except Exception as error:  # noqa: BLE001
                texts += texts_of(error)
        texts += [str(one.message) for one in caught]
        texts += tracer.texts + handler.texts + cache.texts + [json.dumps(body) for body in far.bodies]
        assert not [text for text in texts if secret in text]


def _answer(request: httpx.Request) -> Any:
    if request.method == "GET":
        return httpx.Response(404)
    body = json.loads(request.content)
    if request.url.path.endswith("/completions") and "prompt" in body:
        choice = {"text": "Hi", "index": 0, "finish_reason": "stop"}
    else:
        choice = {"index": 0, "delta": {"content": "Hi"}, "finish_reason": "stop"}
    if body.get("stream"):
        return b"data: " + json.dumps({"choices": [choice]}).encode() + b"\n\ndata: [DONE]\n\n"
    return {**COMPLETION, "choices": [choice]} if "text" in choice else COMPLETION


def secret_at(far: FarEnd, secret: str) -> set[str]:
    """Return the hosts that were sent a secret, in whatever header or body."""
    return {
        r.url.host for r in far.requests if secret.encode() in b"\n".join([*(v for _, v in r.headers.raw), r.content])
    }


def tried(act: Callable[[], Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            act()
        except Exception:  # noqa: BLE001 - what was sent before is what counts
            pass


def _batch(arguments: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "in.jsonl"
        lines = [{"url": "/v1/chat/completions", "body": {"messages": []}}, {"action": "chat_completion", "message": "x"},
                 {"action": "embeddings", "input": "x"}]  # fmt: skip
        source.write_text("\n".join(map(json.dumps, lines)))
        BatchJob(**arguments, max_attempts=1).run(source, Path(folder) / "out.jsonl")


USES: dict[str, Callable[[dict[str, Any]], Any]] = {
    "chat": lambda a: ChatHFInference(**a).invoke("x"),
    "chat, async": lambda a: asyncio.run(ChatHFInference(**a).ainvoke("x")),
    "chat, streamed": lambda a: list(ChatHFInference(**a).stream("x")),
    "costs": lambda a: ChatHFInference(**a, report_cost=True).invoke("x"),
    "profile": lambda a: ChatHFInference(**a).refresh_profile(),
    "profile, async": lambda a: asyncio.run(ChatHFInference(**a).arefresh_profile()),
    "text": lambda a: HFInferenceLLM(**a).invoke("x"),
    "embeddings": lambda a: HFInferenceEmbeddings(**a).embed_query("x"),
    "embeddings, async": lambda a: asyncio.run(HFInferenceEmbeddings(**a).aembed_query("x")),
    "classifier": lambda a: HFTextClassifier(**a).invoke("x"),
    "images": lambda a: HFTextToImage(**a).invoke("x"),
    "reranker": lambda a: HFReranker(**a).rank("x", ["y"]),
    "batch": lambda a: _batch(a),
    "action": lambda a: ChatCompletionAction(
        message="x", **{k: v for k, v in a.items() if k in ("model", "provider")}
    ).run(a["api_key"], max_retries=0, **{k: v for k, v in a.items() if k.startswith("http")}),
}

HUB_ROWS = {name: {"status": "live", "providerId": f"their/{name}", "task": None} for name in
            ("together", "groq", "scaleway", "deepinfra", "hf-inference", "featherless-ai", "nscale")}  # fmt: skip


def _everyone(request: httpx.Request) -> Any:
    if request.url.host == "huggingface.co":
        return {"id": "a/b", "inferenceProviderMapping": HUB_ROWS}
    return (
        httpx.Response(503, json={"error": "busy"})
        if request.method == "POST"
        else {"id": "a/b", "data": [], "providers": []}
    )


OWNERS: dict[str, tuple[dict[str, Any], set[str]]] = {
    "nobody is named": ({}, set()),
    "auto": ({"provider": "auto"}, set()),
    "fastest": ({"provider": "fastest"}, set()),
    "a policy as suffix": ({"model": "a/b:cheapest"}, set()),
    "hf-inference": ({"provider": "hf-inference"}, set()),
    "an unknown provider": ({"provider": "unheard-of"}, set()),
    "together": ({"provider": "together"}, {"api.together.xyz"}),
    "groq": ({"provider": "groq"}, {"api.groq.com"}),
    "a suffix": ({"model": "a/b:groq"}, {"api.groq.com"}),
    "scaleway": ({"provider": ["scaleway"]}, {"api.scaleway.ai"}),
    "two companies": ({"provider": ["together", "scaleway"]}, set()),
    "a company or any": ({"provider": ["groq", "fastest"]}, set()),
}
KEYS = ["gsk_0therK3y", "sk-0therK3y", "scw-0therK3y", '"gsk_0therK3y"', "Bearer gsk_0therK3y"]
PLAIN = "0therK3y"


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("owner", OWNERS)
def test_provider_keys(owner: str, use: str, far_end: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another company's key reaches its owner alone, and nobody where the owner is not named; nor with lookups."""
    monkeypatch.setenv("HF_TOKEN", "hf_ambient")
    named, allowed = OWNERS[owner]
    for key in KEYS:
        far = far_end(_everyone)
        arguments = {"model": "a/b", "api_key": key, "max_retries": 0, **named, **far.clients}
        tried(lambda arguments=arguments: USES[use](arguments))  # type: ignore[misc]
        assert secret_at(far, PLAIN) <= allowed, key
        companies = {r.url.host for r in far.requests} - {"huggingface.co", "router.huggingface.co"}
        assert companies <= allowed, "asked without its key"
        if not allowed:
            assert not far.requests, key


TOKENS = ['"hf_s3cr3t"', "'hf_s3cr3t'", "HF_TOKEN=hf_s3cr3t", "Bearer hf_s3cr3t", " hf_s3cr3t\n", "HF_s3cr3t", "api_org_s3cr3t",
          'export HF_TOKEN="hf_s3cr3t"']  # fmt: skip


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("token", TOKENS)
def test_tokens_stay_at_home(token: str, use: str, far_end: Any) -> None:
    """A Hugging Face token, however it was pasted, is none of a provider's."""
    for provider in ("together", "groq", ["together", "scaleway"]):
        far = far_end(_everyone)
        arguments = {"model": "a/b", "api_key": token, "provider": provider, "max_retries": 0, **far.clients}
        tried(lambda arguments=arguments: USES[use](arguments))  # type: ignore[misc]
        assert secret_at(far, "s3cr3t") <= {"huggingface.co", "router.huggingface.co"}


PLACES: dict[str, tuple[dict[str, Any], set[str]]] = {
    "a server": ({"endpoint_url": "http://h.example"}, {"h.example"}),
    "a server of known engine": ({"endpoint_url": "http://h.example", "engine": "openai"}, {"h.example"}),
    "the router": ({"model": "a/b", "provider": "together"}, {"router.huggingface.co"}),
    "a provider": ({"model": "a/b", "provider": "together", "api_key": "tgp_key"}, {"api.together.xyz"}),
}


@pytest.mark.parametrize("use", [use for use in USES if use != "action"])
@pytest.mark.parametrize("place", PLACES)
def test_headers_stay_with_the_model(place: str, use: str, far_end: Any) -> None:
    """`default_headers` reach the model's own origin, and no lookup elsewhere."""
    named, allowed = PLACES[place]
    far = far_end(_everyone)
    headers = {"X-Api-Key": "0wnSecret"}
    arguments = {"api_key": "hf_x", "max_retries": 0, "default_headers": headers, **named, **far.clients}
    tried(lambda: USES[use](arguments))
    assert secret_at(far, "0wnSecret") <= allowed
    assert far.requests or place == "a provider"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("use", [use for use in USES if use != "action"])
def test_redirects(use: str, status: int) -> None:
    """Nothing follows a redirect, lookups included, even where the user's client follows them."""

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.host == "evil.example":
            return httpx.Response(200, json={})
        return httpx.Response(status, headers={"location": f"http://evil.example{request.url.path}"})

    far = FarEnd(answer)
    for client in far.clients.values():
        client.follow_redirects = True
    arguments = {"endpoint_url": "http://h.example", "api_key": "hf_s3cr3t", "default_headers": {"X-Api-Key": "0wnSecret"},
                 "max_retries": 0, **far.clients}  # fmt: skip
    tried(lambda: USES[use](arguments))
    assert far.requests
    assert {request.url.host for request in far.requests} == {"h.example"}

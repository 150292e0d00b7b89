"""_protocol/credentials.py and headers.py: what a secret is in what was written, and where it may go."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from calling import Call, both_ways
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError

from conftest import COMPLETION, FarEnd
from langchain_hf_inference import ChatHFInference, ConfigurationError, HFInferenceEmbeddings, HFTextClassifier
from langchain_hf_inference._protocol.credentials import (
    Credentials,
    Destination,
    normalize_credential,
    resolve_credentials,
)
from langchain_hf_inference._protocol.headers import Headers, merge_headers, normalize_headers
from langchain_hf_inference._protocol.task_routes import named_provider
from langchain_hf_inference._transport import hub, lookups

FarEndMaker = Callable[..., FarEnd]
ROUTER = "https://router.huggingface.co/v1/chat/completions"

WRITTEN = [
    "hf_x", " hf_x\n", "\thf_x\r\n", '"hf_x"', "'hf_x'", "`hf_x`", "“hf_x”", '"hf_x', "Bearer hf_x", "bearer  hf_x", "Bearer Bearer hf_x",
    '"Bearer hf_x"', 'Bearer "hf_x"', "HF_TOKEN=hf_x", "HF_TOKEN = hf_x", 'export HF_TOKEN="hf_x"', "set HF_TOKEN=hf_x",
    "HUGGINGFACEHUB_API_TOKEN=hf_x", "Authorization: Bearer hf_x", '"HF_TOKEN=hf_x"',
]  # fmt: skip


@pytest.mark.parametrize("written", WRITTEN)
def test_normalized(written: str) -> None:
    """A secret is the same however it was pasted, and what is normalized stays as it is."""
    assert normalize_credential(written, source="api_key") == "hf_x"
    assert normalize_credential(SecretStr(written), source="api_key") == "hf_x"


@pytest.mark.parametrize("nothing", [None, False, "", " ", '""', "Bearer ", "HF_TOKEN=", "Bearer", SecretStr("")])
def test_nothing_written(nothing: Any) -> None:
    """Blanks, quotes and prefixes alone are no secret."""
    assert normalize_credential(nothing, source="api_key") is None


@pytest.mark.parametrize(
    ("written", "position"),
    [("hf_abc\u200b", 7), ("hf_a\u200bbc", 5), ("hf_ab cd", 6), ("hf_ä", 4), ("hf_a\x00b", 5), (" 'hf_a\nb'", 7), ("hf_\u00a0x", 4),
     ("\ufeffhf_x", 1), ("Bearer hf_ü", 11)],
)  # fmt: skip
def test_uncarried_characters(written: str, position: int) -> None:
    """What no header can carry is refused by the source's name and the position, without the value."""
    with pytest.raises(ConfigurationError, match=f"^HF_TOKEN holds .*at position {position},") as failure:
        normalize_credential(written, source="HF_TOKEN")
    assert "hf_" not in str(failure.value)


@pytest.mark.parametrize(
    "written", ["HF_abc", "Hf_abc", '"HF_abc"', "HF_TOKEN", "Bearer HF_X", "API_ORG_x", "Api_Org_x"]
)
def test_capitals(written: str) -> None:
    """A token in capital letters is nobody's key, and is not taken for a provider's."""
    with pytest.raises(ConfigurationError, match="in capital letters"):
        normalize_credential(written, source="api_key")


@given(st.text(max_size=40))
def test_normalizing_twice(text: str) -> None:
    """Whatever is written, normalizing it twice changes nothing, and a header can carry the result."""
    try:
        once = normalize_credential(text, source="api_key")
    except ConfigurationError:
        return
    assert once is None or (once.isascii() and once.isprintable() and " " not in once)
    assert normalize_credential(once, source="api_key") == once


@both_ways
@pytest.mark.parametrize("written", WRITTEN)
@pytest.mark.parametrize("entry", ["api_key", "SecretStr", "function", "HF_TOKEN", "stored login"])
def test_every_entry(
    call: Call, entry: str, written: str, far_end: FarEndMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every way to give a token goes through the same normalization."""
    keys: dict[str, Any] = {"api_key": written, "SecretStr": SecretStr(written), "function": lambda: written}
    if entry == "HF_TOKEN":
        monkeypatch.setenv("HF_TOKEN", written)
    if entry == "stored login":
        monkeypatch.setattr(hub, "stored_token", lambda: written)
    far = far_end()

    call.invoke(far.model(api_key=keys.get(entry)), "Hello")

    assert far.requests[-1].headers["authorization"] == "Bearer hf_x"


@both_ways
@pytest.mark.parametrize("variable", ["HF_TOKEN", "HUGGINGFACEHUB_API_TOKEN", "HF_API_TOKEN"])
@pytest.mark.parametrize("value", ["hf_abc\u200b", "HF_abc", "hf_a b"])
def test_bad_environment(
    call: Call, variable: str, value: str, far_end: FarEndMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A variable that holds no token is named, before anything is sent; and is no matter where it would not be sent."""
    monkeypatch.setenv(variable, value)
    far = far_end()

    with pytest.raises(ConfigurationError, match=f"the environment variable {variable}") as failure:
        call.invoke(far.model(api_key=None), "Hello")

    assert not far.requests
    assert "abc" not in str(failure.value)
    call.invoke(far.model(api_key=None, endpoint_url="http://localhost:1"), "Hello")


def test_environment_with_another_key(far_end: FarEndMaker, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key of another company in HF_TOKEN does not reach the router; an endpoint may have a key of its own."""
    monkeypatch.setenv("HF_TOKEN", "gsk_key")
    far = far_end()

    with pytest.raises(ConfigurationError, match="HF_TOKEN holds no Hugging Face token"):
        far.model(api_key=None).invoke("Hello")
    assert not far.requests
    far.model(api_key=None, endpoint_url="https://x.us.aws.endpoints.huggingface.cloud").invoke("Hello")
    assert far.requests[-1].headers["authorization"] == "Bearer gsk_key"


@both_ways
@pytest.mark.parametrize("kind", [ChatHFInference, HFInferenceEmbeddings, HFTextClassifier])
@pytest.mark.parametrize(
    ("named", "words"),
    [
        ({}, "nothing says whose key it is"),
        ({"provider": "fastest"}, "nothing says whose key it is"),
        ({"provider": ["together", "scaleway"]}, "names 2 companies"),
        ({"provider": "unheard-of"}, "host of provider='unheard-of' is not known"),
        ({"provider": "hf-inference"}, "host of provider='hf-inference' is not known"),
        ({"endpoint_url": "https://router.huggingface.co/v1"}, "not sent to https://router.huggingface.co"),
        ({"endpoint_url": "https://huggingface.co/v1"}, "not sent to https://huggingface.co"),
    ],
)
def test_ownerless_keys(call: Call, kind: Any, named: dict[str, Any], words: str, far_end: FarEndMaker) -> None:
    """Another company's key without one named owner is refused before anything is sent."""
    far = far_end()
    model = kind(**{"model": "a/b", "api_key": "gsk_key", **named, **far.clients})

    with pytest.raises(ConfigurationError, match=words):
        if kind is HFInferenceEmbeddings:
            model.embed_query("x")
        else:
            call.invoke(model, "x")
    assert not far.requests


def test_authorization_header_of_another_company(far_end: FarEndMaker) -> None:
    """A provider's key in `default_headers` does not reach the router either."""
    far = far_end()
    with pytest.raises(ConfigurationError, match="Authorization holds no Hugging Face token"):
        far.model(default_headers={"Authorization": "Bearer gsk_key"}).invoke("Hello")
    assert not far.requests


def resolved(api_key: Any, **where: Any) -> Credentials:
    return resolve_credentials(api_key, Destination(**where), environment={"HF_TOKEN": "hf_env"}, stored_login=None)


@pytest.mark.parametrize(
    ("api_key", "where", "allowed", "refused"),
    [
        (None, {}, [ROUTER, "https://huggingface.co/api", "https://x.endpoints.huggingface.cloud"], ["http://router.huggingface.co/v1"]),
        ("hf_x", {}, [ROUTER, "https://huggingface.co/api"], ["https://api.together.xyz/v1", "https://hf.space"]),
        ("hf_x", {"endpoint_url": "http://h:1/v1"}, ["http://h:1/info"], [ROUTER, "http://h:2/v1", "https://h:1/v1", "http://h.evil:1"]),
        ("gsk_x", {"endpoint_url": "http://h:1"}, ["http://h:1/info"], [ROUTER, "http://h"]),
        ("gsk_x", {"provider": "groq"}, ["https://api.groq.com/openai/v1/models"], [ROUTER, "https://huggingface.co/api/models/m"]),
        ("gsk_x", {"model": "a/b:groq"}, ["https://api.groq.com/openai/v1/models"], [ROUTER]),
        ("api_org_x", {"provider": "groq"}, [ROUTER], ["https://api.groq.com/openai/v1"]),
        (False, {}, [], [ROUTER]),
    ],
)  # fmt: skip
def test_origins(api_key: Any, where: dict[str, Any], allowed: list[str], refused: list[str]) -> None:
    """A secret is bound to origins: scheme, host and port."""
    credentials = resolved(api_key, **where)
    assert all("Authorization" in credentials.headers_for(url) for url in allowed)
    assert not any(credentials.headers_for(url) for url in (*refused, "no URL", "http://[x"))


def test_credentials_are_not_shown() -> None:
    """Neither the key nor the headers are in a repr, nor in the key of a cache."""
    credentials = resolved("hf_secret", headers={"X-Key": "secret"})
    assert "secret" not in repr(credentials) + credentials.cache_key(ROUTER)
    assert credentials.cache_key(ROUTER) not in ("", resolved("hf_other").cache_key(ROUTER))


def test_headers() -> None:
    """Headers are normalized, compared without regard to case, immutable, and shown by name only."""
    headers = normalize_headers(
        {"X-Title": " a ", "AUTHORIZATION": '"Bearer Bearer hf_x"', "X-Api-Key": "'k'", "Cookie": 'a="b"'}
    )
    assert dict(headers) == {"X-Title": "a", "AUTHORIZATION": "Bearer hf_x", "X-Api-Key": "k", "Cookie": 'a="b"'}
    assert dict(merge_headers(headers, {"x-title": "b"}))["x-title"] == "b"
    assert len(merge_headers(headers, {"x-title": "b"})) == 4
    assert "hf_x" not in repr(headers) + str(headers)
    assert copy.deepcopy(headers) == pickle.loads(pickle.dumps(headers)) == headers
    assert headers == dict(headers)
    for change in (
        lambda: headers.__setitem__("a", "b"),
        lambda: headers.update(a="b"),
        lambda: headers.pop("X-Title"),
    ):
        with pytest.raises(TypeError, match="assign a new mapping"):
            change()


@pytest.mark.parametrize(
    ("headers", "words"),
    [
        ({"X-Title": "Café"}, "the value of X-Title holds a character that is not ASCII, at position 4"),
        ({"Authorization": "Bearer hf_\u200b"}, "the value of Authorization holds .* at position 11"),
        ({"X-Title": "a\r\nEvil: b"}, "the value of X-Title holds a control character, at position 2"),
        ({"X-Title": 5}, "the value of X-Title must be a string, got a int"),
        ({"X-Title": None}, "the value of X-Title must be a string"),
        ({"X Title": "a"}, "the name of header number 1"),
        ({"X": "a", "": "b"}, "the name of header number 2"),
        ({"hf_s3cr3t\u00e9": "a"}, "the name of header number 1"),
        ("X-Title: a", "must be a mapping of names to values, got a str"),
        ([("X-Title", "a")], "must be a mapping of names to values, got a list"),
    ],
)
def test_bad_headers(headers: Any, words: str) -> None:
    """A header that cannot be sent is refused at construction, by its name and the position."""
    with pytest.raises(ValidationError, match=words) as failure:
        ChatHFInference(model="a/b", default_headers=headers)
    assert "s3cr3t" not in str(failure.value)


def test_headers_in_place(far_end: FarEndMaker) -> None:
    """`default_headers` cannot be changed in place; a new mapping takes effect at once, after calls as before."""
    far = far_end()
    model = far.model(default_headers={"X-A": "1"})
    model.invoke("Hello")
    with pytest.raises(TypeError, match="cannot be changed in place"):
        model.default_headers["X-A"] = "2"  # type: ignore[index]

    model.default_headers = {**model.default_headers, "X-A": "2"}
    model.invoke("Hello")

    assert [request.headers["x-a"] for request in far.requests] == ["1", "2"]
    assert isinstance(model.default_headers, Headers)


def server_with_key(right: str) -> Callable[[httpx.Request], Any]:
    """Answer as TGI, and as the router, to the right key; refuse any other."""

    def answer(request: httpx.Request) -> Any:
        if request.method == "POST":
            return COMPLETION
        if right not in str(request.headers.raw):
            return httpx.Response(401, json={"error": "no"})
        if request.url.path == "/info":
            return {"model_id": "org/served", "router": "text-generation-router", "max_total_tokens": 4096}
        offers = [{"provider": "x", "status": "live", "pricing": {"input": 1, "output": 1}}]
        return {"data": {"id": "org/name", "providers": offers}, "id": "org/name", "providers": offers}

    return answer


@both_ways
@pytest.mark.parametrize("by", ["key", "header"])
def test_a_wrong_key_poisons_nothing(call: Call, by: str, far_end: FarEndMaker) -> None:
    """What a lookup with a wrong key finds is not what the right key is told: model and engine."""
    far = far_end(server_with_key("r1ght"))

    def model(key: str) -> ChatHFInference:
        secret = {"api_key": key} if by == "key" else {"api_key": False, "default_headers": {"X-Api-Key": key}}
        return far.model(**{"model": None, "endpoint_url": "http://h:1", **secret})

    call.invoke(model("wr0ng"), "Hello")
    call.invoke(model("r1ght"), "Hello")
    call.invoke(model("wr0ng"), "Hello")

    assert [body.get("model") for body in far.bodies] == [None, "org/served", None]


@both_ways
def test_a_wrong_key_hides_no_prices(call: Call, far_end: FarEndMaker) -> None:
    """Nor prices."""
    far = far_end(server_with_key("hf_r1ght"))

    call.invoke(far.model(api_key="hf_wr0ng", report_cost=True), "Hello")
    answer = call.invoke(far.model(api_key="hf_r1ght", report_cost=True), "Hello")

    assert "cost" in answer.response_metadata


@both_ways
@pytest.mark.parametrize("failure", [401, 403, 429, 500, 503, httpx.ConnectError("x"), httpx.ReadTimeout("x")])
def test_failures_are_forgotten(
    call: Call, failure: Any, far_end: FarEndMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that could not be asked is asked again after seconds; one that answered is not."""
    monkeypatch.setattr(lookups, "FAILED_S", 0.0)
    up: list[bool] = []

    def answer(request: httpx.Request) -> Any:
        if up or request.method == "POST":
            return server_with_key("hf_x")(request)
        if isinstance(failure, Exception):
            raise failure
        return httpx.Response(failure, json={})

    far = far_end(answer)
    model = far.model(model=None, endpoint_url="http://h:1", api_key="hf_x")
    call.invoke(model, "Hello")
    up.append(True)
    call.invoke(model, "Hello")
    call.invoke(model, "Hello")

    assert [body.get("model") for body in far.bodies] == [None, "org/served", "org/served"]
    assert lookups.KNOWN_S > 60 > 10 > lookups.FAILED_S


@both_ways
def test_a_404_is_an_answer(call: Call, far_end: FarEndMaker, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server without the paths of the engines is not asked by each call."""
    monkeypatch.setattr(lookups, "FAILED_S", 0.0)
    far = far_end(lambda request: COMPLETION if request.method == "POST" else httpx.Response(404))
    model = far.model(model=None, endpoint_url="http://h:1", api_key="hf_x")

    call.invoke(model, "Hello")
    call.invoke(model, "Hello")

    assert [request.url.path for request in far.requests].count("/info") == 1


def test_caches_are_bounded(far_end: FarEndMaker) -> None:
    """Each kind of lookup remembers so many answers, and so many locks."""
    far, before = far_end(server_with_key("hf_")), len(lookups._servers._locks)
    for number in range(lookups.MAX_REMEMBERED + 20):
        far.model(model=None, endpoint_url=f"http://h:{number + 1}", api_key=f"hf_{number}").invoke("Hello")

    assert len(lookups._servers._rows) == lookups.MAX_REMEMBERED
    assert len(lookups._servers._locks) <= lookups.MAX_REMEMBERED + before


def test_paths_around_the_constructor() -> None:
    """What pydantic validates without our constructor shows no input either."""
    for value in ("hf_s3cr3t", ["hf_s3cr3t"]):
        with pytest.raises(ValidationError) as failure:
            ChatHFInference.model_validate(value)
        assert "s3cr3t" not in str(failure.value)
    for act in (
        lambda: ChatHFInference.model_validate({"model": "a/b", "api_key": "hf_s3cr3t", "temperature": "hot"}),
        lambda: ChatHFInference.model_validate_json('{"model": "a/b", "api_key": "hf_s3cr3t", "temperature": "hot"}'),
    ):
        with pytest.raises(ValidationError, match="temperature") as failure:
            act()
        assert "s3cr3t" not in f"{failure.value}{failure.value.errors()}"


@pytest.mark.parametrize(
    ("model", "provider", "expected"),
    [
        ("a/b", None, ("a/b", None)), ("a/b:together", None, ("a/b", "together")), ("a/b:together", "auto", ("a/b", "together")),
        ("a/b:fastest", None, ("a/b", None)), ("a/b:together", "groq", ("a/b:together", "groq")),
    ],
)  # fmt: skip
def test_suffix_of_a_task(model: str, provider: str | None, expected: tuple[str, str | None]) -> None:
    """A task's provider may be named by the model's suffix, as in chat: a key goes to the company that is asked."""
    assert named_provider(model, provider) == expected


def test_address_as_model_of_a_call(far_end: FarEndMaker) -> None:
    """A call cannot change the server, and shows no password of it."""
    far = far_end()
    for name in ("model", "model_name", "repo_id"):
        for address in ("http://user:s3cr3t@h", "user:s3cr3t@h", "https://h/v1"):
            with pytest.raises(ConfigurationError, match=f"^{name}=.* is an address") as failure:
                far.model().invoke("Hello", **{name: address})
            assert "s3cr3t" not in str(failure.value)
    assert not far.requests

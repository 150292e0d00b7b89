"""_settings.py and _connection.py: arguments by every name, in range, on the wire."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from calling import Call, both_ways
from pydantic import SecretStr, ValidationError

from conftest import FarEnd
from langchain_hf_inference import ChatHFInference, ConfigurationError
from langchain_hf_inference._settings import ALIASES, SETTINGS

FarEndMaker = Callable[..., FarEnd]
VALUES: dict[str, Any] = {
    "model": "a/b", "endpoint_url": "http://h:1", "api_key": "hf_x", "max_tokens": 5, "stop": ["x"], "repetition_penalty": 1.5,
    "typical_p": 0.5, "timeout": 5.0, "max_retries": 1, "default_headers": {"a": "b"},
}  # fmt: skip


@pytest.mark.parametrize(("alias", "name"), ALIASES.items(), ids=list(ALIASES))
def test_aliases(alias: str, name: str) -> None:
    """Other packages' names set our fields."""
    model = ChatHFInference(**{"model": "a/b", alias: VALUES[name]} if name != "model" else {alias: VALUES[name]})

    value = getattr(model, name)
    assert (value.get_secret_value() if isinstance(value, SecretStr) else value) == VALUES[name]


def test_given_twice() -> None:
    """Two names for one thing must agree; a key is not shown."""
    assert ChatHFInference(model="a/b", max_tokens=5, max_new_tokens=5).max_tokens == 5
    with pytest.raises(ValidationError, match="max_tokens is given twice, as 5 and, by max_new_tokens, as 6"):
        ChatHFInference(model="a/b", max_tokens=5, max_new_tokens=6)
    with pytest.raises(ValidationError, match=r"as \*\*\* and, by token, as \*\*\*"):
        ChatHFInference(model="a/b", api_key="hf_one", token="hf_two")


@pytest.mark.parametrize("container", ["model_kwargs", "generation_kwargs", "api_params"])
def test_containers(container: str) -> None:
    """Settings inside other packages' dicts are taken as if given directly; unknown ones go into the body."""
    model = ChatHFInference(**{"model": "a/b", container: {"max_new_tokens": 5, "top_p": 0.5, "mirostat": 2}})

    assert (model.max_tokens, model.top_p, model.model_kwargs) == (5, 0.5, {"mirostat": 2})


def test_unknown_argument(told: list[str]) -> None:
    """An argument that is not ours goes into the body, with a warning that names the nearest."""
    with pytest.warns(UserWarning, match=r"temprature is not a parameter of ours.*Did you mean temperature\?"):
        model = ChatHFInference(model="a/b", temprature=0.5)
    with pytest.warns(UserWarning, match=r"xyzzy is not a parameter of ours: it was moved to model_kwargs"):
        ChatHFInference(model="a/b", xyzzy=1)

    assert model.model_kwargs == {"temprature": 0.5}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("temperature", -0.1), ("temperature", "hot"), ("temperature", True), ("max_tokens", 0), ("max_tokens", 1.5), ("top_p", 0),
        ("top_p", 1.1), ("top_k", -2), ("min_p", 2), ("typical_p", 0), ("frequency_penalty", 2.1), ("presence_penalty", -2.1),
        ("repetition_penalty", 0), ("seed", -1), ("stop", [""]), ("stop", 5), ("n", 0), ("top_logprobs", 21), ("logit_bias", {"a": "b"}),
        ("timeout", 0), ("timeout", -1), ("timeout", (1, 0)), ("max_retries", -1), ("stream_chunk_timeout", 0), ("engine", "tgl"),
        ("endpoint_url", "ftp://x"), ("api_key", 5), ("provider", {"a": 1}), ("n", True),
    ],
)  # fmt: skip
def test_out_of_range(name: str, value: Any) -> None:
    """A value that cannot be is refused at construction, by the argument's name."""
    arguments = {"model": "a/b"} if name != "endpoint_url" else {}
    if name == "engine":
        arguments = {"endpoint_url": "http://h:1"}

    with pytest.raises(ValidationError, match=name):
        ChatHFInference(**{**arguments, name: value})


@pytest.mark.parametrize(
    ("given", "kept"),
    [(5, (5, 5)), (60, (10, 60)), (None, (10, None)), ((3, 9), (3, 9)), (httpx.Timeout(9, connect=3), (3, 9))],
)
def test_timeouts(given: Any, kept: tuple[Any, Any]) -> None:
    """Seconds, a pair or httpx's own object; connecting gets no more than 10 of them."""
    timeouts = ChatHFInference(model="a/b", timeout=given)._timeouts()

    assert (timeouts.connect_s, timeouts.read_s) == kept


def test_scale_up_waits_longer() -> None:
    """While an endpoint may scale up, reading waits for it."""
    assert ChatHFInference(endpoint_url="http://h:1", scale_up_timeout=900)._timeouts().read_s == 930


def test_url_as_model() -> None:
    """A URL given as the model is the endpoint."""
    model = ChatHFInference(model="http://h:1/v1/")

    assert (model.model, model.endpoint_url) == (None, "http://h:1/v1")
    with pytest.raises(ValidationError, match="is a URL, and endpoint_url is given too"):
        ChatHFInference(model="http://h:1", endpoint_url="http://h:2")


def test_empty_is_unset(far_end: FarEndMaker, monkeypatch: pytest.MonkeyPatch) -> None:
    """Empty strings, as forms and environments give them, are "not set"."""
    monkeypatch.setenv("HF_TOKEN", "hf_ambient")
    far = far_end()

    far.model(api_key="", endpoint_url=" ", provider="", engine="", bill_to="").invoke("Hello")

    assert far.requests[0].headers["authorization"] == "Bearer hf_ambient"
    assert ChatHFInference(model="", endpoint_url="http://h:1").model is None


def test_idle_settings_are_told() -> None:
    """A setting that works elsewhere only is told."""
    with pytest.warns(UserWarning, match="bill_to works on the Hugging Face router"):
        ChatHFInference(endpoint_url="http://h:1", bill_to="me")
    with pytest.warns(UserWarning, match="scale_up_timeout works on Inference Endpoints"):
        ChatHFInference(model="a/b", scale_up_timeout=5)


def test_contradiction_at_construction() -> None:
    """What does not go together is told at construction."""
    with pytest.raises(ValidationError, match="exclude each other"):
        ChatHFInference(endpoint_url="http://h:1", provider="groq")


@both_ways
@pytest.mark.parametrize(
    ("settings", "kwargs", "sent"),
    [
        ({"temperature": 0.5}, {}, {"temperature": 0.5}),
        ({"temperature": 0.5}, {"temperature": 0}, {"temperature": 0}),
        ({"temperature": 0.5}, {"temperature": None}, {}),
        ({"max_tokens": 5}, {"max_new_tokens": 6}, {"max_tokens": 6}),
        ({"stop": "a"}, {}, {"stop": ["a"]}),
        ({"stop": ["a"]}, {"stop": ["b"]}, {"stop": ["b"]}),
        ({"stop": []}, {}, {}),
        ({"stop": ["a"]}, {"stop": []}, {}),
        ({"model_kwargs": {"mirostat": 2}}, {"mirostat": 3}, {"mirostat": 3}),
        ({"extra_body": {"a": 1}}, {"extra_body": {"b": 2}}, {"b": 2}),
        ({}, {"stream": False}, {}),
        ({}, {"some_new_setting": {"x": 1}}, {"some_new_setting": {"x": 1}}),
    ],
)
def test_call_settings(
    call: Call, far_end: FarEndMaker, settings: dict[str, Any], kwargs: dict[str, Any], sent: dict[str, Any]
) -> None:
    """A call's settings go over the model's; None takes one back; unknown ones pass."""
    far = far_end()

    call.invoke(far.model(**settings), "Hello", **kwargs)

    (body,) = far.bodies
    assert {k: v for k, v in body.items() if k not in ("model", "messages")} == sent


def test_call_settings_are_checked(far_end: FarEndMaker) -> None:
    """A call's settings are held to the same ranges, before anything is sent; typos are warned of."""
    far = far_end()
    with pytest.raises(ValidationError, match="temperature"):
        far.model().invoke("Hello", temperature=-1)
    assert far.requests == []
    with pytest.warns(UserWarning, match=r"Did you mean temperature\?"):
        far.model().invoke("Hello", temprature=0.5)


def test_model_of_a_call(far_end: FarEndMaker) -> None:
    """A call may name another model, which goes on the wire."""
    far = far_end()

    far.model().invoke("Hello", model="other/model")

    assert far.bodies[0]["model"] == "other/model"


def test_secrets_are_not_shown() -> None:
    """Neither key nor headers show in repr, str or dumps."""
    model = ChatHFInference(model="a/b", api_key="hf_secret", default_headers={"X-Key": "hf_secret"})

    assert (
        "hf_secret"
        not in f"{model!r} {model} {model.model_dump()} {model.model_dump_json()} {model._identifying_params}"
    )
    assert "hf_secret" not in str(model._get_ls_params()) + str(model._get_invocation_params())


def answer_locally(request: httpx.Request) -> httpx.Response:
    return httpx.Response(200, json={"choices": [{"message": {"content": "Hi"}, "finish_reason": "stop"}]})


def test_copies(far_end: FarEndMaker) -> None:
    """A model pickles and copies before and after use; a copy shares the clients, a pickle leaves them out."""
    far = far_end()
    model = far.model(temperature=0.5)
    for _ in range(2):
        twin, other = copy.deepcopy(model), pickle.loads(pickle.dumps(model))
        assert twin.http_client is model.http_client
        assert (other.http_client, other.temperature) == (None, 0.5)
        assert twin.invoke("Hello").text == "Hi"
        model.invoke("Hello")
    assert len(far.requests) == 4


@both_ways
def test_pickles_hold_no_secret(call: Call, far_end: FarEndMaker, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys and secret headers are not in a pickle; the unpickled model says so where it needs one."""
    far = far_end()
    model = far.model(api_key="hf_secret", default_headers={"X-Api-Key": "hf_secret", "X-Plain": "1"})
    data = pickle.dumps(model)
    assert b"hf_secret" not in data

    twin = pickle.loads(pickle.dumps(pickle.loads(data)))
    twin.http_client, twin.http_async_client = model.http_client, model.http_async_client
    with pytest.raises(ConfigurationError, match="pickles hold no keys: assign api_key"):
        call.invoke(twin, "Hello")
    monkeypatch.setenv("HF_TOKEN", "hf_ambient")
    assert call.invoke(twin, "Hello").text == "Hi"
    assert (far.requests[0].headers["authorization"], far.requests[0].headers["x-plain"]) == ("Bearer hf_ambient", "1")
    twin.api_key = SecretStr("hf_new")
    call.invoke(twin, "Hello")
    assert far.requests[1].headers["authorization"] == "Bearer hf_new"


def test_assigned_settings_hold(far_end: FarEndMaker) -> None:
    """Settings assigned after a call are used by the next one, those of the transport too."""
    far = far_end()
    model = far.model()
    model.invoke("Hello")

    model.temperature = 0.25
    model.default_headers = {"X-New": "1"}
    model.invoke("Hello")

    assert (far.bodies[1]["temperature"], far.requests[1].headers["x-new"]) == (0.25, "1")
    assert model.model_copy(update={"max_retries": 7})._transport().policy.max_retries == 7


def test_settings_are_fields() -> None:
    """Every setting is an argument of the model."""
    assert ChatHFInference.model_fields.keys() >= SETTINGS

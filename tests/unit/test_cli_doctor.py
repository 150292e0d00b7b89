"""cli/doctor.py, checks.py, trials.py: what is wrong is said in plain words, with the mend."""

from __future__ import annotations

from typing import Any

import pytest
from loopback import TGI_INFO, Loopback, message
from typing_at import Done, Typed

from langchain_hf_inference._protocol.account import (
    MAY_CALL_ENDPOINTS,
    MAY_CALL_PROVIDERS,
    needed_permission,
    read_account,
)
from langchain_hf_inference._protocol.detection import VERSIONS, read_version
from langchain_hf_inference.cli.checks import _account_found
from langchain_hf_inference.cli.serve import FAULTS, fault_of
from langchain_hf_inference.testing import InferenceServer


def states(done: Done) -> dict[str, str]:
    """Give how each check came out."""
    return {check["check"]: check["state"] for check in done.json["checks"]}


def of(done: Done, name: str) -> dict[str, Any]:
    return next(check for check in done.json["checks"] if check["check"] == name)


def test_nothing(typed: Typed) -> None:
    """Without anything there is no token to find, and no model to try: both are said, and what to do."""
    done, shown = typed("doctor", "--json"), typed("doctor")

    assert (done.code, states(done)) == (1, {"versions": "ok", "token": "failure", "model": "skipped"})
    assert "set HF_TOKEN, or run `hf auth login`" in of(done, "token")["mend"]
    assert "✗ token        no Hugging Face token" in shown.out
    assert shown.out.rstrip().endswith("Wrong: token. What to do stands beside it.")


def test_server_that_is_well(server: InferenceServer, typed: Typed) -> None:
    """Everything is tried: an answer with its times, a tool call, a schema."""
    done, shown = typed("doctor", "--endpoint-url", server.url, "--json"), typed("doctor", "--endpoint-url", server.url)

    assert (done.code, shown.code) == (0, 0)
    assert set(states(done).values()) == {"ok"}
    assert done.json["verdict"] == "All is well."
    assert of(done, "answer")["facts"]["first_token_s"] >= 0
    assert of(done, "answer")["facts"]["usage"]["total_tokens"] == 15
    assert "✓ tool call    get_weather(city='Paris')" in shown.out
    assert [r.body.get("stream", False) for r in server.requests[:3]] == [True, False, False]


@pytest.mark.usefixtures("internet")
def test_router(server: InferenceServer, typed: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the router the account and the providers are looked at too, with prices."""
    done, shown = typed("doctor", "org/name", "--json"), typed("doctor", "org/name")

    assert done.code == 0, done.out
    assert list(states(done)) == [
        "versions",
        "token",
        "account",
        "route",
        "providers",
        "answer",
        "tool call",
        "JSON Schema",
    ]
    assert of(done, "token")["said"] == "found in the environment variable HF_TOKEN"
    assert of(done, "account")["facts"]["permissions"] == ["inference.serverless.write"]
    assert of(done, "providers")["facts"]["offers"][0]["output_price"] == 2.0
    assert "scripted  " in shown.out
    assert "hf_docs" not in done.out + shown.out

    wrong = typed("doctor", "org/name", "--provider", "groq", "--json")
    assert (of(wrong, "providers")["said"], of(wrong, "providers")["mend"]) == (
        "groq does not serve it just now",
        "these do: scripted",
    )


@pytest.mark.usefixtures("internet")
@pytest.mark.parametrize("server", ["hf_right"], indirect=True)
def test_wrong_token(typed: Typed) -> None:
    """A token that the Hub does not know ends it there: nothing else could be learnt, and no model is asked."""
    done = typed("doctor", "org/name", "--token", "hf_wrong", "--json")

    assert (done.code, states(done)) == (1, {"versions": "ok", "token": "ok", "account": "failure"})
    assert of(done, "account")["said"].startswith("401 from https://huggingface.co/api/whoami-v2")
    assert "wrong, expired or revoked" in of(done, "account")["mend"]
    assert "hf_wrong" not in done.out


@pytest.mark.parametrize("server", ["right"], indirect=True)
def test_wrong_key_of_a_server(server: InferenceServer, typed: Typed) -> None:
    """A server that asks for a key says so in its own words."""
    done = typed("doctor", "m", "--endpoint-url", server.url, "--token", "wrong", "--json")

    assert (done.code, of(done, "answer")["state"]) == (1, "failure")
    assert "Incorrect API key" in of(done, "answer")["said"]
    assert "give the right one with --token" in of(done, "answer")["mend"]
    assert states(done)["tool call"] == "skipped"


@pytest.mark.usefixtures("internet")
def test_token_of_the_environment_stays(server: InferenceServer, typed: Typed) -> None:
    """A token of the environment is found, and it is said that it does not go to a server of one's own."""
    done = typed("doctor", "--endpoint-url", server.url, "--json")

    assert of(done, "token")["said"].endswith("which is not Hugging Face")
    assert of(done, "token")["facts"] == {"place": "the environment variable HF_TOKEN", "sent": False}
    assert all("authorization" not in request.headers for request in server.requests)


def test_dead_url(typed: Typed) -> None:
    """Where nothing listens, that is said, and nothing more is tried."""
    done = typed("doctor", "--endpoint-url", "http://127.0.0.1:9", "--json")

    assert (done.code, states(done)) == (1, {"versions": "ok", "token": "ok", "server": "failure"})
    assert "is the server running" in of(done, "server")["mend"]


def test_url_as_the_model(server: InferenceServer, typed: Typed) -> None:
    """A URL in the model's place is a server, and needs no token."""
    done = typed("doctor", server.url, "--json")

    assert (done.code, of(done, "server")["state"]) == (0, "ok")
    assert of(done, "token")["said"] == "none, and a server of your own may need none"


def test_bad_settings(typed: Typed) -> None:
    """What cannot be sent is said, with what would do."""
    done = typed("doctor", "--endpoint-url", "nowhere", "--json")

    assert (done.code, done.json["checks"][-1]["state"]) == (1, "failure")
    assert "is not an http(s) URL" in done.json["checks"][-1]["said"]
    assert "hf_a b" not in (spoilt := typed("doctor", "m", "--token", "hf_a b", "--json")).out
    assert of(spoilt, "token")["mend"] == "copy the token anew, without blanks"


def test_tgi(typed: Typed) -> None:
    """TGI is known by its /info: name, version, context."""

    def tgi(method: str, path: str, body: Any) -> Any:
        if method == "GET":
            return TGI_INFO if path == "/info" else {"data": [{"id": "org/m", "owned_by": "org/m", "created": 0}]}
        if "tools" in body:
            return message(
                tool_calls=[
                    {"id": "0", "type": "function", "function": {"name": "get_weather", "arguments": {"city": "Paris"}}}
                ]
            )
        return message(content='{"name": "Alice", "age": 30}')

    with Loopback(tgi) as server:
        done = typed("doctor", "--endpoint-url", server.url, "--json")

    assert of(done, "server")["said"] == "Text Generation Inference 3.3.4, model org/m, context 4,096 tokens"
    assert of(done, "tool call")["said"] == "get_weather(city='Paris')"
    assert of(done, "JSON Schema")["facts"]["parsed"] == {"name": "Alice", "age": 30}
    assert server.bodies[-1]["response_format"]["type"] == "json", "as TGI writes it"


def test_tei(typed: Typed) -> None:
    """A server that embeds is asked to embed."""
    with InferenceServer(engine="tei") as server:
        done = typed("doctor", "--endpoint-url", server.url, "--json")

    assert (done.code, states(done)["embedding"]) == (0, "ok")
    assert of(done, "embedding")["facts"]["dimensions"] == 64
    assert of(done, "server")["said"].startswith("Text Embeddings Inference scripted")


FAILURES = [
    ("rate-limited", "RateLimitError", "wait 1 s, as it asks"),
    ("loading", "ModelLoadingError", "still starting"),
    ("cut", "StreamError", "a proxy between may have cut"),
    ("stalled", "APITimeoutError", "--timeout"),
    ("silent", "APITimeoutError", "--timeout"),
    ("in-stream", "StreamError", "log says why"),
    ("400", "InvalidRequestError", "its words say why"),
    ("402", "PaymentRequiredError", "no credit left"),
    ("403", "PermissionDeniedError", "ask who gave it"),
    ("404", "ModelNotFoundError", "check model="),
    ("500", "ServerError", "its log says why"),
    ("504", "RequestTimeoutError", "stream the answer"),
]


@pytest.mark.parametrize(("fault", "error", "mend"), FAILURES)
def test_each_failure(fault: str, error: str, mend: str, server: InferenceServer, typed: Typed) -> None:
    """Each failure of a server is told by its name, with what would mend it where that is known; once."""
    server.fail(fault_of(fault)[0])

    done = typed("doctor", "m", "--endpoint-url", server.url, "--timeout", "0.5", "--json")

    answer = of(done, "answer")
    assert (done.code, answer["facts"]["error"]) == (1, error)
    assert mend in answer["mend"]
    assert mend not in answer["said"]
    assert len(server.requests) == 1, "a failure is told, and not tried again"


def test_every_failure_is_met() -> None:
    """All failures that the scripted server knows by name are among them."""
    assert set(FAULTS) <= {name for name, _, _ in FAILURES}


def test_no_tool_is_called(typed: Typed) -> None:
    """A model that talks where it should call is a failure; vLLM is told how to be started."""

    def vllm(method: str, path: str, body: Any) -> Any:
        if path == "/version":
            return {"version": "0.32.0"}
        if method == "GET":
            return None if path == "/info" else {"data": [{"id": "m", "owned_by": "vllm"}]}
        return message(content="I would rather talk.")

    with Loopback(vllm) as server:
        done = typed("doctor", "--endpoint-url", server.url, "--json")

    assert of(done, "server")["said"] == "vLLM 0.32.0, model m"
    assert of(done, "tool call")["state"] == "failure"
    assert "--enable-auto-tool-choice" in of(done, "tool call")["mend"]
    assert of(done, "JSON Schema")["state"] == "warning"
    assert "function_calling" in of(done, "JSON Schema")["mend"]


def test_thinking_too_long(typed: Typed) -> None:
    """A model that is cut off while it thinks is not told to be one that cannot call tools."""

    def thinking(method: str, path: str, body: Any) -> Any:
        answer = message(content="", reasoning_content="Well, " * 9)
        answer["choices"][0]["finish_reason"] = "length"
        return None if method == "GET" else answer

    with Loopback(thinking) as server:
        done = typed("doctor", "m", "--endpoint-url", server.url, "--json")

    assert (done.code, states(done)["tool call"]) == (0, "warning")
    assert (of(done, "answer")["state"], of(done, "answer")["facts"]["reasoning"]) == ("warning", True)
    assert server.bodies[0]["max_tokens"] == 2048


def test_model_that_is_not_there(typed: Typed) -> None:
    """A name that the server does not list is pointed at, with those that it does."""
    with InferenceServer(models=["org/one"]) as server:
        done = typed("doctor", "org/two", "--endpoint-url", server.url, "--json")

    assert of(done, "server")["state"] == "warning"
    assert "it serves org/one" in of(done, "server")["mend"]
    assert of(done, "answer")["facts"]["error"] == "ModelNotFoundError"


FINE = {"name": "ann", "isPro": True, "orgs": [{"name": "acme"}],
        "auth": {"accessToken": {"displayName": "laptop", "role": "fineGrained", "fineGrained": {
            "global": ["discussion.write"], "scoped": [{"entity": {"name": "ann"}, "permissions": ["repo.content.read"]}]}}}}  # fmt: skip


def test_permissions() -> None:
    """A fine-grained token may do what it was given, one of role read or write may call models, else it is not known."""
    fine = read_account(FINE)
    read = read_account({"name": "ann", "auth": {"accessToken": {"role": "read"}}})

    assert (fine.may(MAY_CALL_PROVIDERS), read.may(MAY_CALL_PROVIDERS), read_account({}).may("x")) == (
        False,
        True,
        None,
    )
    assert read_account({"auth": {"accessToken": {"role": "fineGrained"}}}).may(MAY_CALL_PROVIDERS) is None
    assert (fine.organisations, fine.is_pro) == (("acme",), True)
    assert needed_permission("https://x.aws.endpoints.huggingface.cloud/v1") == MAY_CALL_ENDPOINTS
    assert needed_permission("https://router.huggingface.co/v1") == MAY_CALL_PROVIDERS
    found = _account_found(fine, MAY_CALL_PROVIDERS)
    assert (found.state, "ann (PRO), token 'laptop'" in found.said) == ("warning", True)
    assert 'tick "Make calls to Inference Providers"' in (found.mend or "")
    assert "your Inference Endpoints" in (_account_found(fine, MAY_CALL_ENDPOINTS).mend or "")
    assert _account_found(read_account(None), MAY_CALL_PROVIDERS).said.endswith("what it may do is not told")


@pytest.mark.parametrize("engine", VERSIONS)
def test_versions(engine: str) -> None:
    """A version is read where an engine tells it, and nothing else is taken for one."""
    key = VERSIONS[engine][1]

    assert read_version(engine, {key: "1.2"}) == "1.2"
    assert read_version(engine, {key: 3}) is read_version(engine, []) is read_version("mlx", {key: "1"}) is None

"""_transport/tokens.py and hub.py: whose token goes where."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from calling import Call, both_ways
from pydantic import SecretStr

from conftest import FarEnd
from langchain_hf_inference import ConfigurationError
from langchain_hf_inference._transport import hub

FarEndMaker = Callable[..., FarEnd]


def bearer(far: FarEnd) -> str | None:
    return far.requests[-1].headers.get("authorization")


@both_ways
@pytest.mark.parametrize("key", ["hf_x", SecretStr("hf_x"), lambda: "hf_x", lambda: SecretStr("hf_x"), " hf_x\n"])
def test_forms_of_keys(call: Call, far_end: FarEndMaker, key: Any) -> None:
    """A key may be a string, a secret or a function."""
    far = far_end()

    call.invoke(far.model(api_key=key), "Hello")

    assert bearer(far) == "Bearer hf_x"


def test_async_key(far_end: FarEndMaker) -> None:
    """An async function gives a key to async calls; a sync call says that it cannot wait for it."""

    async def key() -> str:
        await asyncio.sleep(0)
        return "hf_x"

    far = far_end()
    asyncio.run(far.model(api_key=key).ainvoke("Hello"))
    assert bearer(far) == "Bearer hf_x"
    with pytest.raises(ConfigurationError, match="use ainvoke or astream"):
        far.model(api_key=key).invoke("Hello")


def test_key_function_does_not_block_the_loop(far_end: FarEndMaker) -> None:
    """A sync function is called on a thread by async calls: it may read files or the network."""
    threads: list[threading.Thread] = []

    def key() -> str:
        threads.append(threading.current_thread())
        return "hf_x"

    asyncio.run(far_end().model(api_key=key).ainvoke("Hello"))

    assert threads[0] is not threading.main_thread()


@both_ways
@pytest.mark.parametrize("variable", ["HF_TOKEN", "HUGGINGFACEHUB_API_TOKEN", "HF_API_TOKEN"])
def test_environment(call: Call, far_end: FarEndMaker, monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    """A token of the environment goes to Hugging Face, and to no other host."""
    monkeypatch.setenv(variable, "hf_ambient")
    for url, expected in [
        (None, "Bearer hf_ambient"),
        ("https://x.us-east-1.aws.endpoints.huggingface.cloud", "Bearer hf_ambient"),
        ("https://endpoints.huggingface.cloud.evil.example", None),
        ("http://localhost:8080", None),
        ("https://api.example.com/v1", None),
    ]:
        far = far_end()
        call.invoke(far.model(api_key=None, endpoint_url=url), "Hello")
        assert bearer(far) == expected, url


def test_order_of_the_environment(far_end: FarEndMaker, monkeypatch: pytest.MonkeyPatch) -> None:
    """HF_TOKEN comes first; an empty variable is none."""
    monkeypatch.setenv("HF_TOKEN", "")
    monkeypatch.setenv("HUGGINGFACEHUB_API_TOKEN", "hf_second")
    monkeypatch.setenv("HF_API_TOKEN", "hf_third")
    far = far_end()

    far.model(api_key=None).invoke("Hello")

    assert bearer(far) == "Bearer hf_second"


@both_ways
def test_stored_login(call: Call, far_end: FarEndMaker, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The login stored by `hf auth login` is the last resort, read at the first call."""
    (tmp_path / "token").write_text("hf_stored\n")
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "token"))
    hub.forget_login()
    far = far_end()

    call.invoke(far.model(api_key=None), "Hello")

    assert bearer(far) == "Bearer hf_stored"


def test_stored_login_can_be_left_alone(far_end: FarEndMaker, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """HF_HUB_DISABLE_IMPLICIT_TOKEN keeps the stored login out."""
    (tmp_path / "token").write_text("hf_stored")
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.setenv("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1")

    with pytest.raises(ConfigurationError, match="there is no Hugging Face token"):
        far_end().model(api_key=None).invoke("Hello")


@both_ways
def test_given_key_goes_anywhere(call: Call, far_end: FarEndMaker) -> None:
    """A key that the user gives goes to where the user points (langchain#40447)."""
    for url in ("http://localhost:8000", "https://x.endpoints.huggingface.cloud", "https://my.vllm.example/v1"):
        far = far_end()
        call.invoke(far.model(api_key="my-secret", endpoint_url=url, engine="vllm"), "Hello")
        assert bearer(far) == "Bearer my-secret"


@both_ways
def test_no_key(call: Call, far_end: FarEndMaker, monkeypatch: pytest.MonkeyPatch) -> None:
    """False is no key at all; a server of one's own needs none, the router does."""
    monkeypatch.setenv("HF_TOKEN", "hf_ambient")
    far = far_end()

    call.invoke(far.model(api_key=False, endpoint_url="https://x.endpoints.huggingface.cloud"), "Hello")
    assert bearer(far) is None
    with pytest.raises(ConfigurationError, match="set HF_TOKEN, run `hf auth login`, or give api_key"):
        call.invoke(far.model(api_key=False), "Hello")


@both_ways
def test_provider_key(call: Call, far_end: FarEndMaker) -> None:
    """A provider's key goes to the provider's host, with the provider's name for the model from the Hub."""

    def answer(request: Any) -> Any:
        if request.url.host == "huggingface.co":
            return {
                "id": "org/name",
                "inferenceProviderMapping": {"together": {"status": "live", "providerId": "Their/Name-Turbo"}},
            }
        return {"choices": [{"message": {"content": "Hi"}, "finish_reason": "stop"}]}

    far = far_end(answer)
    model = far.model(api_key="tgp_secret", provider="together")

    call.invoke(model, "Hello")
    call.invoke(model, "Hello")

    hosts = [(r.url.host, r.headers.get("authorization")) for r in far.requests]
    assert hosts == [
        ("huggingface.co", None),
        ("api.together.xyz", "Bearer tgp_secret"),
        ("api.together.xyz", "Bearer tgp_secret"),
    ]
    assert far.bodies[-1]["model"] == "Their/Name-Turbo"


@pytest.mark.parametrize("key", ["hf_a b\nc", "hf_ä", lambda: 5, lambda: b"hf_x"])
def test_bad_keys(far_end: FarEndMaker, key: Any) -> None:
    """A key that cannot stand in a header is refused, and not shown."""
    with pytest.raises(ConfigurationError, match="api_key") as failure:
        far_end().model(api_key=key).invoke("Hello")

    assert "hf_" not in str(failure.value)

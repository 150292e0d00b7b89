"""_protocol/routing.py: model, provider, URL and key to where a request goes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langchain_hf_inference import ConfigurationError
from langchain_hf_inference._protocol.routing import (
    ROUTER_URL,
    Route,
    is_hugging_face_host,
    resolve_routes,
    server_url,
    shown_url,
    task_url,
)

ROUTER = f"{ROUTER_URL}/chat/completions"


@pytest.mark.parametrize(
    ("typed", "asked"),
    [
        ("http://localhost:8080", "http://localhost:8080/v1/chat/completions"),
        ("http://localhost:8080/", "http://localhost:8080/v1/chat/completions"),
        ("http://localhost:8080/v1", "http://localhost:8080/v1/chat/completions"),
        ("http://localhost:8080/v1/", "http://localhost:8080/v1/chat/completions"),
        ("http://localhost:8080/v1/chat/completions", "http://localhost:8080/v1/chat/completions"),
        ("http://localhost:8080/v1/completions", "http://localhost:8080/v1/chat/completions"),
        ("https://api.z.ai/api/paas/v4", "https://api.z.ai/api/paas/v4/chat/completions"),
        ("https://x.example/models/org/name", "https://x.example/models/org/name/v1/chat/completions"),
        ("https://x.example/v1beta", "https://x.example/v1beta/v1/chat/completions"),
        ("https://x.example/v1?api-version=2", "https://x.example/v1/chat/completions?api-version=2"),
        ("http://[::1]:8080/v1#part", "http://[::1]:8080/v1/chat/completions"),
    ],
)
def test_task_url(typed: str, asked: str) -> None:
    """A URL leads to the chat API however much of its path was typed; typing the result changes nothing."""
    assert task_url(typed) == asked
    assert task_url(asked) == asked


@pytest.mark.parametrize("typed", ["http://h:1", "http://h:1/v1", "http://h:1/v1/chat/completions", "http://h:1/v4/"])
def test_server_url(typed: str) -> None:
    """The server's own routes lie at its root, under the same query."""
    assert server_url(typed, "/info") == "http://h:1/info"
    assert server_url(f"{typed}?key=1", "/v1/models") == "http://h:1/v1/models?key=1"


@pytest.mark.parametrize(
    "typed", ["ftp://x", "localhost:8080", "http://", "http://x:99999", "http://x:port", "http://[", "x"]
)
def test_bad_url(typed: str) -> None:
    """What is no http(s) URL is refused, with the form that would do."""
    with pytest.raises(ConfigurationError, match=r"endpoint_url=.* is not an http\(s\) URL; give one like"):
        task_url(typed)


@pytest.mark.parametrize(
    ("url", "ours"),
    [
        ("https://router.huggingface.co/v1", True),
        ("https://huggingface.co/api", True),
        ("https://abc.us-east-1.aws.endpoints.huggingface.cloud", True),
        ("https://ROUTER.HuggingFace.CO./v1", True),
        ("http://router.huggingface.co/v1", False),
        ("https://huggingface.co.evil.example", False),
        ("https://evilhuggingface.co", False),
        ("https://endpoints.huggingface.cloud.evil.example", False),
        ("https://huggingface.co@evil.example/", False),
        ("https://user:huggingface.co@evil.example/", False),
        ("https://evil.example/huggingface.co", False),
        ("https://evil.example#huggingface.co", False),
        ("https://huggingface.co\t.evil.example", False),
        ("https://evil.example\\@huggingface.co/", False),
        ("https://huggingface.co\\.evil.example", False),
        ("https://huggingfа\u0441e.co", False),
        ("https://xn--huggingfce-5ij.co", False),
        ("https://huggingface.co:443@evil.example", False),
        ("https://[::1]", False),
        ("https://router.huggingface.co:8443/v1", True),
        ("wss://huggingface.co", False),
        ("https://hf.space", False),
        ("https://author-demo.hf.space", False),
        ("https://api.together.xyz/v1", False),
        ("http://localhost:8080", False),
    ],
)
def test_hugging_face_hosts(url: str, ours: bool) -> None:
    """An ambient token goes to Hugging Face's own hosts over https and to none that only looks alike."""
    assert is_hugging_face_host(url) is ours


@pytest.mark.parametrize(
    ("model", "provider", "wire_name"),
    [
        ("org/name", None, "org/name"),
        ("org/name", "auto", "org/name"),
        ("org/name", "fastest", "org/name:fastest"),
        ("org/name", "cheapest", "org/name:cheapest"),
        ("org/name", "preferred", "org/name:preferred"),
        ("org/name", "novita", "org/name:novita"),
        ("org/name", "a-provider-of-next-year", "org/name:a-provider-of-next-year"),
        ("org/name:together", None, "org/name:together"),
        ("org/name:together", "together", "org/name:together"),
    ],
)
def test_router(model: str, provider: str | None, wire_name: str) -> None:
    """The router learns the provider from the model's suffix; no name of a provider is refused."""
    (route,) = resolve_routes(model, provider, endpoint_url=None, engine=None, own_key=False)

    assert (route.place, route.url, route.model, route.dialect) == ("router", ROUTER, wire_name, "router")


def test_several_providers() -> None:
    """A list of providers gives a route for each, in order."""
    routes = resolve_routes("org/name", ["groq", "together"], endpoint_url=None, engine=None, own_key=False)

    assert [route.model for route in routes] == ["org/name:groq", "org/name:together"]


def test_own_key_goes_to_its_host() -> None:
    """With a provider's own key its own host is called, in its dialect."""
    (route,) = resolve_routes("org/name", "together", endpoint_url=None, engine=None, own_key=True)

    assert route == Route(
        "provider", "https://api.together.xyz/v1/chat/completions", "org/name", "together", "together"
    )


def test_own_key_by_suffix() -> None:
    """The provider may be named by the model's suffix, which its own host does not get."""
    (route,) = resolve_routes("org/name:groq", None, endpoint_url=None, engine=None, own_key=True)

    assert (route.url, route.model) == ("https://api.groq.com/openai/v1/chat/completions", "org/name")


def test_endpoint() -> None:
    """A URL is taken as it is; the engine is what was given, or not known."""
    (route,) = resolve_routes("m", None, endpoint_url="http://h:1", engine=None, own_key=True)

    assert route == Route("endpoint", "http://h:1/v1/chat/completions", "m", None)


def test_router_by_url() -> None:
    """The router's own address is the router."""
    (route,) = resolve_routes("m", None, endpoint_url="https://router.huggingface.co/v1", engine=None, own_key=False)

    assert (route.place, route.dialect) == ("router", "router")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"model": None}, "model is not set"),
        ({"model": ""}, "model is not set"),
        ({"provider": []}, "provider is an empty list"),
        ({"provider": "groq", "endpoint_url": "http://h:1"}, "exclude each other"),
        ({"model": "a/b:groq", "provider": "together"}, "names 'groq' and provider='together' names another"),
        ({"engine": "tgi"}, "which is not set"),
        ({"engine": "tgl", "endpoint_url": "http://h:1"}, "one of tgi, vllm"),
        ({"provider": "unheard-of", "own_key": True}, "host of provider='unheard-of' is not known"),
    ],
)
def test_contradictions(arguments: dict, words: str) -> None:
    """What does not go together is refused, by the names of the arguments."""
    given_all = {"model": "a/b", "provider": None, "endpoint_url": None, "engine": None, "own_key": False, **arguments}
    with pytest.raises(ConfigurationError, match=words):
        resolve_routes(given_all.pop("model"), given_all.pop("provider"), **given_all)


def test_shown_url_hides() -> None:
    """A URL in a message shows neither user, password nor query."""
    assert shown_url("https://user:secret@h.example:8/v1/x?key=secret") == "https://h.example:8/v1/x"
    assert shown_url("https://h.example/ai/run/@cf/meta/llama?key=secret") == "https://h.example/ai/run/@cf/meta/llama"
    for url in (
        "https://user:12/secret@h",
        "user:secret@h",
        "https://user:secret@[h",
        "https://user:se?cret@h",
        "https://h/hf_secret",
    ):
        assert "secret" not in shown_url(url)


@given(st.text())
def test_any_text(text: str) -> None:
    """Any text is a URL or a ConfigurationError."""
    try:
        assert task_url(text).endswith("/chat/completions") or "?" in text
    except ConfigurationError:
        pass

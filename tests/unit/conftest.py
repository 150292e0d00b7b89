"""One far end for sync and async: `far_end(answer)` gives a model whose server is a function."""

from __future__ import annotations

import io
import json
import os
import warnings
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import Any

import httpx
import pytest
from calling import call
from everywhere import be_everywhere
from hypothesis import settings
from typing_at import Done, Typed

from langchain_hf_inference import ChatHFInference, _chat_call
from langchain_hf_inference._transport import hub
from langchain_hf_inference._transport.lookups import forget_lookups
from langchain_hf_inference.testing import InferenceServer

__all__ = ["call"]

collect_ignore = [] if find_spec("deepagents") else ["test_newest.py"]  # `make test-newest` installs it

if os.environ.get("UVLOOP"):  # make test-uvloop
    import asyncio

    import uvloop

    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())

settings.register_profile("gate", derandomize=True)
if os.environ.get("CI"):  # the gate asks the same each time; at home hypothesis looks for new cases
    settings.load_profile("gate")

COMPLETION: dict[str, Any] = {
    "id": "c1", "object": "chat.completion", "created": 1, "model": "served",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
}  # fmt: skip
"""An answer, invented."""


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """No token of the machine, nothing looked up before, nothing told before, no real sleeping."""
    for name in (
        "HF_TOKEN",
        "HUGGING_FACE_HUB_TOKEN",
        "HUGGINGFACEHUB_API_TOKEN",
        "HF_API_TOKEN",
        "HF_MODEL",
        "HF_INFERENCE_URL",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_TOKEN_PATH", str(tmp_path / "no-token"))
    hub.forget_login()
    forget_lookups()
    _chat_call._warned.clear()


class FarEnd:
    """A model's server, played by a function of the request; it records what was asked."""

    def __init__(self, answer: Callable[[httpx.Request], httpx.Response]) -> None:
        self.requests: list[httpx.Request] = []
        self._answer = answer
        transport = httpx.MockTransport(self._handle)
        self.clients = {
            "http_client": httpx.Client(transport=transport),
            "http_async_client": httpx.AsyncClient(transport=transport),
        }

    def _handle(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        return self._answer(request)

    def model(self, **arguments: Any) -> ChatHFInference:
        given = {"model": "org/name", "api_key": "hf_test", **self.clients, **arguments}
        model = ChatHFInference(**given)
        transport = model._transport()
        transport.sleep = self.slept.append
        transport.asleep = self._asleep
        return model

    @property
    def slept(self) -> list[float]:
        """The seconds that would have been slept."""
        return self.__dict__.setdefault("_slept", [])

    async def _asleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return [json.loads(request.content) for request in self.requests if request.content]


@pytest.fixture
def far_end() -> Callable[..., FarEnd]:
    """Give a far end that answers with the given responses one after the other, the last for ever."""

    def made(*answers: Any) -> FarEnd:
        left = list(answers) or [COMPLETION]

        def answer(request: httpx.Request) -> httpx.Response:
            item = left.pop(0) if len(left) > 1 else left[0]
            if isinstance(item, Exception):
                raise item
            if callable(item):
                item = item(request)
            if isinstance(item, bytes):
                return httpx.Response(200, headers={"content-type": "text/event-stream"}, content=item)
            if isinstance(item, dict):
                return httpx.Response(200, json=item)
            # a fresh copy: a response can be read once
            return httpx.Response(item.status_code, headers=item.headers, content=item.content)

        return FarEnd(answer)

    return made


@pytest.fixture
def server(request: pytest.FixtureRequest) -> Iterator[InferenceServer]:
    """A scripted server on loopback; a parameter is the token that it asks for."""
    with InferenceServer(api_key=getattr(request, "param", None)) as running:
        yield running


@pytest.fixture
def told() -> Iterator[list[str]]:
    """Collect what warnings say."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        messages: list[str] = []
        yield messages
        messages += [str(w.message) for w in caught]


@pytest.fixture
def internet(server: InferenceServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every host be the scripted server, and have a token."""
    monkeypatch.setenv("HF_TOKEN", "hf_docs")
    be_everywhere(server, monkeypatch)


@pytest.fixture
def typed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Typed:
    """Type words at `hf-inference`, with something piped in, and read what it says."""
    from langchain_hf_inference.cli import run  # needs the extra, which not every lane has

    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr("random.random", lambda: 0.0)  # no wait between retries

    def typing(*words: Any, piped: str = "") -> Done:
        monkeypatch.setattr("sys.stdin", io.StringIO(piped))
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            run([str(word) for word in words])
        said = capsys.readouterr()
        return Done(int(end.value.code or 0), said.out, said.err)

    return typing

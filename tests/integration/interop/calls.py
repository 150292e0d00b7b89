"""The forms in which the three models are called, and the requests that they send.

One matrix for all tests: every test runs once for each form, sync and async, whole and streamed.
"""

from __future__ import annotations

import asyncio
import json
from contextvars import copy_context
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from loopback import events, message

from langchain_hf_inference import ChatHFInference, HFInferenceEmbeddings, HFInferenceLLM

PROMPT = "Recite the private poem."
MOCKED_TEXT = "A mocked answer."
MOCKED_VECTORS = [[0.5, 0.25]]
ROUTER = "https://router.huggingface.co"


@dataclass(frozen=True, slots=True)
class Form:
    """One way to call one model."""

    kind: str
    method: str

    def __str__(self) -> str:
        return f"{self.kind}.{self.method}"

    @property
    def is_async(self) -> bool:
        return self.method.startswith("a")

    @property
    def is_stream(self) -> bool:
        return self.method.endswith("stream")

    @property
    def path(self) -> str:
        """The path of the request at the server that `model` names."""
        return {"chat": "/v1/chat/completions", "llm": "/v1/completions", "embeddings": "/embed"}[self.kind]

    @property
    def mocked(self) -> Any:
        """What a call returns when `mocked_response` is the answer."""
        return MOCKED_VECTORS if self.kind == "embeddings" else MOCKED_TEXT

    def model(self, url: str, **arguments: Any) -> Any:
        """Build the model for a server whose engine and model name are known, so that nothing is looked up."""
        model_class, engine = {
            "chat": (ChatHFInference, "vllm"),
            "llm": (HFInferenceLLM, "vllm"),
            "embeddings": (HFInferenceEmbeddings, "tei"),
        }[self.kind]
        return model_class(**{"endpoint_url": url, "model": "org/name", "engine": engine, **arguments})

    def router_model(self) -> Any:
        """Build the model for the Hugging Face router."""
        model_class = {"chat": ChatHFInference, "llm": HFInferenceLLM, "embeddings": HFInferenceEmbeddings}[self.kind]
        return model_class(model="org/name", api_key="hf_test")

    def exchanges(self, url: str) -> list[Exchange]:
        """Return the mocked exchange of a call of `model(url)`."""
        return [Exchange("POST", url + self.path, *self._body())]

    def router_exchanges(self) -> list[Exchange]:
        """Return the mocked exchanges of a call of `router_model()`; for other tasks than chat the Hub is asked first."""
        if self.kind == "chat":
            return [Exchange("POST", f"{ROUTER}/v1/chat/completions", *self._body())]
        provider, task, path = {
            "llm": ("featherless-ai", "text-generation", "/v1/completions"),
            "embeddings": ("hf-inference", "feature-extraction", "/models/org/name/pipeline/feature-extraction"),
        }[self.kind]
        mapping = {"inferenceProviderMapping": {provider: {"providerId": "org/name", "task": task, "status": "live"}}}
        lookup = "https://huggingface.co/api/models/org/name?expand[]=inferenceProviderMapping"
        return [
            Exchange("GET", lookup, json.dumps(mapping).encode()),
            Exchange("POST", f"{ROUTER}/{provider}{path}", *self._body()),
        ]

    def _body(self) -> tuple[bytes, str]:
        if self.kind == "embeddings":
            return json.dumps(MOCKED_VECTORS).encode(), "application/json"
        if self.kind == "chat" and not self.is_stream:
            return json.dumps(message(content=MOCKED_TEXT)).encode(), "application/json"
        if self.kind == "chat":
            return events({"content": "A mocked"}, {"content": " answer."}), "text/event-stream"
        head = {"id": "c1", "object": "text_completion", "created": 1, "model": "served"}
        if not self.is_stream:
            choice = {"index": 0, "text": MOCKED_TEXT, "finish_reason": "stop"}
            return json.dumps({**head, "choices": [choice]}).encode(), "application/json"
        pieces = [("A mocked", None), (" answer.", "stop")]
        rows = [{**head, "choices": [{"index": 0, "text": text, "finish_reason": end}]} for text, end in pieces]
        return events(*rows, done=False) + b"data: [DONE]\n\n", "text/event-stream"


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request, and the response that a mock returns for it."""

    method: str
    url: str
    content: bytes
    content_type: str = "application/json"

    @property
    def headers(self) -> dict[str, str]:
        return {"content-type": self.content_type}

    def response(self) -> httpx.Response:
        """Build the response in the way that users do: with its content, already read."""
        return httpx.Response(200, headers=self.headers, content=self.content)


FORMS = [
    Form(kind, prefix + method)
    for kind, methods in {
        "chat": ("invoke", "stream"),
        "llm": ("invoke", "stream"),
        "embeddings": ("embed_documents",),
    }.items()
    for method in methods
    for prefix in ("", "a")
]

every_form = pytest.mark.parametrize("form", FORMS, ids=str)
async_forms = pytest.mark.parametrize("form", [form for form in FORMS if form.is_async], ids=str)
stream_forms = pytest.mark.parametrize("form", [form for form in FORMS if form.is_stream], ids=str)


class Caller:
    """Make calls in any form. All async calls of a test share one event loop, and so their connection pool."""

    def __init__(self, runner: asyncio.Runner) -> None:
        self._runner = runner

    def __call__(self, form: Form, model: Any) -> Any:
        """Call `model` with the prompt; return the text, or the vectors."""
        given = [PROMPT] if form.kind == "embeddings" else PROMPT
        method = getattr(model, form.method)
        if form.is_async:
            coroutine = _collected(method(given)) if form.is_stream else method(given)
            result = self._runner.run(coroutine, context=copy_context())  # a trace around the call is the caller's
        else:
            result = list(method(given)) if form.is_stream else method(given)
        if form.is_stream:
            return "".join(_text(chunk) for chunk in result)
        return result if form.kind == "embeddings" else _text(result)


async def _collected(stream: Any) -> list[Any]:
    return [chunk async for chunk in stream]


def _text(answer: Any) -> str:
    return answer if isinstance(answer, str) else str(answer.content)

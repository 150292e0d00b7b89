"""Other tasks of Hugging Face as LangChain pieces: text classification, text to image, reranking."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

from langchain_core.callbacks import Callbacks
from langchain_core.documents import BaseDocumentCompressor, Document
from langchain_core.runnables import RunnableConfig, RunnableSerializable
from langchain_core.tools import BaseTool, StructuredTool
from pydantic import BaseModel, ConfigDict, Field

from langchain_hf_inference._chat_call import tell
from langchain_hf_inference._per_call import PerCallTask
from langchain_hf_inference._protocol.other_tasks import (
    ClassScore,
    TextOrPair,
    classification_request,
    image_request,
    read_classes,
    read_image,
    read_ranking,
    rerank_request,
)
from langchain_hf_inference._protocol.wire import WireRequest
from langchain_hf_inference._task_connection import TaskConnection, TaskRoute
from langchain_hf_inference._transport.fan_out import afan_out, fan_out

MAX_RANKED = 32
"""Texts of one request to a ranker: TEI's default; more are ranked in several requests, whose scores compare."""


class HFTextClassifier(PerCallTask, TaskConnection, RunnableSerializable[TextOrPair, list[ClassScore]]):
    """Give the labels of a text, or of a pair of texts, the likeliest first. TEI's `/predict`, or hf-inference.

        classifier = HFTextClassifier(endpoint_url="http://localhost:8080")
        classifier.invoke("I like it")     # [{"label": "positive", "score": 0.99}, …]

    Raises:
        ConfigurationError: No provider serves the model for this.
        APIStatusError: The server answered with an error.
    """

    model_config = ConfigDict(extra="ignore")

    raw_scores: bool | None = None
    """TEI: scores as they leave the model, not made into probabilities."""
    truncate: bool | None = True
    """TEI: cut texts that are too long."""
    truncation_direction: Literal["Left", "Right"] | None = None
    """TEI: which end is cut off."""
    top_k: int | None = Field(default=None, ge=1)
    """hf-inference: give so many labels."""
    function_to_apply: Literal["sigmoid", "softmax", "none"] | None = None
    """hf-inference: how scores are made."""

    def invoke(self, input: TextOrPair, config: RunnableConfig | None = None, **kwargs: Any) -> list[ClassScore]:  # noqa: A002
        """Classify one text or pair."""
        return self._call_with_config(self._for_task(kwargs)._classes, input, config, run_type="llm")

    async def ainvoke(self, input: TextOrPair, config: RunnableConfig | None = None, **kwargs: Any) -> list[ClassScore]:  # noqa: A002
        """Like `invoke`."""
        return await self._acall_with_config(self._for_task(kwargs)._aclasses, input, config, run_type="llm")

    def _classes(self, text: TextOrPair) -> list[ClassScore]:
        target = self._task_route("text-classification")
        request = self._request(target, text)
        response = self._transport().send([request], target.credentials)
        return read_classes(response.json(), request)

    async def _aclasses(self, text: TextOrPair) -> list[ClassScore]:
        target = await self._atask_route("text-classification")
        request = self._request(target, text)
        response = await self._transport().asend([request], target.credentials)
        return read_classes(response.json(), request)

    def as_tool(
        self,
        args_schema: Any = None,
        *,
        name: str | None = None,
        description: str | None = None,
        arg_types: dict[str, type] | None = None,
    ) -> BaseTool:
        """Give a tool that agents can call with a text; its arguments are fixed."""

        def classify(text: str) -> list[ClassScore]:
            return self.invoke(text)

        async def aclassify(text: str) -> list[ClassScore]:
            return await self.ainvoke(text)

        about = description or "Tell the likeliest labels of a text."
        return StructuredTool.from_function(
            classify, coroutine=aclassify, name=name or "classify_text", description=about
        )

    def _request(self, target: TaskRoute, text: TextOrPair) -> WireRequest:
        names = ("raw_scores", "truncate", "truncation_direction", "top_k", "function_to_apply")
        settings, headers = _given(self, names, target.form), self._route_headers(target.route)
        return _told(*classification_request(target.route, target.form, text, settings, headers), self.model_kwargs)


class GeneratedImage(NamedTuple):
    """A picture: its bytes, and its media type such as "image/png"."""

    data: bytes
    media_type: str

    def save(self, path: str | Path) -> Path:
        """Write the picture to `path`, which is given back."""
        target = Path(path)
        target.write_bytes(self.data)
        return target

    def block(self) -> dict[str, str]:
        """Give the picture as a content block, to be shown to a model."""
        return {"type": "image", "base64": base64.b64encode(self.data).decode(), "mime_type": self.media_type}


class HFTextToImage(PerCallTask, TaskConnection, RunnableSerializable[str, GeneratedImage]):
    """Paint what a text says: hf-inference, Together, nscale, or an Inference Endpoint.

        painter = HFTextToImage(model="black-forest-labs/FLUX.1-schnell", provider="together")
        painter.invoke("A cat in the rain").save("cat.png")

    Raises:
        ConfigurationError: No provider serves the model for this.
        APIStatusError: The server answered with an error.
    """

    model_config = ConfigDict(extra="ignore")

    negative_prompt: str | None = None
    """What is not to be in the picture."""
    width: int | None = Field(default=None, ge=1)
    """Pixels."""
    height: int | None = Field(default=None, ge=1)
    """Pixels."""
    num_inference_steps: int | None = Field(default=None, ge=1)
    """Steps of denoising."""
    guidance_scale: float | None = Field(default=None, ge=0)
    """How closely to follow the text."""
    seed: int | None = Field(default=None, ge=0)
    """Seed of the noise."""

    def invoke(self, input: str, config: RunnableConfig | None = None, **kwargs: Any) -> GeneratedImage:  # noqa: A002
        """Paint one picture."""
        return self._call_with_config(self._for_task(kwargs)._painted, input, config, run_type="llm")

    async def ainvoke(self, input: str, config: RunnableConfig | None = None, **kwargs: Any) -> GeneratedImage:  # noqa: A002
        """Like `invoke`."""
        return await self._acall_with_config(self._for_task(kwargs)._apainted, input, config, run_type="llm")

    def _painted(self, prompt: str) -> GeneratedImage:
        target = self._task_route("text-to-image")
        request = self._request(target, prompt)
        response = self._transport().send([request], target.credentials)
        return GeneratedImage(*read_image(response, request))

    async def _apainted(self, prompt: str) -> GeneratedImage:
        target = await self._atask_route("text-to-image")
        request = self._request(target, prompt)
        response = await self._transport().asend([request], target.credentials)
        return GeneratedImage(*read_image(response, request))

    def as_tool(
        self,
        args_schema: Any = None,
        *,
        name: str | None = None,
        description: str | None = None,
        arg_types: dict[str, type] | None = None,
    ) -> BaseTool:
        """Give a tool that agents can call with a prompt; it answers with an image block, which models can be shown."""

        def paint(prompt: str) -> list[dict[str, str]]:
            return [self.invoke(prompt).block()]

        async def apaint(prompt: str) -> list[dict[str, str]]:
            return [(await self.ainvoke(prompt)).block()]

        about = description or "Paint a picture of what the prompt says."
        return StructuredTool.from_function(paint, coroutine=apaint, name=name or "paint_picture", description=about)

    def _request(self, target: TaskRoute, prompt: str) -> WireRequest:
        names = ("negative_prompt", "width", "height", "num_inference_steps", "guidance_scale", "seed")
        settings, headers = _given(self, names, target.form), self._route_headers(target.route)
        return _told(*image_request(target.route, target.form, prompt, settings, headers), self.model_kwargs)


class HFReranker(TaskConnection, BaseDocumentCompressor):
    """Put the documents that answer a query best first: TEI's `/rerank`, or `/v1/rerank` of vLLM and infinity.

        reranker = HFReranker(endpoint_url="http://localhost:8080", top_n=3)
        reranker.compress_documents(documents, "What do cats eat?")

    Each document that is kept has its score in `metadata["relevance_score"]`. Fits LangChain's
    ContextualCompressionRetriever.

    Raises:
        APIStatusError: The server answered with an error.
        ResponseFormatError: The server gave another number of scores.
    """

    top_n: int | None = Field(default=3, ge=1)
    """How many documents to keep; None keeps all."""
    raw_scores: bool | None = None
    """TEI: scores as they leave the model."""
    truncate: bool | None = True
    """TEI: cut texts that are too long."""
    max_concurrent_requests: int = Field(default=8, ge=1)
    """How many requests are in work at once, for more than 32 documents."""

    def compress_documents(
        self, documents: Sequence[Document], query: str, callbacks: Callbacks | None = None
    ) -> Sequence[Document]:
        """Give the best `top_n` documents, the best first."""
        return self._kept(documents, self.rank(query, [document.page_content for document in documents]))

    async def acompress_documents(
        self, documents: Sequence[Document], query: str, callbacks: Callbacks | None = None
    ) -> Sequence[Document]:
        """Like `compress_documents`."""
        return self._kept(documents, await self.arank(query, [document.page_content for document in documents]))

    def rank(self, query: str, texts: Sequence[str]) -> list[tuple[int, float]]:
        """Give (index, score) of every text, the best first."""
        target = self._task_route("text-ranking")
        act = partial(self._part, target=target, query=query)
        found = fan_out(act, _parts(texts), at_once=self.max_concurrent_requests)
        return _joined(found)

    async def arank(self, query: str, texts: Sequence[str]) -> list[tuple[int, float]]:
        """Like `rank`."""
        target = await self._atask_route("text-ranking")
        act = partial(self._apart, target=target, query=query)
        found = await afan_out(act, _parts(texts), at_once=self.max_concurrent_requests)
        return _joined(found)

    def _part(self, texts: Sequence[str], *, target: TaskRoute, query: str) -> list[tuple[int, float]]:
        request = self._request(target, query, texts)
        response = self._transport().send([request], target.credentials)
        return read_ranking(response.json(), len(texts), request)

    async def _apart(self, texts: Sequence[str], *, target: TaskRoute, query: str) -> list[tuple[int, float]]:
        request = self._request(target, query, texts)
        response = await self._transport().asend([request], target.credentials)
        return read_ranking(response.json(), len(texts), request)

    def _request(self, target: TaskRoute, query: str, texts: Sequence[str]) -> WireRequest:
        settings, headers = _given(self, ("raw_scores", "truncate"), target.form), self._route_headers(target.route)
        return _told(*rerank_request(target.route, target.form, query, texts, settings, headers), self.model_kwargs)

    def _kept(self, documents: Sequence[Document], ranking: list[tuple[int, float]]) -> list[Document]:
        return [
            documents[i].model_copy(update={"metadata": {**documents[i].metadata, "relevance_score": score}})
            for i, score in ranking[: self.top_n]
        ]

    def as_tool(
        self, *, name: str = "rank_texts", description: str = "Sort texts by how well they answer a query."
    ) -> BaseTool:
        """Give a tool that agents can call with a query and texts."""

        def rank_texts(query: str, texts: list[str]) -> list[str]:
            return [texts[i] for i, _ in self.rank(query, texts)[: self.top_n]]

        async def arank_texts(query: str, texts: list[str]) -> list[str]:
            return [texts[i] for i, _ in (await self.arank(query, texts))[: self.top_n]]

        return StructuredTool.from_function(rank_texts, coroutine=arank_texts, name=name, description=description)


def _given(piece: BaseModel, names: Sequence[str], form: str) -> dict[str, Any]:
    """Give the settings; a `truncate` that nobody wrote goes to TEI alone, so that nobody is warned of it."""
    unsaid = () if form == "tei" or "truncate" in piece.model_fields_set else ("truncate",)
    return {name: getattr(piece, name) for name in names if name not in unsaid}


def _told(request: WireRequest, notes: Sequence[str], more: Mapping[str, Any]) -> WireRequest:
    """Warn of what the server's form cannot say, and add the caller's further keys to the body."""
    tell(notes)
    return replace(request, body={**request.body, **more}) if more else request


def _parts(texts: Sequence[str]) -> list[Sequence[str]]:
    return [texts[at : at + MAX_RANKED] for at in range(0, len(texts), MAX_RANKED)]


def _joined(parts: list[list[tuple[int, float]]]) -> list[tuple[int, float]]:
    found = [(at * MAX_RANKED + i, score) for at, part in enumerate(parts) for i, score in part]
    return sorted(found, key=lambda row: -row[1])

"""HFInferenceEmbeddings: Embeddings' four methods, joined to the protocol and the transport."""

from __future__ import annotations

from functools import partial
from typing import Literal

from langchain_core.embeddings import Embeddings
from pydantic import Field, PrivateAttr

from langchain_hf_inference._chat_call import tell
from langchain_hf_inference._protocol.embedding import (
    DEFAULT_BATCH,
    EmbeddingSettings,
    batches,
    embedding_request,
    read_embeddings,
    smaller_batch,
)
from langchain_hf_inference._protocol.wire import WireRequest
from langchain_hf_inference._task_connection import TaskConnection, TaskRoute
from langchain_hf_inference._transport.fan_out import afan_out, fan_out
from langchain_hf_inference.errors import APIStatusError


class HFInferenceEmbeddings(TaskConnection, Embeddings):
    """Embed texts with TEI, Inference Endpoints, vLLM, SGLang, llama.cpp, infinity, hf-inference and other providers.

    Instantiate:
        ```python
        from langchain_hf_inference import HFInferenceEmbeddings

        local = HFInferenceEmbeddings(endpoint_url="http://localhost:8080", query_prompt_name="query")
        embeddings = HFInferenceEmbeddings(model="BAAI/bge-m3")
        ```

    Texts go out as they are, in batches that the server takes, a few batches at a time; vectors come
    back in the order of the texts, as lists of floats. No numpy is needed.

    Raises:
        ConfigurationError: At a call, before anything is sent: no provider serves the model for this.
        ResponseFormatError: The server gave another number of vectors.
        APIStatusError: The server answered with an error.
    """

    api: Literal["tei", "openai", "pipeline"] | None = None
    """TEI's `/embed`, OpenAI's `/v1/embeddings`, or `{"inputs"}` posted to the URL itself. By default what the server speaks."""
    truncate: bool | None = True
    """Cut texts that are too long instead of failing (TEI, hf-inference); None leaves it to the server."""
    normalize: bool | None = None
    """Vectors of length 1 (TEI, hf-inference; TEI's default)."""
    query_prompt_name: str | None = None
    """Prompt of the model that is put before queries (TEI, hf-inference)."""
    document_prompt_name: str | None = None
    """Prompt of the model that is put before documents."""
    dimensions: int | None = Field(default=None, ge=1)
    """Length of the vectors, for models that can be cut (Matryoshka)."""
    truncation_direction: Literal["Left", "Right"] | None = None
    """Which end of a text that is too long is cut off (TEI)."""
    encoding_format: Literal["float", "base64"] | None = None
    """How OpenAI's API writes vectors; base64 is half the size."""
    batch_size: int | None = Field(default=None, ge=1)
    """Most texts in one request. By default what the server says, else 32; lowered when it refuses."""
    max_concurrent_requests: int = Field(default=8, ge=1)
    """How many batches are in work at once."""

    _learnt_batch: int | None = PrivateAttr(default=None)

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Embed `texts`: one vector each, in the same order."""
        return self._embedded(texts, self.document_prompt_name)

    def embed_query(self, text: str) -> list[float]:
        """Embed a query; with `query_prompt_name` not as a document is."""
        return self._embedded([text], self.query_prompt_name)[0]

    async def aembed_documents(self, texts: list[str]) -> list[list[float]]:
        """Like `embed_documents`."""
        return await self._aembedded(texts, self.document_prompt_name)

    async def aembed_query(self, text: str) -> list[float]:
        """Like `embed_query`."""
        return (await self._aembedded([text], self.query_prompt_name))[0]

    def _embedded(self, texts: list[str], prompt_name: str | None) -> list[list[float]]:
        if not texts:
            return []
        target = self._task_route("feature-extraction", form=self.api)
        act = partial(self._batch, target=target, prompt_name=prompt_name)
        found = fan_out(act, batches(texts, self._most(target)), at_once=self.max_concurrent_requests)
        return [vector for vectors in found for vector in vectors]

    async def _aembedded(self, texts: list[str], prompt_name: str | None) -> list[list[float]]:
        if not texts:
            return []
        target = await self._atask_route("feature-extraction", form=self.api)
        act = partial(self._abatch, target=target, prompt_name=prompt_name)
        found = await afan_out(act, batches(texts, self._most(target)), at_once=self.max_concurrent_requests)
        return [vector for vectors in found for vector in vectors]

    def _batch(self, texts: list[str], *, target: TaskRoute, prompt_name: str | None) -> list[list[float]]:
        request = self._request(texts, target, prompt_name)
        try:
            response = self._transport().send([request], target.credentials)
        except APIStatusError as error:
            parts = self._split(texts, error)
            found = [self._batch(part, target=target, prompt_name=prompt_name) for part in parts]
            return [vector for vectors in found for vector in vectors]
        return read_embeddings(response.json(), len(texts), request)

    async def _abatch(self, texts: list[str], *, target: TaskRoute, prompt_name: str | None) -> list[list[float]]:
        request = self._request(texts, target, prompt_name)
        try:
            response = await self._transport().asend([request], target.credentials)
        except APIStatusError as error:
            parts = self._split(texts, error)
            found = [await self._abatch(part, target=target, prompt_name=prompt_name) for part in parts]
            return [vector for vectors in found for vector in vectors]
        return read_embeddings(response.json(), len(texts), request)

    def _request(self, texts: list[str], target: TaskRoute, prompt_name: str | None) -> WireRequest:
        settings = EmbeddingSettings(
            truncate=self.truncate if target.form != "openai" or "truncate" in self.model_fields_set else None,
            normalize=self.normalize,
            prompt_name=prompt_name,
            dimensions=self.dimensions,
            truncation_direction=self.truncation_direction,
            encoding_format=self.encoding_format,
            extra=self.model_kwargs,
        )
        headers = self._route_headers(target.route)
        request, notes = embedding_request(target.route, target.form, texts, settings, headers)
        tell(notes)
        return request

    def _most(self, target: TaskRoute) -> int:
        limits = [self.batch_size or target.max_batch or DEFAULT_BATCH, self._learnt_batch or DEFAULT_BATCH * 1000]
        return min(limits)

    def _split(self, texts: list[str], error: APIStatusError) -> list[list[str]]:
        """Cut a batch that was refused for its size; remember the size that it may have. Raises any other error."""
        smaller = smaller_batch(error, len(texts))
        if smaller is None:
            raise error
        self._learnt_batch = min(smaller, self._learnt_batch or smaller)
        return batches(texts, smaller)

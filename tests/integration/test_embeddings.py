"""HFInferenceEmbeddings on live engines that embed: llama-server beside its chat, infinity by itself."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import Any

import pytest
from langchain_core.embeddings import Embeddings
from langchain_tests.integration_tests import EmbeddingsIntegrationTests

from conftest import NAMES, started
from engines import Running
from langchain_hf_inference import HFInferenceEmbeddings

EMBED = ("llama", "infinity")
Outcome = Callable[[str], None]


@pytest.fixture
def embedder(engine: Running) -> HFInferenceEmbeddings:
    if engine.engine.name not in EMBED:
        pytest.skip(f"{engine.engine.name} does not embed, or not beside its chat")
    return HFInferenceEmbeddings(model=engine.model, endpoint_url=engine.url, batch_size=16)


@pytest.mark.parametrize("way", ["sync", "async"])
def test_embed_in_order(embedder: HFInferenceEmbeddings, way: str, outcome: Outcome) -> None:
    """Fifty texts in batches come back in order: each vector is that of its text alone."""
    texts = [f"Count from {i} to {i + 3}." for i in range(50)]

    vectors = asyncio.run(embedder.aembed_documents(texts)) if way == "async" else embedder.embed_documents(texts)

    assert len({len(vector) for vector in vectors}) == 1
    for i in (0, 15, 16, 49):
        assert cosine(vectors[i], embedder.embed_query(texts[i])) > 0.999
    assert cosine(vectors[0], vectors[49]) < 0.99999
    outcome(f"{len(vectors[0])} dimensions, in order")


def test_embed_base64(embedder: HFInferenceEmbeddings, outcome: Outcome) -> None:
    """base64 gives the same vectors as floats."""
    twin = embedder.model_copy(update={"encoding_format": "base64"})

    assert twin.embed_query("Hello") == pytest.approx(embedder.embed_query("Hello"), abs=1e-6)
    outcome("the same")


def cosine(one: list[float], other: list[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True)) / (math.hypot(*one) * math.hypot(*other))


class LiveSuite(EmbeddingsIntegrationTests):
    engine: str

    @property
    def embeddings_class(self) -> type[Embeddings]:
        return HFInferenceEmbeddings

    @property
    def embedding_model_params(self) -> dict[str, Any]:
        running = started(self.engine)
        return {"model": running.model, "endpoint_url": running.url}


for _name in NAMES:
    if _name in EMBED:
        globals()[f"TestStandardOn_{_name}"] = type(f"TestStandardOn_{_name}", (LiveSuite,), {"engine": _name})

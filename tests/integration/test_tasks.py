"""HFReranker on a live engine that ranks: infinity with a cross-encoder of random weights."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from langchain_core.documents import Document

from engines import Running
from langchain_hf_inference import HFReranker

Outcome = Callable[[str], None]
TEXTS = [f"text number {i}" for i in range(40)]


@pytest.mark.parametrize("way", ["sync", "async"])
def test_rerank(engine: Running, way: str, outcome: Outcome) -> None:
    """Forty texts are ranked in two requests: all are there, the best first, with the scores of the engine."""
    if engine.engine.name != "infinity-rank":
        pytest.skip(f"{engine.engine.name} does not rank")
    reranker = HFReranker(endpoint_url=engine.url, model=engine.model, top_n=5)

    ranked = asyncio.run(reranker.arank("text", TEXTS)) if way == "async" else reranker.rank("text", TEXTS)
    kept = reranker.compress_documents([Document(text) for text in TEXTS], "text")

    assert sorted(i for i, _ in ranked) == list(range(40))
    assert [score for _, score in ranked] == sorted((score for _, score in ranked), reverse=True)
    assert len({score for _, score in ranked}) > 10
    assert [document.page_content for document in kept] == [TEXTS[i] for i, _ in ranked[:5]]
    outcome("all, the best first")

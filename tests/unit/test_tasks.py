"""tasks.py and _protocol/other_tasks.py: classification, pictures, ranking."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from calling import Call, both_ways
from jsonschema import Draft202012Validator
from langchain_core.documents import Document
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from conftest import FarEnd
from langchain_hf_inference import (
    APIStatusError,
    ConfigurationError,
    HFReranker,
    HFTextClassifier,
    HFTextToImage,
    ResponseFormatError,
)
from langchain_hf_inference.testing import InferenceServer

FarEndMaker = Callable[..., FarEnd]
SPECS = Path(os.environ.get("HF_SPECS") or Path(__file__).parents[3] / "shared" / "specs")
PNG = b"\x89PNG\r\n\x1a\nrest"
HF = {"inferenceProviderMapping": {"hf-inference": {"providerId": "org/name", "task": "text-classification"}}}


def hub(mapping: Any, answer: Any) -> Callable[[httpx.Request], Any]:
    return lambda request: {"inferenceProviderMapping": mapping} if request.url.host == "huggingface.co" else answer


@both_ways
def test_classify_tei(call: Call) -> None:
    """TEI gives labels and scores, the best first, for a text and for a pair; batches keep their order."""
    with InferenceServer(engine="tei") as server:
        classifier = HFTextClassifier(endpoint_url=server.url, raw_scores=False)
        assert [row["label"] for row in call.invoke(classifier, "this is bad")] == ["negative", "positive"]
        assert call.invoke(classifier, ("good", "not good"))[0]["label"] == "negative"
        assert [r.body["inputs"] for r in server.requests] == ["this is bad", ["good", "not good"]]
        assert server.requests[0].body == {"inputs": "this is bad", "raw_scores": False, "truncate": True}
        found = asyncio.run(classifier.abatch(["good", "bad"])) if call.is_async else classifier.batch(["good", "bad"])
        assert [rows[0]["label"] for rows in found] == ["positive", "negative"]


@both_ways
def test_classify_hf_inference(call: Call, far_end: FarEndMaker) -> None:
    """hf-inference nests its answer once more, and takes parameters of its own."""
    rows = [{"label": "NEGATIVE", "score": 0.1}, {"label": "POSITIVE", "score": 0.9}]
    far = far_end(
        hub(
            {"hf-inference": {"providerId": "org/name", "task": "text-classification"}},
            httpx.Response(200, json=[rows]),
        )
    )
    classifier = HFTextClassifier(model="org/name", api_key="hf_x", top_k=2, function_to_apply="softmax", **far.clients)

    assert call.invoke(classifier, "fine") == rows[::-1]
    assert str(far.requests[-1].url) == "https://router.huggingface.co/hf-inference/models/org/name"
    assert far.bodies[-1] == {"inputs": "fine", "parameters": {"top_k": 2, "function_to_apply": "softmax"}}
    call.invoke(classifier, ("a", "b"))
    assert far.bodies[-1]["inputs"] == {"text": "a", "text_pair": "b"}


@both_ways
@pytest.mark.parametrize(
    ("provider", "path", "body", "answer"),
    [
        ("hf-inference", "/hf-inference/models/org/name", {"inputs": "cat", "parameters": {"width": 8, "height": 4, "num_inference_steps": 3, "seed": 1}},
         httpx.Response(200, headers={"content-type": "image/png"}, content=PNG)),
        ("together", "/together/v1/images/generations",
         {"model": "org/name", "prompt": "cat", "response_format": "base64", "width": 8, "height": 4, "steps": 3, "seed": 1},
         httpx.Response(200, json={"data": [{"b64_json": base64.b64encode(PNG).decode()}]})),
        ("nscale", "/nscale/v1/images/generations",
         {"model": "org/name", "prompt": "cat", "response_format": "b64_json", "size": "8x4", "num_inference_steps": 3, "seed": 1},
         httpx.Response(200, json={"data": [{"b64_json": base64.b64encode(PNG).decode()}]})),
    ],
)  # fmt: skip
def test_paint(
    call: Call, far_end: FarEndMaker, tmp_path: Path, provider: str, path: str, body: Any, answer: Any
) -> None:
    """A picture comes as bytes with its media type, from each provider by its own form; the caller saves it."""
    far = far_end(hub({provider: {"providerId": "org/name", "task": "text-to-image"}}, answer))
    painter = HFTextToImage(
        model="org/name",
        provider=provider,
        api_key="hf_x",
        width=8,
        height=4,
        num_inference_steps=3,
        seed=1,
        **far.clients,
    )

    image = call.invoke(painter, "cat")

    assert image == (PNG, "image/png")
    assert image.save(tmp_path / "cat.png").read_bytes() == PNG
    assert (far.requests[-1].url.path, far.bodies[-1]) == (path, body)


@both_ways
def test_paint_failures(call: Call, far_end: FarEndMaker) -> None:
    """An error, or an answer that is no picture, is told."""
    for answer, kind in (({"error": {"message": "boom", "code": 500}}, APIStatusError), ({"data": []}, ResponseFormatError),
                         ({"data": [{"b64_json": "%%"}]}, ResponseFormatError)):  # fmt: skip
        far = far_end(hub({"together": {"providerId": "x", "task": "text-to-image"}}, httpx.Response(200, json=answer)))
        with pytest.raises(kind):
            call.invoke(HFTextToImage(model="org/name", api_key="hf_x", **far.clients), "cat")


DOCUMENTS = [
    Document(text, metadata={"n": i}) for i, text in enumerate(["dogs bark", "cats eat fish", "cats eat", "rain"])
]


@pytest.mark.parametrize("way", ["sync", "async"])
def test_rerank(way: str) -> None:
    """The best documents come first, with their scores; the originals stay as they were."""
    with InferenceServer(engine="tei") as server:
        reranker = HFReranker(endpoint_url=server.url, top_n=2)
        query = "what do cats eat"
        found = (
            asyncio.run(reranker.acompress_documents(DOCUMENTS, query))
            if way == "async"
            else reranker.compress_documents(DOCUMENTS, query)
        )

    assert [(d.page_content, d.metadata["n"]) for d in found] == [("cats eat", 2), ("cats eat fish", 1)]
    assert found[0].metadata["relevance_score"] > found[1].metadata["relevance_score"]
    assert "relevance_score" not in DOCUMENTS[2].metadata


@pytest.mark.parametrize("way", ["sync", "async"])
def test_rerank_many(way: str) -> None:
    """More texts than a request takes are ranked in several, all together; none gives none."""
    with InferenceServer(engine="tei") as server:
        reranker = HFReranker(endpoint_url=server.url, top_n=None)
        texts = [f"word {i}" for i in range(100)]
        ranked = asyncio.run(reranker.arank("word 77", texts)) if way == "async" else reranker.rank("word 77", texts)
        sizes = sorted(len(r.body["texts"]) for r in server.requests)
        assert (ranked[0][0], len(ranked), sizes) == (77, 100, [4, 32, 32, 32])
        assert list(reranker.compress_documents([], "x")) == []


def test_rerank_jina(far_end: FarEndMaker) -> None:
    """vLLM and infinity are asked by `/v1/rerank`."""
    far = far_end({"results": [{"index": 1, "relevance_score": 0.9}, {"index": 0, "relevance_score": 0.1}]})
    reranker = HFReranker(endpoint_url="http://h:1/v1", engine="openai", model="m", **far.clients)

    assert reranker.rank("q", ["a", "b"]) == [(1, 0.9), (0, 0.1)]
    assert (str(far.requests[0].url), far.bodies[0]) == (
        "http://h:1/v1/rerank",
        {"model": "m", "query": "q", "documents": ["a", "b"]},
    )


def test_what_a_form_lacks_is_told(far_end: FarEndMaker) -> None:
    """A setting that a server's form cannot say is told, and does not go; a default is nothing to tell of."""
    classes = httpx.Response(200, json=[[{"label": "a", "score": 1.0}]])
    picture = httpx.Response(200, json={"data": [{"b64_json": base64.b64encode(PNG).decode()}]})
    at_hub = far_end(hub(HF["inferenceProviderMapping"], classes))
    at_nscale = far_end(hub({"nscale": {"providerId": "org/painter", "task": "text-to-image"}}, picture))
    at_jina = far_end({"results": [{"index": 0, "relevance_score": 0.9}]})
    jina = HFReranker(endpoint_url="http://h:1/v1", engine="openai", model="m", **at_jina.clients)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        HFTextClassifier(model="org/name", api_key="hf_x", **at_hub.clients).invoke("x")
        jina.rank("q", ["a"])
    with pytest.warns(UserWarning, match="hf-inference has no raw_scores; .*hf-inference has no truncate;"):
        HFTextClassifier(model="org/name", api_key="hf_x", raw_scores=False, truncate=True, **at_hub.clients).invoke(
            "x"
        )
    assert at_hub.bodies[-1] == {"inputs": "x"}
    with pytest.warns(UserWarning, match="/v1/rerank has no truncate"):
        jina.model_copy(update={"truncate": False}).rank("q", ["a"])
    assert at_jina.bodies[-1] == at_jina.bodies[0]
    with pytest.warns(UserWarning, match="width and height together; width alone"):
        HFTextToImage(model="org/painter", api_key="hf_x", provider="nscale", width=8, **at_nscale.clients).invoke(
            "cat"
        )
    assert at_nscale.bodies[-1].keys() == {"model", "prompt", "response_format"}
    with InferenceServer(engine="tei") as server:
        with pytest.warns(UserWarning, match="TEI's /predict has no top_k"):
            HFTextClassifier(endpoint_url=server.url, top_k=1).invoke("x")
        assert server.requests[-1].body == {"inputs": "x", "truncate": True}


def test_further_keys_reach_the_body(far_end: FarEndMaker) -> None:
    """`model_kwargs` go with requests of every task."""
    more: dict[str, Any] = {"model_kwargs": {"return_text": False}}
    png = httpx.Response(200, headers={"content-type": "image/png"}, content=PNG)
    far = far_end(hub({"hf-inference": {"providerId": "org/name", "task": "text-to-image"}}, png))
    HFTextToImage(model="org/name", api_key="hf_x", **more, **far.clients).invoke("cat")
    assert far.bodies[-1] == {"inputs": "cat", "return_text": False}
    with InferenceServer(engine="tei") as server:
        HFTextClassifier(endpoint_url=server.url, **more).invoke("x")
        HFReranker(endpoint_url=server.url, **more).rank("q", ["a"])
        assert [r.body["return_text"] for r in server.requests] == [False, False]


@pytest.mark.parametrize(
    "answer",
    [
        [],
        [{"index": 0, "score": 1}],
        [{"index": 5, "score": 1}, {"index": 0, "score": 1}],
        [{"index": 0, "score": 1}] * 2,
    ],
)
def test_wrong_rankings(far_end: FarEndMaker, answer: Any) -> None:
    """Missing, foreign or doubled texts in a ranking are told."""
    far = far_end(httpx.Response(200, json=answer))
    with pytest.raises(ResponseFormatError, match="2 texts were sent"):
        HFReranker(endpoint_url="http://h:1", engine="tei", model="m", **far.clients).rank("q", ["a", "b"])


def test_as_tools() -> None:
    """Each is a tool for agents too."""
    with InferenceServer(engine="tei") as server:
        rank = HFReranker(endpoint_url=server.url, top_n=1).as_tool()
        assert rank.invoke({"query": "cats", "texts": ["dogs", "cats"]}) == ["cats"]
        assert asyncio.run(rank.ainvoke({"query": "cats", "texts": ["dogs", "cats"]})) == ["cats"]
        classify = HFTextClassifier(endpoint_url=server.url).as_tool(name="mood", description="Tell the mood.")
        assert classify.name == "mood"
        assert classify.invoke({"text": "this is bad"})[0]["label"] == "negative"
        assert asyncio.run(classify.ainvoke({"text": "good"}))[0]["label"] == "positive"


def test_painter_as_tool(far_end: FarEndMaker) -> None:
    """A painter's tool answers with an image block, which goes on to a model that sees."""
    answer = httpx.Response(200, headers={"content-type": "image/png"}, content=PNG)
    far = far_end(hub({"hf-inference": {"providerId": "org/name", "task": "text-to-image"}}, answer))
    paint = HFTextToImage(model="org/name", api_key="hf_x", **far.clients).as_tool()
    block = {"type": "image", "base64": base64.b64encode(PNG).decode(), "mime_type": "image/png"}

    assert paint.invoke({"prompt": "cat"}) == asyncio.run(paint.ainvoke({"prompt": "cat"})) == [block]


@pytest.mark.skipif(not SPECS.exists(), reason="HF_SPECS is not there")
def test_bodies_fit_the_specification() -> None:
    """Requests to TEI fit its own OpenAPI."""
    resource = Resource(contents=json.loads((SPECS / "tei_openapi.json").read_text()), specification=DRAFT202012)
    registry: Registry[Any] = Registry().with_resource("urn:tei", resource)
    with InferenceServer(engine="tei") as server:
        for settings in ({}, {"raw_scores": True}, {"truncate": False}, {"truncation_direction": "Left"}):
            classifier = HFTextClassifier(endpoint_url=server.url, **settings)  # type: ignore[arg-type]
            classifier.invoke("text")
            classifier.invoke(("one", "two"))
        for settings in ({}, {"raw_scores": True}, {"truncate": False}):
            HFReranker(endpoint_url=server.url, **settings).rank("q", ["a", "b"])  # type: ignore[arg-type]
        bodies = [(r.path, r.body) for r in server.requests]

    for path, body in bodies:
        name = {"/predict": "PredictRequest", "/rerank": "RerankRequest"}[path]
        validator = Draft202012Validator({"$ref": f"urn:tei#/components/schemas/{name}"}, registry=registry)
        assert [e.message for e in validator.iter_errors(body)] == []
        assert body.keys() <= resource.contents["components"]["schemas"][name]["properties"].keys()


def test_nobody_does_it(far_end: FarEndMaker) -> None:
    """A task that no provider does for the model is refused before anything is sent."""
    far = far_end(hub({"novita": {"providerId": "x", "task": "conversational"}}, {}))
    for piece, word in ((HFTextClassifier, "text-classification"), (HFTextToImage, "text-to-image")):
        with pytest.raises(ConfigurationError, match=f"not served for {word}"):
            piece(model="org/name", api_key="hf_x", **far.clients).invoke("x")  # type: ignore[operator]
    assert json.loads(json.dumps([r.method for r in far.requests])) == ["GET"]

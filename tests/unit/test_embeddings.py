"""embeddings.py and _protocol/embedding.py: every server's form, batches, order, limits."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import struct
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from calling import both_ways
from jsonschema import Draft202012Validator
from langchain_core.embeddings import Embeddings
from langchain_tests.integration_tests import EmbeddingsIntegrationTests
from langchain_tests.unit_tests import EmbeddingsUnitTests
from pydantic import ValidationError
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from conftest import FarEnd
from langchain_hf_inference import APIStatusError, ConfigurationError, HFInferenceEmbeddings, ResponseFormatError
from langchain_hf_inference._protocol.embedding import MAX_BATCH_CHARS, batches, read_embeddings, smaller_batch
from langchain_hf_inference._protocol.wire import WireRequest
from langchain_hf_inference.testing import Fault, InferenceServer

FarEndMaker = Callable[..., FarEnd]
SPECS = Path(os.environ.get("HF_SPECS") or Path(__file__).parents[3] / "shared" / "specs")
REQUEST = WireRequest("http://h", {})
WAYS = pytest.mark.parametrize("way", ["sync", "async"])


def embed(model: HFInferenceEmbeddings, texts: list[str], way: str) -> list[list[float]]:
    return asyncio.run(model.aembed_documents(texts)) if way == "async" else model.embed_documents(texts)


def query(model: HFInferenceEmbeddings, text: str, way: str) -> list[float]:
    return asyncio.run(model.aembed_query(text)) if way == "async" else model.embed_query(text)


@pytest.fixture(params=["tei", "openai"])
def model(request: pytest.FixtureRequest) -> Iterator[HFInferenceEmbeddings]:
    with InferenceServer(engine="tei" if request.param == "tei" else None) as server:
        yield HFInferenceEmbeddings(endpoint_url=server.url, model="m")


class TestUnit(EmbeddingsUnitTests):
    @property
    def embeddings_class(self) -> type[Embeddings]:
        return HFInferenceEmbeddings

    @property
    def embedding_model_params(self) -> dict[str, Any]:
        return {"model": "m"}

    @property
    def init_from_env_params(self) -> tuple[dict[str, str], dict[str, Any], dict[str, Any]]:
        return {"HF_TOKEN": "hf_x"}, {"model": "m"}, {"model": "m"}


class Integration(EmbeddingsIntegrationTests):
    engine: str | None

    @pytest.fixture(autouse=True)
    def _serve(self) -> Iterator[None]:
        with InferenceServer(engine=self.engine) as server:
            type(self).url = server.url
            yield

    @property
    def embeddings_class(self) -> type[Embeddings]:
        return HFInferenceEmbeddings

    @property
    def embedding_model_params(self) -> dict[str, Any]:
        return {"model": "m", "endpoint_url": self.url}


class TestIntegrationTEI(Integration):
    engine = "tei"


class TestIntegrationOpenAI(Integration):
    engine = None


@WAYS
def test_order(model: HFInferenceEmbeddings, way: str) -> None:
    """Many texts come back in order, whatever the batches; queries and documents agree; nothing gives nothing."""
    texts = [f"text number {i}" for i in range(150)]

    vectors = embed(model, texts, way)

    assert vectors == [query(model, text, way) for text in texts]
    assert embed(model, [], way) == []
    assert len({tuple(v) for v in vectors}) > 10


@WAYS
def test_tei_settings(way: str, far_end: FarEndMaker) -> None:
    """Each of TEI's settings reaches `/embed`; queries and documents have prompts of their own; texts are not rewritten."""
    far = far_end(lambda request: httpx.Response(200, json=[[1.0]] * len(json.loads(request.content)["inputs"])))
    model = HFInferenceEmbeddings(
        endpoint_url="http://h:1", engine="tei", model="m", truncate=False, normalize=True, query_prompt_name="query", document_prompt_name="doc",
        dimensions=5, truncation_direction="Left", **far.clients)  # fmt: skip

    embed(model, ["a\nb", "c"], way)
    query(model, "q", way)

    common = {"truncate": False, "normalize": True, "truncation_direction": "Left", "dimensions": 5}
    assert far.bodies == [
        {"inputs": ["a\nb", "c"], **common, "prompt_name": "doc"},
        {"inputs": ["q"], **common, "prompt_name": "query"},
    ]
    assert {r.url.path for r in far.requests} == {"/embed"}


@pytest.mark.skipif(not SPECS.exists(), reason="HF_SPECS is not there")
def test_bodies_fit_the_specification(far_end: FarEndMaker) -> None:
    """Requests fit TEI's own OpenAPI."""
    resource = Resource(contents=json.loads((SPECS / "tei_openapi.json").read_text()), specification=DRAFT202012)
    registry: Registry[Any] = Registry().with_resource("urn:tei", resource)
    far = far_end(lambda request: httpx.Response(200, json=[[1.0]]))
    for settings in (
        {},
        {"truncate": None},
        {"normalize": False},
        {"dimensions": 5},
        {"document_prompt_name": "d"},
        {"truncation_direction": "Right"},
    ):
        HFInferenceEmbeddings(
            endpoint_url="http://h:1", engine="tei", model="m", **settings, **far.clients
        ).embed_documents(["a"])
    schemas = resource.contents["components"]["schemas"]
    validator = Draft202012Validator({"$ref": "urn:tei#/components/schemas/EmbedRequest"}, registry=registry)
    for body in far.bodies:
        assert [e.message for e in validator.iter_errors(body)] == []
        assert body.keys() <= schemas["EmbedRequest"]["properties"].keys()


@WAYS
@pytest.mark.parametrize("encoding", [None, "float", "base64"])
def test_openai(way: str, far_end: FarEndMaker, encoding: str | None) -> None:
    """OpenAI's form: rows in any order, floats or base64; what it cannot say is told."""

    def answer(request: httpx.Request) -> httpx.Response:
        count = len(json.loads(request.content)["input"])
        rows = [{"index": i, "embedding": [float(i), 0.5]} for i in reversed(range(count))]
        if encoding == "base64":
            rows = [{**r, "embedding": base64.b64encode(struct.pack("<2f", *r["embedding"])).decode()} for r in rows]  # type: ignore[misc]
        return httpx.Response(200, json={"data": rows})

    far = far_end(answer)
    model = HFInferenceEmbeddings(
        endpoint_url="http://h:1/v1", engine="vllm", model="m", encoding_format=encoding, dimensions=2, api_key="k", **far.clients
    )  # fmt: skip

    assert embed(model, ["a", "b", "c"], way) == [[0.0, 0.5], [1.0, 0.5], [2.0, 0.5]]
    assert (str(far.requests[0].url), far.requests[0].headers["authorization"]) == (
        "http://h:1/v1/embeddings",
        "Bearer k",
    )
    expected = {"model": "m", "input": ["a", "b", "c"], "dimensions": 2}
    assert far.bodies[0] == expected | ({"encoding_format": encoding} if encoding else {})
    with pytest.warns(UserWarning, match="/v1/embeddings has no normalize"):
        model.model_copy(update={"normalize": True}).embed_query("q")
    with pytest.warns(UserWarning, match="/v1/embeddings has no truncate"):
        model.model_copy(update={"truncate": False}).embed_query("q")


@WAYS
@pytest.mark.parametrize(
    ("provider", "mapping", "url", "answer"),
    [
        (None, {}, "hf-inference/models/org/name/pipeline/feature-extraction", [[1.0, 2.0]]),
        ("hf-inference", {"hf-inference": {"providerId": "org/name", "task": "sentence-similarity"}},
         "hf-inference/models/org/name/pipeline/feature-extraction", [1.0, 2.0]),
        (None, {"together": {"providerId": "Their/Name", "task": "feature-extraction"}}, "together/v1/embeddings",
         {"data": [{"index": 0, "embedding": [1.0, 2.0]}]}),
        ("deepinfra", {"deepinfra": {"providerId": "x", "task": "feature-extraction"}}, "deepinfra/v1/openai/embeddings",
         {"data": [{"index": 0, "embedding": [1.0, 2.0]}]}),
        ("scaleway", {}, "scaleway/v1/embeddings", {"data": [{"embedding": [1.0, 2.0]}]}),
    ],
)  # fmt: skip
def test_providers(way: str, far_end: FarEndMaker, provider: str | None, mapping: Any, url: str, answer: Any) -> None:
    """Providers are found by the Hub's mapping and asked in their own form."""
    far = far_end(
        lambda request: httpx.Response(
            200, json={"inferenceProviderMapping": mapping} if request.url.host == "huggingface.co" else answer
        )
    )

    model = HFInferenceEmbeddings(model="org/name", provider=provider, api_key="hf_x", **far.clients)

    assert query(model, "a", way) == [1.0, 2.0]
    assert str(far.requests[-1].url) == f"https://router.huggingface.co/{url}"
    body = far.bodies[-1]
    assert body == (
        {"inputs": ["a"], "truncate": True} if "hf-inference" in url else {"model": body["model"], "input": ["a"]}
    )


def test_no_provider(far_end: FarEndMaker) -> None:
    """A model that nobody embeds with is refused before anything is sent."""
    far = far_end({"inferenceProviderMapping": {"novita": {"providerId": "x", "task": "conversational"}}})
    with pytest.raises(
        ConfigurationError,
        match=r"not served for feature-extraction by any provider; the Hub lists: novita \(conversational\)",
    ):
        HFInferenceEmbeddings(model="org/name", api_key="hf_x", **far.clients).embed_query("a")


@WAYS
@pytest.mark.parametrize(
    "refusal",
    [
        httpx.Response(422, json={"error": "batch size {} > maximum allowed batch size 8", "error_type": "Validation"}),
        httpx.Response(413, text="length limit exceeded"),
        httpx.Response(400, json={"message": "batch size exceeds the limit", "code": 400}),
    ],
)
def test_limits_are_learnt(way: str, far_end: FarEndMaker, refusal: httpx.Response) -> None:
    """A batch that is refused for its size is cut and sent again, order kept; the limit is remembered."""

    def answer(request: httpx.Request) -> httpx.Response:
        texts = json.loads(request.content)["inputs"]
        if len(texts) > 8:
            return httpx.Response(refusal.status_code, content=refusal.content.replace(b"{}", str(len(texts)).encode()))
        return httpx.Response(200, json=[[float(text)] for text in texts])

    far = far_end(answer)
    model = HFInferenceEmbeddings(
        endpoint_url="http://h:1", engine="tei", model="m", max_concurrent_requests=1, **far.clients
    )
    texts = [str(i) for i in range(64)]

    assert embed(model, texts, way) == [[float(i)] for i in range(64)]
    before = len(far.requests)
    assert embed(model, texts, way) == [[float(i)] for i in range(64)]
    assert len(far.requests) - before == 8


def test_limit_of_info() -> None:
    """TEI's own limit is asked for."""
    with InferenceServer(engine="tei") as server:
        HFInferenceEmbeddings(endpoint_url=server.url).embed_documents(["x"] * 70)
        assert sorted((len(r.body["inputs"]) for r in server.requests), reverse=True) == [32, 32, 6]


def test_batches_by_size() -> None:
    """Batches are bounded by characters too."""
    assert [len(b) for b in batches(["x" * (MAX_BATCH_CHARS // 2)] * 5, 32)] == [2, 2, 1]
    assert [len(b) for b in batches(["x" * (MAX_BATCH_CHARS * 2), "y"], 32)] == [1, 1]
    assert batches([], 32) == []


def test_other_refusals_are_raised(far_end: FarEndMaker) -> None:
    """A refusal that is not about the batch's size is raised."""
    far = far_end(
        httpx.Response(
            422, json={"error": "`inputs` must have less than 512 tokens. Given: 600", "error_type": "Validation"}
        )
    )
    with pytest.raises(APIStatusError, match="512 tokens"):
        HFInferenceEmbeddings(endpoint_url="http://h:1", engine="tei", model="m", **far.clients).embed_documents(
            ["a", "b"]
        )
    assert smaller_batch(APIStatusError("batch size 1 > maximum allowed batch size 0", status_code=422), 1) is None


@pytest.mark.parametrize(
    ("raw", "count", "vectors"),
    [
        ([[1, 2], [3, 4]], 2, [[1.0, 2.0], [3.0, 4.0]]), ([1, 2], 1, [[1.0, 2.0]]), ([[[1, 2], [3, 4]]], 1, [[2.0, 3.0]]),
        ([[[[1, 2], [3, 4]]]], 1, [[2.0, 3.0]]), ([[[1.0], [3.0]], [[5.0]]], 2, [[2.0], [5.0]]), ([[0.0, 0.0]], 1, [[0.0, 0.0]]),
    ],
)  # fmt: skip
def test_forms(raw: Any, count: int, vectors: Any) -> None:
    """Matrices, bare vectors, and tokens' vectors, whose mean is taken, ragged or not."""
    assert read_embeddings(raw, count, REQUEST) == vectors


@pytest.mark.parametrize(
    "raw",
    [
        [],
        [[]],
        [[1.0]],
        [[1.0], [2.0], [3.0]],
        {"data": []},
        {"data": [{"embedding": "%%%"}] * 2},
        {},
        None,
        "x",
        [["a"], ["b"]],
        [[1.0], None],
    ],
)
def test_wrong_answers(raw: Any) -> None:
    """Another number of vectors, or none, is told as such."""
    with pytest.raises(ResponseFormatError):
        read_embeddings(raw, 2, REQUEST)


@WAYS
def test_ten_thousand_texts(way: str) -> None:
    """10,000 texts through a server that allows 32 a request and answers 429 now and then: in order, memory bounded."""
    with InferenceServer(engine="tei", dimensions=8) as server:
        for _ in range(10):
            server.fail(Fault.rate_limited(0.01), times=1)
        model = HFInferenceEmbeddings(endpoint_url=server.url, max_retries=10)
        texts = [f"text {i}" for i in range(10_000)]
        tracemalloc.start()
        vectors = embed(model, texts, way)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        sizes = [len(r.body["inputs"]) for r in server.requests]

    assert len(vectors) == 10_000
    assert (max(sizes), len(sizes)) == (32, 313 + 10)
    assert [vectors[i] for i in (0, 31, 32, 5_000, 9_999)] == [
        embed_one(f"text {i}") for i in (0, 31, 32, 5_000, 9_999)
    ]
    assert peak < 60_000_000  # the vectors alone are 10,000 * 8 floats, and the server records the requests


def embed_one(text: str) -> list[float]:
    from langchain_hf_inference.testing.script import embedding

    return embedding(text, 8)


def test_checks() -> None:
    """Values out of range are refused by name; the key does not show."""
    with pytest.raises(ValidationError, match="dimensions"):
        HFInferenceEmbeddings(model="m", dimensions=0)
    assert "hf_secret" not in repr(HFInferenceEmbeddings(model="m", api_key="hf_secret"))


@both_ways
def test_construction_needs_nothing(call: Any) -> None:
    """Neither numpy nor a token is needed to construct."""
    assert HFInferenceEmbeddings(model="m").model == "m"

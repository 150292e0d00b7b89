"""Every recorded completion, generation, embedding and classification, through our readers: nothing lost."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import recorded
from langchain_core.outputs import GenerationChunk
from recorded import Exchange
from test_error_response import NOW
from test_recordings import _words

from langchain_hf_inference import HFInferenceError
from langchain_hf_inference._protocol.completion import CompletionStreamReader, read_completion
from langchain_hf_inference._protocol.embedding import read_embeddings
from langchain_hf_inference._protocol.error_response import error_for_response
from langchain_hf_inference._protocol.generate import GenerateStreamReader, read_generate
from langchain_hf_inference._protocol.other_tasks import read_classes, read_ranking
from langchain_hf_inference._protocol.sse import SSEDecoder
from langchain_hf_inference._protocol.text_answer import TextOptions
from langchain_hf_inference._protocol.wire import WireRequest

EXCHANGES = recorded.task_exchanges()
REQUEST = WireRequest("http://recorded.example/", {})
pytestmark = pytest.mark.skipif(not EXCHANGES, reason="HF_RECORDINGS is not there")


def asked(exchange: Exchange) -> dict[str, Any]:
    return exchange.asked if isinstance(exchange.asked, dict) else {}


def left_out(task: str, exchange: Exchange) -> str | None:
    """Say why an exchange cannot be replayed, if it cannot."""
    if exchange.status >= 400:
        return None
    if isinstance(asked(exchange).get("prompt"), list) or "many_prompts" in exchange.name:
        return "several prompts in one request, which we never send" if exchange.is_stream else None
    if b'"conversation"' in exchange.content:
        return "the conversational pipeline, which is gone"
    if b'"token"' not in exchange.content and exchange.is_stream and task == "generate":
        return "a chat stream"
    if task == "ranking" and len(exchange.body["results"]) < len(asked(exchange)["documents"]):
        return "the server was asked to keep a few only, which we do ourselves"
    if task == "embedding" and asked(exchange).get("input") == []:
        return "nothing was embedded, which we never ask"
    return None


def by(task: str) -> list[Exchange]:
    return [e for kind, e in EXCHANGES if kind == task and left_out(kind, e) is None]


def failed(exchange: Exchange) -> bool:
    """Check a recorded failure; tell whether it was one."""
    if exchange.status < 400:
        return False
    error = error_for_response(exchange.status, exchange.headers, exchange.content, REQUEST, now=NOW)
    assert _words(exchange) in " ".join(str(error).split())
    return True


def streamed(reader: Any, exchange: Exchange) -> GenerationChunk:
    decoder = SSEDecoder()
    events = decoder.feed(exchange.content) + decoder.close()
    chunks = [chunk for event in events for chunk in reader.read(event)] + reader.close(decoder.stray)
    total = chunks[0]
    for chunk in chunks[1:]:
        total += chunk
    return total


def reports_failure(exchange: Exchange) -> bool:
    return any(body.get("error") for body in recorded.events_of(exchange.content))


@pytest.mark.parametrize("exchange", by("completion"), ids=lambda e: e.name)
def test_completions(exchange: Exchange) -> None:
    """Text, reason to finish and counts of text completions, whole and streamed."""
    if failed(exchange):
        return
    bodies = list(recorded.events_of(exchange.content)) if exchange.is_stream else [exchange.body]
    choices = [choice for body in bodies for choice in body.get("choices") or []]
    counts = [body["usage"] for body in bodies if body.get("usage")]
    if exchange.is_stream:
        found = [streamed(CompletionStreamReader(REQUEST, {}, TextOptions()), exchange)]
        texts = ["".join(choice["text"] for choice in choices)]
    else:
        found = read_completion(exchange.body, TextOptions(), REQUEST)
        texts = [choice["text"] for choice in sorted(choices, key=lambda c: c["index"])]

    assert [generation.text for generation in found] == texts
    assert found[0].generation_info["finish_reason"] in ("stop", "length")
    if counts:
        assert found[0].generation_info["token_usage"]["completion_tokens"] == counts[-1]["completion_tokens"]


@pytest.mark.parametrize("exchange", by("generate"), ids=lambda e: e.name)
def test_generations(exchange: Exchange) -> None:
    """Text, details and counts of TGI's own API and of pipelines, whole and streamed."""
    if failed(exchange):
        return
    parameters = asked(exchange).get("parameters") or {}
    options = TextOptions(stop=parameters.get("stop") or [], details=True)
    if exchange.is_stream:
        reader = GenerateStreamReader(REQUEST, {}, options)
        if reports_failure(exchange):
            with pytest.raises(HFInferenceError):
                streamed(reader, exchange)
            return
        events = list(recorded.events_of(exchange.content))
        found: Any = streamed(reader, exchange)
        text = "".join(event["token"]["text"] for event in events if not event["token"]["special"])
        details = events[-1].get("details")
        assert len(found.generation_info["tokens"]) == len(events)
    else:
        body = exchange.body[0] if isinstance(exchange.body, list) else exchange.body
        found, text, details = (
            read_generate(exchange.body, options, REQUEST),
            body["generated_text"],
            body.get("details"),
        )
    places = [text.find(stop) for stop in options.stop if stop in text]

    assert found.text == (text[: min(places)] if places else text)
    if details:
        assert found.generation_info["token_usage"]["completion_tokens"] == details["generated_tokens"]
        assert found.generation_info["finish_reason"] in ("stop", "length")
        if details.get("best_of_sequences"):
            assert found.generation_info["best_of_sequences"] == details["best_of_sequences"]


@pytest.mark.parametrize("exchange", by("embedding"), ids=lambda e: e.name)
def test_embeddings(exchange: Exchange) -> None:
    """Vectors of every form: OpenAI's rows in floats and base64, matrices, one vector, tokens' vectors."""
    if failed(exchange):
        return
    given = asked(exchange).get("input", asked(exchange).get("inputs"))
    sent = exchange.body["data"] if isinstance(exchange.body, dict) else given
    count = len(sent) if isinstance(sent, list) else 1

    vectors = read_embeddings(exchange.body, count, REQUEST)

    assert len(vectors) == count
    assert len({len(vector) for vector in vectors}) == 1
    assert all(type(x) is float for x in vectors[0])


@pytest.mark.parametrize("exchange", by("classification"), ids=lambda e: e.name)
def test_classifications(exchange: Exchange) -> None:
    """Labels and scores, the best first."""
    if failed(exchange):
        return
    rows = exchange.body[0] if isinstance(exchange.body[0], list) else exchange.body

    assert read_classes(exchange.body, REQUEST) == sorted(rows, key=lambda row: -row["score"])


@pytest.mark.parametrize("exchange", by("ranking"), ids=lambda e: e.name)
def test_rankings(exchange: Exchange) -> None:
    """Scores of every document, the best first."""
    rows = exchange.body["results"]
    expected = sorted(((row["index"], row["relevance_score"]) for row in rows), key=lambda row: -row[1])

    assert read_ranking(exchange.body, len(asked(exchange)["documents"]), REQUEST) == expected


def test_count() -> None:
    """All are replayed but those left out for a reason that is known."""
    reasons = Counter(reason for task, exchange in EXCHANGES if (reason := left_out(task, exchange)))
    replayed = sum(len(by(task)) for task in ("completion", "generate", "embedding", "classification", "ranking"))

    assert replayed + reasons.total() == len(EXCHANGES)
    assert replayed >= 180

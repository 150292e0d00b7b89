"""HFInferenceLLM on live engines: the tiny model's raw completions are known word for word."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Callable
from typing import Any

import pytest
from calling import Call, both_ways
from langchain_core.callbacks import BaseCallbackHandler

from engines import Running
from langchain_hf_inference import APIStatusError, HFInferenceLLM

pytestmark = both_ways
Outcome = Callable[[str], None]
FRANCE, ROSES = "The capital of France is", "Roses are red,"


@pytest.fixture(autouse=True)
def _quiet() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def llm(engine: Running, /, **settings: Any) -> HFInferenceLLM:
    given = {
        "model": engine.model,
        "endpoint_url": engine.url,
        "engine": engine.engine.dialect,
        "temperature": 0,
        "max_tokens": 30,
    }
    return HFInferenceLLM(**{**given, **settings})


def as_told(engine: Running, text: str) -> str:
    """mlx-lm leaves out the blank with which a completion begins."""
    return text.lstrip() if engine.engine.name == "mlx" else text


def test_llm_invoke(engine: Running, call: Call, outcome: Outcome) -> None:
    """A text goes on."""
    assert call.invoke(llm(engine), FRANCE) == as_told(engine, " Paris.")
    outcome("text")


def test_llm_stream(engine: Running, call: Call, outcome: Outcome) -> None:
    """It goes on in pieces, of which handlers are told."""
    told: list[str] = []

    class Handler(BaseCallbackHandler):
        def on_llm_new_token(self, token: str, **kwargs: Any) -> None:
            told.append(token)

    pieces = call.stream(llm(engine), ROSES, config={"callbacks": [Handler()]})

    assert "".join(pieces) == "".join(told) == as_told(engine, " violets are blue.")
    assert len([piece for piece in pieces if piece]) > 3
    outcome("pieces")


def test_llm_batch(engine: Running, call: Call, outcome: Outcome) -> None:
    """A batch keeps its order; reason, counts and model are told of each."""
    model = llm(engine)
    prompts = [FRANCE, ROSES, "1, 2, 3,"]
    expected = [as_told(engine, text) for text in (" Paris.", " violets are blue.", " 4, 5, 6, 7, 8, 9, 10")]

    assert (asyncio.run(model.abatch(prompts)) if call.is_async else model.batch(prompts)) == expected
    result = asyncio.run(model.agenerate(prompts)) if call.is_async else model.generate(prompts)
    assert [g[0].text for g in result.generations] == expected
    assert {g[0].generation_info["finish_reason"] for g in result.generations} == {"stop"}
    assert result.llm_output["token_usage"]["completion_tokens"] > 10
    assert "tiny-chat" in result.llm_output["model_name"]
    outcome("in order, counted")


def test_llm_stop(engine: Running, call: Call, outcome: Outcome) -> None:
    """The stop text is not in the result, whole and streamed."""
    model = llm(engine, stop=["are"])

    whole, streamed = call.invoke(model, ROSES), "".join(call.stream(model, ROSES))

    assert "are" not in whole
    assert whole == streamed
    assert whole.startswith(as_told(engine, " violets"))
    outcome("engine goes on" if "blue" in whole else "cut")


def test_llm_full_text(engine: Running, call: Call, outcome: Outcome) -> None:
    """The prompt stands before the answer on demand."""
    model = llm(engine, return_full_text=True)

    assert call.invoke(model, FRANCE) == "".join(call.stream(model, FRANCE)) == FRANCE + as_told(engine, " Paris.")
    outcome("prompt and text")


def test_llm_error(engine: Running, call: Call, outcome: Outcome) -> None:
    """A failing prompt does not take the others' answers along."""
    model = llm(engine, max_retries=0)
    bad = "Hello " * 5000
    if engine.engine.name in ("mlx", "transformers"):
        outcome("engine does not check")
        return

    found = (
        asyncio.run(model.abatch([FRANCE, bad, ROSES], return_exceptions=True))
        if call.is_async
        else model.batch([FRANCE, bad, ROSES], return_exceptions=True)
    )

    assert (found[0], found[2]) == (" Paris.", " violets are blue.")
    assert isinstance(found[1], APIStatusError)
    outcome(f"{type(found[1]).__name__} for it alone")


def test_llm_detected(engine: Running, call: Call, outcome: Outcome) -> None:
    """Without being told, the API that the server speaks is found."""
    assert call.invoke(llm(engine, engine=None), FRANCE) == as_told(engine, " Paris.")
    outcome("found")

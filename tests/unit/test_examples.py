"""examples/: each runs on the router, here played by the scripted server; the rest needs `make test-examples`."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest

from langchain_hf_inference.testing import InferenceServer

EXAMPLES = Path(__file__).parents[2] / "examples"
SAID = {
    "quickstart": ["You said: What is the capital of France?", "You| said:|", "Person(name="],
    "agent": ["user: Add 3 and 4, then multiply by 5.", "ai: add({'a': 3, 'b': 4})", "tool: 7"],
    "extraction": ["'Alice is 30 years old.': Person(", "age=41"],
    "rag": ["found: Paris is the capital of France", "answer: You said: What is the capital of France?"],
    "langgraph_workflow": ["Call get_weather({'city': 'Paris'})? yes", "tool: Paris: sunny, 22C."],
    "batch_job": ["France: You said: What is the capital of France?", "8 answered, 0 failed", "run again: 0 tokens"],
    "n8n_import": ["(chat) serves Basic LLM Chain", "You said: What is the capital of Italy?"],
}
ELSEWHERE = {"chat_page", "demo", "fastapi_sse", "langflow_flow", "served"}
"""The tour has a test of its own; web pages and Langflow need packages of their own."""


def test_all_are_known() -> None:
    """No example is without a test."""
    assert {path.stem for path in EXAMPLES.glob("*.py")} == SAID.keys() | ELSEWHERE


@pytest.mark.usefixtures("internet")
@pytest.mark.parametrize("name", SAID)
def test_on_the_router(name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """With a token an example asks the router, and says what came."""
    monkeypatch.setattr(sys, "argv", [name])

    runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")

    said = capsys.readouterr().out
    for words in SAID[name]:
        assert words in said


def test_refusal(server: InferenceServer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A call that the person does not allow is not made."""
    monkeypatch.setattr(sys, "argv", ["langgraph_workflow", "--refuse"])
    monkeypatch.setenv("HF_INFERENCE_URL", server.url)

    runpy.run_path(str(EXAMPLES / "langgraph_workflow.py"), run_name="__main__")

    assert "tool: The user did not allow this." in capsys.readouterr().out


def test_demo_on_a_server(
    server: InferenceServer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The demo runs on any server that it is given."""
    monkeypatch.setenv("HF_INFERENCE_URL", server.url)
    monkeypatch.setenv("HF_MODEL", "m")
    runpy.run_path(str(EXAMPLES / "demo.py"), run_name="__main__")

    said = capsys.readouterr().out
    assert "Person(name=" in said
    assert "-> POST /v1/chat/completions" in said
    assert "Done in" in said

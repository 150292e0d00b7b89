"""examples/: each runs, and does what it says."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from langchain_hf_inference.testing import InferenceServer

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_rag(capsys: pytest.CaptureFixture[str]) -> None:
    """The facts that matter reach the chat model, the best first, and no others."""
    runpy.run_path(str(EXAMPLES / "rag.py"), run_name="__main__")

    said = capsys.readouterr().out
    assert "Cats eat meat" in said.split("\n")[1]
    assert "Eiffel" not in said
    assert said.rstrip().endswith("Question: What do cats eat?")


def test_demo_on_a_server(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The demo runs on any server that it is given."""
    with InferenceServer() as server:
        monkeypatch.setenv("HF_INFERENCE_URL", server.url)
        monkeypatch.setenv("HF_MODEL", "m")
        runpy.run_path(str(EXAMPLES / "demo.py"), run_name="__main__")

    said = capsys.readouterr().out
    assert "Person(name=" in said
    assert "-> POST /v1/chat/completions" in said
    assert "Done in" in said

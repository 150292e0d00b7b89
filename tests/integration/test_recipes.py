"""The recipes of docs/how-to/haystack.md for other packages run as they stand there (`make test-recipes`)."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from everywhere import be_everywhere

from langchain_hf_inference.testing import InferenceServer

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "haystack.md"
RECIPES = dict(re.findall(r"^```python (haystack|prefect)\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL))


@pytest.mark.parametrize("name", ["haystack", "prefect"])
@pytest.mark.timeout(180)
def test_recipe(name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The block runs, its model's requests going to the scripted server."""
    monkeypatch.setenv("HF_TOKEN", "hf_test")
    with InferenceServer() as server:
        be_everywhere(server, monkeypatch)
        exec(compile(RECIPES[name], name, "exec"), {"__name__": "recipe"})
        assert {request.body["model"] for request in server.requests} == {"Qwen/Qwen3-32B"}

    assert "You said: Hello" in capsys.readouterr().out

"""cli.py: what a user types, sees, and gets for an exit code."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from test_batch import request, rows, written

from langchain_hf_inference import __version__
from langchain_hf_inference.cli import main, run
from langchain_hf_inference.testing import Fault, InferenceServer


def typed(*words: Any) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words])


def test_batch(server: InferenceServer, tmp_path: Path) -> None:
    """A file goes through; the last words tell what came of it; a second run has nothing to do."""
    source, output = written(tmp_path / "in.jsonl", [request(i) for i in range(5)]), tmp_path / "out.jsonl"

    first = typed("batch", source, output, "--endpoint-url", server.url)
    again = typed("batch", source, output, "--endpoint-url", server.url, "--json")

    assert (first.exit_code, again.exit_code, len(rows(output))) == (0, 0, 5)
    assert "5 answered, 0 failed" in first.output
    assert json.loads(again.output.splitlines()[-1])["total"] == 5
    assert len(server.requests) == 5


def test_batch_with_failures(server: InferenceServer, tmp_path: Path) -> None:
    """Failed lines make the exit code 1; they may be tried again."""
    source, output = (
        written(tmp_path / "in.jsonl", [{"message": f"m{i}", "model": "m"} for i in range(3)]),
        tmp_path / "out.jsonl",
    )
    options = (
        "--endpoint-url",
        server.url,
        "--action",
        "chat_completion",
        "--max-concurrency",
        1,
        "--max-attempts",
        1,
        "--token",
        "hf_x",
    )
    server.fail(Fault.of_status(500))

    assert typed("batch", source, output, *options).exit_code == 1
    assert typed("batch", source, output, *options, "--retry-errors").exit_code == 0
    assert server.requests[-1].headers["authorization"] == "Bearer hf_x"


def test_action(server: InferenceServer, tmp_path: Path) -> None:
    """An action is run from JSON or from a file, with a context; its schema is printed."""
    data = {"message": "Hello {{name}}", "maxTokens": "64"}
    (tmp_path / "a.json").write_text(json.dumps(data))
    for given in (json.dumps(data), f"@{tmp_path / 'a.json'}"):
        done = typed(
            "action", "run", "chat_completion", given, "--context", '{"name": "Ann"}', "--endpoint-url", server.url
        )
        assert json.loads(done.output)["choices"][0]["message"]["content"] == "You said: Hello Ann"
    assert "temperature" in json.loads(typed("action", "schema", "chat_completion").output)["properties"]
    assert "input" in json.loads(typed("action", "schema", "embeddings", "--accepts").output)["properties"]
    assert typed("action", "run", "chat_completion", "[1]").exit_code == 2
    assert typed("action", "run", "chat_completion", "{").exit_code == 2


def test_n8n(tmp_path: Path) -> None:
    """A workflow's sub-nodes are told, notes and settings."""
    node = {"name": "Model", "type": "@n8n/n8n-nodes-langchain.lmOpenHuggingFaceInference",
            "parameters": {"model": "={{ $json.m }}", "options": {"presencePenalty": 1}}}  # fmt: skip
    (tmp_path / "w.json").write_text(json.dumps({"nodes": [node], "connections": {}}))

    (told,) = json.loads(typed("n8n", tmp_path / "w.json", "--items", '[{"m": "org/name"}]').output)

    assert (told["name"], told["kind"], told["class"], told["settings"]["model"]) == (
        "Model",
        "llm",
        "HFInferenceLLM",
        "org/name",
    )
    assert told["notes"] == ["presencePenalty has no effect in n8n: it is not sent"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["batch", "/no/such/file.jsonl", "out.jsonl", "--model", "m"], "there is no file"),
        (
            ["action", "run", "chat_completion", '{"model": "m", "message": "x", "temperature": "hot"}'],
            "temperature: 'hot' is no number",
        ),
        (["action", "run", "chat_completion", '{"message": "{{x}}"}'], "message: {{x}} is not resolved"),
    ],
)
def test_mistakes_have_no_trace(
    words: list[str], said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """A mistake is told in a line, with exit code 2."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["hf-inference", *words])

    with pytest.raises(SystemExit) as left:
        run()

    assert left.value.code == 2
    assert said in capsys.readouterr().err


def test_module_is_the_command() -> None:
    """`python -m langchain_hf_inference` works."""
    done = subprocess.run([sys.executable, "-m", "langchain_hf_inference", "--version"], capture_output=True, text=True)

    assert done.stdout.strip() == f"hf-inference, version {__version__}"

"""`hf-inference` on live engines: the doctor's verdict, a chat, and an engine served by it; options in the docs exist."""

from __future__ import annotations

import json
import re
import shlex
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from typing_at import interruptible

from engines import Running

ROOT = Path(__file__).parents[2]
HF_INFERENCE = [sys.executable, "-m", "langchain_hf_inference"]
IGNORES = ("mlx", "transformers")
"""Engines without forced calls and schemas."""
PAGES = {"llama": ("llama-cpp", "llama-server"), "vllm": ("vllm", "vllm"), "transformers": ("transformers", "transformers"),
         "mlx": ("transformers", "mlx_lm.server")}  # fmt: skip


def hf_inference(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*HF_INFERENCE, *words], capture_output=True, text=True, timeout=110)


def test_doctor(engine: Running) -> None:
    """The doctor knows the engine, gets an answer, and says what the engine ignores."""
    done = hf_inference("doctor", engine.model, "--endpoint-url", engine.url, "--json")
    checks = {check["check"]: check for check in json.loads(done.stdout)["checks"]}

    assert done.returncode == 0, done.stdout
    assert checks["server"]["facts"]["engine"] == engine.engine.dialect
    assert checks["answer"]["facts"]["text"].strip() == "The capital of France is Paris."
    assert checks["tool call"]["facts"]["tool_calls"][0]["args"] == {"city": "Paris"}
    if engine.engine.name in IGNORES:
        assert (checks["tool call"]["state"], checks["JSON Schema"]["state"]) == ("warning", "warning")
    else:
        assert checks["JSON Schema"]["facts"]["parsed"] == {"name": "Alice", "age": 30}
        assert json.loads(done.stdout)["verdict"] == "All is well."


def test_chat(engine: Running) -> None:
    """A question in, the answer out, in a pipe."""
    done = hf_inference(
        "chat", engine.model, "--endpoint-url", engine.url, "--temperature", "0", "-m", "What is the capital of Italy?"
    )

    assert (done.returncode, done.stdout.strip()) == (0, "The capital of Italy is Rome.")
    assert re.search(r"18 \+ \d+ tokens", done.stderr)


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_serve_tiny(engine: Running, end: signal.Signals) -> None:
    """The engine that is served ends with the command that served it."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    serving = subprocess.Popen(
        [*HF_INFERENCE, "serve-tiny", "--engine", engine.engine.name, "--port", port, "--json"],
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=interruptible,
    )
    assert serving.stdout
    url = json.loads(serving.stdout.readline())["url"]
    try:
        assert url == f"http://127.0.0.1:{port}"
        assert httpx.get(f"{url}/health").status_code == 200
        taken = hf_inference("serve-tiny", "--engine", engine.engine.name, "--port", port)
        assert (taken.returncode, "Address already in use" in taken.stderr) == (2, True)
    finally:
        serving.send_signal(end)
        serving.wait(30)
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{url}/health")


def test_options_in_the_docs(engine: Running) -> None:
    """The options with which the docs start an engine are options that it has."""
    name = engine.engine.name
    page, program = PAGES[name]
    text = (ROOT / "docs" / "connect" / f"{page}.md").read_text()
    (line,) = [line for line in text.splitlines() if line.startswith(f"{program} ")]
    shown = [word for word in shlex.split(line) if word.startswith("--")]
    home = engine.engine.folder
    asked = {
        "llama": [str(next(home.rglob("llama-server"))), "--help"] if name == "llama" else [],
        "vllm": [str(home / "bin/python"), "-m", "vllm.entrypoints.openai.api_server", "--help=all"],
        "transformers": [str(home / "bin/transformers"), "serve", "--help"],
        "mlx": [str(home / "bin/mlx_lm.server"), "--help"],
    }[name]
    done = subprocess.run(
        asked,
        capture_output=True,
        text=True,
        timeout=110,
        env={"COLUMNS": "200", "PATH": "/usr/bin:/bin", "HF_HUB_OFFLINE": "1", "HOME": str(home)},
    )

    assert shown
    for option in shown:
        assert re.search(rf"{option}\b", done.stdout + done.stderr), (option, done.stdout[-2000:])

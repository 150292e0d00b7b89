"""examples/: each as a new user runs it, without a token, on the embedded engine (`make test-examples`)."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from typing_at import interruptible

from browser import browsing

EXAMPLES = Path(__file__).parents[2] / "examples"
SHOTS = Path(__file__).parents[2] / ".screenshots"
FRANCE = "The capital of France is Paris."
SAID = {
    "quickstart": [FRANCE, "The| capital| of| Italy| is| Rome|.|", "Person(name='Alice', age=30)"],
    "agent": ["ai: add({'a': 3, 'b': 4})", "ai: multiply({'a': 7, 'b': 5})", "tool: 35", "ai: The result is 35."],
    "extraction": ["Person(name='Alice', age=30)", "Person(name='Bob', age=25)", "Person(name='Carol', age=41)"],
    "rag": ["found: Paris is the capital of France", f"answer: {FRANCE}"],
    "langgraph_workflow": ["Call get_weather({'city': 'Paris'})? yes", "tool: Paris: sunny, 22C.", "ai: The weather in Paris"],
    "batch_job": [f"France: {FRANCE}", "Japan: The capital of Japan is Tokyo.", "8 answered, 0 failed", "run again: 0 tokens"],
    "n8n_import": [FRANCE, "The capital of Italy is Rome."],
    "demo": ["a real engine with a tiny model", "Person(name='Alice', age=30)", "Done in"],
}  # fmt: skip


def alone() -> dict[str, str]:
    """Give an environment that knows no token and no server."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGINGFACE"))} | {
        "HF_TOKEN_PATH": "/nonexistent"
    }


@pytest.mark.parametrize("name", SAID)
def test_runs_without_a_token(name: str) -> None:
    """An example needs nothing but itself, and the tiny model answers as it was trained to."""
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / f"{name}.py")], env=alone(), capture_output=True, text=True, timeout=110
    )

    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    for words in SAID[name]:
        assert words in done.stdout


@contextmanager
def running(name: str, end: int = signal.SIGINT, **environment: str) -> Iterator[str]:
    """Run an example that serves, and give its address."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    settings = {**alone(), "PORT": str(port), **environment}
    process = subprocess.Popen(
        [sys.executable, str(EXAMPLES / f"{name}.py")],
        env=settings,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        preexec_fn=interruptible,
    )
    url, until = f"http://127.0.0.1:{port}", time.monotonic() + 60
    try:
        while time.monotonic() < until and process.poll() is None:
            try:
                httpx.get(url, timeout=2)
                break
            except httpx.TransportError:
                time.sleep(0.2)
        yield url
    finally:
        process.send_signal(end)
        process.communicate(timeout=20)


def test_fastapi_sse() -> None:
    """The service streams events: pieces of text, then the counts."""
    with (
        running("fastapi_sse") as url,
        httpx.stream("GET", f"{url}/ask", params={"question": "What is the capital of France?"}) as answer,
    ):
        body = "".join(answer.iter_text())

    assert answer.headers["content-type"].startswith("text/event-stream")
    events = re.findall(r"event: (\w+)\ndata: (.*)\n", body)
    assert "".join(json.loads(data) for name, data in events if name == "text") == FRANCE
    assert len([name for name, _ in events if name == "text"]) > 3
    assert (events[-1][0], json.loads(events[-1][1])["output_tokens"]) == ("done", 8)


@pytest.mark.skipif(not shutil.which("pgrep"), reason="there is no pgrep to find processes with")
@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_the_engine_ends_too(end: int) -> None:
    """Whatever ends an example, the engine that it started ends with it."""
    before = engines_now()
    with running("chat_page", end):
        assert engines_now() - before
    assert engines_now() <= before


def engines_now() -> set[str]:
    """Give the processes of mlx-lm."""
    return set(subprocess.run(["pgrep", "-f", "mlx_lm.server"], capture_output=True, text=True).stdout.split())


def test_fastapi_sse_failing() -> None:
    """A server that is not there becomes an event, with nothing that users should not see."""
    with running("fastapi_sse", HF_INFERENCE_URL="http://127.0.0.1:9", HF_MODEL="m") as url:
        body = httpx.get(f"{url}/ask", params={"question": "Hello"}, timeout=30).text

    assert body == 'event: error\ndata: {"type": "APIConnectionError", "may_try_again": true}\n\n'


def test_chat_page() -> None:
    """In a browser: both models answer beside each other, parameters reach the code, a failure is shown, talk goes on."""
    SHOTS.mkdir(exist_ok=True)
    with running("chat_page") as url, browsing() as page:
        page.goto(url)
        ask(page, "What is the capital of France?")
        page.wait_for_function("document.querySelector('#left-facts').innerText.includes('tokens')")
        page.wait_for_function("document.querySelector('#right-facts').innerText.includes('tokens')")
        assert FRANCE in page.inner_text("#left-talk")
        assert "You said: What is the capital of France?" in page.inner_text("#right-talk")

        page.fill("#temperature input[type=number]", "0.7")
        page.keyboard.press("Tab")
        page.fill("#system textarea", "Be brief.")
        page.fill("#seed textarea, #seed input", "7")
        page.wait_for_function("document.querySelector('#code').innerText.includes('seed=7')")
        code = page.inner_text("#code")
        for words in ("temperature=0.7", "('system', 'Be brief.')", "('human', 'What is the capital of France?')"):
            assert words in code
        page.screenshot(path=SHOTS / "chat_page.png")

        page.fill("#seed textarea, #seed input", "seven")
        ask(page, "Hello")
        page.wait_for_function(
            "document.querySelector('#right-talk').innerText.includes('seed: Input should be a valid integer')"
        )
        page.fill("#seed textarea, #seed input", "7")
        ask(page, "What is the capital of Italy?")
        page.wait_for_function(
            "document.querySelector('#right-talk').innerText.includes('You said: What is the capital of Italy?')"
        )
        page.fill("#left-model textarea, #left-model input", "http://127.0.0.1:9")
        ask(page, "Hello")
        page.wait_for_function("document.querySelector('#left-talk').innerText.includes('could not connect')")
        assert page.complaints == []


def ask(page: object, question: str) -> None:
    """Type a question, and press Enter."""
    page.wait_for_selector("#question textarea")
    page.fill("#question textarea", question)
    page.press("#question textarea", "Enter")


@pytest.mark.skipif(
    not Path(sys.executable).with_name("lfx").exists(),
    reason="Langflow has an environment of its own: make test-langflow",
)
def test_langflow_flow() -> None:
    """The flow runs on the embedded engine."""
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / "langflow_flow.py")], env=alone(), capture_output=True, text=True, timeout=110
    )

    assert (done.stdout.strip(), done.returncode) == (FRANCE, 0), done.stderr

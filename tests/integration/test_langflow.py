"""Langflow's stock components with our wheel installed (`make test-langflow`), against the scripted server.

127.0.0.2, because Langflow rewrites 127.0.0.1 to the gateway when it runs in a container.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from langchain_hf_inference.nodes.langflow import catalog
from langchain_hf_inference.testing import InferenceServer

LFX = Path(sys.executable).with_name("lfx")
FLOWS = Path(__file__).with_name("langflow")
MODEL = "meta-llama/Llama-3.3-70B-Instruct"
WEATHER = {"name": "get_weather", "description": "Tell the weather of a city.", "parameters": {
    "type": "object", "properties": {"city": {"default": "", "description": "The city.", "type": "string"}}}}  # fmt: skip


@pytest.fixture
def server() -> Iterator[InferenceServer]:
    with InferenceServer(host="127.0.0.2", api_key="hf_flow") as running:
        yield running


def run(server: InferenceServer, flow: str, asked: str) -> str:
    """Run a flow as a user would, and give what it printed."""
    settings = {
        "HF_TOKEN": "hf_flow",
        "HF_INFERENCE_BASE_URL": server.url,
        "LANGFLOW_SSRF_ALLOWED_HOSTS": "127.0.0.2",
        "DO_NOT_TRACK": "1",
    }
    command = [str(LFX), "run", str(FLOWS / flow), asked, "--format", "result"]
    done = subprocess.run(command, env={**os.environ, **settings}, capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


def bodies(server: InferenceServer) -> list[Any]:
    return [request.body for request in server.requests]


def test_manifest_is_valid() -> None:
    """Langflow finds the extension in the installed package, and has no complaint."""
    import langchain_hf_inference.nodes.langflow as package

    listed = subprocess.run([LFX, "extension", "list"], capture_output=True, text=True, timeout=110).stdout
    checked = subprocess.run(
        [LFX, "extension", "validate", str(Path(package.__file__).parent)], capture_output=True, text=True, timeout=110
    )

    assert "langchain-hf-inference" in listed
    assert "discovered" in listed
    assert (checked.returncode, "ok" in checked.stdout) == (0, True)


def test_catalog_is_taken() -> None:
    """Langflow takes our rows as they are."""
    from lfx.base.models.provider_registry import get_registered_model_catalogs
    from lfx.extension import load_installed_extensions

    load_installed_extensions()
    rows = [row for group in get_registered_model_catalogs() for row in group if row["provider"] == "Hugging Face"]

    assert [row["name"] for row in rows] == [row["name"] for row in catalog()]
    assert {row["model_type"] for row in rows} == {"llm", "embeddings"}


def test_language_model(server: InferenceServer) -> None:
    """System message, question, temperature and limit of the component reach the server, with the token."""
    assert run(server, "language_model.py", "Hello there") == "You said: Hello there"
    assert bodies(server) == [
        {"model": MODEL, "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello there"}],
         "temperature": 0.3, "max_tokens": 77}
    ]  # fmt: skip


def test_agent(server: InferenceServer) -> None:
    """The agent calls the tool, gives its result back under the call's id, and says the answer."""
    asked = "What is the weather in Paris?"

    assert run(server, "agent.py", asked) == 'The result is: {"city": "Paris", "weather": "sunny"}'
    first, second = bodies(server)
    assert first["tools"] == second["tools"] == [{"type": "function", "function": WEATHER}]
    assert first["messages"] == [{"role": "system", "content": "Be brief."}, {"role": "user", "content": asked}]
    call, result = second["messages"][2:]
    assert json.loads(call["tool_calls"][0]["function"]["arguments"]) == {"city": "Paris"}
    assert (result["tool_call_id"], json.loads(result["content"])) == (
        call["tool_calls"][0]["id"],
        {"city": "Paris", "weather": "sunny"},
    )


def test_embedding_model(server: InferenceServer) -> None:
    """Two texts go out in one request and come back as two vectors."""
    assert run(server, "embeddings.py", "Cats eat mice.") == "[64, 64]"
    assert bodies(server) == [{"model": "BAAI/bge-m3", "input": ["Cats eat mice.", "Dogs bark."]}]

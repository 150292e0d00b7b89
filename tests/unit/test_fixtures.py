"""Our own recordings of real engines (tests/integration/record.py) through the whole model, and cut everywhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from langchain_core.messages import AIMessageChunk
from recorded import Exchange
from test_recordings import test_nothing_is_lost as check

from langchain_hf_inference._protocol.chat_response import ReadOptions
from langchain_hf_inference._protocol.chat_stream import ChatStreamReader
from langchain_hf_inference._protocol.detection import read_info, read_models
from langchain_hf_inference._protocol.sse import SSEDecoder
from langchain_hf_inference._protocol.wire import WireRequest

FOLDER = Path(__file__).with_name("recordings")
REQUEST = WireRequest("http://recorded.example/v1/chat/completions", {})


def load(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text())


def exchange_of(path: Path) -> Exchange:
    saved = load(path)
    asked = saved["request"] or {}
    return Exchange(
        path.stem, asked, saved["status"], saved["headers"], saved["body"].encode(), bool(asked.get("stream"))
    )


CHATS = [path for path in sorted(FOLDER.glob("*.json")) if "-get_" not in path.name]


@pytest.mark.parametrize("path", CHATS, ids=lambda p: p.stem)
def test_nothing_is_lost(path: Path) -> None:
    """Text, reasoning, tool calls, usage and errors of each recorded exchange arrive."""
    check(exchange_of(path))


@pytest.mark.parametrize("engine", ["llama.cpp", "mlx", "transformers", "vllm"])
def test_detection(engine: str) -> None:
    """Each engine is known by what it says of itself."""
    stem = next(FOLDER.glob(f"{engine.removesuffix('.cpp')}-*-get_info.json")).name.removesuffix("get_info.json")
    info, models = load(FOLDER / f"{stem}get_info.json"), load(FOLDER / f"{stem}get_v1_models.json")

    assert read_info(_json(info["body"])) is None
    assert read_models(_json(models["body"]), models["headers"]).engine == engine


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def decoded(*chunks: bytes) -> AIMessageChunk:
    decoder, reader = SSEDecoder(), ChatStreamReader(REQUEST, {}, ReadOptions())
    events = [event for chunk in chunks for event in decoder.feed(chunk)] + decoder.close()
    found = [chunk for event in events for chunk in reader.read(event)] + reader.close(decoder.stray)
    total = found[0]
    for chunk in found[1:]:
        total += chunk
    assert isinstance(total.message, AIMessageChunk)
    return total.message


@pytest.mark.parametrize("case", ["mlx-*-emoji_stream", "llama-*-tool_parallel_stream", "vllm-*-think_stream"])
def test_cut_at_every_byte(case: str) -> None:
    """A stream cut in two at any byte, and into single bytes, decodes to the same message."""
    (path,) = FOLDER.glob(f"{case}.json")
    content = load(path)["body"].encode()
    whole = decoded(content)

    assert whole.text or whole.tool_calls
    for i in range(1, len(content)):
        assert decoded(content[:i], content[i:]) == whole, f"cut at byte {i}"
    assert decoded(*[content[i : i + 1] for i in range(len(content))]) == whole


def test_headers_do_not_lie() -> None:
    """The recordings hold no headers but those that are read."""
    assert {name for path in CHATS for name in load(path)["headers"]} <= {
        "content-type",
        "server",
        "x-request-id",
        "transfer-encoding",
    }


def test_httpx_can_replay() -> None:
    """Every recording goes through httpx's mock transport and comes out byte for byte."""
    for path in CHATS:
        saved = load(path)
        far = httpx.MockTransport(
            lambda _, saved=saved: httpx.Response(
                saved["status"], headers=saved["headers"], content=saved["body"].encode()
            )
        )
        with httpx.Client(transport=far) as client, client.stream("POST", "http://h:1") as response:
            assert (response.status_code, response.read().decode()) == (saved["status"], saved["body"])

"""LangChain's own contract (langchain-tests), every capability on, against the scripted server.

The rows that ask a model to reason prove the wire here, not intelligence: the scripted server
fills arguments by rules. tests/integration/test_standard.py runs the same suite on real engines.
"""

import base64
import struct
import sys
import zlib
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage
from langchain_tests.conftest import base_vcr_config
from langchain_tests.integration_tests import ChatModelIntegrationTests
from langchain_tests.unit_tests import ChatModelUnitTests

from langchain_hf_inference import ChatHFInference
from langchain_hf_inference.testing import InferenceServer

PORT = 18931  # fixed: the recorded cassette of test_stream_time names the address


@pytest.fixture(scope="module")
def server() -> Iterator[InferenceServer]:
    with InferenceServer(port=PORT) as running:
        yield running


@pytest.fixture(autouse=True)
def known_to_core(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `load(allowed_objects="all")` know our class, as an entry in core's own mapping would.

    `load` accepts only classes of that mapping; tests/unit/test_serialization.py shows the round
    trip that works without it.
    """
    load = sys.modules["langchain_core.load.load"]
    path = ("langchain_hf_inference", "chat_models", "ChatHFInference")
    monkeypatch.setattr(load, "ALL_SERIALIZABLE_MAPPINGS", {**load.ALL_SERIALIZABLE_MAPPINGS, path: path})
    monkeypatch.setattr(load, "_default_class_paths_cache", {}, raising=False)


class TestUnit(ChatModelUnitTests):
    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return ChatHFInference

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {"model": "scripted/chat", "api_key": "test"}

    @property
    def init_from_env_params(self) -> tuple[dict[str, str], dict[str, Any], dict[str, Any]]:
        return {"HF_TOKEN": "hf_test"}, {"model": "scripted/chat"}, {"model": "scripted/chat"}

    @property
    def model_override_value(self) -> str:
        return "scripted/other"


class TestIntegration(ChatModelIntegrationTests):
    @pytest.fixture(autouse=True)
    def _use(self, server: InferenceServer) -> None:
        """Keep the server running."""

    @pytest.fixture(scope="session")
    def vcr_config(self) -> dict[str, Any]:
        return base_vcr_config()

    @pytest.fixture(autouse=True)
    def _local_files(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Give the suite's downloads (pictures, a PDF, a sound) as small files of ours."""
        get = httpx.get

        def answered(url: str, **kwargs: Any) -> httpx.Response:
            if "127.0.0.1" in url:
                return get(url, **kwargs)
            return httpx.Response(200, content=_png(), request=httpx.Request("GET", url))

        monkeypatch.setattr(httpx, "get", answered)

    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return ChatHFInference

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {"model": "scripted/chat", "endpoint_url": f"http://127.0.0.1:{PORT}", "engine": "openai"}

    @property
    def model_override_value(self) -> str:
        return "scripted/other"

    @property
    def supports_json_mode(self) -> bool:
        return True

    @property
    def supports_image_inputs(self) -> bool:
        return True

    @property
    def supports_image_urls(self) -> bool:
        return True

    @property
    def supports_pdf_inputs(self) -> bool:
        return True

    @property
    def supports_audio_inputs(self) -> bool:
        return True

    @property
    def supports_video_inputs(self) -> bool:
        return True

    @property
    def supports_anthropic_inputs(self) -> bool:
        return True

    @property
    def supports_image_tool_message(self) -> bool:
        return True

    @property
    def supports_pdf_tool_message(self) -> bool:
        return True

    @property
    def enable_vcr_tests(self) -> bool:
        return True

    @property
    def supported_usage_metadata_details(self) -> dict[str, list[str]]:
        details = ["reasoning_output", "cache_read_input"]
        return {"invoke": details, "stream": details}

    def invoke_with_reasoning_output(self, *, stream: bool = False) -> AIMessage:
        model = ChatHFInference(**self.chat_model_params, reasoning_effort="high")
        return _asked(model, "What is 6 times 7?", stream=stream)

    def invoke_with_cache_read_input(self, *, stream: bool = False) -> AIMessage:
        return _asked(ChatHFInference(**self.chat_model_params), "The same long question. " * 20, stream=stream)


def _asked(model: ChatHFInference, prompt: str, *, stream: bool) -> AIMessage:
    if not stream:
        return model.invoke(prompt)
    first, *rest = model.stream(prompt)
    return sum(rest, first)


def _png() -> bytes:
    def part(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)
    pixels = zlib.compress(b"\x00\x20\x40\x80")
    return b"\x89PNG\r\n\x1a\n" + part(b"IHDR", header) + part(b"IDAT", pixels) + part(b"IEND", b"")


def test_picture_is_one() -> None:
    """The stand-in for downloads is a PNG."""
    assert base64.b64encode(_png()).startswith(b"iVBORw0KGgo")

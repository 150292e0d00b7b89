"""langchain-tests' integration suite on live engines, with the tiny model.

What an engine cannot do by itself is switched off by the suite's own flags: pictures and sounds,
for which the tiny model has no eyes and ears; on mlx-lm and transformers serve, which ignore
`tool_choice`, forced calls.
"""

from __future__ import annotations

from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_tests.integration_tests import ChatModelIntegrationTests

from conftest import NAMES, started
from langchain_hf_inference import ChatHFInference


class LiveSuite(ChatModelIntegrationTests):
    engine: str

    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return ChatHFInference

    @property
    def chat_model_params(self) -> dict[str, Any]:
        running = started(self.engine)
        return {
            "model": running.model, "endpoint_url": running.url, "engine": running.engine.dialect,
            "temperature": 0, "max_tokens": 200,
        }  # fmt: skip

    @property
    def has_tool_choice(self) -> bool:
        return self.engine in ("llama", "vllm")

    @property
    def supports_json_mode(self) -> bool:
        return self.engine in ("llama", "vllm")

    @property
    def supports_model_override(self) -> bool:
        return False


for _name in NAMES:
    globals()[f"TestStandardOn_{_name}"] = type(f"TestStandardOn_{_name}", (LiveSuite,), {"engine": _name})

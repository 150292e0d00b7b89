"""Hugging Face as a provider in Langflow's own Language Model, Agent and Embedding Model components.

`extension.json` beside this file says so to Langflow (from lfx 1.13), which finds it in the installed
package: there is nothing to call, and nothing of Langflow is imported here.
"""

from __future__ import annotations

from typing import Any

from langchain_hf_inference._profiles import known_models

ICON = "HuggingFace"
EMBEDDINGS = ("BAAI/bge-m3", "BAAI/bge-small-en-v1.5", "Qwen/Qwen3-Embedding-8B", "intfloat/multilingual-e5-large",
              "sentence-transformers/all-MiniLM-L6-v2", "sentence-transformers/all-mpnet-base-v2")  # fmt: skip
_FIRST = (
    "openai/gpt-oss-120b",
    "Qwen/Qwen3-235B-A22B-Instruct-2507",
    "meta-llama/Llama-3.3-70B-Instruct",
    "zai-org/GLM-4.6",
)


def catalog() -> list[dict[str, Any]]:
    """Give the rows of Langflow's list of models: those of our profiles, and some that embed.

    `reasoning` is left out on purpose: Langflow takes the temperature away from models that have it, which
    open models do not ask for. Any other model may be typed in.
    """
    chats = [
        {
            "name": name,
            "icon": ICON,
            "model_type": "llm",
            "tool_calling": "tools" in row["can"],
            "default": name in _FIRST,
        }
        for name, row in sorted(known_models().items(), key=lambda pair: (pair[0] not in _FIRST, pair[0].lower()))
    ]
    embeddings = [
        {"name": name, "icon": ICON, "model_type": "embeddings", "default": i == 0} for i, name in enumerate(EMBEDDINGS)
    ]
    return [*chats, *embeddings]

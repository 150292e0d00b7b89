"""Models described as data: actions for forms and workflows, n8n's sub-nodes, Langflow's providers."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from langchain_hf_inference.nodes.actions import (
        Action,
        ChatCompletionAction,
        EmbeddingsAction,
        TextClassificationAction,
        TextToImageAction,
    )
    from langchain_hf_inference.nodes.n8n import SubNode, from_n8n

__all__ = [
    "Action",
    "ChatCompletionAction",
    "EmbeddingsAction",
    "SubNode",
    "TextClassificationAction",
    "TextToImageAction",
    "from_n8n",
]


def __getattr__(name: str) -> Any:
    # Loaded on first use: Langflow looks into this package whenever it starts.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    room = "n8n" if name in ("SubNode", "from_n8n") else "actions"
    return getattr(importlib.import_module(f"{__name__}.{room}"), name)

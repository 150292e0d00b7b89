"""LangChain for open models served by Hugging Face."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from langchain_hf_inference._version import __version__

if TYPE_CHECKING:
    from langchain_hf_inference._protocol.offers import Offer
    from langchain_hf_inference.chat_models import ChatHFInference
    from langchain_hf_inference.embeddings import HFInferenceEmbeddings
    from langchain_hf_inference.errors import (
        APIConnectionError,
        APIStatusError,
        APITimeoutError,
        AuthenticationError,
        ConfigurationError,
        ContextLengthError,
        HFInferenceError,
        InvalidRequestError,
        ModelLoadingError,
        ModelNotFoundError,
        PaymentRequiredError,
        PermissionDeniedError,
        RateLimitError,
        RequestTimeoutError,
        ResponseFormatError,
        ServerError,
        StreamError,
    )
    from langchain_hf_inference.llms import HFInferenceLLM
    from langchain_hf_inference.registration import register_with_langchain
    from langchain_hf_inference.tasks import GeneratedImage, HFReranker, HFTextClassifier, HFTextToImage

__all__ = [
    "APIConnectionError",
    "APIStatusError",
    "APITimeoutError",
    "AuthenticationError",
    "ChatHFInference",
    "ConfigurationError",
    "ContextLengthError",
    "GeneratedImage",
    "HFInferenceEmbeddings",
    "HFInferenceError",
    "HFInferenceLLM",
    "HFReranker",
    "HFTextClassifier",
    "HFTextToImage",
    "InvalidRequestError",
    "ModelLoadingError",
    "ModelNotFoundError",
    "Offer",
    "PaymentRequiredError",
    "PermissionDeniedError",
    "RateLimitError",
    "RequestTimeoutError",
    "ResponseFormatError",
    "ServerError",
    "StreamError",
    "__version__",
    "register_with_langchain",
]

_ROOMS = {
    "ChatHFInference": "chat_models",
    "GeneratedImage": "tasks",
    "HFInferenceEmbeddings": "embeddings",
    "HFInferenceLLM": "llms",
    "HFReranker": "tasks",
    "HFTextClassifier": "tasks",
    "HFTextToImage": "tasks",
    "Offer": "_protocol.offers",
    "register_with_langchain": "registration",
}
"""Where a name lives; errors are the default. Loaded on first use: importing the package costs nothing."""


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_ROOMS.get(name, 'errors')}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)

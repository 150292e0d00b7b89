"""Names by which others build our models: `init_chat_model("hf_inference:org/name")`, deepagents' model strings.

LangChain keeps its list of providers in a private table and has no way to join it; deepagents finds
its profiles by entry points. The table is touched only when a user asks for it: by calling
`register_with_langchain()`, or by naming a model "hf_inference:…" to deepagents. Passing a model
instance needs none of this.
"""

from __future__ import annotations

import importlib
from typing import Any

from langchain_hf_inference.errors import ConfigurationError

PROVIDER = "hf_inference"
_TABLES = (("langchain.chat_models.base", "ChatHFInference"), ("langchain.embeddings.base", "HFInferenceEmbeddings"))


def register_with_langchain() -> None:
    """Let `init_chat_model("hf_inference:Qwen/Qwen3-32B:fastest")` and `init_embeddings` know our classes.

    Enters `langchain`'s private tables of providers; may be called more than once.

    Raises:
        ConfigurationError: `langchain` is not installed, or keeps its providers in another way by now.
    """
    for name, class_name in _TABLES:
        try:
            table = importlib.import_module(name)._BUILTIN_PROVIDERS
            table[PROVIDER] = ("langchain_hf_inference", class_name, _made)
        except ImportError as error:
            raise ConfigurationError("langchain is not installed: pip install langchain") from error
        except (AttributeError, TypeError) as error:
            raise ConfigurationError(
                f"this version of langchain keeps its providers otherwise than in {name}._BUILTIN_PROVIDERS; "
                f"pass an instance instead: {class_name}(model=…)"
            ) from error


def _made(cls: Any, model: str, **kwargs: Any) -> Any:
    return cls(model=model, **kwargs)


def register_with_deepagents() -> None:
    """Let `create_deep_agent(model="hf_inference:org/name")` work; deepagents calls this, by its entry point."""
    from deepagents import ProviderProfile, register_provider_profile

    register_provider_profile(PROVIDER, ProviderProfile(pre_init=lambda _: register_with_langchain()))

"""langchain-huggingface's names and arguments on our classes: code written for it runs after one changed import.

Each argument does what its author meant, also where the original drops or twists it: what a user gives
stands before any default, 0 and None included. docs/migration.md goes through them one by one.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from typing import Any, NoReturn, Self

from pydantic import SecretStr, model_validator

from langchain_hf_inference._protocol.routing import is_url
from langchain_hf_inference._settings import SETTINGS, canonical
from langchain_hf_inference._text_call import TextCall
from langchain_hf_inference.chat_models import ChatHFInference
from langchain_hf_inference.embeddings import HFInferenceEmbeddings
from langchain_hf_inference.errors import ConfigurationError
from langchain_hf_inference.llms import HFInferenceLLM

__all__ = [
    "ChatHuggingFace",
    "HuggingFaceEmbeddings",
    "HuggingFaceEndpoint",
    "HuggingFaceEndpointEmbeddings",
    "HuggingFacePipeline",
]

_SAMPLING = ("temperature", "top_p", "top_k", "typical_p", "min_p")
_OF_INFERENCE_CLIENT = {
    "headers": "default_headers", "token": "api_key", "api_key": "api_key", "bill_to": "bill_to", "timeout": "timeout",
    "provider": "provider", "base_url": "endpoint_url", "model": "model",
}  # fmt: skip
"""What `server_kwargs` may hold: huggingface_hub.InferenceClient's arguments, and ours."""
_CONNECTION = ("model", "provider", "endpoint_url", "engine", "api_key", "bill_to", "timeout", "max_retries", "default_headers",
               "stream_chunk_timeout", "scale_up_timeout", "http_client", "http_async_client", "model_kwargs")  # fmt: skip
_DEFAULT_EMBEDDINGS = "sentence-transformers/all-mpnet-base-v2"
_UNUSED = ("client", "async_client", "tokenizer_id", "add_to_git_credential")
_LOCAL = (
    "{} runs a model in this process, with transformers; this package calls servers. Serve the model with "
    "`transformers serve`, vLLM, TGI or llama.cpp and give its address as endpoint_url, name it for the Hugging Face "
    "router, or take {} from langchain_huggingface"
)


class HuggingFaceEndpoint(HFInferenceLLM):
    """langchain_huggingface.HuggingFaceEndpoint, on `HFInferenceLLM`: the same arguments, the same defaults.

    Other than there, `do_sample=False` is greedy, whatever the temperature; None takes a default back; an
    explicit token goes to the endpoint; timeouts may be fractions; failures are retried.
    """

    max_tokens: int | None = 512
    temperature: float | None = 0.8
    top_p: float | None = 0.95
    typical_p: float | None = 0.95
    task: str | None = None
    """Taken and not needed: the server's API is found by itself."""
    other_arguments = HFInferenceLLM.other_arguments | {"server_kwargs", *_UNUSED}

    @model_validator(mode="before")
    @classmethod
    def _take_old_names(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        found = _renamed(values, frozenset(cls.model_fields))
        if not (found.get("model") or found.get("endpoint_url")):
            found |= _place(os.environ.get("HF_INFERENCE_ENDPOINT", ""))
        return _greedy(found)

    def _call(self, prompt: str, stop: list[str] | None, kwargs: Mapping[str, Any]) -> TextCall:
        # The stop strings of a call come beside those of the endpoint; in ours they stand in their place.
        return super()._call(prompt, [*(self.stop or ()), *stop] if stop else stop, kwargs)

    @property
    def repo_id(self) -> str | None:
        """The model's Hub id."""
        return self.model

    @property
    def max_new_tokens(self) -> int | None:
        """The most tokens to generate."""
        return self.max_tokens


class ChatHuggingFace(ChatHFInference):
    """langchain_huggingface.ChatHuggingFace, on `ChatHFInference`: `ChatHuggingFace(llm=HuggingFaceEndpoint(…))`.

    What is given here stands before what the endpoint says; what is given to the endpoint reaches the
    wire as well. `llm` may be left out, and its arguments given here.
    """

    other_arguments = ChatHFInference.other_arguments | {"server_kwargs", "llm", "task", *_UNUSED}

    @model_validator(mode="before")
    @classmethod
    def _take_endpoint(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        llm = values.get("llm")
        given = {name: value for name, value in values.items() if name != "llm"}
        known = frozenset(cls.model_fields)
        found = _greedy(_renamed(given, known | {"do_sample"}))
        for name in ("do_sample", "task"):
            found.pop(name, None)
        return {**(_inherited(llm) if llm is not None else {}), **found}

    @classmethod
    def from_model_id(
        cls, model_id: str, task: str | None = None, backend: str = "endpoint", **kwargs: Any
    ) -> ChatHuggingFace:
        """Make a model by its Hub id.

        Args:
            model_id: The model's Hub id.
            task: Taken and not needed.
            backend: "endpoint" (here the default) or "text-gen"; "pipeline" is not ours.
            **kwargs: Arguments of the chat model and of the endpoint.

        Raises:
            ConfigurationError: `backend` is "pipeline".
        """
        if backend == "pipeline":
            _refuse("backend='pipeline'", "it")
        return cls(llm=HuggingFaceEndpoint(repo_id=model_id, task=task), **kwargs)

    @property
    def model_id(self) -> str | None:
        """The model's Hub id."""
        return self.model


class HuggingFaceEndpointEmbeddings(HFInferenceEmbeddings):
    """langchain_huggingface.HuggingFaceEndpointEmbeddings, on `HFInferenceEmbeddings`; URLs of TEI are taken again."""

    task: str | None = "feature-extraction"
    """Taken and not needed."""

    @model_validator(mode="before")
    @classmethod
    def _take_old_names(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        found = _renamed(values, frozenset(cls.model_fields))
        if name := found.get("model_kwargs", {}).get("prompt_name"):
            found["model_kwargs"] = {k: v for k, v in found["model_kwargs"].items() if k != "prompt_name"}
            found = {"query_prompt_name": name, "document_prompt_name": name, **found}
        if not (found.get("model") or found.get("endpoint_url")):
            found["model"] = _DEFAULT_EMBEDDINGS
        return found

    @property
    def repo_id(self) -> str | None:
        """The model's Hub id."""
        return self.model


class HuggingFacePipeline:
    """Not ours: it runs models in this process. Raises, and says what to do."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ARG002
        _refuse("HuggingFacePipeline", "it")

    @classmethod
    def from_model_id(cls, *args: Any, **kwargs: Any) -> Self:  # noqa: ARG003
        """Raise, and say what to do."""
        _refuse("HuggingFacePipeline", "it")


class HuggingFaceEmbeddings:
    """Not ours: it runs sentence-transformers in this process. Raises, and says what to do."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ARG002
        _refuse("HuggingFaceEmbeddings", "it")


def _refuse(what: str, name: str) -> NoReturn:
    raise ConfigurationError(_LOCAL.format(what, name))


def _place(text: str) -> dict[str, str]:
    """Tell a URL from a Hub id, wherever either was given."""
    return ({"endpoint_url": text} if is_url(text) else {"model": text}) if text.strip() else {}


def _renamed(values: Mapping[str, Any], known: frozenset[str]) -> dict[str, Any]:
    """Bring old arguments under our names."""
    given = {name: value for name, value in values.items() if name not in _UNUSED}
    server = given.pop("server_kwargs", None) or {}
    if given.get("model_kwargs") is None:
        given.pop("model_kwargs", None)
    if given.get("inference_server_url") == "":
        given.pop("inference_server_url")
    found = canonical(given, known | SETTINGS)
    for holder in (found, found.get("model_kwargs", {})):
        if "max_length" in holder:  # transformers' old name; max_new_tokens stands before it there too
            length = holder.pop("max_length")
            found.setdefault("max_tokens", length)
    for name, value in server.items():
        if name == "cookies":
            text = "; ".join(f"{key}={one}" for key, one in dict(value or {}).items())
            found["default_headers"] = {"Cookie": text, **(found.get("default_headers") or {})}
        elif name in _OF_INFERENCE_CLIENT:
            if value is not None:
                found.setdefault(_OF_INFERENCE_CLIENT[name], value)
        else:
            warnings.warn(f"server_kwargs[{name!r}] has no meaning here and was left out", UserWarning, stacklevel=5)
    url = found.get("endpoint_url")
    if isinstance(url, str) and url.strip() and not is_url(url):
        found |= {"endpoint_url": None, "model": found.get("model") or url}
    return found


def _greedy(found: dict[str, Any]) -> dict[str, Any]:
    """Let `do_sample=False`, where it was given, mean what transformers means by it."""
    if found.get("do_sample") is not False:
        return found
    if idle := [name for name in _SAMPLING if found.get(name) not in (None, 0)]:
        warnings.warn(f"do_sample=False is greedy: {', '.join(idle)} would have no effect and were left out",
                      UserWarning, stacklevel=5)  # fmt: skip
    rest = {name: value for name, value in found.items() if name != "do_sample"}
    return {**rest, **dict.fromkeys(_SAMPLING), "temperature": 0.0}


def _inherited(llm: Any) -> dict[str, Any]:
    """Give what a chat model takes over from its endpoint: where it is, and what was set there.

    Of the endpoint's own defaults only those count that langchain-huggingface sends in chat.
    """
    if not isinstance(llm, HFInferenceLLM):
        llm = _ours(llm)
    fields = {name: getattr(llm, name) for name in _CONNECTION}
    settings = {name: getattr(llm, name) for name in type(llm).model_fields if name in SETTINGS and name != "logprobs"}
    chosen = llm.model_fields_set | {"temperature", "max_tokens"}
    fields |= {name: value for name, value in settings.items() if name in chosen}
    fields |= {name: getattr(llm, name) for name in ("streaming", "tokenizer") if name in llm.model_fields_set}
    idle = [name for name in ("return_full_text", "truncate", "watermark", "grammar", "best_of", "adapter_id")
            if name in llm.model_fields_set and getattr(llm, name)]  # fmt: skip
    if idle:
        warnings.warn(f"{', '.join(idle)} of the endpoint belong to plain text generation, and have no part in chat",
                      UserWarning, stacklevel=6)  # fmt: skip
    return fields


def _ours(llm: Any) -> HuggingFaceEndpoint:
    """Take over an endpoint object of langchain-huggingface's own."""
    kind = type(llm).__name__
    if kind in ("HuggingFacePipeline", "HuggingFaceHub"):
        _refuse(f"llm={kind}(…)", "it")
    if kind != "HuggingFaceEndpoint":
        raise ConfigurationError(f"llm is a {kind}; give a HuggingFaceEndpoint or a HFInferenceLLM")
    given = {name: getattr(llm, name) for name in llm.model_fields_set - {"client", "async_client", "model"}}
    if token := given.pop("huggingfacehub_api_token", None):
        given["api_key"] = SecretStr(token)
    return HuggingFaceEndpoint(**{"model": llm.repo_id or llm.model, **given})

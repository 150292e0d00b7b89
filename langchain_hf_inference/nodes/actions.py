"""The actions: chat completion, embeddings, text classification, text to image."""

from __future__ import annotations

import base64
import time
from typing import Annotated, Any, ClassVar

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage
from pydantic import BeforeValidator, Field, field_validator

from langchain_hf_inference.chat_models import ChatHFInference
from langchain_hf_inference.embeddings import HFInferenceEmbeddings
from langchain_hf_inference.nodes.action import Action
from langchain_hf_inference.nodes.fields import Data, Text, Texts, number, texts, whole
from langchain_hf_inference.nodes.fields import text as as_text
from langchain_hf_inference.tasks import HFTextClassifier, HFTextToImage

__all__ = ["Action", "ChatCompletionAction", "EmbeddingsAction", "TextClassificationAction", "TextToImageAction"]

_NUMBER = BeforeValidator(number)
_WHOLE = BeforeValidator(whole)
_LONG: dict[str, Any] = {"format": "textarea"}


class ChatCompletionAction(Action):
    """Ask a chat model one thing; the answer has OpenAI's shape."""

    message: Annotated[str, BeforeValidator(as_text), Field(min_length=1, json_schema_extra=_LONG)]
    """What is asked."""
    system_prompt: Text = Field(default=None, json_schema_extra=_LONG)
    """How the model is to behave."""
    temperature: Annotated[float | None, Field(ge=0, le=2), _NUMBER] = Field(default=None, examples=[0.7])
    """Randomness, from 0 (always the likeliest) to 2."""
    max_tokens: Annotated[int | None, Field(ge=1), _WHOLE] = Field(default=None, examples=[1024])
    """The most tokens of the answer, reasoning included."""
    top_p: Annotated[float | None, Field(gt=0, le=1), _NUMBER] = None
    """Choose among the likeliest tokens that make up this probability."""
    response_format: Data = Field(default=None, examples=["json_object"])
    """text, json_object, or OpenAI's object with a JSON Schema."""
    stop: Texts = None
    """Texts that end the answer."""
    seed: Annotated[int | None, Field(ge=0), _WHOLE] = None
    """Makes answers repeatable, where the server can."""

    example: ClassVar[dict[str, Any]] = {
        "request": {"model": "Qwen/Qwen3-32B", "message": "Summarize: the cat sat on the mat.",
                    "system_prompt": "You are a helpful assistant.", "temperature": "0.7", "max_tokens": "1024"},
        "response": {"id": "chatcmpl-1", "object": "chat.completion", "created": 1767225600, "model": "Qwen/Qwen3-32B",
                     "choices": [{"index": 0, "message": {"role": "assistant", "content": "A cat sat on a mat."},
                                  "finish_reason": "stop"}],
                     "usage": {"prompt_tokens": 24, "completion_tokens": 8, "total_tokens": 32}},
    }  # fmt: skip

    @field_validator("response_format")
    @classmethod
    def _check_format(cls, wanted: Any) -> Any:
        if isinstance(wanted, str) and wanted not in ("text", "json_object"):
            raise ValueError(f"{wanted[:50]!r} is not text, json_object or an object")
        if isinstance(wanted, dict) and "type" not in wanted:
            raise ValueError('the object has no "type"')
        return wanted

    def build(self, token: str | None = None, **options: Any) -> ChatHFInference:
        """Give the chat model, set as this action says."""
        wanted = self.response_format
        settings = {name: getattr(self, name) for name in ("temperature", "max_tokens", "top_p", "stop", "seed")}
        settings["response_format"] = {"type": wanted} if isinstance(wanted, str) else wanted
        given = {name: value for name, value in settings.items() if value is not None}
        return ChatHFInference(**{**self._place(token), **given, **options})

    def run(self, token: str | None = None, **options: Any) -> dict[str, Any]:
        """Ask, and give `{"id", "object", "created", "model", "choices", "usage"}`."""
        return completion_of(self.build(token, **options).invoke(self.messages))

    async def arun(self, token: str | None = None, **options: Any) -> dict[str, Any]:
        """Like `run`."""
        return completion_of(await self.build(token, **options).ainvoke(self.messages))

    @property
    def messages(self) -> list[BaseMessage]:
        """The conversation that is sent."""
        system = [SystemMessage(self.system_prompt)] if self.system_prompt else []
        return [*system, HumanMessage(self.message)]


class EmbeddingsAction(Action):
    """Embed one text or several; the answer has OpenAI's shape."""

    input: Annotated[list[str], BeforeValidator(texts), Field(min_length=1)]
    """The texts."""
    dimensions: Annotated[int | None, Field(ge=1), _WHOLE] = None
    """Length of the vectors, for models that can be cut."""

    example: ClassVar[dict[str, Any]] = {
        "request": {"model": "BAAI/bge-m3", "input": ["Cats eat mice."]},
        "response": {"object": "list", "model": "BAAI/bge-m3",
                     "data": [{"object": "embedding", "index": 0, "embedding": [0.1, -0.2]}]},
    }  # fmt: skip

    def build(self, token: str | None = None, **options: Any) -> HFInferenceEmbeddings:
        """Give the embeddings, set as this action says."""
        given = {} if self.dimensions is None else {"dimensions": self.dimensions}
        return HFInferenceEmbeddings(**{**self._place(token), **given, **options})

    def run(self, token: str | None = None, **options: Any) -> dict[str, Any]:
        """Embed, and give `{"object", "model", "data": [{"object", "index", "embedding"}]}`."""
        return self._answer(self.build(token, **options).embed_documents(self.input))

    async def arun(self, token: str | None = None, **options: Any) -> dict[str, Any]:
        """Like `run`."""
        return self._answer(await self.build(token, **options).aembed_documents(self.input))

    def _answer(self, vectors: list[list[float]]) -> dict[str, Any]:
        rows = [{"object": "embedding", "index": i, "embedding": vector} for i, vector in enumerate(vectors)]
        return {"object": "list", "model": self.model, "data": rows}


class TextClassificationAction(Action):
    """Give the labels of a text, or of a pair of texts, the likeliest first."""

    text: Annotated[str, BeforeValidator(as_text), Field(min_length=1, json_schema_extra=_LONG)]
    """The text."""
    text_pair: Text = None
    """A second text, for models that compare."""
    top_k: Annotated[int | None, Field(ge=1), _WHOLE] = None
    """Give so many labels."""

    example: ClassVar[dict[str, Any]] = {
        "request": {"model": "distilbert/distilbert-base-uncased-finetuned-sst-2-english", "text": "I like it."},
        "response": {"model": "distilbert/distilbert-base-uncased-finetuned-sst-2-english",
                     "labels": [{"label": "POSITIVE", "score": 0.99}, {"label": "NEGATIVE", "score": 0.01}]},
    }  # fmt: skip

    def build(self, token: str | None = None, **options: Any) -> HFTextClassifier:
        """Give the classifier, set as this action says."""
        return HFTextClassifier(**{**self._place(token), **options})

    def run(self, token: str | None = None, **options: Any) -> dict[str, Any]:
        """Classify, and give `{"model", "labels": [{"label", "score"}]}`."""
        return self._answer(self.build(token, **options).invoke(self._input))

    async def arun(self, token: str | None = None, **options: Any) -> dict[str, Any]:
        """Like `run`."""
        return self._answer(await self.build(token, **options).ainvoke(self._input))

    @property
    def _input(self) -> str | tuple[str, str]:
        return (self.text, self.text_pair) if self.text_pair else self.text

    def _answer(self, labels: Any) -> dict[str, Any]:
        return {"model": self.model, "labels": [dict(one) for one in labels][: self.top_k]}


class TextToImageAction(Action):
    """Paint a picture of what a text says; the answer has OpenAI's shape."""

    prompt: Annotated[str, BeforeValidator(as_text), Field(min_length=1, json_schema_extra=_LONG)]
    """What is to be seen."""
    negative_prompt: Text = None
    """What is not to be seen."""
    width: Annotated[int | None, Field(ge=1), _WHOLE] = None
    """Pixels."""
    height: Annotated[int | None, Field(ge=1), _WHOLE] = None
    """Pixels."""
    num_inference_steps: Annotated[int | None, Field(ge=1), _WHOLE] = None
    """Steps of denoising."""
    guidance_scale: Annotated[float | None, Field(ge=0), _NUMBER] = None
    """How closely to follow the text."""
    seed: Annotated[int | None, Field(ge=0), _WHOLE] = None
    """Makes pictures repeatable, where the server can."""

    example: ClassVar[dict[str, Any]] = {
        "request": {"model": "black-forest-labs/FLUX.1-schnell", "provider": "together", "prompt": "A cat in the rain",
                    "width": "512"},
        "response": {"created": 1767225600, "model": "black-forest-labs/FLUX.1-schnell",
                     "data": [{"b64_json": "iVBORw0KGgo=", "media_type": "image/png"}]},
    }  # fmt: skip

    def build(self, token: str | None = None, **options: Any) -> HFTextToImage:
        """Give the painter, set as this action says."""
        names = ("negative_prompt", "width", "height", "num_inference_steps", "guidance_scale", "seed")
        given = {name: value for name in names if (value := getattr(self, name)) is not None}
        return HFTextToImage(**{**self._place(token), **given, **options})

    def run(self, token: str | None = None, **options: Any) -> dict[str, Any]:
        """Paint, and give `{"created", "model", "data": [{"b64_json", "media_type"}]}`."""
        return self._answer(self.build(token, **options).invoke(self.prompt))

    async def arun(self, token: str | None = None, **options: Any) -> dict[str, Any]:
        """Like `run`."""
        return self._answer(await self.build(token, **options).ainvoke(self.prompt))

    def _answer(self, image: Any) -> dict[str, Any]:
        picture = {"b64_json": base64.b64encode(image.data).decode(), "media_type": image.media_type}
        return {"created": int(time.time()), "model": self.model, "data": [picture]}


def completion_of(answer: AIMessage) -> dict[str, Any]:
    """Give an answer as OpenAI's chat completion: reasoning, refusals, media and token details included."""
    facts, usage = answer.response_metadata, answer.usage_metadata
    message: dict[str, Any] = {"role": "assistant", "content": answer.text, **answer.additional_kwargs}
    choice = {"index": 0, "message": message, "finish_reason": facts.get("finish_reason")}
    found = {
        "id": facts.get("id") or answer.id,
        "object": "chat.completion",
        "created": facts.get("created") or int(time.time()),
        "model": facts.get("model_name"),
        "choices": [choice],
    }
    if usage:
        counts: dict[str, Any] = {"prompt_tokens": usage["input_tokens"], "completion_tokens": usage["output_tokens"],
                                  "total_tokens": usage["total_tokens"]}  # fmt: skip
        if cached := usage.get("input_token_details", {}).get("cache_read"):
            counts["prompt_tokens_details"] = {"cached_tokens": cached}
        if thought := usage.get("output_token_details", {}).get("reasoning"):
            counts["completion_tokens_details"] = {"reasoning_tokens": thought}
        found["usage"] = counts
    if cost := facts.get("cost"):
        found["cost"] = cost
    return found

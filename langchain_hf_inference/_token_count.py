"""How many tokens a text has: by a tokenizer of yours, by the server's, or nearly.

Agents ask it to decide when to shorten a history. What is exact is said in this order: the function
`custom_get_token_ids`, the object `tokenizer`, the engine at `endpoint_url`. The rest is an estimate, and
is said to be one, once.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import Any

from langchain_core.messages.utils import count_tokens_approximately, get_buffer_string
from pydantic import Field

from langchain_hf_inference._chat_call import ChatCall, tell
from langchain_hf_inference._connection import HFConnection
from langchain_hf_inference._protocol.routing import Route
from langchain_hf_inference._protocol.token_count import (
    chat_count_request,
    read_token_count,
    read_token_ids,
    text_tokens_request,
)
from langchain_hf_inference._protocol.wire import WireRequest
from langchain_hf_inference.errors import ConfigurationError, HFInferenceError

COUNT_TIMEOUT_S = 5.0
BYTES_PER_TOKEN = 4
"""Of UTF-8: English has four letters to a token, and Chinese, at three bytes, a little less than one a character."""
_NOWHERE = Route("endpoint", "http://localhost/v1/chat/completions", None, "openai")
"""For a request that is written to be counted, and not sent."""
_ESTIMATED = (
    "tokens are estimated at 4 bytes each, for neither a tokenizer nor a server that counts is at hand: give "
    "tokenizer=AutoTokenizer.from_pretrained(…), or custom_get_token_ids"
)


class TokenCounting(HFConnection):
    """A model that counts tokens. Counting never downloads anything; it asks the server at `endpoint_url` alone."""

    tokenizer: Any = Field(default=None, exclude=True, repr=False)
    """The model's tokenizer, for exact counts: one of transformers (with its chat template), or of tokenizers."""
    custom_get_token_ids: Callable[[str], list[int]] | None = Field(default=None, exclude=True)
    """A function that gives the token ids of a text."""

    def get_token_ids(self, text: str) -> list[int]:
        """Give the token ids of `text`.

        Raises:
            ConfigurationError: Nothing at hand knows the model's tokens: an estimate has no ids.
        """
        ids = self._token_ids(text)
        if ids is None:
            raise ConfigurationError(
                "the ids of tokens are not known here: give tokenizer=AutoTokenizer.from_pretrained(…) or "
                "custom_get_token_ids; TGI, vLLM, SGLang and llama.cpp at endpoint_url are asked"
            )
        return ids

    def get_num_tokens(self, text: str) -> int:
        """Count the tokens of `text`, or estimate them where nothing knows the model's tokens."""
        ids = self._token_ids(text)
        return estimated_tokens(text) if ids is None else len(ids)

    def _token_ids(self, text: str) -> list[int] | None:
        if self.custom_get_token_ids is not None:
            return self.custom_get_token_ids(text)
        if self.tokenizer is not None:
            return _ids_of(self.tokenizer.encode(text))
        if self.endpoint_url is None:
            return None
        routes, credentials = self._resolved(self.model, needs_engine=True)
        request = text_tokens_request(routes[0], text)
        return None if request is None else read_token_ids(self._counted(request, credentials))

    def _prompt_tokens(self, call: ChatCall) -> int:
        """Count the tokens of a chat call's prompt."""
        if self.custom_get_token_ids is not None:
            return _written_tokens(call, lambda text: len(self.get_token_ids(text)))
        if self.tokenizer is not None:
            body = call.request(_NOWHERE, {}).body
            count = templated_tokens(self.tokenizer, body["messages"], body.get("tools"))
            return _written_tokens(call, self.get_num_tokens) if count is None else count
        if self.endpoint_url is not None:
            routes, credentials = self._resolved(call.model, needs_engine=True)
            request = chat_count_request(routes[0], call.request(routes[0], {}).body)
            count = None if request is None else read_token_count(self._counted(request, credentials))
            if count is not None:
                return count
        tell([_ESTIMATED])
        tools = call.settings.get("tools") or []
        nearly = count_tokens_approximately(call.messages, chars_per_token=BYTES_PER_TOKEN, tools=tools)
        return nearly + sum(_more_than_ascii(message.text) for message in call.messages)

    def _counted(self, request: WireRequest, credentials: Any) -> Any:
        """Ask the server once; one that does not count (an old version, a failure) is no reason to fail."""
        try:
            return self._transport().post_once(request, credentials, timeout_s=COUNT_TIMEOUT_S).json()
        except HFInferenceError:
            return None


def templated_tokens(tokenizer: Any, wire: list[Any], tools: list[Any] | None) -> int | None:
    """Count the tokens of wire messages in the chat template; None where the tokenizer has none."""
    if not getattr(tokenizer, "chat_template", None):
        return None
    messages = [{**message, **_templatable(message)} for message in wire]
    made = tokenizer.apply_chat_template(messages, tools=tools or None, add_generation_prompt=True, tokenize=True)
    return len(_ids_of(made))


def _templatable(message: Mapping[str, Any]) -> dict[str, Any]:
    """Give what chat templates want otherwise than servers: arguments as objects, a content that is not null."""
    calls = [{**c, "function": {**c["function"], "arguments": json.loads(c["function"]["arguments"])}}
             for c in message.get("tool_calls") or ()]  # fmt: skip
    return {"content": message.get("content") or "", **({"tool_calls": calls} if calls else {})}


def _written_tokens(call: ChatCall, count: Callable[[str], int]) -> int:
    """Count the tokens of a conversation written out plainly, tools as JSON, where no template is at hand."""
    tools = call.settings.get("tools") or []
    written = [get_buffer_string([message]) for message in call.messages]
    return sum(count(text) for text in (*written, *(json.dumps(tool, ensure_ascii=False) for tool in tools)))


def _ids_of(made: Any) -> list[int]:
    """Give the ids in what tokenizers make: a list, an Encoding of tokenizers, a BatchEncoding of transformers 5."""
    if isinstance(made, Mapping) or hasattr(made, "input_ids"):
        made = made["input_ids"]
    return list(getattr(made, "ids", made))


def _more_than_ascii(text: str) -> int:
    return math.ceil((len(text.encode("utf-8", "replace")) - len(text)) / BYTES_PER_TOKEN)


def estimated_tokens(text: str) -> int:
    """Estimate the tokens of `text`, and say, once, that it is an estimate."""
    tell([_ESTIMATED])
    return math.ceil(len(text.encode("utf-8", "replace")) / BYTES_PER_TOKEN)

"""Counting tokens by the server: requests to its tokenizer, and what it answers.

Sources: TGI's OpenAPI (`/chat_tokenize`, `/tokenize`), vLLM 0.32 and SGLang 0.5.23 (`/tokenize`, source),
llama.cpp b11434 (`/v1/chat/completions/input_tokens`, `/tokenize`, wire).
"""

from __future__ import annotations

from typing import Any

from langchain_hf_inference._protocol.dialects import dialect_of
from langchain_hf_inference._protocol.routing import Route, server_url
from langchain_hf_inference._protocol.wire import JSON, WireRequest, as_object

_OF_THE_PROMPT = (
    "model",
    "messages",
    "tools",
    "tool_choice",
    "tool_prompt",
    "chat_template_kwargs",
    "reasoning_effort",
)
"""What of a chat request goes into the prompt; the rest says how to answer."""


def chat_count_request(route: Route, body: JSON) -> WireRequest | None:
    """Ask how many tokens the prompt of a chat request has, None where the engine does not tell.

    Args:
        route: Where the chat request would go.
        body: Its body, in the engine's dialect.
    """
    path = dialect_of(route.dialect or "openai").chat_count_path
    if path is None or route.place != "endpoint":
        return None
    return WireRequest(server_url(route.url, path), {name: body[name] for name in _OF_THE_PROMPT if name in body})


def text_tokens_request(route: Route, text: str) -> WireRequest | None:
    """Ask for the tokens of `text`, those that open a prompt included; None where the engine does not tell."""
    dialect = dialect_of(route.dialect or "openai")
    if dialect.tokenize_key is None or route.place != "endpoint":
        return None
    more = {name: route.model if value is None else value for name, value in dialect.tokenize_body.items()}
    body: JSON = {dialect.tokenize_key: text, **{name: value for name, value in more.items() if value is not None}}
    return WireRequest(server_url(route.url, "/tokenize"), body)


def read_token_ids(raw: Any) -> list[int] | None:
    """Read token ids of any engine's form, None where there are none."""
    body = as_object(raw)
    rows = raw if isinstance(raw, list) else body.get("tokens", body.get("tokenize_response"))
    if not isinstance(rows, list):
        return None
    found = [row.get("id") if isinstance(row, dict) else row for row in rows]
    ids = [one for one in found if isinstance(one, int) and not isinstance(one, bool)]
    return ids if len(ids) == len(found) else None


def read_token_count(raw: Any) -> int | None:
    """Read how many tokens there are, told or listed."""
    body = as_object(raw)
    for name in ("input_tokens", "count"):
        if isinstance(body.get(name), int) and not isinstance(body[name], bool):
            return int(body[name])
    ids = read_token_ids(raw)
    return None if ids is None else len(ids)

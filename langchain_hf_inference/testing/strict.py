"""What the scripted server refuses: each rule is one that some real server holds."""

from __future__ import annotations

import json
from typing import Any

ROLES = ("system", "developer", "user", "assistant", "tool", "function")
CHAT_FIELDS = frozenset(
    {"model", "messages", "stream", "stream_options", "temperature", "max_tokens", "max_completion_tokens", "top_p",
     "top_k", "min_p", "typical_p", "frequency_penalty", "presence_penalty", "repetition_penalty", "seed", "stop", "n",
     "logprobs", "top_logprobs", "logit_bias", "response_format", "tools", "tool_choice", "tool_prompt",
     "parallel_tool_calls", "reasoning_effort", "chat_template_kwargs", "user"}
)  # fmt: skip
_RANGES = {"temperature": (0, 2), "top_p": (1e-9, 1), "frequency_penalty": (-2, 2), "presence_penalty": (-2, 2),
           "max_tokens": (1, 10**9), "n": (1, 128), "top_logprobs": (0, 20), "repetition_penalty": (1e-9, 10),
           "min_p": (0, 1), "typical_p": (1e-9, 1), "top_k": (-1, 10**6)}  # fmt: skip
_TYPES: dict[str, tuple[type, ...]] = {
    "stream": (bool,), "logprobs": (bool,), "parallel_tool_calls": (bool,), "seed": (int,), "model": (str,),
    "tools": (list,), "stream_options": (dict,), "response_format": (dict,), "logit_bias": (dict,),
    "chat_template_kwargs": (dict,), "user": (str,), "tool_prompt": (str,),
}  # fmt: skip
_PARTS = {"text": str, "image_url": dict, "input_audio": dict, "audio_url": dict, "video_url": dict, "file": dict}


class RefusedError(Exception):
    """A request that is not well-formed: the reason, and the field it is about."""

    def __init__(self, reason: str, param: str | None = None) -> None:
        super().__init__(reason)
        self.param = param


def _require(condition: object, reason: str, param: str | None = None) -> None:
    if not condition:
        raise RefusedError(reason, param)


def check_fields(body: dict[str, Any], known: frozenset[str]) -> None:
    """Refuse unknown fields, nulls, wrong types and values out of range."""
    for name, value in body.items():
        _require(name in known, f"unknown field {name!r}", name)
        _require(value is not None, f"{name} is null; leave it out", name)
        if kinds := _TYPES.get(name):
            _require(isinstance(value, kinds), f"{name} must be {kinds[0].__name__}, not {type(value).__name__}", name)
        if bounds := _RANGES.get(name):
            number = isinstance(value, int | float) and not isinstance(value, bool)
            _require(number, f"{name} must be a number, not {type(value).__name__}", name)
            _require(
                bounds[0] <= value <= bounds[1], f"{name} must be in [{bounds[0]:g}, {bounds[1]:g}], got {value}", name
            )
    if "stop" in body:
        texts = body["stop"] if isinstance(body["stop"], list) else [body["stop"]]
        _require(texts and all(isinstance(t, str) and t for t in texts), "stop must be non-empty strings", "stop")


def check_chat(body: dict[str, Any], more_fields: frozenset[str] = frozenset()) -> None:
    """Refuse a chat-completion request that a strict server would refuse."""
    check_fields(body, CHAT_FIELDS | more_fields)
    _require("messages" in body, "messages is missing", "messages")
    _require(isinstance(body["messages"], list) and body["messages"], "messages must be a non-empty list", "messages")
    _require(not ("max_tokens" in body and "max_completion_tokens" in body), "duplicate field max_tokens", "max_tokens")
    _require("stream_options" not in body or body.get("stream"), "stream_options needs stream", "stream_options")
    _require("top_logprobs" not in body or body.get("logprobs"), "top_logprobs needs logprobs", "top_logprobs")
    _check_tools(body)
    open_calls: set[str] = set()
    for position, message in enumerate(body["messages"]):
        open_calls = _check_message(message, f"messages[{position}]", open_calls)
    _require(not open_calls, f"tool calls without results: {sorted(open_calls)}", "messages")


def _check_tools(body: dict[str, Any]) -> None:
    names = []
    for tool in body.get("tools", []):
        function = tool.get("function") if isinstance(tool, dict) else None
        _require(isinstance(function, dict) and tool.get("type") == "function", "a tool must be a function", "tools")
        function = function or {}
        _require(isinstance(function.get("name"), str) and function["name"], "a tool has no name", "tools")
        _require(isinstance(function.get("parameters"), dict), f"{function['name']} has no parameters", "tools")
        names.append(function["name"])
    _require("tools" not in body or names, "tools is empty", "tools")
    _require(len(set(names)) == len(names), "two tools have the same name", "tools")
    if "tool_choice" in body:
        choice = body["tool_choice"]
        _require(names, "tool_choice without tools", "tool_choice")
        if isinstance(choice, dict):
            _require(choice.get("type") == "function", "tool_choice needs a type", "tool_choice")
            name = choice.get("function", {}).get("name")
            _require(name in names, f"tool_choice names {name!r}, which is no tool", "tool_choice")
        else:
            _require(choice in ("auto", "none", "required"), f"tool_choice {choice!r} is not known", "tool_choice")


def _check_message(message: Any, where: str, open_calls: set[str]) -> set[str]:
    """Check one message; give the ids of tool calls that wait for their results after it."""
    _require(isinstance(message, dict), f"{where} must be an object", "messages")
    role = message.get("role")
    _require(role in ROLES, f"{where}.role {role!r} is not known", "messages")
    for name, value in message.items():
        _require(value is not None, f"{where}.{name} is null", "messages")
    if role == "tool":
        identity = message.get("tool_call_id")
        _require(identity in open_calls, f"{where} answers {identity!r}, which no call before it asked", "messages")
        _require(isinstance(message.get("content"), str), f"{where}.content must be a string", "messages")
        return open_calls - {identity}
    _require(not open_calls, f"{where}: results of {sorted(open_calls)} must come first", "messages")
    calls = message.get("tool_calls", [])
    _require(role == "assistant" or not calls, f"{where}: only an assistant calls tools", "messages")
    _require("content" in message or calls, f"{where} has neither content nor tool_calls", "messages")
    if "content" in message:
        _check_content(message["content"], where, parts_allowed=role == "user")
    return {_check_call(call, where) for call in calls}


def _check_content(content: Any, where: str, *, parts_allowed: bool) -> None:
    if isinstance(content, str):
        return
    _require(parts_allowed and isinstance(content, list) and content, f"{where}.content must be a string", "messages")
    for part in content:
        kind = part.get("type") if isinstance(part, dict) else None
        _require(kind in _PARTS, f"{where}: content part of type {kind!r} is not known", "messages")
        _require(
            isinstance(part.get(kind), _PARTS[str(kind)]), f"{where}: {kind} part has no proper {kind}", "messages"
        )
        _require(set(part) <= {"type", kind}, f"{where}: {kind} part has unknown keys {sorted(part)}", "messages")


def _check_call(call: Any, where: str) -> str:
    function = call.get("function") if isinstance(call, dict) else None
    _require(
        isinstance(function, dict) and call.get("type") == "function",
        f"{where}: a tool call is no function",
        "messages",
    )
    function = function or {}
    _require(isinstance(call.get("id"), str) and call["id"], f"{where}: a tool call has no id", "messages")
    _require(set(call) <= {"id", "type", "function"}, f"{where}: tool call has unknown keys {sorted(call)}", "messages")
    written = function.get("arguments")
    try:
        arguments = json.loads(written if isinstance(written, str) else "")
    except ValueError:
        raise RefusedError(f"{where}: arguments of a tool call are not JSON text", "messages") from None
    _require(isinstance(arguments, dict), f"{where}: arguments of a tool call are no object", "messages")
    return str(call["id"])

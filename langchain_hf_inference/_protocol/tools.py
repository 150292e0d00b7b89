"""Tools and the choice among them, as the chat-completion API wants them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from langchain_hf_inference._protocol.dialects import Dialect
from langchain_hf_inference._protocol.wire import JSON, as_object
from langchain_hf_inference.errors import ConfigurationError

NO_PARAMETERS: JSON = {"type": "object", "properties": {}}


def wire_tools(tools: Sequence[Any]) -> list[JSON]:
    """Give the tools, each function with its `parameters`: TGI requires the key.

    Raises:
        ConfigurationError: A tool is not in OpenAI's form; `bind_tools` brings any form into it.
    """
    rows = []
    for tool in tools:
        function = as_object(as_object(tool).get("function"))
        if as_object(tool).get("type", "function") != "function":
            rows.append(dict(tool))  # a tool of the server's own, such as a provider's web search
        elif not function.get("name"):
            raise ConfigurationError(
                f"a {type(tool).__name__} is no tool in OpenAI's form; pass tools through bind_tools"
            )
        else:
            rows.append(
                {
                    "type": "function",
                    "function": {**function, "parameters": function.get("parameters") or NO_PARAMETERS},
                }
            )
    return rows


def tool_names(tools: Sequence[JSON]) -> list[str]:
    """Give the names of function tools in OpenAI's form."""
    return [str(tool["function"]["name"]) for tool in tools if "function" in tool]


def normalised_choice(choice: Any, names: Sequence[str]) -> str | JSON | None:
    """Give LangChain's forms of `tool_choice` in OpenAI's: None means that nothing is said.

    "any" and True are "required"; a tool's name and Anthropic's `{"type": "tool", "name": …}`
    are OpenAI's object.

    Raises:
        ConfigurationError: It names a tool that is not there, or is of no known form.
    """
    if choice is None or choice is False:
        return None
    if choice is True or choice in ("any", "required"):
        return "required"
    if isinstance(choice, str) and choice in ("auto", "none") and choice not in names:
        return choice
    name = choice if isinstance(choice, str) else None
    if isinstance(choice, dict):
        name = as_object(choice.get("function")).get("name") or choice.get("name")
        if name is None and choice.get("type") in ("auto", "none", "any", "required", "tool"):
            return normalised_choice(choice["type"], names)
    if not isinstance(name, str):
        raise ConfigurationError(
            f"tool_choice={choice!r} is not known; give 'auto', 'none', 'any', 'required', a tool's name or OpenAI's dict"
        )
    if name not in names:
        raise ConfigurationError(
            f"tool_choice names {name!r}, which is no tool here; there are: {', '.join(names) or 'none'}"
        )
    return {"type": "function", "function": {"name": name}}


def wire_tool_settings(tools: Sequence[Any], choice: Any, parallel: bool | None, dialect: Dialect) -> JSON:
    """Give `tools`, `tool_choice` and `parallel_tool_calls` for a body; nothing without tools.

    An empty list is never sent: TGI takes it for tools, and servers refuse a choice without tools.
    """
    rows = wire_tools(tools)
    if not rows:
        return {}
    wanted = normalised_choice(choice, tool_names(rows))
    if isinstance(wanted, dict) and dialect.named_choice == "required":
        name = wanted["function"]["name"]
        rows, wanted = [row for row in rows if row["function"]["name"] == name], "required"
    settings: JSON = {"tools": rows}
    if wanted is not None:
        settings["tool_choice"] = wanted
    if parallel is not None:
        settings["parallel_tool_calls"] = parallel
    return settings

"""A schema and a method -> what to bind to the model, and how to read its answer.

The only room where Runnables are composed. While a response streams, langchain-core's parsers show what has come, repaired;
the final value is parsed by the rules of `response_end.py`: what is not complete is an error.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from langchain_core.language_models import LanguageModelInput
from langchain_core.messages import AIMessage
from langchain_core.output_parsers import JsonOutputKeyToolsParser, JsonOutputParser, PydanticOutputParser
from langchain_core.output_parsers.openai_tools import PydanticToolsParser
from langchain_core.runnables import Runnable, RunnableMap
from langchain_core.utils.function_calling import convert_to_json_schema, convert_to_openai_tool
from langchain_core.utils.pydantic import is_basemodel_subclass
from pydantic import BaseModel

from langchain_hf_inference._protocol.response_format import Method, schema_format, schema_of
from langchain_hf_inference._protocol.wire import JSON
from langchain_hf_inference._structured_parsing import RawAndParsed, StructuredOutputParser
from langchain_hf_inference.errors import ConfigurationError

METHODS = ("json_schema", "function_calling", "json_mode")


def response_format_of(wanted: Any, *, strict: bool | None = None) -> JSON:
    """Give OpenAI's `response_format` for a schema of any form, or for one already in that form.

    Raises:
        ConfigurationError: `wanted` is no schema.
    """
    if isinstance(wanted, dict) and wanted.get("type") in ("json_schema", "json_object", "json", "text", "regex"):
        return wanted
    try:
        schema = convert_to_json_schema(wanted, strict=strict)
    except (ValueError, TypeError) as error:
        raise ConfigurationError(f"response_format={wanted!r} is no schema: {error}") from error
    name = str(schema.get("title") or "answer")
    return schema_format(name, schema, strict=strict, description=schema.get("description"))


def structured(
    model: Any,
    schema: Any,
    *,
    method: Method,
    include_raw: bool,
    strict: bool | None,
    options: dict[str, Any],
) -> Runnable[LanguageModelInput, Any]:
    """Give a Runnable that answers with `schema`: Pydantic in, Pydantic out; a dict else.

    Args:
        model: The chat model.
        schema: Pydantic class (v2, v1), TypedDict, JSON Schema or OpenAI tool; None only for json_mode.
        method: How the schema is demanded.
        include_raw: Return `{"raw", "parsed", "parsing_error"}` instead of raising on an invalid or incomplete response.
        strict: Ask the server to keep strictly to the schema.
        options: Further settings to bind.

    Raises:
        ConfigurationError: The method is not known, or needs a schema.
    """
    if method not in METHODS:
        raise ConfigurationError(f"method={method!r} is not known; it is one of {', '.join(METHODS)}")
    if schema is None and method != "json_mode":
        raise ConfigurationError(f"method={method!r} needs a schema; method='json_mode' works without one")
    if method == "json_mode" and strict is not None:
        raise ConfigurationError("strict goes with a schema; method='json_mode' sends none")
    is_pydantic = isinstance(schema, type) and is_basemodel_subclass(schema)
    if method == "json_schema" and is_pydantic and not issubclass(schema, BaseModel):
        method = "function_calling"  # Pydantic v1 classes have no JSON Schema that servers take
    traced = {"kwargs": {"method": method, "strict": strict}, "schema": schema}
    bound, parser = _METHODS[method](
        model, schema, strict, {**options, "ls_structured_output_format": traced}, is_pydantic
    )
    return RunnableMap(raw=bound) | RawAndParsed(parser) if include_raw else bound | parser


Bound = tuple[Runnable[LanguageModelInput, AIMessage], StructuredOutputParser]


def _by_calling(model: Any, schema: Any, strict: bool | None, options: dict[str, Any], is_pydantic: bool) -> Bound:
    if isinstance(schema, dict) and (inner := schema_of(schema)) and schema.get("type") == "json_schema":
        schema = {"title": schema.get("json_schema", {}).get("name", "answer"), **inner}
    name = str(convert_to_openai_tool(schema)["function"]["name"])
    bound = model.bind_tools([schema], tool_choice=name, strict=strict, **options)
    if is_pydantic:
        parser: Any = PydanticToolsParser(tools=[schema], first_tool_only=True)
    else:
        parser = JsonOutputKeyToolsParser(key_name=name, first_tool_only=True)
    return bound, StructuredOutputParser(inner=parser, tool_name=name)


def _by_schema(model: Any, schema: Any, strict: bool | None, options: dict[str, Any], is_pydantic: bool) -> Bound:
    bound = model.bind(response_format=response_format_of(schema, strict=strict), **options)
    return bound, _json_parser(schema, is_pydantic)


def _by_json_mode(model: Any, schema: Any, _: bool | None, options: dict[str, Any], is_pydantic: bool) -> Bound:
    bound = model.bind(response_format={"type": "json_object"}, **options)
    return bound, _json_parser(schema, is_pydantic)


def _json_parser(schema: Any, is_pydantic: bool) -> StructuredOutputParser:
    return StructuredOutputParser(
        inner=PydanticOutputParser(pydantic_object=schema) if is_pydantic else JsonOutputParser()
    )


_METHODS: dict[str, Callable[..., Bound]] = {
    "function_calling": _by_calling,
    "json_schema": _by_schema,
    "json_mode": _by_json_mode,
}

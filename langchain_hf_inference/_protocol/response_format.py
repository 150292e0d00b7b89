"""`response_format`, as each engine and provider writes a demand for JSON.

Sources: TGI source (router/src/lib.rs, GrammarType), huggingface_hub 2.4.0 for Together,
Fireworks and Cohere, and the running vLLM, SGLang and llama.cpp, which take OpenAI's form.
"""

from __future__ import annotations

from typing import Literal

from langchain_hf_inference._protocol.dialects import Dialect
from langchain_hf_inference._protocol.wire import JSON, as_object
from langchain_hf_inference.errors import ConfigurationError

Method = Literal["json_schema", "function_calling", "json_mode"]
"""How a model is made to answer with data."""


def schema_format(name: str, schema: JSON, *, strict: bool | None = None, description: str | None = None) -> JSON:
    """Give OpenAI's form of "answer with JSON of this schema", from which the others are made."""
    wanted: JSON = {"name": name, "schema": schema}
    if description:
        wanted["description"] = description
    if strict is not None:
        wanted["strict"] = strict
    return {"type": "json_schema", "json_schema": wanted}


def schema_of(response_format: JSON) -> JSON | None:
    """Find the JSON Schema in any known form of `response_format`; None where there is none."""
    nested = as_object(response_format.get("json_schema"))
    value = as_object(response_format.get("value"))
    for schema in (nested.get("schema"), response_format.get("schema"), value.get("schema"), value):
        if isinstance(schema, dict) and schema:
            return schema
    return None


def wire_response_format(wanted: JSON, dialect: Dialect) -> tuple[JSON | None, str | None]:
    """Give the engine's form of `wanted`, or None, and a note where something is lost.

    Forms that are not understood (`structural_tag`, TGI's `regex`) are sent as given.
    """
    kind, schema = wanted.get("type"), schema_of(wanted)
    if kind not in ("json_schema", "json_object", "json"):
        return wanted, None
    if dialect.schema_format == "tgi":
        if schema is None:
            return None, f"{dialect.title} has no JSON mode without a schema; response_format was left out"
        return {"type": "json", "value": schema}, None  # its own name; "json_object" is an alias that came later
    if schema is None or (kind == "json_schema" and dialect.schema_format == "openai" and "json_schema" in wanted):
        return wanted, None
    if dialect.schema_format == "json_object_schema":
        return {"type": "json_object", "schema": schema}, None
    if dialect.schema_format == "json_schema_schema":
        return {"type": "json_schema", "schema": schema}, None
    if dialect.name == "openai":
        return wanted, None  # nothing is known about the server: what the user wrote stands
    return schema_format(str(schema.get("title") or "answer"), schema), None


def check_schema_with_tools(dialect: Dialect) -> None:
    """Refuse `response_format` beside tools where the engine does.

    Raises:
        ConfigurationError: The engine cannot do both in one request.
    """
    if dialect.schema_with_tools is False:
        raise ConfigurationError(
            f"{dialect.title} refuses response_format beside tools (grammar and tools are mutually exclusive); "
            "ask for the schema as a tool: with_structured_output(method='function_calling') or ToolStrategy"
        )

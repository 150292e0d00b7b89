"""_structured_parsing.py: data from a response is complete, or an error: by each method, on every path, with and without raw."""

from __future__ import annotations

from typing import Any, TypedDict

import pytest
from langchain.agents import create_agent
from langchain.agents.structured_output import ProviderStrategy, StructuredOutputError, ToolStrategy
from langchain_core.exceptions import OutputParserException
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage
from langgraph.errors import GraphRecursionError
from pydantic import BaseModel, ValidationError
from response_paths import Response, call, call_delta, model_of, read_from, streaming_of

METHODS = ("json_schema", "function_calling", "json_mode")
PATHS = ("invoke", "ainvoke", "stream", "astream", "invoke streaming", "ainvoke streaming")

all_methods = pytest.mark.parametrize("method", METHODS)
all_paths = pytest.mark.parametrize("path", PATHS)
with_raw = pytest.mark.parametrize("include_raw", [False, True], ids=["plain", "raw"])


class Items(BaseModel):
    """Things."""

    items: list[str] = []
    name: str = ""
    age: int = 0


class ItemsDict(TypedDict, total=False):
    """Things."""

    items: list[str]
    name: str
    age: int


both_schemas = pytest.mark.parametrize("schema", [Items, ItemsDict], ids=["pydantic", "dict"])


def response_of(text: str, method: str, finish: str) -> Response:
    """Return a response that holds `text` where the method expects it, streamed in two pieces."""
    half = len(text) // 2
    if method == "function_calling":
        return Response(
            {"tool_calls": [call("items", text)]},
            [call_delta("", "items", identity="c1"), call_delta(text[:half]), call_delta(text[half:])],
            finish,
        )
    return Response({"content": text}, [{"content": text[:half]}, {"content": text[half:]}], finish)


def run(path: str, response: Response, schema: Any, method: str, include_raw: bool) -> Any:
    """Return what the path ends with; raise the parsing error where it is reported."""
    named = {"title": "items", **schema} if isinstance(schema, dict) else schema
    model = model_of(response, **streaming_of(path))
    found = read_from(path, model.with_structured_output(named, method=method, include_raw=include_raw))
    if not include_raw:
        return found
    assert isinstance(found["raw"], AIMessage)
    if found["parsing_error"] is not None:
        assert found["parsed"] is None
        raise found["parsing_error"]
    return found["parsed"]


def schema_of(schema: Any, method: str) -> Any:
    """Return the schema; where it is called as a tool, by the name "items"."""
    if method != "function_calling":
        return schema
    return type("items", (schema,), {"__doc__": "Things."}) if schema is Items else {
        "title": "items", "description": "Things.", "type": "object",
        "properties": {"items": {"type": "array", "items": {"type": "string"}}, "name": {"type": "string"}, "age": {"type": "integer"}},
    }  # fmt: skip


def plain(value: Any) -> Any:
    return value.model_dump(exclude_unset=True) if isinstance(value, BaseModel) else value


TRUNCATED = {
    "in a list": '{"items": ["a", "b',
    "in a number": '{"name": "Jo", "age": 4',
    "after a comma": '{"name": "Jo", ',
    "before the last brace": '{"name": "Jo", "age": 42',
    "brace alone": "{",
    "nothing": "",
    "in a string": '{"name": "J',
}


@all_methods
@all_paths
@with_raw
@both_schemas
@pytest.mark.parametrize("text", TRUNCATED.values(), ids=TRUNCATED)
def test_truncated(path: str, text: str, method: str, include_raw: bool, schema: Any) -> None:
    """Truncated data is an error that names max_tokens, and never a repaired value."""
    with pytest.raises(OutputParserException, match="max_tokens"):
        run(path, response_of(text, method, "length"), schema_of(schema, method), method, include_raw)


@all_methods
@all_paths
@with_raw
@pytest.mark.parametrize("finish", ["stop", "tool_calls"])
@pytest.mark.parametrize(
    "text", [text for text in TRUNCATED.values() if text], ids=[name for name in TRUNCATED if name != "nothing"]
)
def test_truncated_without_a_word(path: str, text: str, method: str, include_raw: bool, finish: str) -> None:
    """So is data that is not closed, whatever the finish reason says: 4 may have been 42."""
    with pytest.raises(OutputParserException, match="not complete JSON|not valid"):
        run(path, response_of(text, method, finish), schema_of(Items, method), method, include_raw)


@all_methods
@all_paths
@with_raw
@both_schemas
@pytest.mark.parametrize("finish", ["stop", "length"])
def test_complete(path: str, method: str, include_raw: bool, schema: Any, finish: str) -> None:
    """Closed data is complete, whatever max_tokens truncated after it."""
    found = run(
        path, response_of('{"name": "Jo", "age": 42}', method, finish), schema_of(schema, method), method, include_raw
    )

    assert plain(found) == {"name": "Jo", "age": 42}


@all_paths
@with_raw
@both_schemas
def test_text_instead_of_a_call(path: str, include_raw: bool, schema: Any) -> None:
    """Text in place of the call is an error that quotes it; JSON in the text is parsed."""
    wanted = schema_of(schema, "function_calling")
    with pytest.raises(OutputParserException, match="did not call 'items'; its text is 'I cannot.'"):
        run(path, Response({"content": "I cannot."}), wanted, "function_calling", include_raw)
    with pytest.raises(OutputParserException, match="did not call 'items'; its text is empty"):
        run(path, Response({"content": ""}), wanted, "function_calling", include_raw)
    for text in ('{"name": "Jo"}', '```json\n{"name": "Jo"}\n```', '{"name": "items", "arguments": {"name": "Jo"}}'):
        assert plain(run(path, Response({"content": text}), wanted, "function_calling", include_raw)) == {"name": "Jo"}
    with pytest.raises(OutputParserException, match="max_tokens"):
        run(path, Response({"content": '{"name": "Jo'}, finish="length"), wanted, "function_calling", include_raw)


@all_paths
@with_raw
def test_call_of_another_tool(path: str, include_raw: bool) -> None:
    """A call of another tool is an error that names it."""
    response = Response({"tool_calls": [call("other", "{}")]}, [call_delta("{}", "other", identity="c1")])

    with pytest.raises(OutputParserException, match="called 'other' instead of 'items'"):
        run(path, response, schema_of(ItemsDict, "function_calling"), "function_calling", include_raw)


@all_methods
@all_paths
@with_raw
def test_wrong_type(path: str, method: str, include_raw: bool) -> None:
    """Complete data that does not fit the schema is the schema's own error."""
    with pytest.raises((OutputParserException, ValidationError), match="age"):
        run(path, response_of('{"age": "old"}', method, "stop"), schema_of(Items, method), method, include_raw)


@all_methods
def test_partial_values_are_shown(method: str) -> None:
    """While the response streams, what has come is shown; the final value is the complete one."""
    wanted = schema_of(ItemsDict, method)
    response = response_of('{"name": "Jo", "age": 42}', method, "stop")

    values = list(model_of(response).with_structured_output(wanted, method=method).stream("x"))
    assert [value for value in values if value] == [{"name": "Jo"}, {"name": "Jo", "age": 42}]
    shown: list[Any] = []
    truncated = model_of(response_of('{"name": "Jo", "age": 4', method, "length"))
    with pytest.raises(OutputParserException, match="max_tokens"):
        shown.extend(truncated.with_structured_output(wanted, method=method).stream("x"))
    assert shown


@all_methods
def test_raw_parts(method: str) -> None:
    """With include_raw, the parts of a stream are chunks, partial values, and at the end the value or its error."""
    wanted = schema_of(ItemsDict, method)
    model = model_of(response_of('{"name": "Jo", "age": 42}', method, "stop")).with_structured_output(
        wanted, method=method, include_raw=True
    )

    parts = list(model.stream("x"))

    assert parts[-1] == {"parsed": {"name": "Jo", "age": 42}, "parsing_error": None}
    assert all(isinstance(part["raw"], AIMessageChunk) for part in parts if "raw" in part)
    assert type(model.invoke("x")) is dict


def test_refusal() -> None:
    """A refusal is reported as one."""
    response = Response({"content": "", "refusal": "I will not."})
    for method in METHODS:
        with pytest.raises(Exception, match=r"I will not\.|refused"):
            run("invoke", response, schema_of(Items, method), method, False)


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("strategy", [ToolStrategy, ProviderStrategy])
def test_agents_get_no_truncated_answer(streaming: bool, strategy: Any) -> None:
    """create_agent has no structured response where the answer was truncated."""
    method = "function_calling" if strategy is ToolStrategy else "json_schema"
    wanted = type("items", (Items,), {"__doc__": "Things."})
    model = model_of(response_of('{"name": "Jo", "age": 4', method, "length"), streaming=streaming)
    agent = create_agent(model, [], response_format=strategy(wanted))

    # LangChain asks again where a tool strategy got no valid call, up to the limit; a provider strategy raises.
    with pytest.raises((GraphRecursionError, StructuredOutputError)):
        agent.invoke({"messages": [HumanMessage("Who?")]}, {"recursion_limit": 4})

"""Responses -> data of a schema: partial values while a response streams, the final value by the rules of `response_end.py`."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any, cast

from langchain_core.exceptions import OutputParserException
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.messages.tool import tool_call
from langchain_core.output_parsers import BaseCumulativeTransformOutputParser
from langchain_core.outputs import ChatGeneration, Generation
from langchain_core.runnables import Runnable, RunnableConfig
from langchain_core.runnables.utils import AddableDict

from langchain_hf_inference._protocol.invalid_calls import restore_invalid_calls
from langchain_hf_inference._protocol.response_end import (
    completion_problem,
    parse_complete_json,
)
from langchain_hf_inference._protocol.wire import JSON

_MAX_QUOTED_CHARS = 200


class StructuredOutputParser(BaseCumulativeTransformOutputParser[Any]):
    """Parses a response that must hold data: complete or an error, never repaired and never None."""

    inner: BaseCumulativeTransformOutputParser[Any]
    """langchain-core's parser: makes partial values, and objects of the schema from complete ones."""
    tool_name: str | None = None
    """The tool that the model must call; None where the text must be JSON."""

    def parse_result(self, result: list[Generation], *, partial: bool = False) -> Any:
        """Parse a response.

        Raises:
            OutputParserException: The response is incomplete, is not JSON, or does not hold what was asked for.
            pydantic.ValidationError: The arguments of the tool call do not fit the schema.
        """
        if partial:
            return self.inner.parse_result(result, partial=True)
        generation = result[0]
        if not isinstance(generation, ChatGeneration) or not isinstance(generation.message, AIMessage):
            raise OutputParserException("structured output is parsed from the message of a chat model, not from text")
        message = generation.message.model_copy(deep=True)
        restore_invalid_calls(message)
        complete = self._call(message, generation.text) if self.tool_name else self._text(message, generation.text)
        return self.inner.parse_result([ChatGeneration(message=complete)])

    def parse(self, text: str) -> Any:
        """Parse the text of a response."""
        return self.parse_result([ChatGeneration(message=AIMessage(text))])

    def _text(self, message: AIMessage, text: str) -> AIMessage:
        try:
            value = parse_complete_json(text, message.response_metadata)
        except ValueError as error:
            raise self._failure(message, str(error), text) from error
        return AIMessage(json.dumps(value, ensure_ascii=False), additional_kwargs=message.additional_kwargs)

    def _call(self, message: AIMessage, text: str) -> AIMessage:
        calls = [call for call in message.tool_calls if call["name"] == self.tool_name]
        if not calls and (arguments := self._arguments_in(text, message)) is not None:
            calls = [tool_call(name=str(self.tool_name), args=arguments, id=None)]
        if not calls:
            raise self._failure(message, self._missing(message, text), text)
        return AIMessage("", tool_calls=calls[:1], additional_kwargs=message.additional_kwargs)

    def _arguments_in(self, text: str, message: AIMessage) -> JSON | None:
        """Return the arguments that a model wrote into its text instead of calling the tool."""
        if message.tool_calls or message.invalid_tool_calls:
            return None
        try:
            value = parse_complete_json(text, message.response_metadata)
        except ValueError:
            return None
        if not isinstance(value, dict):
            return None
        if value.get("name") == self.tool_name:
            inner = value.get("arguments", value.get("parameters"))
            value = inner if isinstance(inner, dict) else value
        return cast("JSON", value)

    def _failure(self, message: AIMessage, problem: str, text: str) -> OutputParserException:
        if refusal := message.additional_kwargs.get("refusal"):
            refused = message.model_copy(update={"content": "", "tool_calls": []})
            self.inner.parse_result(
                [ChatGeneration(message=refused)], partial=True
            )  # newer cores raise ModelRefusalError
            problem = f"the model refused: {str(refusal)[:_MAX_QUOTED_CHARS]}"
        return OutputParserException(problem, llm_output=text)

    def _missing(self, message: AIMessage, text: str) -> str:
        if message.invalid_tool_calls:
            return f"the call of {self.tool_name!r} is not valid: {message.invalid_tool_calls[0]['error']}"
        if message.tool_calls:
            return f"the model called {message.tool_calls[0]['name']!r} instead of {self.tool_name!r}"
        cause = completion_problem(message.response_metadata)
        said = f"its text is {text[:_MAX_QUOTED_CHARS]!r}" if text else "its text is empty"
        return f"the model did not call {self.tool_name!r}; {said}" + (f"; {cause}" if cause else "")

    def _transform(self, input: Iterator[str | BaseMessage]) -> Iterator[Any]:  # noqa: A002 - core's name
        received: list[Any] = []
        last = None
        for last in super()._transform(_kept(input, received)):
            yield last
        if received and ((final := self._final(received)) != last or last is None):
            yield final

    async def _atransform(self, input: AsyncIterator[str | BaseMessage]) -> AsyncIterator[Any]:  # noqa: A002
        received: list[Any] = []
        last = None
        async for last in super()._atransform(_akept(input, received)):
            yield last
        if received and ((final := self._final(received)) != last or last is None):
            yield final

    def _final(self, received: list[Any]) -> Any:
        return self.parse_result([ChatGeneration(message=sum(received[1:], received[0]))])

    @property
    def _type(self) -> str:
        return "structured_output"


def _kept(chunks: Iterator[Any], received: list[Any]) -> Iterator[Any]:
    for chunk in chunks:
        received.append(chunk)
        yield chunk


async def _akept(chunks: AsyncIterator[Any], received: list[Any]) -> AsyncIterator[Any]:
    async for chunk in chunks:
        received.append(chunk)
        yield chunk


class _Part(AddableDict):
    """A part of a streamed `{"raw", "parsed", "parsing_error"}`: messages add up, of the rest the last counts."""

    def __add__(self, other: AddableDict) -> _Part:
        raw = [part["raw"] for part in (self, other) if part.get("raw") is not None]
        return _Part({**self, **other, **({"raw": sum(raw[1:], raw[0])} if raw else {})})


class RawAndParsed(Runnable[dict[str, Any], dict[str, Any]]):
    """Adds what a message holds, or why it holds nothing, to `{"raw": message}`.

    Args:
        parser: Parses the message.
    """

    def __init__(self, parser: StructuredOutputParser) -> None:
        self.parser = parser

    def invoke(self, input: dict[str, Any], config: RunnableConfig | None = None, **kwargs: Any) -> dict[str, Any]:  # noqa: A002
        """Return `{"raw", "parsed", "parsing_error"}`."""
        return self._call_with_config(self._parsed, input, config, run_type="parser")

    def transform(
        self,
        input: Iterator[dict[str, Any]],  # noqa: A002
        config: RunnableConfig | None = None,
        **kwargs: Any,
    ) -> Iterator[dict[str, Any]]:
        """Return the parts of `{"raw", "parsed", "parsing_error"}` as they come."""
        for part in self._transform_stream_with_config(input, self._parts, config, run_type="parser"):  # noqa: UP028 - twin
            yield part

    async def atransform(
        self,
        input: AsyncIterator[dict[str, Any]],  # noqa: A002
        config: RunnableConfig | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[dict[str, Any]]:
        """Return the parts of `{"raw", "parsed", "parsing_error"}` as they come."""
        async for part in self._atransform_stream_with_config(input, self._aparts, config, run_type="parser"):
            yield part

    def _parsed(self, given: dict[str, Any]) -> dict[str, Any]:
        try:
            parsed = self.parser.parse_result([ChatGeneration(message=given["raw"])])
        except Exception as error:  # noqa: BLE001 - whatever is wrong with a response is reported, not raised
            return {**given, "parsed": None, "parsing_error": error}
        return {**given, "parsed": parsed, "parsing_error": None}

    def _parts(self, input: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:  # noqa: A002
        total, shown = _Part(), None
        for part in input:
            total += _Part(part)
            yield _Part(part)
            if (value := self._partial(total)) is not None and value != shown:
                yield _Part(parsed=(shown := value))
        if total:
            yield _Part({name: value for name, value in self._parsed(total).items() if name != "raw"})

    async def _aparts(self, input: AsyncIterator[dict[str, Any]]) -> AsyncIterator[dict[str, Any]]:  # noqa: A002
        total, shown = _Part(), None
        async for part in input:
            total += _Part(part)
            yield _Part(part)
            if (value := self._partial(total)) is not None and value != shown:
                yield _Part(parsed=(shown := value))
        if total:
            yield _Part({name: value for name, value in self._parsed(total).items() if name != "raw"})

    def _partial(self, total: _Part) -> Any:
        try:
            return self.parser.parse_result([ChatGeneration(message=total["raw"])], partial=True)
        except Exception:  # noqa: BLE001 - the end of the stream shows whether anything is wrong
            return None

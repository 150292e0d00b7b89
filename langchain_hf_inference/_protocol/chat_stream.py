"""The events of a chat-completion stream -> ChatGenerationChunks.

What a stream may hold was recorded from TGI 1.4 to 3.3, vLLM, SGLang, llama.cpp, transformers
serve, mlx-lm and twenty providers. Held to the end, because LangChain adds chunks up: usage (it
may come on its own, on each chunk, or twice; the last counts), finish_reason, model and id
(strings would be joined), reasoning details, sources, and arguments that are no plain object.
How the response ended is decided in `response_end.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.messages.tool import ToolCallChunk
from langchain_core.outputs import ChatGenerationChunk
from pydantic_core import from_json

from langchain_hf_inference._protocol.chat_response import (
    ReadOptions,
    body_facts,
    choice_facts,
    content_pieces,
    cost_facts,
    header_facts,
    other_output,
    read_chat_response,
    reasoning_text,
    sources,
)
from langchain_hf_inference._protocol.chunks import MODEL_PROVIDER, call_chunk, chat_chunk
from langchain_hf_inference._protocol.error_response import read_stream_error
from langchain_hf_inference._protocol.lenient_json import parse_json, parse_whole_json
from langchain_hf_inference._protocol.partial import PartialKeeper
from langchain_hf_inference._protocol.reasoning_details import ReasoningDetails
from langchain_hf_inference._protocol.response_end import (
    end_calls,
    end_reason,
    opens_empty_arguments,
    reason_of_nothing,
)
from langchain_hf_inference._protocol.sse import ServerSentEvent
from langchain_hf_inference._protocol.streamed_text import StreamedText
from langchain_hf_inference._protocol.tool_calls import ToolCallReader, added_chunks, as_chunks
from langchain_hf_inference._protocol.usage import INTERRUPTED, raw_usage, read_usage
from langchain_hf_inference._protocol.wire import JSON, WireRequest, as_list, as_object
from langchain_hf_inference.errors import StreamError

_KNOWN = frozenset({"role", "content", "tool_calls"})
"""Keys of deltas in which there is no reasoning to look for, nor anything else."""
_KNOWN_REASONING = frozenset({"role", "content", "reasoning_content", "reasoning"})
"""Keys of deltas in which there is nothing beside reasoning, where they hold no text."""
_NAMING_EVENTS = 8
"""The id and the model of a response are looked for in so many events; not every server sends them."""
_LAST_COUNTS = ("timings", "time_info")
"""Facts that grow while a response streams."""
_OF_REASONING = ("reasoning_content", "reasoning", "reasoning_details")


class ChatStreamReader(PartialKeeper):
    """Reads one stream: `read` each event, then `close`. Keeps what has come for `partial`."""

    def __init__(self, request: WireRequest, headers: Mapping[str, str], options: ReadOptions) -> None:
        self._request, self._headers, self._options = request, headers, options
        self._text = StreamedText(options)
        self._texts, self._reasonings, self._cutter = self._text.texts, self._text.reasonings, self._text.cutter
        self._calls = ToolCallReader()
        self._details = ReasoningDetails()
        self._call_chunks: list[ToolCallChunk] = []
        self._facts: JSON = {}
        self._finish: JSON = {}
        self._sources: JSON = {}
        self._others: JSON = {}
        self._usage: JSON = {}
        self._noted = 0
        self._has_events = self._done = self._is_plain = self._has_messages = False
        self._can_be_plain = self._text.splitter is None

    def read(self, event: ServerSentEvent) -> list[ChatGenerationChunk]:
        """Return the chunks that an event holds: reasoning, text and tool calls apart, nothing for an empty delta.

        Raises:
            StreamError: The event reports a failure after output, or is not JSON.
            APIStatusError: The event reports a failure before any output.
        """
        if self._done or not (data := event.data.strip()):
            return []
        if event.is_end:
            self._done = self._has_events = True
            return self._last_chunks()
        try:
            body = from_json(data)
        except ValueError:
            if b"\n" in data:  # events between which a proxy dropped the blank line
                lines = data.split(b"\n")
                return [chunk for line in lines for chunk in self.read(ServerSentEvent(line, event.event))]
            body = self._parsed_leniently(event.event, data)
        if (plain := self._plain(body, event.event)) is not None:
            return plain
        found = as_object(body)
        failure = read_stream_error(event.event, body, data, self._request)
        self._note(found)
        chunks = [chunk for choice in as_list(found.get("choices")) for chunk in self._choice(as_object(choice))]
        if failure:
            raise self._failure(failure)  # what came with it is in `partial`
        return chunks

    def close(self, stray: bytes = b"") -> list[ChatGenerationChunk]:
        """Return the last chunks of a stream without [DONE]; see `_last_chunks`.

        Args:
            stray: What the decoder kept aside; a server may answer a stream with a plain body.

        Raises:
            StreamError: The stream broke off: neither a finish_reason, nor [DONE], nor a whole tool call.
        """
        if self._done:
            return []
        return self._last_chunks() if self._has_events else self._plain_answer(stray)

    def _parsed_leniently(self, name: str, data: bytes) -> Any:
        try:
            body, has_surrogates = parse_json(data)
        except ValueError as error:
            if failure := read_stream_error(name, None, data, self._request):
                raise self._failure(failure) from None
            text = data[:200].decode("utf-8", "replace")
            raise StreamError(f"an event of the stream is not JSON: {text!r}", partial=self.partial()) from error
        if has_surrogates:  # from here on, halves of pairs may have to be joined
            self._is_plain = self._can_be_plain = False
        return body

    def _last_chunks(self) -> list[ChatGenerationChunk]:
        """Return what was held back, and the last chunk: it bears finish_reason, usage and the response's facts."""
        if not (self._done or "finish_reason" in self._finish or self._calls.is_complete()):
            raise StreamError(
                "the stream broke off before its end: no finish_reason and no [DONE] came; `partial` holds what did",
                partial=self.partial(),
                request_id=header_facts(self._headers).get("request_id"),
            )
        chunks = [*self._text.close()]
        fingerprint = str(self._facts.get("system_fingerprint") or "")
        if "finish_reason" not in self._finish and self.partial() is None:
            self._finish["finish_reason"] = reason_of_nothing(self._request, fingerprint)
        reason = end_reason(self._finish.get("finish_reason"), has_calls=False, was_cut=self._cutter.found)
        open_is_empty = opens_empty_arguments(self._request, fingerprint)
        chunks += self._call_chunk(self._calls.close(reason, open_is_empty=open_is_empty))
        ending = choice_facts(self._finish, has_calls=self._calls.has_calls(), cut=self._cutter.found)
        facts, usage = {**self._facts, **header_facts(self._headers)}, read_usage(self._usage)
        details = self._details.merged()
        message = AIMessageChunk(
            content="",
            additional_kwargs=self._sources | ({"reasoning_details": details} if details else {}),
            response_metadata={
                "model_provider": MODEL_PROVIDER,
                **facts,
                **cost_facts(usage, facts, self._options),
                **{name: fact for name, fact in ending.items() if name != "logprobs"},
                **({"token_usage": self._usage} if self._usage else {}),
            },
            usage_metadata=usage,
            chunk_position="last",
        )
        return [*chunks, ChatGenerationChunk(message=message)]

    def partial(self) -> AIMessageChunk | None:
        """Return the message as far as it has come, None while there is nothing.

        A call that is not complete yet is among its `invalid_tool_calls`.
        """
        if not (self._texts or self._reasonings or self._call_chunks):
            return None
        reasoning = "".join(self._reasonings)
        message = AIMessageChunk(
            content="".join(self._texts),
            additional_kwargs={"reasoning_content": reasoning} if reasoning else {},
            response_metadata={"model_provider": MODEL_PROVIDER},
            tool_call_chunks=added_chunks(self._call_chunks),
        )
        if self._call_chunks:
            message.tool_calls, message.invalid_tool_calls = end_calls(self._calls.collected(), INTERRUPTED)
        return message

    def _plain(self, body: Any, name: str) -> list[ChatGenerationChunk] | None:
        """Read what nearly all events are, one piece of text or of a call's arguments; None for all others."""
        if name or type(body) is not dict or not self._is_plain or body.get("usage") or "error" in body:
            return None
        choices = body.get("choices")
        if type(choices) is not list or len(choices) != 1 or type(choice := choices[0]) is not dict:
            return None
        delta = choice.get("delta")
        if type(delta) is not dict or choice.get("finish_reason") or choice.get("logprobs") or "error" in choice:
            return None
        if not delta.keys() <= _KNOWN:
            return self._plain_reasoning(delta)
        text = delta.get("content")
        if "tool_calls" in delta:
            call = None if text else self._calls.further(delta["tool_calls"])
            if call is None:
                return None
            self._call_chunks.append(call)
            return [call_chunk([call])]
        if type(text) is not str:
            return None
        if text and self._options.stop:
            text = self._cutter.feed(text)
        if not text:
            return []
        self._texts.append(text)
        return [chat_chunk(text)]

    def _plain_reasoning(self, delta: JSON) -> list[ChatGenerationChunk] | None:
        text = delta.get("reasoning_content") or delta.get("reasoning")
        if type(text) is not str or delta.get("content") or not delta.keys() <= _KNOWN_REASONING:
            return None
        if not text:
            return []
        self._reasonings.append(text)
        return [chat_chunk("", extra={"reasoning_content": text})]

    def _note(self, body: JSON) -> None:
        """Take note of an event's facts: the first value that is not empty counts, of timings and usage the last."""
        self._has_events = True
        facts = body_facts(body)
        self._facts = {**facts, **self._facts, **{k: v for k, v in facts.items() if k in _LAST_COUNTS}}
        self._noted += 1  # Azure and others send the id and the model with a later event than the first
        self._is_plain = self._can_be_plain and (
            {"id", "model_name"} <= self._facts.keys() or self._noted >= _NAMING_EVENTS
        )
        self._sources |= sources(body)
        self._usage = raw_usage(body) or self._usage

    def _choice(self, choice: JSON) -> Iterator[ChatGenerationChunk]:
        delta = as_object(choice.get("delta")) or self._unseen(as_object(choice.get("message")))
        if choice.get("finish_reason"):
            apart = ("delta", "message", "logprobs", "usage")
            self._finish |= {k: v for k, v in choice.items() if v is not None and k not in apart}
        text, thought = content_pieces(delta.get("content"))
        if not delta.keys() <= _KNOWN or thought:
            self._details.add(delta)
            yield from self._text.read_reasoning(reasoning_text(delta) + thought)
        if text or choice.get("logprobs"):
            yield from self._text.read_text(text, choice.get("logprobs"))
        if calls := delta.get("tool_calls"):
            yield from self._call_chunk(self._calls.read(calls))
        elif "function_call" in delta and (legacy := as_object(delta["function_call"])):  # OpenAI before tools
            yield from self._call_chunk(self._calls.read([{"index": 0, "function": legacy}]))
        if not delta.keys() <= _KNOWN:
            if channel := delta.get("channel"):
                self._facts["channel"] = channel
            if other := other_output(delta):
                self._others |= dict.fromkeys(other, True)
                yield chat_chunk("", extra=other)

    def _unseen(self, message: JSON) -> JSON:
        """Return what is new in a message without a delta: a last event may hold the complete message once more."""
        if not message:
            return {}
        seen = {**self._others, **dict.fromkeys(_OF_REASONING, self._reasonings), "content": self._texts,
                "tool_calls": self._call_chunks, "function_call": self._call_chunks}  # fmt: skip
        is_repeated = not self._has_messages or message.get("content") == "".join(self._texts)
        found = {key: value for key, value in message.items() if not (is_repeated and seen.get(key))}
        self._has_messages = self._has_messages or any(found.get(key) for key in seen)
        return found

    def _call_chunk(self, calls: list[ToolCallChunk]) -> Iterator[ChatGenerationChunk]:
        if calls:
            self._call_chunks += calls
            yield call_chunk(calls)

    def _plain_answer(self, stray: bytes) -> list[ChatGenerationChunk]:
        """Read a body that is no event stream: an error, or the whole answer at once."""
        text = stray.strip()
        try:
            body = parse_whole_json(text) if text else None
        except ValueError:
            body = None
        if failure := read_stream_error("", body, text, self._request):
            raise failure
        if not as_object(body).get("choices"):
            shown = text[:200].decode("utf-8", "replace")
            raise StreamError(f"the server sent no events; it sent {shown!r}" if shown else "the stream was empty")
        result = read_chat_response(body, self._headers, self._options, self._request)
        counts = {"token_usage": found} if (found := (result.llm_output or {}).get("token_usage")) else {}
        whole = cast("AIMessage", result.generations[0].message)
        message = AIMessageChunk(
            content=whole.content, additional_kwargs=whole.additional_kwargs,
            response_metadata=whole.response_metadata | counts, usage_metadata=whole.usage_metadata,
            tool_call_chunks=as_chunks(whole), chunk_position="last",
        )  # fmt: skip
        return [ChatGenerationChunk(message=message)]

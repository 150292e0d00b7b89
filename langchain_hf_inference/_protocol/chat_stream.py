"""The events of a chat-completion stream -> ChatGenerationChunks.

What a stream may hold was recorded from TGI 1.4 to 3.3, vLLM, SGLang, llama.cpp, transformers
serve, mlx-lm and twenty providers. Held to the end, because LangChain adds chunks up: usage (it
may come on its own, on each chunk, or twice; the last counts), finish_reason, model and id
(strings would be joined), and old TGI's tool calls (wrapped in an object that must be whole).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from langchain_core.messages import AIMessageChunk
from langchain_core.messages.tool import ToolCallChunk, tool_call_chunk
from langchain_core.outputs import ChatGenerationChunk
from pydantic_core import from_json

from langchain_hf_inference._protocol.chat_response import (
    FAILED_REASONS,
    ReadOptions,
    body_facts,
    choice_facts,
    content_pieces,
    cost_facts,
    header_facts,
    opaque_reasoning,
    other_output,
    read_chat_response,
    reasoning_text,
)
from langchain_hf_inference._protocol.chunks import MODEL_PROVIDER, call_chunk, chat_chunk
from langchain_hf_inference._protocol.error_response import read_stream_error
from langchain_hf_inference._protocol.partial import PartialKeeper
from langchain_hf_inference._protocol.reasoning import ThinkTagSplitter
from langchain_hf_inference._protocol.sse import ServerSentEvent
from langchain_hf_inference._protocol.stop_text import StopCutter
from langchain_hf_inference._protocol.tool_calls import ToolCallReader
from langchain_hf_inference._protocol.usage import read_usage
from langchain_hf_inference._protocol.wire import JSON, WireRequest, as_list, as_object
from langchain_hf_inference.errors import StreamError

_KNOWN = frozenset({"role", "content", "tool_calls"})
"""Keys of deltas in which there is no reasoning to look for, nor anything else."""


class ChatStreamReader(PartialKeeper):
    """Reads one stream: `read` each event, then `close`. Keeps what has come for `partial`."""

    def __init__(self, request: WireRequest, headers: Mapping[str, str], options: ReadOptions) -> None:
        self._request, self._headers, self._options = request, headers, options
        self._cutter = StopCutter(options.stop)
        self._splitter = ThinkTagSplitter(opened=options.think_tags == "open") if options.think_tags else None
        self._calls = ToolCallReader()
        self._texts: list[str] = []
        self._reasonings: list[str] = []
        self._call_chunks: list[ToolCallChunk] = []
        self._facts: JSON = {}
        self._finish: JSON = {}
        self._usage: Any = None
        self._has_events = self._done = False

    def read(self, event: ServerSentEvent) -> list[ChatGenerationChunk]:
        """Give the chunks that an event holds: reasoning, text and tool calls apart, nothing for an empty delta.

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
        except ValueError as error:
            if b"\n" in data:  # events between which a proxy dropped the blank line
                lines = data.split(b"\n")
                return [chunk for line in lines for chunk in self.read(ServerSentEvent(line, event.event))]
            if failure := read_stream_error(event.event, None, data, self._request):
                raise self._failure(failure) from None
            text = data[:200].decode("utf-8", "replace")
            raise StreamError(f"an event of the stream is not JSON: {text!r}", partial=self.partial()) from error
        if (plain := self._plain(body, event.event)) is not None:
            return plain
        if failure := read_stream_error(event.event, body, data, self._request):
            raise self._failure(failure)
        self._note(as_object(body))
        return [
            chunk for choice in as_list(as_object(body).get("choices")) for chunk in self._choice(as_object(choice))
        ]

    def close(self, stray: bytes = b"") -> list[ChatGenerationChunk]:
        """Give the last chunks of a stream without [DONE]; see `_last_chunks`.

        Args:
            stray: What the decoder kept aside; a server may answer a stream with a plain body.

        Raises:
            StreamError: The stream broke off: neither a finish_reason, nor [DONE], nor a whole tool call.
        """
        if self._done:
            return []
        return self._last_chunks() if self._has_events else self._plain_answer(stray)

    def _last_chunks(self) -> list[ChatGenerationChunk]:
        """Give what was held, and the last chunk: it bears finish_reason, usage and the answer's facts."""
        if str(self._finish.get("finish_reason")) in FAILED_REASONS:
            reason = self._finish["finish_reason"]
            raise StreamError(f"the server ended the answer with {reason!r}", partial=self.partial())
        if not (self._done or "finish_reason" in self._finish or self._calls.is_complete()):
            raise StreamError(
                "the stream broke off before its end: no finish_reason and no [DONE] came; `partial` holds what did",
                partial=self.partial(),
                request_id=header_facts(self._headers).get("request_id"),
            )
        chunks = [*self._rest_of_text(), *self._call_chunk(self._calls.close())]
        ending = choice_facts(self._finish, has_calls=self._calls.has_calls(), cut=self._cutter.found)
        facts, usage = {**self._facts, **header_facts(self._headers)}, read_usage(self._usage)
        message = AIMessageChunk(
            content="",
            response_metadata={
                "model_provider": MODEL_PROVIDER,
                **facts,
                **cost_facts(usage, facts, self._options),
                **{name: fact for name, fact in ending.items() if name != "logprobs"},
            },
            usage_metadata=usage,
            chunk_position="last",
        )
        return [*chunks, ChatGenerationChunk(message=message)]

    def partial(self) -> AIMessageChunk | None:
        """Give the message as far as it has come, None while there is nothing."""
        if not (self._texts or self._reasonings or self._call_chunks):
            return None
        reasoning = "".join(self._reasonings)
        return AIMessageChunk(
            content="".join(self._texts),
            additional_kwargs={"reasoning_content": reasoning} if reasoning else {},
            response_metadata={"model_provider": MODEL_PROVIDER},
            tool_call_chunks=_merged(self._call_chunks),
        )

    def _plain(self, body: Any, name: str) -> list[ChatGenerationChunk] | None:
        """Read what nearly all events are, one piece of text or of a call's arguments; None for all others."""
        if name or type(body) is not dict or not self._has_events or body.get("usage") or "error" in body:
            return None
        choices = body.get("choices")
        if type(choices) is not list or len(choices) != 1 or type(choice := choices[0]) is not dict:
            return None
        delta = choice.get("delta")
        if (
            type(delta) is not dict
            or not delta.keys() <= _KNOWN
            or choice.get("finish_reason")
            or choice.get("logprobs")
        ):
            return None
        text = delta.get("content")
        if "tool_calls" in delta:
            call = None if text else self._calls.further(delta["tool_calls"])
            if call is None:
                return None
            self._call_chunks.append(call)
            return [call_chunk([call])]
        if type(text) is not str or self._splitter:
            return None
        if text and self._options.stop:
            text = self._cutter.feed(text)
        if not text:
            return []
        self._texts.append(text)
        return [chat_chunk(text)]

    def _note(self, body: JSON) -> None:
        if not self._has_events or body.get("usage"):
            self._facts |= body_facts(body)
            self._has_events = True
        if body.get("usage"):
            self._usage = body["usage"]

    def _choice(self, choice: JSON) -> Iterator[ChatGenerationChunk]:
        delta = as_object(choice.get("delta")) or as_object(choice.get("message"))
        if choice.get("finish_reason"):
            self._finish |= {k: v for k, v in choice.items() if v is not None and k not in ("delta", "logprobs")}
        text, thought = content_pieces(delta.get("content"))
        if not delta.keys() <= _KNOWN or thought:
            yield from self._reasoning_chunk(reasoning_text(delta) + thought, opaque_reasoning(delta))
        if text or choice.get("logprobs"):
            yield from self._text_chunks(text, choice.get("logprobs"))
        if delta.get("tool_calls"):
            yield from self._call_chunk(self._calls.read(delta["tool_calls"]))
        if not delta.keys() <= _KNOWN and (other := other_output(delta)):
            yield chat_chunk("", extra=other)

    def _reasoning_chunk(self, text: str, details: list[Any] | None = None) -> Iterator[ChatGenerationChunk]:
        if text:
            self._reasonings.append(text)
        extra: JSON = {"reasoning_content": text} if text else {}
        if details:
            extra["reasoning_details"] = details
        if extra:
            yield chat_chunk("", extra=extra)

    def _text_chunks(self, text: str, logprobs: Any = None) -> Iterator[ChatGenerationChunk]:
        if self._splitter and text:
            pieces = self._splitter.feed(text)
            yield from self._reasoning_chunk("".join(piece for kind, piece in pieces if kind == "reasoning"))
            text = "".join(piece for kind, piece in pieces if kind == "text")
        if text:
            text = self._cutter.feed(text)
        if text:
            self._texts.append(text)
        if text or logprobs:
            yield chat_chunk(text, info={"logprobs": logprobs} if logprobs else None)

    def _rest_of_text(self) -> Iterator[ChatGenerationChunk]:
        pieces = self._splitter.close() if self._splitter else []
        yield from self._reasoning_chunk("".join(piece for kind, piece in pieces if kind == "reasoning"))
        text = self._cutter.feed("".join(piece for kind, piece in pieces if kind == "text")) + self._cutter.close()
        if text:
            self._texts.append(text)
            yield chat_chunk(text)

    def _call_chunk(self, calls: list[ToolCallChunk]) -> Iterator[ChatGenerationChunk]:
        if calls:
            self._call_chunks += calls
            yield call_chunk(calls)

    def _plain_answer(self, stray: bytes) -> list[ChatGenerationChunk]:
        """Read a body that is no event stream: an error, or the whole answer at once."""
        text = stray.strip()
        try:
            body = from_json(text) if text else None
        except ValueError:
            body = None
        if failure := read_stream_error("", body, text, self._request):
            raise failure
        if not as_object(body).get("choices"):
            shown = text[:200].decode("utf-8", "replace")
            raise StreamError(f"the server sent no events; it sent {shown!r}" if shown else "the stream was empty")
        result = read_chat_response(body, self._headers, self._options, self._request)
        whole = result.generations[0].message
        calls = [
            tool_call_chunk(name=call["name"], args=text_of, id=call["id"], index=i)
            for i, (call, text_of) in enumerate(_written(whole))
        ]
        message = AIMessageChunk(
            content=whole.content, additional_kwargs=whole.additional_kwargs, response_metadata=whole.response_metadata,
            usage_metadata=getattr(whole, "usage_metadata", None), tool_call_chunks=calls, chunk_position="last",
        )  # fmt: skip
        return [ChatGenerationChunk(message=message)]


def _written(message: Any) -> list[tuple[Any, str]]:
    calls = [(call, json.dumps(call["args"], ensure_ascii=False)) for call in message.tool_calls]
    return calls + [(bad, bad["args"] or "") for bad in message.invalid_tool_calls]


def _merged(chunks: list[ToolCallChunk]) -> list[ToolCallChunk]:
    calls: dict[int | None, ToolCallChunk] = {}
    for chunk in chunks:
        known = calls.setdefault(chunk["index"], tool_call_chunk(name=None, args="", id=None, index=chunk["index"]))
        known["name"] = known["name"] or chunk["name"]
        known["id"] = known["id"] or chunk["id"]
        known["args"] = (known["args"] or "") + (chunk["args"] or "")
    return list(calls.values())

"""The chunks of a stream -> LangChain's content-block events (protocol v3), and the hooks that core looks for.

Without these hooks core makes the events from `AIMessageChunk.content_blocks`, at three times the cost.
Source of the protocol: langchain-protocol 0.0.20 and langchain-tests' `assert_valid_event_stream`.
"""

from __future__ import annotations

from abc import ABC
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, closing
from typing import Any, cast

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.messages.tool import ToolCallChunk
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_core.utils._merge import merge_dicts
from langchain_core.version import VERSION
from pydantic import ConfigDict

from langchain_hf_inference._content_blocks import CALL, citations, other_blocks
from langchain_hf_inference._protocol.invalid_calls import restore_invalid_calls
from langchain_hf_inference._protocol.tool_calls import finished_call
from langchain_hf_inference._protocol.wire import JSON

Event = dict[str, Any]
_KNOWS_CALL_DELTAS = tuple(map(int, VERSION.split(".")[:2])) >= (1, 7)
"""langchain-core 1.6 passes by what it does not know; it wants a call's arguments so far, each time."""
_HEAVY = ("base64", "value", "refusal")
"""What a block that comes at once says with its end, not twice."""


class _Block:
    """A block that is being streamed: its number among the events, and its pieces."""

    __slots__ = ("index", "pieces", "skeleton")

    def __init__(self, index: int, skeleton: JSON) -> None:
        self.index, self.skeleton = index, skeleton
        self.pieces: list[str] = []

    def finished(self, reason: str | None) -> JSON:
        """Return the whole block; `reason` is the finish reason of the response."""
        kind, whole = self.skeleton["type"], "".join(self.pieces)
        if kind != "tool_call_chunk":
            return {**self.skeleton, kind: whole}
        return finished_call(self.skeleton["name"], whole, self.skeleton["id"], reason)


class StreamEventWriter:
    """Turns the chunks of one answer into events: `write` each chunk, then `close`."""

    def __init__(self) -> None:
        self._blocks: dict[Any, _Block] = {}
        self._metadata: JSON = {}
        self._info: JSON = {}
        self._extra: JSON = {}
        self._usage: Any = None
        self._started = False

    def write(self, chunk: ChatGenerationChunk) -> Iterator[Event]:
        """Give the events of one chunk."""
        message = cast("AIMessageChunk", chunk.message)
        if chunk.generation_info:  # log probabilities, which add up
            self._info = merge_dicts(self._info, chunk.generation_info)
        self._metadata |= message.response_metadata
        if not self._started:
            self._started = True
            names = {"provider": "model_provider", "model": "model_name"}
            known = {name: self._metadata[key] for name, key in names.items() if key in self._metadata}
            yield {"event": "message-start", "role": "ai", "id": "", "metadata": known}
        if message.additional_kwargs:
            self._extra = merge_dicts(self._extra, message.additional_kwargs)
            if reasoning := message.additional_kwargs.get("reasoning_content"):
                yield from self._piece("reasoning", "reasoning", reasoning)
        if message.content or "annotations" in message.additional_kwargs:
            yield from self._piece("text", "text", cast("str", message.content))
        for call in message.tool_call_chunks:
            yield from self._call_piece(call)
        if message.usage_metadata:
            self._usage = message.usage_metadata

    def close(self) -> Iterator[Event]:
        """Give the ends of all blocks, and of the message."""
        if not self._started:
            return
        if sources := citations(self._extra):
            self._blocks["text"].skeleton["annotations"] = sources
        for block in self._blocks.values():
            yield {
                "event": "content-block-finish",
                "index": block.index,
                "content": block.finished(self._metadata.get("finish_reason")),
            }
        for index, numbered in enumerate(other_blocks(self._extra), start=len(self._blocks)):
            content = {key: value for key, value in numbered.items() if key != "index"}
            skeleton = {key: value for key, value in content.items() if key not in _HEAVY}
            yield {"event": "content-block-start", "index": index, "content": skeleton}
            yield {"event": "content-block-finish", "index": index, "content": content}
        finish: Event = {"event": "message-finish", "metadata": {**self._info, **self._metadata}}
        if self._usage:
            finish["usage"] = dict(self._usage)
        if self._extra:
            finish["additional_kwargs"] = self._extra
        yield finish

    def _piece(self, key: str, kind: str, text: str) -> Iterator[Event]:
        block = self._blocks.get(key)
        if block is None:
            block = self._blocks[key] = _Block(len(self._blocks), {"type": kind, kind: ""})
            yield {"event": "content-block-start", "index": block.index, "content": dict(block.skeleton)}
        if not text:
            return
        block.pieces.append(text)
        yield {"event": "content-block-delta", "index": block.index, "delta": {"type": f"{kind}-delta", kind: text}}

    def _call_piece(self, call: ToolCallChunk) -> Iterator[Event]:
        block = self._blocks.get(call["index"])
        if block is None:
            skeleton: JSON = {"type": "tool_call_chunk", "id": call["id"], "name": call["name"], "args": ""}
            block = self._blocks[call["index"]] = _Block(len(self._blocks), skeleton)
            start = {**skeleton, "index": CALL.format(call["index"])}
            yield {"event": "content-block-start", "index": block.index, "content": start}
        else:
            block.skeleton["id"] = block.skeleton["id"] or call["id"]
            block.skeleton["name"] = block.skeleton["name"] or call["name"]
        if args := call["args"]:
            block.pieces.append(args)
            delta: JSON = {"type": "tool-call-delta", "args": args}
            if not _KNOWS_CALL_DELTAS:
                whole = {**block.skeleton, "args": "".join(block.pieces), "index": CALL.format(call["index"])}
                delta = {"type": "block-delta", "fields": whole}
            yield {"event": "content-block-delta", "index": block.index, "delta": delta}


def _with_restored_calls(result: ChatResult) -> ChatResult:
    for generation in result.generations:
        if isinstance(generation.message, AIMessage) and generation.message.invalid_tool_calls:
            restore_invalid_calls(generation.message)
    return result


class EventStreaming(BaseChatModel, ABC):
    """A chat model that streams content-block events by itself, and reads its own streams as they were meant.

    `_generate_with_cache` is where core adds up the chunks of a stream for `invoke`. Core has no public hook behind that;
    should it stop calling the method, invalid calls keep the mark that makes them invalid (test_response_end.py).
    """

    model_config = ConfigDict(defer_build=True)  # nobody makes one of these

    def _generate_with_cache(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        result = super()._generate_with_cache(messages, stop, run_manager, **kwargs)
        return _with_restored_calls(result)

    async def _agenerate_with_cache(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        result = await super()._agenerate_with_cache(messages, stop, run_manager, **kwargs)
        return _with_restored_calls(result)

    def _stream_chat_model_events(
        self,
        messages: list[BaseMessage],
        *,
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[Event]:
        writer = StreamEventWriter()
        with closing(cast("Any", self._stream(messages, stop, run_manager, **kwargs))) as chunks:
            for chunk in chunks:
                for event in writer.write(chunk):
                    yield event
        for event in writer.close():
            yield event

    async def _astream_chat_model_events(
        self,
        messages: list[BaseMessage],
        *,
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[Event]:
        writer = StreamEventWriter()
        async with aclosing(cast("Any", self._astream(messages, stop, run_manager, **kwargs))) as chunks:
            async for chunk in chunks:
                for event in writer.write(chunk):
                    yield event
        for event in writer.close():
            yield event

"""The text and the reasoning of a chat stream: surrogate pairs joined, `<think>` tags split off, stop strings cut."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from langchain_core.outputs import ChatGenerationChunk

from langchain_hf_inference._protocol.chat_response import ReadOptions
from langchain_hf_inference._protocol.chunks import chat_chunk
from langchain_hf_inference._protocol.lenient_json import SurrogateJoiner, without_surrogates
from langchain_hf_inference._protocol.reasoning import ThinkTagSplitter
from langchain_hf_inference._protocol.stop_text import StopCutter


class StreamedText:
    """Turns pieces into chunks, and keeps what has come."""

    def __init__(self, options: ReadOptions) -> None:
        self.texts: list[str] = []
        self.reasonings: list[str] = []
        self.cutter = StopCutter(options.stop)
        self.splitter = ThinkTagSplitter(opened=options.think_tags == "open") if options.think_tags else None
        self._text_joiner, self._reasoning_joiner = SurrogateJoiner(), SurrogateJoiner()

    def read_text(self, piece: str, logprobs: Any = None) -> Iterator[ChatGenerationChunk]:
        """Return the chunks of a piece of text, with its log probabilities."""
        yield from self._split(self._text_joiner.feed(piece), without_surrogates(logprobs) if logprobs else None)

    def read_reasoning(self, piece: str) -> Iterator[ChatGenerationChunk]:
        """Return the chunk of a piece of reasoning."""
        yield from self._reasoning(self._reasoning_joiner.feed(piece))

    def close(self) -> Iterator[ChatGenerationChunk]:
        """Return the chunks of what was held back."""
        yield from self._reasoning(self._reasoning_joiner.close())
        yield from self._split(self._text_joiner.close())
        pieces = self.splitter.close() if self.splitter else []
        yield from self._reasoning("".join(piece for kind, piece in pieces if kind == "reasoning"))
        text = self.cutter.feed("".join(piece for kind, piece in pieces if kind == "text")) + self.cutter.close()
        if text:
            self.texts.append(text)
            yield chat_chunk(text)

    def _split(self, text: str, logprobs: Any = None) -> Iterator[ChatGenerationChunk]:
        if self.splitter and text:
            pieces = self.splitter.feed(text)
            yield from self._reasoning("".join(piece for kind, piece in pieces if kind == "reasoning"))
            text = "".join(piece for kind, piece in pieces if kind == "text")
        if text:
            text = self.cutter.feed(text)
        if text:
            self.texts.append(text)
        if text or logprobs:
            yield chat_chunk(text, info={"logprobs": logprobs} if logprobs else None)

    def _reasoning(self, text: str) -> Iterator[ChatGenerationChunk]:
        if text:
            self.reasonings.append(text)
            yield chat_chunk("", extra={"reasoning_content": text})

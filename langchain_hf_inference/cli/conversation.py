"""One side of a conversation in the terminal: a model, what was said, and the answer that is coming."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from langchain_core.messages import AIMessageChunk, BaseMessage, HumanMessage, SystemMessage, message_chunk_to_message

from langchain_hf_inference.chat_models import ChatHFInference
from langchain_hf_inference.errors import HFInferenceError
from langchain_hf_inference.nodes.action import error_envelope


@dataclass
class Side:
    """A model and its conversation."""

    model: ChatHFInference
    name: str
    said: list[BaseMessage] = field(default_factory=list)
    answer: AIMessageChunk | None = None
    """What has come of the last answer."""
    error: Exception | None = None
    first_s: float | None = None
    seconds: float = 0.0
    is_stopped: bool = False

    def begin(self, system: str | None) -> None:
        """Forget what was said."""
        self.said = [SystemMessage(system)] if system else []

    def ask(self, question: str, on_piece: Callable[[AIMessageChunk], Any]) -> None:
        """Stream an answer; what fails is kept in `error`, and then nothing was said."""
        self.answer, self.error, self.first_s, self.is_stopped = None, None, None, False
        asked, begun = [*self.said, HumanMessage(question)], time.monotonic()
        try:
            for chunk in self.model.stream(asked):
                if not isinstance(chunk, AIMessageChunk):  # pragma: no cover - our model streams nothing else
                    continue
                if self.first_s is None and (chunk.content or chunk.additional_kwargs):
                    self.first_s = time.monotonic() - begun
                self.answer = chunk if self.answer is None else self.answer + chunk
                self.seconds = time.monotonic() - begun
                on_piece(chunk)
                if self.is_stopped:
                    return
        except (HFInferenceError, ValueError) as error:
            self.error = error
        self.seconds = time.monotonic() - begun
        if self.answer is not None and self.error is None:
            self.said = [*asked, message_chunk_to_message(self.answer)]

    @property
    def reasoning(self) -> str:
        """The reasoning that has come."""
        return reasoning_of(self.answer)

    def footer(self) -> str:
        """Give tokens, price, provider and time in a line."""
        if self.answer is None:
            return ""
        parts, metadata = [], self.answer.response_metadata
        if usage := self.answer.usage_metadata:
            thought = (usage.get("output_token_details") or {}).get("reasoning")
            parts.append(
                f"{usage['input_tokens']:,} + {usage['output_tokens']:,} tokens"
                + (f" ({thought:,} thought)" if thought else "")
            )
            if usage["output_tokens"] > 1 and self.first_s is not None and self.seconds > self.first_s:
                parts.append(f"{(usage['output_tokens'] - 1) / (self.seconds - self.first_s):,.0f} tokens/s")
        if cost := metadata.get("cost"):
            parts.append(f"${cost['total']:.6f}")
        if provider := metadata.get("served_provider"):
            parts.append(str(provider))
        if self.first_s is not None:
            parts.append(f"first after {self.first_s * 1000:,.0f} ms, all after {self.seconds:,.1f} s")
        if (reason := metadata.get("finish_reason")) not in (None, "stop"):
            parts.append(f"ended by {reason!r}")
        return " · ".join(parts)

    def as_dict(self) -> dict[str, Any]:
        """Give the last answer for JSON."""
        metadata = self.answer.response_metadata if self.answer else {}
        return {
            "model": self.name,
            "text": self.answer.text if self.answer else "",
            "reasoning": self.reasoning or None,
            "tool_calls": self.answer.tool_calls if self.answer else [],
            "usage": self.answer.usage_metadata if self.answer else None,
            "cost": metadata.get("cost"),
            "finish_reason": metadata.get("finish_reason"),
            "served_provider": metadata.get("served_provider"),
            "first_token_s": None if self.first_s is None else round(self.first_s, 3),
            "seconds": round(self.seconds, 3),
            "error": error_envelope(self.error) if self.error else None,
        }


def reasoning_of(message: AIMessageChunk | None) -> str:
    """Give the reasoning of a message, or of a piece of one."""
    return str(message.additional_kwargs.get("reasoning_content") or "") if message else ""


def ask_all(sides: Sequence[Side], question: str, on_piece: Callable[[Side, AIMessageChunk], Any]) -> None:
    """Ask all sides at once. Ctrl-C stops the answers where they are."""

    def ask(side: Side) -> None:
        side.ask(question, lambda chunk: on_piece(side, chunk))

    if len(sides) == 1:
        ask(sides[0])
        return
    with ThreadPoolExecutor(len(sides)) as pool:
        try:
            list(pool.map(ask, sides))
        except KeyboardInterrupt:
            for side in sides:
                side.is_stopped = True
            raise

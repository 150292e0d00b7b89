"""What the answers of text generation have in common, whichever API gave them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from langchain_core.messages import AIMessageChunk

from langchain_hf_inference._protocol.wire import JSON
from langchain_hf_inference.errors import APIStatusError, HFInferenceError, StreamError


@dataclass(frozen=True, slots=True)
class TextOptions:
    """What the reader of an answer has to know about the request."""

    prompt: str = ""
    stop: Sequence[str] = ()
    full_text: bool = False
    """The prompt is to stand before the answer."""
    details: bool = False
    """Each token is to be told of."""

    def failure(self, failure: APIStatusError, partial: str) -> HFInferenceError:
        """Give the error for a failure inside a stream: its own before any text, else StreamError with the text."""
        if not partial:
            return failure
        error = StreamError(
            f"the server reported a failure in the middle of its answer: {failure.message}",
            partial=AIMessageChunk(content=partial),
            status_code=failure.status_code,
            body=failure.body,
        )
        error.__cause__ = failure
        return error


def generation_info(reason: str | None, raw: Any, prompt_tokens: Any, completion_tokens: Any) -> JSON:
    """Give `generation_info`: reason to finish, the engine's own word where it differs, token counts."""
    info: JSON = {} if reason is None else {"finish_reason": reason}
    if raw and raw != reason:
        info["native_finish_reason"] = raw
    counts = {"prompt_tokens": prompt_tokens, "completion_tokens": completion_tokens}
    usage = {name: count for name, count in counts.items() if isinstance(count, int)}
    if len(usage) == len(counts):
        usage["total_tokens"] = sum(usage.values())
    return {**info, "token_usage": usage} if usage else info

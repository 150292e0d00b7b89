"""Token counts and finish reasons, normalized over servers."""

from __future__ import annotations

from typing import Any

from langchain_core.messages.ai import InputTokenDetails, OutputTokenDetails, UsageMetadata

from langchain_hf_inference._protocol.wire import JSON, as_list, as_object

_FINISH_REASONS = {
    "eos_token": "stop",  # TGI
    "stop_sequence": "stop",  # TGI
    "eos": "stop",  # Together
    "end_turn": "stop",
    "": "stop",  # Snowflake
    "max_tokens": "length",
    "model_length": "length",
    "function_call": "tool_calls",
}
FAILED_REASONS = ("error", "abort", "insufficient_system_resource")
"""Finish reasons of a response that the server gave up on (vLLM and OpenRouter, SGLang, DeepSeek)."""
INTERRUPTED = "interrupted"
"""What stands for the finish reason of a stream that broke off."""
TRUNCATED_REASONS = {
    "length": "the response reached max_tokens; raise max_tokens, or ask for less",
    "content_filter": "the server's content filter stopped the response",
    INTERRUPTED: "the stream was interrupted",
}
"""Finish reasons of a response that stops in the middle, with the cause and the fix."""
_STRONGER_THAN_CALLS = (*TRUNCATED_REASONS, *FAILED_REASONS)


def finish_reason(raw: Any, *, has_calls: bool) -> str | None:
    """Return OpenAI's finish reason for a server's own.

    A response with tool calls ends in "tool_calls", whatever the engine reports (TGI: "stop"; vLLM: "stop" for a named
    choice), unless it was truncated or failed.
    """
    reason = None if raw is None else _FINISH_REASONS.get(str(raw), str(raw))
    if has_calls and reason not in _STRONGER_THAN_CALLS:
        return "tool_calls"
    return reason


def raw_usage(body: JSON) -> JSON:
    """Return the `usage` object of a response or event, wherever the server puts it; empty where there is none.

    Groq streams it within `x_groq`, Moonshot within the choice that finishes.
    """
    if (found := body.get("usage")) and isinstance(found, dict):
        return found
    places: list[Any] = [as_object(body.get("x_groq")).get("usage")]
    places += [as_object(choice).get("usage") for choice in as_list(body.get("choices"))]
    return next((found for place in places if (found := as_object(place))), {})


def read_usage(raw: Any) -> UsageMetadata | None:
    """Parse a `usage` object of any server; None where it counts nothing.

    Details that a server does not send are omitted, and none exceeds its total. Counts add up: xAI and Mistral count
    reasoning and audio tokens in `total_tokens` alone, so they are added to the side that they belong to.
    """
    usage = as_object(raw)
    inputs, outputs = (
        _count(usage, "prompt_tokens", "input_tokens"),
        _count(usage, "completion_tokens", "output_tokens"),
    )
    if inputs is None and outputs is None:
        return None
    of_input = as_object(usage.get("prompt_tokens_details")) or as_object(usage.get("input_tokens_details"))
    of_output = as_object(usage.get("completion_tokens_details")) or as_object(usage.get("output_tokens_details"))
    cached = _first(_count(of_input, "cached_tokens"), _count(usage, "cached_tokens", "prompt_cache_hit_tokens"))
    thought = _first(_count(of_output, "reasoning_tokens"), _count(usage, "reasoning_tokens"))
    heard, spoken = _count(of_input, "audio_tokens"), _count(of_output, "audio_tokens")
    total = _count(usage, "total_tokens")
    inputs, outputs = inputs or 0, outputs or 0
    if total != inputs + outputs:
        inputs, outputs = _added_up(inputs, outputs, total, heard=heard, spoken=spoken, thought=thought)
    if total and total > inputs + outputs and usage.get("prompt_audio_seconds"):  # Mistral counts seconds, not tokens
        inputs = total - outputs
    counts = UsageMetadata(input_tokens=inputs, output_tokens=outputs, total_tokens=total or inputs + outputs)
    input_details = _within(inputs, cache_read=cached, audio=heard,
                            cache_creation=_count(of_input, "cache_write_tokens", "cache_creation_tokens"))  # fmt: skip
    output_details = _within(outputs, reasoning=thought, audio=spoken)
    if input_details:
        counts["input_token_details"] = InputTokenDetails(**input_details)  # type: ignore[typeddict-item]
    if output_details:
        counts["output_token_details"] = OutputTokenDetails(**output_details)  # type: ignore[typeddict-item]
    return counts


def _added_up(
    inputs: int, outputs: int, total: int | None, *, heard: int | None, spoken: int | None, thought: int | None
) -> tuple[int, int]:
    """Return both counts with the tokens that only the total includes; which those are, the difference shows."""
    gap = (total or 0) - inputs - outputs
    heard, spoken, thought = heard or 0, spoken or 0, thought or 0
    if gap > 0:
        for more_in, more_out in ((0, thought), (heard, 0), (0, spoken), (heard, thought), (0, thought + spoken),
                                  (heard, spoken), (heard, thought + spoken)):  # fmt: skip
            if more_in + more_out == gap:
                return inputs + more_in, outputs + more_out
    if not total and thought > outputs:  # a part cannot exceed its whole: it was counted apart
        outputs += thought
    return inputs, outputs


def _within(total: int, **counts: int | None) -> dict[str, int]:
    return {name: min(count, total) for name, count in counts.items() if count is not None}


def _first(*counts: int | None) -> int | None:
    return next((count for count in counts if count is not None), None)


def _count(usage: JSON, *names: str) -> int | None:
    for name in names:
        value = usage.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 2**53:
            return int(value)
    return None

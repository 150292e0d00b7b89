"""Token counts and reasons to finish, normalised over servers."""

from __future__ import annotations

from typing import Any

from langchain_core.messages.ai import InputTokenDetails, OutputTokenDetails, UsageMetadata

from langchain_hf_inference._protocol.wire import JSON, as_object

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
_STRONGER_THAN_CALLS = ("length", "content_filter", "error", "abort", "insufficient_system_resource")


def finish_reason(raw: Any, *, has_calls: bool) -> str | None:
    """Give OpenAI's word for why an answer ended.

    An answer with tool calls ends in "tool_calls", whatever the engine says (TGI: "stop"; vLLM:
    "stop" for a named choice), unless it was cut or failed.
    """
    reason = None if raw is None else _FINISH_REASONS.get(str(raw), str(raw))
    if has_calls and reason not in _STRONGER_THAN_CALLS:
        return "tool_calls"
    return reason


def read_usage(raw: Any) -> UsageMetadata | None:
    """Read a `usage` object of any server; None where it counts nothing.

    Details that a server does not give are left out, and none exceeds its total.
    """
    usage = as_object(raw)
    inputs, outputs = (
        _count(usage, "prompt_tokens", "input_tokens"),
        _count(usage, "completion_tokens", "output_tokens"),
    )
    if inputs is None and outputs is None:
        return None
    inputs, outputs = inputs or 0, outputs or 0
    counts = UsageMetadata(
        input_tokens=inputs, output_tokens=outputs, total_tokens=_count(usage, "total_tokens") or inputs + outputs
    )
    of_input, of_output = (
        as_object(usage.get("prompt_tokens_details")),
        as_object(usage.get("completion_tokens_details")),
    )
    cached = _first(_count(of_input, "cached_tokens"), _count(usage, "cached_tokens", "prompt_cache_hit_tokens"))
    thought = _first(_count(of_output, "reasoning_tokens"), _count(usage, "reasoning_tokens"))
    input_details = _within(inputs, cache_read=cached, audio=_count(of_input, "audio_tokens"),
                            cache_creation=_count(of_input, "cache_write_tokens", "cache_creation_tokens"))  # fmt: skip
    output_details = _within(outputs, reasoning=thought, audio=_count(of_output, "audio_tokens"))
    if input_details:
        counts["input_token_details"] = InputTokenDetails(**input_details)  # type: ignore[typeddict-item]
    if output_details:
        counts["output_token_details"] = OutputTokenDetails(**output_details)  # type: ignore[typeddict-item]
    return counts


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

"""Reasoning that is more than text: signatures and encrypted thoughts, which a provider wants back unchanged.

OpenRouter sends `reasoning_details`, rows with an `index`; a stream sends a row in fragments, its text in some of them
and its signature in the last. Mistral sends `content` as a list with parts of type "thinking". Both are kept in
`additional_kwargs["reasoning_details"]`, merged, where they hold more than the text of `reasoning_content`, and
`replay_reasoning` sends them back in the place that they came from.
"""

from __future__ import annotations

from typing import Any

from langchain_hf_inference._protocol.wire import JSON, as_list, as_object

_TEXTS = ("text", "summary", "data")
_PLAIN = frozenset({"type", "text", "format", "index", "summary", "id"})
THINKING = "thinking"


def reasoning_details(message: JSON) -> list[Any]:
    """Return the details of a whole message, merged; none where they say no more than `reasoning_content`."""
    if "reasoning_details" not in message and not isinstance(message.get("content"), list):
        return []
    details = ReasoningDetails()
    details.add(message)
    return details.merged()


class ReasoningDetails:
    """Merges the fragments of one response: `add` each message or delta, then `merged`."""

    def __init__(self) -> None:
        self._rows: list[JSON] = []

    def add(self, message: JSON) -> None:
        """Add what a message or a delta holds."""
        for row in as_list(message.get("reasoning_details")):
            if isinstance(row, dict):
                self._add(row)
        if isinstance(content := message.get("content"), list):
            for part in map(as_object, content):
                if part.get("type") == THINKING:
                    self._add({**part, THINKING: [{"type": "text", "text": _text(part.get(THINKING))}]})

    def merged(self) -> list[Any]:
        """Return the merged rows; none where they say no more than `reasoning_content`."""
        is_more = any(
            row.get("type") == THINKING or any(value for key, value in row.items() if key not in _PLAIN)
            for row in self._rows
        )
        return self._rows if is_more else []

    def _add(self, row: JSON) -> None:
        known = self._known(row)
        if known is None:
            self._rows.append(dict(row))
            return
        for key, value in row.items():
            if value is None:
                continue
            if key in _TEXTS and isinstance(value, str) and isinstance(known.get(key), str):
                known[key] += value
            elif key == THINKING and isinstance(value, list):
                known[key] = [{"type": "text", "text": _text(known.get(key)) + _text(value)}]
            elif known.get(key) in (None, ""):
                known[key] = value

    def _known(self, row: JSON) -> JSON | None:
        """Return the row that `row` continues: that of its index, else the last of its type and id."""
        index, kind = row.get("index"), row.get("type")
        if index is not None:
            same = [row for row in self._rows if row.get("index") == index]
            return next((row for row in same if None in (kind, row.get("type")) or row["type"] == kind), None)
        last = self._rows[-1] if self._rows else None
        if last is None or last.get("index") is not None or last.get("type") != kind or last.get("signature"):
            return None
        return last if row.get("id") in (None, last.get("id")) and kind in (THINKING, "reasoning.text") else None


def _text(parts: Any) -> str:
    if isinstance(parts, str):
        return parts
    return "".join(part if isinstance(part, str) else str(as_object(part).get("text") or "") for part in as_list(parts))

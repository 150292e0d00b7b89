"""Reasoning written as `<think>…</think>` inside the text -> reasoning and text, cut anywhere."""

from __future__ import annotations

from typing import Literal

Kind = Literal["text", "reasoning"]
_State = Literal["start", "opened", "entered", "inside", "closed", "text"]

OPEN, CLOSE = "<think>", "</think>"
MAX_HELD_CHARS = 1000
"""How much white space is held back, at most: each further piece has to look at it again."""


class ThinkTagSplitter:
    """A push splitter: `feed` it text, it gives `(kind, piece)` pairs; `close` it at the end.

    Args:
        opened: The chat template ends the prompt with `<think>` (DeepSeek-R1, QwQ), so that the
            answer begins inside the reasoning and only `</think>` is ever seen.

    Line breaks next to the tags belong to the tags. Only reasoning at the start counts: a tag
    after text is text.
    """

    def __init__(self, *, opened: bool = False) -> None:
        self._state: _State = "opened" if opened else "start"
        self._held = ""

    def feed(self, text: str) -> list[tuple[Kind, str]]:
        """Give the pieces that are certain; what may be the start of a tag is held back."""
        self._held += text
        pieces: list[tuple[Kind, str]] = []
        while self._held and self._advance(pieces):
            pass
        return pieces

    def close(self) -> list[tuple[Kind, str]]:
        """Give what is still held back."""
        held, self._held = self._held, ""
        return [("reasoning" if self._state in ("opened", "entered", "inside") else "text", held)] if held else []

    def _advance(self, pieces: list[tuple[Kind, str]]) -> bool:
        """Take one step; False when more text must come first."""
        if self._state == "start":
            return self._expect_tag(otherwise="text", strip=True)
        if self._state == "opened":  # a model may repeat the tag that its template opened
            self._held = self._held.lstrip("\r\n")
            return self._expect_tag(otherwise="inside", strip=False)
        if self._state in ("entered", "closed"):
            self._held = self._held.lstrip("\r\n")
            if self._held:
                self._state = "inside" if self._state == "entered" else "text"
            return bool(self._held)
        if self._state == "inside":
            return self._reason(pieces)
        pieces.append(("text", self._held))
        self._held = ""
        return False

    def _expect_tag(self, *, otherwise: _State, strip: bool) -> bool:
        text = self._held.lstrip() if strip else self._held
        if len(self._held) - len(text) > MAX_HELD_CHARS:
            self._state = otherwise
            return True
        if text.startswith(OPEN):
            self._held, self._state = text[len(OPEN) :], "entered"
            return True
        if OPEN.startswith(text):
            return False
        self._state = otherwise
        return True

    def _reason(self, pieces: list[tuple[Kind, str]]) -> bool:
        reasoning, tag, rest = self._held.partition(CLOSE)
        if tag:
            self._held, self._state = rest, "closed"
            reasoning = reasoning.rstrip("\r\n")
        else:
            safe = max(len(self._held) - _held_back(self._held), len(self._held) - MAX_HELD_CHARS)
            reasoning, self._held = self._held[:safe], self._held[safe:]
        if reasoning:
            pieces.append(("reasoning", reasoning))
        return bool(tag)


def _held_back(text: str) -> int:
    """Count the characters at the end that may belong to a coming `</think>`, line breaks before it included."""
    for size in range(min(len(CLOSE) - 1, len(text)), 0, -1):
        if CLOSE.startswith(text[-size:]):
            return len(text) - len(text[:-size].rstrip("\r\n"))
    return len(text) - len(text.rstrip("\r\n"))

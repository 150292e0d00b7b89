"""Stop strings that a server leaves in its answer -> text without them, cut anywhere.

OpenAI's API promises text without the stop string. TGI keeps it at the end (finish reason
`stop_sequence`), transformers serve 5.23 keeps it too; vLLM, SGLang and llama.cpp cut it.
"""

from __future__ import annotations

from collections.abc import Sequence


class StopCutter:
    """A push cutter: text before the first stop string passes, everything from it on is dropped."""

    def __init__(self, stop: Sequence[str]) -> None:
        self._stop = [text for text in stop if text]
        self._longest = max(map(len, self._stop), default=0)
        self._held = ""
        self.found = False

    def feed(self, text: str) -> str:
        """Give the text that is certain to stand before any stop string."""
        if self.found:
            return ""
        if not self._stop:
            return text
        self._held += text
        first, open_from = self._first(), len(self._held) - self._possible_start()
        self.found = first <= open_from  # a longer one that began before may yet be completed
        safe = min(first, open_from)
        passed, self._held = self._held[:safe], self._held[safe:]
        if self.found:
            self._held = ""
        return passed

    def close(self) -> str:
        """Give what was held back in vain."""
        first = self._first()
        self.found = self.found or first < len(self._held)
        held, self._held = self._held[:first], ""
        return held

    def _first(self) -> int:
        places = (self._held.find(stop) for stop in self._stop)
        return min((place for place in places if place >= 0), default=len(self._held) + 1)

    def _possible_start(self) -> int:
        for size in range(min(self._longest - 1, len(self._held)), 0, -1):
            if any(stop.startswith(self._held[-size:]) for stop in self._stop):
                return size
        return 0

"""Tool calls of every engine, collected into one clean list; whether a call is valid, `response_end.py` decides.

What engines send (recordings of 2024-2026): arguments as a string, an object (TGI up to 3.1, SGLang), null or missing;
`delta.tool_calls` as one object (TGI up to 3.1); ids `"0"`, 0, "" or null; names repeated in each delta (TGI); the same
index for several calls, with new ids (lmdeploy, old SGLang) or without any; no index at all (Gemini-like proxies); a
wrapper `{"function": {"_name": …}}` and an end-of-turn marker streamed as arguments (TGI 2.x); OpenAI's custom tools
(`{"type": "custom", "custom": {"name", "input"}}`), whose input is free text.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from langchain_core.messages import AIMessage
from langchain_core.messages.content import InvalidToolCall
from langchain_core.messages.tool import ToolCall, ToolCallChunk, tool_call_chunk

from langchain_hf_inference._protocol.invalid_calls import invalid_reason, invalidating_piece, is_read_alike, unmarked
from langchain_hf_inference._protocol.lenient_json import SurrogateJoiner
from langchain_hf_inference._protocol.response_end import (
    TRUNCATED,
    CallIds,
    CollectedCall,
    end_call,
    end_calls,
    parse_arguments,
    usable_id,
    without_placeholder,
)
from langchain_hf_inference._protocol.usage import TRUNCATED_REASONS
from langchain_hf_inference._protocol.wire import JSON, as_list, as_object

_WRAPPER = '{"function":{"_name"'
_HEAD_CHARS = 100  # of arguments, within which it shows what they are


def arguments_text(raw: Any) -> str:
    """Return arguments as JSON text: an object is written out, null and absence are empty."""
    if raw is None:
        return ""
    return raw if isinstance(raw, str) else json.dumps(raw, ensure_ascii=False)


def _fields(item: JSON) -> tuple[str, str, bool]:
    """Return the name and the arguments of a call or a delta, and whether it is one of a custom tool."""
    function, custom = as_object(item.get("function")), as_object(item.get("custom"))
    # Snowflake sends both, the one that is not meant filled with zeros.
    if custom and (item.get("type") == "custom" or (any(custom.values()) and not any(function.values()))):
        return str(custom.get("name") or ""), arguments_text(custom.get("input")), True
    return str(function.get("name") or ""), arguments_text(function.get("arguments")), False


def collect_tool_calls(raw: Any) -> list[CollectedCall]:
    """Return the calls of `message.tool_calls`, each with an id of its own."""
    ids, calls = CallIds(), []
    for item in map(as_object, as_list(raw)):
        name, arguments, is_custom = _fields(item)
        calls.append(CollectedCall(name, ids.take(item.get("id")), arguments, is_custom))
    return calls


def read_tool_calls(
    raw: Any, reason: str | None = None, *, open_is_empty: bool = False
) -> tuple[list[ToolCall], list[InvalidToolCall]]:
    """Parse `message.tool_calls` of a whole response: the valid calls and the invalid ones; see `end_calls`."""
    return end_calls(collect_tool_calls(raw), reason, open_is_empty=open_is_empty)


def finished_call(name: str | None, text: str, identity: str | None, reason: str | None = None) -> JSON:
    """Return the content block of a streamed call, valid or not, from its added-up pieces and the finish reason."""
    arguments, _ = end_call(CollectedCall(name or "", identity or "", text), None)
    if arguments is None:
        problem = invalid_reason(name or "", text, reason)
        return {
            "type": "invalid_tool_call",
            "id": identity,
            "name": name or "",
            "args": unmarked(text),
            "error": problem,
        }
    return {"type": "tool_call", "id": identity or "", "name": name, "args": arguments}


def as_chunks(message: AIMessage) -> list[ToolCallChunk]:
    """Return the calls of a whole message as chunks that add up to the same calls."""
    written = [(call["name"], json.dumps(call["args"], ensure_ascii=False), call["id"]) for call in message.tool_calls]
    for bad in message.invalid_tool_calls:
        text = bad["args"] or ""
        truncated = str(bad["error"]).startswith(TRUNCATED)
        text += invalidating_piece(CollectedCall(bad["name"] or "", bad["id"] or "", text), truncated=truncated)
        written.append((bad["name"] or "", text, bad["id"]))
    return [tool_call_chunk(name=name, args=text, id=id_, index=i) for i, (name, text, id_) in enumerate(written)]


def added_chunks(chunks: list[ToolCallChunk]) -> list[ToolCallChunk]:
    """Return one chunk for each call."""
    calls: dict[int | None, ToolCallChunk] = {}
    for chunk in chunks:
        known = calls.setdefault(chunk["index"], tool_call_chunk(name=None, args="", id=None, index=chunk["index"]))
        known["name"] = known["name"] or chunk["name"]
        known["id"] = known["id"] or chunk["id"]
        known["args"] = (known["args"] or "") + (chunk["args"] or "")
    return list(calls.values())


@dataclass(slots=True)
class _Slot:
    position: int
    id: str
    server_id: str = ""
    name: str = ""
    arguments: list[str] = field(default_factory=list)
    is_custom: bool = False
    is_open: bool = False
    """Whether a chunk with name and id has been returned."""
    is_live: bool = False
    """Whether further arguments are returned as they come."""
    is_held: bool = False
    """Whether the arguments are returned at the end only, since not every piece of them is part of the result."""
    joiner: SurrogateJoiner = field(default_factory=SurrogateJoiner)

    @property
    def text(self) -> str:
        return "".join(self.arguments)

    def collected(self) -> CollectedCall:
        return CollectedCall(self.name, self.id, self.text, self.is_custom)

    def is_complete(self) -> bool:
        """Return whether the arguments are closed JSON: an empty text may yet go on."""
        text = self.text
        return bool(text.strip()) and parse_arguments(text)[0] is not None

    def decide(self) -> None:
        """Set `is_live` or `is_held` as soon as the start of the arguments shows which it is.

        Plain objects are shown as they grow. Held are `{}`, which may be a placeholder, TGI's wrapper, and what is no object
        at all (`null`, JSON within a string): langchain-core would not read their text as we do.
        """
        text = without_placeholder(self.text)
        head = "".join(text[:_HEAD_CHARS].split())
        self.is_held = self.is_held or self.is_custom or (head != "" and not head.startswith("{"))
        if self.is_held or head.startswith("{}") or _WRAPPER.startswith(head):
            return
        self.is_held = head.startswith(_WRAPPER)
        self.is_live = not self.is_held
        self.arguments = [text]


class ToolCallReader:
    """Merge the deltas of a stream into numbered calls, and return what is new as chunks.

    Name and id are returned once, with the first chunk of a call: LangChain's merge joins equal
    keys of chunks, so a repeated name would become "ff".
    """

    def __init__(self) -> None:
        self._slots: list[_Slot] = []
        self._by_index: dict[int, _Slot] = {}
        self._ids = CallIds()

    def read(self, raw: Any) -> list[ToolCallChunk]:
        """Read `delta.tool_calls` of one event."""
        is_held = isinstance(raw, dict)
        chunks = [self._delta(as_object(item), is_held=is_held) for item in as_list(raw)]
        return [chunk for chunk in chunks if chunk is not None]

    def further(self, raw: Any) -> ToolCallChunk | None:
        """Read what nearly all deltas are, further arguments of one known call; None for all others."""
        if type(raw) is not list or len(raw) != 1 or type(item := raw[0]) is not dict or item.get("id"):
            return None
        function, index = item.get("function"), item.get("index")
        if type(function) is not dict or function.get("name") or type(index) is not int:
            return None
        arguments, slot = function.get("arguments"), self._by_index.get(index)
        if type(arguments) is not str or not arguments or slot is None or not slot.is_live:
            return None
        slot.arguments.append(arguments)
        return tool_call_chunk(name=None, args=arguments, id=None, index=slot.position)

    def close(self, reason: str | None = None, *, open_is_empty: bool = False) -> list[ToolCallChunk]:
        """Return what is still missing, so that the added-up calls are what `end_calls` says they are.

        Args:
            reason: The finish reason, in OpenAI's words.
            open_is_empty: See `parse_arguments`.
        """
        return [chunk for slot in self._slots for chunk in self._close(slot, reason, open_is_empty)]

    def has_calls(self) -> bool:
        """Return whether any call has begun: a name or arguments have come."""
        return any(slot.name or slot.text.strip() for slot in self._slots)

    def collected(self) -> list[CollectedCall]:
        """Return the calls as far as they have come."""
        return [slot.collected() for slot in self._slots]

    def is_complete(self) -> bool:
        """Return whether the last call's arguments are complete: TGI ends a tool stream with nothing else."""
        return bool(self._slots) and self._slots[-1].is_complete()

    def _close(self, slot: _Slot, reason: str | None, open_is_empty: bool) -> Iterator[ToolCallChunk]:
        truncated = reason if reason in TRUNCATED_REASONS and slot is self._slots[-1] else None
        shown = slot.text if slot.is_live else ""
        slot.arguments.append(slot.joiner.close())
        call = slot.collected()
        if not call.name and not call.arguments.strip():
            return
        arguments, _ = end_call(call, truncated, open_is_empty=open_is_empty)
        target = call.arguments if slot.is_live else json.dumps(arguments, ensure_ascii=False)
        if arguments is None or not is_read_alike(CollectedCall(call.name, call.id, target), arguments):
            target = without_placeholder(call.arguments)
            target += invalidating_piece(CollectedCall(call.name, call.id, target), truncated=truncated is not None)
        rest = target[len(shown) :]
        if rest or not slot.is_open:
            yield self._opening(slot, rest)

    def _opening(self, slot: _Slot, arguments: str) -> ToolCallChunk:
        first, slot.is_open = not slot.is_open, True
        name, identity = (slot.name, slot.id) if first else (None, None)
        return tool_call_chunk(name=name, args=arguments, id=identity, index=slot.position)

    def _delta(self, item: JSON, *, is_held: bool) -> ToolCallChunk | None:
        name, arguments, is_custom = _fields(item)
        index = item.get("index")
        index = index if isinstance(index, int) and not isinstance(index, bool) else None
        identity = usable_id(item.get("id")) or ""
        slot = self._find(index, identity, name)
        if slot and name and slot.name and self._begins_another(slot, arguments):
            if identity and arguments == slot.text:
                return None  # the whole call once more, in a last event
            slot = None
        if slot is None:
            slot = _Slot(len(self._slots), self._ids.take(identity), is_held=is_held, is_custom=is_custom)
            self._slots.append(slot)
            if index is not None:
                self._by_index[index] = slot
        slot.name, slot.server_id = slot.name or name, slot.server_id or identity
        slot.is_custom = slot.is_custom or is_custom
        piece = slot.joiner.feed(arguments)
        slot.arguments.append(piece)
        if not slot.is_live and not slot.is_held and slot.name:
            slot.decide()
            piece = slot.text if slot.is_live else ""
        elif not slot.is_live:
            piece = ""
        return self._opening(slot, piece) if slot.name and (piece or not slot.is_open) else None

    def _find(self, index: int | None, identity: str, name: str) -> _Slot | None:
        """Return the call that a delta continues, None where it begins another."""
        if index is not None:
            slot = self._by_index.get(index)
        elif identity:
            slot = next((s for s in reversed(self._slots) if s.server_id == identity), None)
        else:
            slot = self._slots[-1] if self._slots else None
        if slot is None or not name or not slot.name:
            return slot
        if name != slot.name or (identity and slot.server_id and identity != slot.server_id):
            return None  # the engine uses the index again, with a new id (lmdeploy#3412) or without any
        return slot

    def _begins_another(self, slot: _Slot, arguments: str) -> bool:
        """Return whether a delta that repeats a call's name begins another call; engines repeat it with each piece, too."""
        begins = arguments.lstrip().startswith(("{", '"')) and "".join(slot.text.split()) != "{}"
        return begins and slot.is_complete()

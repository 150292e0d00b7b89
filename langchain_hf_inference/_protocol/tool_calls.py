"""Tool calls of every engine -> one clean list.

What engines do (recordings of 2024-2026): arguments as a string, an object (TGI up to 3.1,
SGLang), null or missing; `delta.tool_calls` as one object (TGI up to 3.1); ids `"0"`, 0, "" or
null; names repeated in each delta (TGI); the same index for several calls (lmdeploy, old
SGLang); no index at all (Gemini-like proxies); a wrapper `{"function": {"_name": …}}` and an
end-of-turn marker streamed as arguments (TGI 2.x).
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from langchain_core.messages.content import InvalidToolCall
from langchain_core.messages.tool import (
    ToolCall,
    ToolCallChunk,
    invalid_tool_call,
    tool_call,
    tool_call_chunk,
)

from langchain_hf_inference._protocol.wire import JSON, as_list, as_object, loads

_MEANINGLESS_IDS = ("", "0", "None")
"""TGI numbers every call "0", so that ids would repeat between the turns of a conversation."""


def new_call_id() -> str:
    """Make an id for a call whose server gave none of use."""
    return f"call_{uuid4().hex}"


def usable_id(raw: Any) -> str | None:
    """Give the server's id if it can tell calls apart, else None."""
    text = "" if raw is None else str(raw)
    return None if text in _MEANINGLESS_IDS else text


def arguments_text(raw: Any) -> str:
    """Give arguments as JSON text: an object is written out, null and absence are empty."""
    if raw is None:
        return ""
    return raw if isinstance(raw, str) else json.dumps(raw, ensure_ascii=False)


def cleaned_arguments(text: str) -> str:
    """Cut what follows the last brace and unwrap `{"function": {"_name": …, …}}` (TGI 2.x).

    Text that is not such an object comes back unchanged.
    """
    cut = text[: text.rfind("}") + 1]
    try:
        value = loads(cut)
    except ValueError:
        return text
    function = value.get("function") if isinstance(value, dict) and len(value) == 1 else None
    if isinstance(function, dict) and "_name" in function:
        return json.dumps({k: v for k, v in function.items() if k != "_name"}, ensure_ascii=False)
    return cut


def read_tool_calls(raw: Any) -> tuple[list[ToolCall], list[InvalidToolCall]]:
    """Read `message.tool_calls` of a whole answer: the calls, and those whose arguments are no object."""
    calls: list[ToolCall] = []
    invalid: list[InvalidToolCall] = []
    for item in map(as_object, as_list(raw)):
        function = as_object(item.get("function"))
        name, identity = str(function.get("name") or ""), usable_id(item.get("id")) or new_call_id()
        text = arguments_text(function.get("arguments"))
        arguments, problem = _parsed(text)
        if arguments is None or not name:
            invalid.append(invalid_tool_call(name=name, args=text, id=identity, error=problem or "no name"))
        else:
            calls.append(tool_call(name=name, args=arguments, id=identity))
    return calls, invalid


def finished_call(name: str | None, text: str, identity: str | None) -> JSON:
    """Give the content block of a call whose arguments are whole, or say what is wrong with them."""
    arguments, problem = _parsed(text)
    if arguments is None or not name:
        return {"type": "invalid_tool_call", "id": identity, "name": name, "args": text, "error": problem or "no name"}
    return {"type": "tool_call", "id": identity or "", "name": name, "args": arguments}


def _parsed(text: str) -> tuple[JSON | None, str | None]:
    if not text.strip():
        return {}, None
    value: Any = None
    for candidate in (text, cleaned_arguments(text)):
        try:
            value = loads(candidate, strict=False)  # models write raw line breaks into strings
        except ValueError as error:
            problem = f"arguments are not JSON: {error}"
            continue
        if isinstance(value, str):  # encoded twice
            return _parsed(value)
        if value is None:
            return {}, None
        if isinstance(value, dict):
            function = value.get("function")
            if len(value) == 1 and isinstance(function, dict) and "_name" in function:
                continue
            return value, None
        problem = f"arguments are a {type(value).__name__}, not an object"
    return None, problem


@dataclass(slots=True)
class _Slot:
    position: int
    id: str = ""
    name: str = ""
    arguments: list[str] = field(default_factory=list)
    held: bool = False
    """True for TGI's old form, whose wrapper can be removed only once all of it is there."""


class ToolCallReader:
    """Merge the deltas of a stream into numbered calls, and give what is new as chunks.

    Name and id are given once, with the first delta of a call: LangChain's merge joins equal
    keys of chunks, so a repeated name would become "ff".
    """

    def __init__(self) -> None:
        self._slots: list[_Slot] = []
        self._by_index: dict[int, _Slot] = {}

    def read(self, raw: Any) -> list[ToolCallChunk]:
        """Read `delta.tool_calls` of one event."""
        held = isinstance(raw, dict)
        chunks = [self._delta(as_object(item), held=held) for item in as_list(raw)]
        return [chunk for chunk in chunks if chunk is not None]

    def further(self, raw: Any) -> ToolCallChunk | None:
        """Read what nearly all deltas are, further arguments of one known call; None for all others."""
        if type(raw) is not list or len(raw) != 1 or type(item := raw[0]) is not dict or item.get("id"):
            return None
        function, index = item.get("function"), item.get("index")
        if type(function) is not dict or function.get("name") or type(index) is not int:
            return None
        arguments, slot = function.get("arguments"), self._by_index.get(index)
        if type(arguments) is not str or not arguments or slot is None or slot.held:
            return None
        slot.arguments.append(arguments)
        return tool_call_chunk(name=None, args=arguments, id=None, index=slot.position)

    def close(self) -> list[ToolCallChunk]:
        """Give the calls that could not be given piece by piece."""
        chunks = []
        for slot in self._slots:
            if slot.held:
                arguments = cleaned_arguments("".join(slot.arguments))
                chunks.append(tool_call_chunk(name=slot.name, args=arguments, id=slot.id, index=slot.position))
        return chunks

    def has_calls(self) -> bool:
        """Tell whether any call has begun."""
        return bool(self._slots)

    def is_complete(self) -> bool:
        """Tell whether the last call's arguments are whole: TGI ends a tool stream with nothing else."""
        if not self._slots:
            return False
        arguments, _ = _parsed("".join(self._slots[-1].arguments))
        return arguments is not None

    def _delta(self, item: JSON, *, held: bool) -> ToolCallChunk | None:
        index, function = item.get("index"), as_object(item.get("function"))
        identity, name = usable_id(item.get("id")) or "", str(function.get("name") or "")
        arguments = arguments_text(function.get("arguments"))
        index = index if isinstance(index, int) and not isinstance(index, bool) else None
        slot = self._find(index, identity, name)
        first = slot is None
        if slot is None:
            slot = _Slot(len(self._slots), identity or new_call_id(), held=held)
            self._slots.append(slot)
            if index is not None:
                self._by_index[index] = slot
        new_name = name if not slot.name else ""
        slot.name = slot.name or name
        slot.arguments.append(arguments)
        if slot.held or not (first or new_name or arguments):
            return None
        return tool_call_chunk(
            name=new_name or None, args=arguments, id=slot.id if first else None, index=slot.position
        )  # fmt: skip

    def _find(self, index: int | None, identity: str, name: str) -> _Slot | None:
        if index is not None:
            slot = self._by_index.get(index)
        elif identity:
            slot = next((s for s in self._slots if s.id == identity), None)
        else:
            slot = self._slots[-1] if self._slots else None
            if slot and name and slot.name and self.is_complete():
                return None  # no index, no id, a name again after a whole call: another call
        if slot and identity and name and identity != slot.id and slot.name:
            return None  # the engine uses the index again (lmdeploy#3412)
        return slot

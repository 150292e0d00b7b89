"""_protocol/tool_calls.py: the shapes in which engines call tools, to one."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import AIMessageChunk

from langchain_hf_inference._protocol.tool_calls import ToolCallReader, read_tool_calls


def function(name: str | None = None, arguments: Any = None, **more: Any) -> dict[str, Any]:
    given = {"name": name, "arguments": arguments}
    return {"type": "function", "function": {k: v for k, v in given.items() if v is not None}, **more}


def read(*deltas: Any) -> list[tuple[str, dict[str, Any]]]:
    """Read a stream of `delta.tool_calls` the way LangChain sees it: chunks added up."""
    reader = ToolCallReader()
    chunks = [AIMessageChunk(content="", tool_call_chunks=c) for delta in deltas if (c := reader.read(delta))]
    if rest := reader.close():
        chunks.append(AIMessageChunk(content="", tool_call_chunks=rest))
    total = AIMessageChunk(content="")
    for chunk in chunks:
        total += chunk
    total.chunk_position = "last"
    whole = total + AIMessageChunk(content="", chunk_position="last")
    assert whole.invalid_tool_calls == []
    assert len({call["id"] for call in whole.tool_calls}) == len(whole.tool_calls)
    return [(call["name"], call["args"]) for call in whole.tool_calls]


F = ("f", {"a": 1})
STREAMS: dict[str, tuple[list[Any], list[tuple[str, dict[str, Any]]]]] = {
    "openai": ([[function("f", "", index=0, id="c1")], [function(None, '{"a":', index=0)], [function(None, " 1}", index=0)]], [F]),
    "vllm: null arguments first": ([[{"index": 0, "id": "c1", "type": "function", "function": {"name": "f", "arguments": None}}],
                                    [function(None, '{"a": 1}', index=0)]], [F]),
    "llama.cpp: the id alone first": ([[{"index": 0, "id": "c1"}], [function("f", "{", index=0)], [function(None, '"a": 1}', index=0)]], [F]),
    "whole at once": ([[function("f", '{"a": 1}', index=0, id="c1"), function("g", "{}", index=1, id="c2")]], [F, ("g", {})]),
    "interleaved": ([[function("f", "", index=0, id="c1")], [function("g", "", index=1, id="c2")],
                     [function(None, '{"a": 1}', index=0)], [function(None, '{"b": 2}', index=1)]], [F, ("g", {"b": 2})]),
    "tgi 3.3: id and type repeated, name null": ([[function("f", "{", index=0, id="0")], [function(None, '"a": 1', index=0, id="0")],
                                                  [function(None, "}", index=0, id="0")]], [F]),
    "tgi 2: one object, wrapped, name repeated, end marker": (
        [function("f", '{"function": {"_name": "f", ', index=0, id=""), function("f", '"a": 1}}', index=0, id=""),
         function("f", "<|eot_id|>", index=0, id="")], [F]),
    "index used again (lmdeploy#3412)": ([[function("f", '{"a": 1}', index=0, id="c1")], [function("g", "{}", index=0, id="c2")]], [F, ("g", {})]),
    "old vllm: id new for the next, empty for pieces": ([[function("f", '{"a"', index=0, id="c1")], [function(None, ": 1}", index=0, id="")]], [F]),
    "no index, by id": ([[function("f", '{"a"', id="c1")], [function("g", "{}", id="c2")], [function(None, ": 1}", id="c1")]], [F, ("g", {})]),
    "no index, no id, next name": ([[function("f", '{"a": 1}')], [function("g", "{}")]], [F, ("g", {})]),
    "no index, pieces of the last": ([[function("f", "", id="c1")], [function(None, '{"a": 1}')]], [F]),
    "arguments as object": ([[function("f", {"a": 1}, index=0, id="c1")]], [F]),
    "no arguments (featherless)": ([[{"index": 0, "id": "c1", "type": "function", "function": {"name": "f"}}]], [("f", {})]),
    "databricks: empty last delta": ([[function("f", '{"a": 1}', index=0, id="c1")], [function(None, "", index=0)]], [F]),
    "id an int": ([[function("f", '{"a": 1}', index=0, id=0)]], [F]),
    "nulls everywhere (together)": ([[function("f", "", index=0, id="c1")],
                                     [{"index": 0, "id": None, "type": None, "function": {"name": None, "arguments": '{"a": 1}'}}]], [F]),
}  # fmt: skip


@pytest.mark.parametrize(("deltas", "calls"), STREAMS.values(), ids=STREAMS)
def test_streams(deltas: list[Any], calls: list[tuple[str, dict[str, Any]]]) -> None:
    """Each engine's deltas add up to its calls: names and ids once, arguments whole."""
    assert read(*deltas) == calls


@pytest.mark.parametrize(
    ("raw", "arguments"),
    [
        ('{"a": 1}', {"a": 1}),
        ({"a": 1}, {"a": 1}),
        ("", {}),
        (None, {}),
        ("null", {}),
        ('{"a": "x\ny"}', {"a": "x\ny"}),
        ('"{\\"a\\": 1}"', {"a": 1}),
        ('{"function": {"_name": "f", "a": 1}}<|eot_id|>', {"a": 1}),
        ('{"a": 1}</s>', {"a": 1}),
        ('{"name": "集团"}', {"name": "集团"}),
    ],
)
def test_arguments(raw: Any, arguments: dict[str, Any]) -> None:
    """Arguments in each of their forms arrive as an object."""
    calls, invalid = read_tool_calls([function("f", raw, id="c1")])

    assert (calls[0]["args"], invalid) == (arguments, [])


@pytest.mark.parametrize("raw", ['{"a": ', "[1]", "7", "hello"])
def test_broken_arguments(raw: str) -> None:
    """Arguments that are no object become an invalid call, with text and reason, and no exception."""
    calls, invalid = read_tool_calls([function("f", raw, id="c1")])

    assert calls == []
    assert (invalid[0]["name"], invalid[0]["args"], invalid[0]["id"]) == ("f", raw, "c1")
    assert "arguments are" in invalid[0]["error"]


def test_ids_are_told_apart() -> None:
    """Ids that repeat between turns ("0" on TGI) are replaced; real ones stay."""
    calls, _ = read_tool_calls(
        [function("f", "{}", id="0"), function("f", "{}", id=None), function("f", "{}", id="real")]
    )

    assert len({call["id"] for call in calls}) == 3
    assert calls[2]["id"] == "real"
    assert re.fullmatch("[0-9A-Za-z]{9}", str(calls[0]["id"]))


def test_one_object() -> None:
    """A single object in place of the list is one call."""
    assert read_tool_calls(function("f", "{}", id="c1"))[0][0]["name"] == "f"


@pytest.mark.parametrize("raw", [None, [], "text", [None], [7], [{}], [{"function": "f"}]])
def test_nothing(raw: Any) -> None:
    """What is no call is no valid call, and no exception."""
    assert read_tool_calls(raw)[0] == []
    ToolCallReader().read(raw)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(st.lists(st.dictionaries(st.text(min_size=1), json_values), min_size=1, max_size=3), st.data())
def test_cut_anywhere(arguments: list[dict[str, Any]], data: st.DataObject) -> None:
    """However the arguments of parallel calls are cut and interleaved, they arrive."""
    pieces: list[list[Any]] = []
    for index, value in enumerate(arguments):
        text = json.dumps(value)
        cut = data.draw(st.integers(0, len(text)))
        pieces.append(
            [
                [function(f"f{index}", text[:cut], index=index, id=f"c{index}")],
                [function(None, text[cut:], index=index)],
            ]
        )
    deltas = [pieces[i][0] for i in range(len(pieces))] + data.draw(st.permutations([p[1] for p in pieces]))

    assert read(*deltas) == [(f"f{i}", value) for i, value in enumerate(arguments)]


@given(st.lists(json_values))
def test_any_json(deltas: list[Any]) -> None:
    """No JSON makes the reader fail."""
    reader = ToolCallReader()
    for delta in deltas:
        reader.read(delta)
    reader.close()
    read_tool_calls(deltas)

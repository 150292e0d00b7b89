"""_protocol/lenient_json.py: no stricter than `json.loads` when parsing, and sendable to every server when writing."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langchain_hf_inference._protocol.lenient_json import (
    SurrogateJoiner,
    join_surrogates,
    parse_json,
    parse_whole_json,
    sendable,
)

any_text = st.text(st.characters(codec=None, categories=None) | st.sampled_from("\ud83d\ude00"))
any_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | any_text,
    lambda inner: st.lists(inner) | st.dictionaries(any_text, inner),
)


@given(any_json)
def test_never_stricter_than_json_loads(value: Any) -> None:
    """What `json.loads` parses is parsed, to the same value; a complete body holds no lone surrogate."""
    written = json.dumps(value)

    assert json.dumps(parse_json(written.encode())[0]) == written
    json.dumps(parse_whole_json(written.encode()), ensure_ascii=False).encode()


@pytest.mark.parametrize("data", [b"", b"{", b"nul", b'{"a" 1}', b"[" * 200_000])
def test_no_json(data: bytes) -> None:
    """What is not JSON, or is nested too deeply, is a ValueError."""
    with pytest.raises(ValueError):
        parse_json(data)


@given(any_json)
def test_sendable(value: Any) -> None:
    """What is written can be encoded, and parsed by a parser that knows no NaN."""
    encoded = json.dumps(sendable(value), ensure_ascii=False, allow_nan=False).encode()
    json.loads(encoded)


def test_sendable_leaves_the_rest_alone() -> None:
    """Everything else is sent as it is."""
    value = {"a": [1, 2.5, "x", None, True], "b": {"c": "é😀"}}

    assert sendable(value) == value
    assert sendable([math.nan, math.inf, -math.inf]) == [None, None, None]


@given(any_text, st.lists(st.integers(0, 20)))
def test_pieces_join_to_the_whole(text: str, places: list[int]) -> None:
    """However a text is split, its pieces are the whole with pairs joined."""
    cuts = sorted(min(place, len(text)) for place in places)
    joiner = SurrogateJoiner()
    pieces = [joiner.feed(text[a:b]) for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]

    assert "".join(pieces) + joiner.close() == join_surrogates(text)

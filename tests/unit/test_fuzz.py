"""Hostile input: whatever comes, errors of ours, in bounded time (fuzz_targets.py); and what was found before stays mended."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from fuzz_targets import TARGETS, tried
from hypothesis import given, settings
from hypothesis import strategies as st

CORPUS = Path(__file__).parent / "corpus"


@pytest.mark.parametrize("name", TARGETS)
def test_anything(name: str) -> None:
    """Bytes at random."""

    @settings(max_examples=150, deadline=None)
    @given(st.binary(max_size=300) | st.lists(st.integers(0, 255), max_size=120).map(bytes))
    def holds(data: bytes) -> None:
        tried(name, data)

    holds()


@pytest.mark.parametrize("path", sorted(CORPUS.rglob("*.bin")), ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_corpus(path: Path) -> None:
    """What opened new ways through the code, or failed once."""
    tried(path.parent.name, path.read_bytes())


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize(
    "unit",
    [
        b"{",
        b"[",
        b'{"a":',
        b"data: ",
        b"\n",
        b"<think>",
        b'data: {"choices":[{"delta":{"content":"x"}}]}\n\n',
        b"x",
        b"\xff",
        b"1\r\n",
    ],
)
def test_bounded_time(name: str, unit: bytes) -> None:
    """Two hundred kilobytes of the same are read in a second or two, and deep nesting ends in an error."""
    begun = time.process_time()
    tried(name, unit * (200_000 // len(unit)))
    assert time.process_time() - begun < 4

"""_protocol/reasoning.py and stop_text.py: text that is cut anywhere."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from langchain_hf_inference._protocol.reasoning import ThinkTagSplitter
from langchain_hf_inference._protocol.stop_text import StopCutter


def split(pieces: list[str], *, opened: bool = False) -> tuple[str, str]:
    """Give (reasoning, text)."""
    splitter = ThinkTagSplitter(opened=opened)
    found = [pair for piece in pieces for pair in splitter.feed(piece)] + splitter.close()
    return tuple("".join(text for kind, text in found if kind == wanted) for wanted in ("reasoning", "text"))


@pytest.mark.parametrize(
    ("text", "opened", "reasoning", "rest"),
    [
        ("<think>why</think>so", False, "why", "so"),
        ("<think>\nwhy\n</think>\n\nso", False, "why", "so"),
        (" \n<think>why</think> so", False, "why", " so"),
        ("plain", False, "", "plain"),
        ("", False, "", ""),
        ("a <think>b</think>", False, "", "a <think>b</think>"),
        ("<thinking>b", False, "", "<thinking>b"),
        ("<think>never closed", False, "never closed", ""),
        ("<think></think>so", False, "", "so"),
        ("<think>a < b </thin k></think>so", False, "a < b </thin k>", "so"),
        ("<think>a\n\nb</think>so<think>", False, "a\n\nb", "so<think>"),
        ("why</think>so", True, "why", "so"),
        ("\nwhy\n</think>\n\nso", True, "why", "so"),
        ("<think>\nwhy</think>so", True, "why", "so"),
        ("why", True, "why", ""),
        ("why</think>so", False, "", "why</think>so"),
        ("<", False, "", "<"),
        ("<think", True, "<think", ""),
    ],
)
def test_think_tags(text: str, opened: bool, reasoning: str, rest: str) -> None:
    """Reasoning and text come apart, whole, letter by letter, and cut in two anywhere."""
    cuts = [[text], list(text), *([text[:i], text[i:]] for i in range(len(text)))]

    assert {split(pieces, opened=opened) for pieces in cuts} == {(reasoning, rest)}


@given(st.lists(st.sampled_from(["<think>", "</think>", "\n", "a", "<", "think>", " ", "</"])), st.booleans())
def test_think_cut_does_not_matter(pieces: list[str], opened: bool) -> None:
    """Any text gives the same in one piece and in many."""
    assert split(pieces, opened=opened) == split(["".join(pieces)], opened=opened)


def cut(pieces: list[str], stop: list[str]) -> str:
    cutter = StopCutter(stop)
    return "".join(cutter.feed(piece) for piece in pieces) + cutter.close()


@example(["aba", "\n"], ["b", "aba\n"])  # the longer began before the shorter, and ends in the next piece
@example(["aba", "b"], ["b", "aba\n"])
@example(["aba"], ["b", "aba\n"])
@given(st.lists(st.text(alphabet="ab\n")), st.lists(st.text(alphabet="ab\n", min_size=1, max_size=4), max_size=3))
def test_stop_anywhere(pieces: list[str], stop: list[str]) -> None:
    """Text ends before the first stop string, wherever pieces are cut."""
    text = "".join(pieces)
    places = [text.find(s) for s in stop if s in text]

    assert cut(pieces, stop) == (text[: min(places)] if places else text)


def test_stop_is_not_held_for_long() -> None:
    """Only what may become a stop string is held back."""
    cutter = StopCutter(["STOP"])

    assert [cutter.feed(piece) for piece in ["Hello", " ST", "AR", "S", "TOP", "more"]] == [
        "Hello",
        " ",
        "STAR",
        "",
        "",
        "",
    ]
    assert cutter.found

"""The pictures of docs/performance.md, from the figures of a run: python benchmarks/plots.py RESULT.json FOLDER."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl
from suites import SUITES

mpl.use("svg")
mpl.rcParams |= {"svg.hashsalt": "same bytes for same figures", "svg.fonttype": "none", "font.size": 9,
                 "axes.spines.top": False, "axes.spines.right": False}  # fmt: skip
import matplotlib.pyplot as plt  # noqa: E402 - after the choice above

COLOURS = {"ours": "#d9480f", "floor": "#adb5bd", "httpx": "#868e96", "ChatHuggingFace": "#4263eb", "ChatOpenAI": "#2b8a3e",
           "ChatGroq": "#9c36b5", "huggingface_hub": "#74c0fc", "Haystack": "#f08c00", "LiteLLM": "#495057"}  # fmt: skip
NAMES = {"floor": "LangChain, no I/O", "ours": "ChatHFInference (ours)", "httpx": "httpx + orjson"}
BARS = ("invoke", "ainvoke", "stream", "astream", "stream_tools", "first")
LONGEST = 2.2
"""Bars beyond so many times the dearest LangChain peer are cut, and say what they are."""


def bars(figures: dict[str, Any]) -> Any:
    """Draw what a call and a chunk cost each subject."""
    figure, panels = plt.subplots(2, 3, figsize=(13, 5.8), layout="constrained")
    for panel, suite in zip(panels.flat, BARS, strict=True):
        shows = SUITES[suite].shows
        row = {name: one[shows] for name, one in figures[suite].items() if name in COLOURS and shows in one}
        names = sorted(row, key=lambda name: -row[name])
        most = LONGEST * max(row.get(name, 0) for name in ("ChatHuggingFace", "ChatOpenAI", "ChatGroq"))
        panel.barh([NAMES.get(name, name) for name in names], [min(row[name], most) for name in names],
                   color=[COLOURS[name] for name in names])  # fmt: skip
        for place, name in enumerate(names):
            text = f" {row[name]:,.0f}" if row[name] >= 20 else f" {row[name]:.1f}"
            panel.text(min(row[name], most), place, text + (" (cut)" if row[name] > most else ""), va="center")
        panel.set_title(SUITES[suite].title.replace(", wall p50", "") + (" (µs)" if shows != "cpu_us" else " (CPU µs)"),
                        loc="left", fontsize=10)  # fmt: skip
        panel.set_xticks([])
        panel.spines["bottom"].set_visible(False)
        panel.set_xlim(0, 1.6 * min(most, max(row.values())))
    return figure


def lines(figures: dict[str, Any], suites: dict[int, str], what: str, subjects: tuple[str, ...]) -> Any:
    """Draw how the cost of a unit grows."""
    figure, panel = plt.subplots(figsize=(6.4, 3.8), layout="constrained")
    for name in subjects:
        points = [(count, figures[suite][name]["cpu_us"]) for count, suite in suites.items()
                  if "cpu_us" in figures.get(suite, {}).get(name, {})]  # fmt: skip
        panel.plot(*zip(*points, strict=True), marker="o", color=COLOURS[name], label=NAMES.get(name, name),
                   linewidth=2.5 if name == "ours" else 1.2)  # fmt: skip
    panel.set(xscale="log", yscale="log", xlabel=what, ylabel="CPU µs")
    panel.set_xticks(list(suites), [f"{count:,}" for count in suites])
    panel.minorticks_off()
    panel.legend(frameon=False, fontsize=8)
    return figure


def main() -> None:
    figures = json.loads(Path(sys.argv[1]).read_text())["figures"]
    folder = Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    served = ("ours", "httpx", "ChatHuggingFace", "ChatOpenAI", "ChatGroq", "huggingface_hub", "Haystack")
    talking = ("floor", "ours", "ChatHuggingFace", "ChatOpenAI", "ChatGroq")
    made = {
        "costs": bars(figures),
        "in_flight": lines(
            figures, {n: f"many_{n}" for n in (10, 100, 500, 1000)}, "requests in flight (CPU of one)", served
        ),
        "history": lines(figures, {n: f"history_{n}" for n in (10, 100, 1000)}, "messages (CPU of the call)", talking),
    }
    for name, figure in made.items():
        figure.savefig(folder / f"performance_{name}.svg", metadata={"Date": None})


if __name__ == "__main__":
    main()

"""Has anything become dearer? `make bench-check`: bytecodes per unit, ours against LangChain's floor, beside the committed ones.

    python benchmarks/check.py [--write]

Bytecodes executed are the same on a busy machine and on a quiet one, so that CI can tell 15 % from noise; what C code
costs they do not see, and `make bench` does. Fails where a ratio is 15 % above that of committed.json.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from suites import SUITES
from worker import Worker

HERE = Path(__file__).parent
COMMITTED = HERE / "committed.json"
WORSE = 1.15
COUNTED = {
    "invoke": 20, "ainvoke": 20, "stream": 1, "astream": 1, "stream_tools": 1, "astream_tools": 1, "stream_think": 1,
    "history_10": 10, "history_1000": 3, "tools_1": 10, "tools_100": 5,
}  # fmt: skip
"""Suites of suites.py, and how many of each."""


def bytecodes(act: Callable[[], Any]) -> int:
    """Give how many bytecodes `act` executes."""
    count = 0

    def traced(frame: Any, event: str, _: Any) -> Any:
        nonlocal count
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        count += event == "opcode"
        return traced

    sys.settrace(traced)
    try:
        act()
    finally:
        sys.settrace(None)
    return count


class Counter(Worker):
    """A worker in this process, whose figure is bytecodes."""

    def count(self, name: str, n: int) -> float:
        suite = SUITES[name]
        getattr(self, suite.act)(max(2, n), **suite.given)  # warm
        units = n * suite.given.get("units", 1)
        return bytecodes(lambda: getattr(self, suite.act)(n, **suite.given)) / units


def counted(base: str) -> dict[str, dict[str, float]]:
    subjects = {name: Counter(name, base) for name in ("floor", "ours")}
    return {
        suite: {name: round(one.count(suite, n), 1) for name, one in subjects.items()} for suite, n in COUNTED.items()
    }


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--write", action="store_true", help="commit what is counted now")
    given = parser.parse_args()
    server = subprocess.Popen([sys.executable, str(HERE / "server.py")], stdout=subprocess.PIPE, text=True)
    assert server.stdout
    try:
        found = counted(f"http://127.0.0.1:{server.stdout.readline().strip()}")
    finally:
        server.kill()
    ratios = {suite: round(row["ours"] / row["floor"], 3) for suite, row in found.items()}
    if given.write:
        COMMITTED.write_text(
            json.dumps({"python": sys.version.split()[0], "bytecodes": found, "ratios": ratios}, indent=1) + "\n"
        )
    before = json.loads(COMMITTED.read_text())["ratios"]
    print("| bytecodes per unit | floor | ours | ratio | committed |\n|---|---:|---:|---:|---:|")
    for suite, row in found.items():
        print(
            f"| {SUITES[suite].title} | {row['floor']:,.0f} | {row['ours']:,.0f} | {ratios[suite]:.2f} | {before[suite]:.2f} |"
        )
    worse = [suite for suite, ratio in ratios.items() if ratio > before[suite] * WORSE]
    if worse:
        print(f"dearer than committed by more than 15 %: {', '.join(worse)}; mend it, or say why and run with --write")
    return bool(worse)


if __name__ == "__main__":
    sys.exit(main())

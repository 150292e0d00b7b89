"""Ours beside raw httpx, the LangChain floor and the peers, on a fast loopback server: `make bench`.

    python benchmarks/run.py [--quick] [--subjects ours,httpx] [--suites invoke,stream] [--json FILE] [--check FILE]

Each subject has a process; in each repetition all do the same suite, one after the other, so that a noisy moment
meets all of them. Figures are medians of CPU microseconds per unit; only ratios of one run mean anything. `--check`
compares ratios with a committed run, and fails where one is 15 % worse.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ALL = ("floor", "httpx", "ours", "ChatHuggingFace", "ChatOpenAI", "ChatGroq")
SUITES: dict[str, tuple[str, int, tuple[str, ...]]] = {
    # suite          what one unit is                                   units/run   who cannot
    "invoke":       ("a call, sync",                                    300, ()),
    "ainvoke":      ("a call, async",                                   300, ()),
    "stream":       ("a chunk of 1,000, sync",                          10, ()),
    "astream":      ("a chunk of 1,000, async",                         10, ()),
    "stream_100":   ("a chunk of 100",                                  5, ("floor",)),
    "stream_10000": ("a chunk of 10,000",                               5, ("floor",)),
    "stream_tools": ("a tool delta of 500",                             6, ()),
    "history":      ("a call with 1,000 messages",                      10, ()),
    "tools":        ("a call with 100 tools bound",                     60, ("httpx",)),
    "many_10":      ("a request, 10 in flight",                         10, ("floor",)),
    "many_100":     ("a request, 100 in flight",                        6, ("floor",)),
    "many_500":     ("a request, 500 in flight",                        6, ("floor",)),
    "many_1000":    ("a request, 1,000 in flight",                      6, ("floor",)),
    "paced":        ("added latency, 5 ms a token: p50 (p99 as wall)",  10, ("floor",)),
    "construct":    ("a model made",                                    100, ("floor", "httpx")),
}  # fmt: skip
TARGETS: list[tuple[str, str, str, float, bool]] = [
    # suite         of            against            ratio  ours at most (False: the peer at least so many times ours)
    ("stream",      "ours",       "floor",           2.0,   True),
    ("stream",      "ours",       "ChatHuggingFace", 4.5,   False),
    ("stream",      "ours",       "ChatOpenAI",      8.0,   False),
    ("astream",     "ours",       "ChatHuggingFace", 4.5,   False),
    ("astream",     "ours",       "ChatOpenAI",      8.0,   False),
    ("stream_tools", "ours",      "ChatHuggingFace", 7.0,   False),
    ("stream_tools", "ours",      "ChatOpenAI",      8.0,   False),
    ("invoke",      "ours",       "httpx",           1.5,   True),
    ("ainvoke",     "ours",       "httpx",           1.5,   True),
    ("invoke",      "ours",       "ChatHuggingFace", 2.0,   False),
    ("invoke",      "ours",       "ChatOpenAI",      3.0,   False),
    ("history",     "ours",       "ChatHuggingFace", 2.5,   False),
    ("history",     "ours",       "ChatOpenAI",      50.0,  False),
    ("tools",       "ours",       "ChatHuggingFace", 2.5,   False),
    ("tools",       "ours",       "ChatOpenAI",      8.0,   False),
    ("many_100",    "ours",       "best peer",       2.5,   False),
    ("many_500",    "ours",       "best peer",       5.0,   False),
]  # fmt: skip
WORSE = 1.15


class Subject:
    """A worker's process."""

    def __init__(self, name: str, base: str) -> None:
        self.name = name
        self._process = subprocess.Popen([sys.executable, str(HERE / "worker.py"), name, base], stdin=subprocess.PIPE,
                                         stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)  # fmt: skip

    def run(self, suite: str, n: int) -> dict[str, Any]:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps([suite, n]) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        return json.loads(line) if line else {"error": "the process ended"}

    def close(self) -> None:
        self._process.kill()


def measured(names: list[str], suites: list[str], repetitions: int) -> dict[str, dict[str, Any]]:
    """Give suite -> subject -> median CPU and wall, and peak memory."""
    server = subprocess.Popen([sys.executable, str(HERE / "server.py")], stdout=subprocess.PIPE, text=True)
    assert server.stdout
    base = f"http://127.0.0.1:{server.stdout.readline().strip()}"
    subjects = [Subject(name, base) for name in names]
    found: dict[str, dict[str, Any]] = {}
    try:
        for suite in suites:
            _, n, cannot = SUITES[suite]
            able = [one for one in subjects if one.name not in cannot]
            rows: dict[str, list[dict[str, Any]]] = {one.name: [] for one in able}
            for one in able:
                one.run(suite, max(1, n // 5))  # warm
            for _ in range(repetitions):
                for one in able:
                    rows[one.name].append(one.run(suite, n))
            found[suite] = {name: _median(several) for name, several in rows.items()}
            print(_row(suite, found[suite], names), flush=True)
    finally:
        for one in subjects:
            one.close()
        server.kill()
    return found


def _median(rows: list[dict[str, Any]]) -> dict[str, Any]:
    good = [row for row in rows if "error" not in row]
    if not good:
        return rows[0]
    return {key: statistics.median(row[key] for row in good) for key in ("cpu_us", "wall_us", "rss_mb")}


def _row(suite: str, row: dict[str, Any], names: list[str]) -> str:
    cells = [
        f"{row[name]['cpu_us']:,.1f}" if "cpu_us" in row.get(name, {}) else "–" if name not in row else "error"
        for name in names
    ]
    return f"| {SUITES[suite][0]} | " + " | ".join(cells) + " |"


def ratios(found: dict[str, dict[str, Any]]) -> dict[str, float]:
    """Give ours against each other subject, per suite: below 1 is cheaper than it."""
    rows = {}
    for suite, row in found.items():
        for name, one in row.items():
            if name != "ours" and "cpu_us" in one and "cpu_us" in row.get("ours", {}):
                rows[f"{suite}: ours / {name}"] = row["ours"]["cpu_us"] / one["cpu_us"]
    return rows


def targets_table(found: dict[str, dict[str, Any]]) -> str:
    lines = ["| target | wanted | reached | |", "|---|---|---|---|"]
    for suite, _, other, wanted, at_most in TARGETS:
        row = found.get(suite, {})
        peers = [
            row[name]["cpu_us"]
            for name in ("ChatHuggingFace", "ChatOpenAI", "ChatGroq")
            if "cpu_us" in row.get(name, {})
        ]
        against = min(peers) if other == "best peer" and peers else row.get(other, {}).get("cpu_us")
        if against is None or "cpu_us" not in row.get("ours", {}):
            continue
        reached = row["ours"]["cpu_us"] / against if at_most else against / row["ours"]["cpu_us"]
        good = reached <= wanted if at_most else reached >= wanted
        lines.append(
            f"| {suite} against {other} | {'≤' if at_most else '≥'} {wanted:g}× | {reached:.2f}× | {'yes' if good else 'no'} |"
        )
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--subjects", default=",".join(ALL))
    parser.add_argument("--suites", default=",".join(SUITES))
    parser.add_argument("--json")
    parser.add_argument("--check")
    given = parser.parse_args()
    names, suites = given.subjects.split(","), given.suites.split(",")
    print("| CPU µs per unit | " + " | ".join(names) + " |\n|---" + "|---:" * len(names) + "|")
    found = measured(names, suites, 3 if given.quick else 7)
    print("\n" + targets_table(found))
    if given.json:
        Path(given.json).write_text(json.dumps({"figures": found, "ratios": ratios(found)}, indent=1) + "\n")
    if given.check:
        before = json.loads(Path(given.check).read_text())["ratios"]
        worse = [
            f"{name}: {now:.2f}, was {before[name]:.2f}"
            for name, now in ratios(found).items()
            if name in before and now > before[name] * WORSE
        ]
        print("\nworse than committed: " + ("; ".join(worse) or "nothing"))
        return bool(worse)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Ours beside raw httpx, the LangChain floor, and the peers, on a fast loopback server: `make bench`.

    python benchmarks/run.py [--quick] [--subjects "ours;httpx"] [--suites invoke,stream] [--json FILE]

Each subject has a process; in each repetition all do the same suite, one after the other, so that a noisy moment meets
all of them. Figures are medians over repetitions; only ratios within one run mean anything.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from suites import IMPORTS, PEERS, SUBJECTS, SUITES, TARGETS, Target

HERE = Path(__file__).parent
LITELLM_PYTHON = HERE.parent / ".venv-bench-litellm/bin/python"
"""It wants an older openai than langchain-openai has."""
SLOW = {"LiteLLM": 4}
"""Who gets less to do, since it takes long and its figures vary little."""
Found = dict[str, dict[str, dict[str, float]]]
"""suite -> subject -> figure."""


class Process:
    """A worker."""

    def __init__(self, name: str, base: str) -> None:
        self.name = name
        python = LITELLM_PYTHON if name == "LiteLLM" and LITELLM_PYTHON.exists() else Path(sys.executable)
        self._process = subprocess.Popen([python, str(HERE / "worker.py"), name, base], stdin=subprocess.PIPE,
                                         stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)  # fmt: skip

    def run(self, act: str, n: int, given: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin
        assert self._process.stdout
        try:
            self._process.stdin.write(json.dumps([act, n, given]) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            return {"error": "the process ended"}
        line = self._process.stdout.readline()
        return json.loads(line) if line else {"error": "the process ended"}

    def close(self) -> None:
        self._process.kill()
        self._process.wait()


def measured(names: list[str], suites: list[str], repetitions: int) -> Found:
    """Run the suites, and print a row for each."""
    server = subprocess.Popen([sys.executable, str(HERE / "server.py")], stdout=subprocess.PIPE, text=True)
    assert server.stdout
    base = f"http://127.0.0.1:{server.stdout.readline().strip()}"
    subjects = [Process(name, base) for name in names]
    found: Found = {}
    try:
        for name in suites:
            suite = SUITES[name]
            able = [one for one in subjects if suite.does(one.name)]
            rows: dict[str, list[dict[str, Any]]] = {one.name: [] for one in able}
            if suite.repetitions != 1:
                for one in able:
                    one.run(suite.act, max(1, suite.n // 5), suite.given)  # warm
            for _ in range(min(repetitions, suite.repetitions or repetitions)):
                for one in able:
                    rows[one.name].append(one.run(suite.act, suite.n // SLOW.get(one.name, 1) or 1, suite.given))
            found[name] = {subject: _median(several) for subject, several in rows.items()}
            print(_row(suite.title, suite.shows, found[name], names), flush=True)
            for subject, one in found[name].items():
                if "error" in one:
                    print(f"<!-- {subject}: {one['error']} -->", file=sys.stderr)
    finally:
        for one in subjects:
            one.close()
        server.kill()
    return found


def imports(names: list[str], repetitions: int) -> dict[str, dict[str, float]]:
    """Give the CPU that importing and making a model takes, in a fresh interpreter each time."""
    code = "import time; c = time.process_time()\n%s\nprint((time.process_time() - c) * 1e6)"
    rows: dict[str, list[float]] = {name: [] for name in IMPORTS if name in names or name == "langchain_core"}
    for repetition in range(repetitions + 1):
        for name, several in rows.items():
            done = subprocess.run([sys.executable, "-c", code % IMPORTS[name]], capture_output=True, text=True, check=True,
                                  cwd="/", env={**os.environ, "HF_HUB_DISABLE_TELEMETRY": "1"})  # fmt: skip
            if repetition:
                several.append(float(done.stdout))
    return {name: {"cpu_us": statistics.median(several)} for name, several in rows.items()}


def _median(rows: list[dict[str, Any]]) -> dict[str, Any]:
    good = [row for row in rows if "error" not in row]
    if not good:
        return rows[0]
    found = {key: statistics.median(row[key] for row in good) for key in good[0] if key != "samples"}
    if samples := sorted(sample for row in good for sample in row.get("samples", ())):
        found |= {"p50_us": samples[len(samples) // 2], "p99_us": samples[int(len(samples) * 0.99)]}
    return found


def _row(title: str, shows: str, row: dict[str, Any], names: list[str]) -> str:
    cells = ["–" if name not in row else figure_text(row[name].get(shows)) for name in names]
    return f"| {title} | " + " | ".join(cells) + " |"


def figure_text(value: float | None) -> str:
    if value is None:
        return "error"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:,.1f}"


def ratios(found: Found) -> dict[str, float]:
    """Give ours against each other subject, per suite: below 1 is cheaper than it."""
    rows = {}
    for suite, row in found.items():
        shows = SUITES[suite].shows if suite in SUITES else "cpu_us"
        mine = row.get("ours", {}).get(shows)
        for name, one in row.items():
            if name != "ours" and mine and one.get(shows):
                rows[f"{suite}: ours / {name}"] = round(mine / one[shows], 3)
    return rows


def reached(target: Target, found: Found) -> float | None:
    """Give the ratio that a target is about; None where it was not measured."""
    shows = target.shows or (SUITES[target.suite].shows if target.suite in SUITES else "cpu_us")
    row = found.get(target.suite, {})
    mine = row.get(target.subject, {}).get(shows)
    if target.other:
        against = found.get(target.other, {}).get(target.subject, {}).get(shows)
    elif " + " in target.against:
        parts = [row.get(name, {}).get(shows) for name in target.against.split(" + ")]
        against = sum(parts) if all(parts) else None
    elif target.against == "best peer":
        against = min((row[name][shows] for name in PEERS if shows in row.get(name, {})), default=None)
    else:
        against = row.get(target.against, {}).get(shows)
    if not mine or not against:
        return None
    return mine / against if target.most else against / mine


def targets_table(found: Found) -> str:
    """Give what was wanted beside what was reached."""
    lines = ["| target | wanted | reached | |", "|---|---|---|---|"]

    def add(name: str, wanted: str, value: str, good: bool) -> None:
        lines.append(f"| {name} | {wanted} | {value} | {'yes' if good else '**no**'} |")

    for target in TARGETS:
        if (value := reached(target, found)) is None:
            continue
        name = f"{target.suite}: {target.subject} against {target.other or target.against}" + (
            ", p99" if target.shows else ""
        )
        if target.most:
            add(name, f"≤ {target.most:g}×", f"{value:.2f}×", value <= target.most)
        else:
            add(name, f"≥ {target.least:g}×", f"{value:.2f}×", value >= target.least)
    for suite, shows, most, unit in (("construct", "cpu_us", 60, "µs"), ("large_answers", "grown_mb", 5, "MB"),
                                     ("many_answers", "grown_mb", 5, "MB")):  # fmt: skip
        value = found.get(suite, {}).get("ours", {}).get(shows)
        if value is not None:
            add(SUITES[suite].title, f"≤ {most} {unit}", f"{value:.1f} {unit}", value <= most)
    return "\n".join(lines)


def in_flight_table(found: Found, names: list[str]) -> str:
    """Give connections opened and memory held with many requests in flight."""
    lines = ["| in flight | " + " | ".join(names) + " |", "|---" + "|---:" * len(names) + "|"]
    for suite in ("many_10", "many_100", "many_500", "many_1000"):
        row = found.get(suite, {})
        cells = [f"{row[name]['connections']:.0f} / {row[name]['rss_mb']:.0f} MB" if "connections" in row.get(name, {}) else "–"
                 for name in names]  # fmt: skip
        lines.append(f"| {SUITES[suite].title}: connections / RSS | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def circumstances() -> dict[str, Any]:
    """Tell what the figures hang on."""
    found = {}
    for name in ("langchain-core", "langchain-huggingface", "langchain-openai", "langchain-groq", "huggingface-hub", "httpx",
                 "httpx-aiohttp", "openai", "haystack-ai", "pydantic"):  # fmt: skip
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "–"
    return {"python": platform.python_version(), "cpus": os.cpu_count(), "versions": found}


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="fewer repetitions")
    parser.add_argument(
        "--subjects", default=";".join(SUBJECTS), help="their names, separated by semicolons, since some contain commas"
    )
    parser.add_argument("--suites", default="import," + ",".join(SUITES))
    parser.add_argument("--json", help="where to write all figures")
    given = parser.parse_args()
    names, suites, begun = given.subjects.split(";"), given.suites.split(","), time.monotonic()
    print("| CPU µs per unit, or as told | " + " | ".join(names) + " |\n|---" + "|---:" * len(names) + "|")
    found: Found = {}
    if "import" in suites:
        found["import"] = imports(names, 5 if given.quick else 9)
        title = f"import and a model made (langchain_core alone: {found['import']['langchain_core']['cpu_us']:,.0f})"
        print(_row(title, "cpu_us", found["import"], names), flush=True)
    found |= measured(names, [name for name in suites if name != "import"], 3 if given.quick else 5)
    print("\n" + targets_table(found))
    if "many_10" in found:
        print("\n" + in_flight_table(found, names))
    print(f"\n{time.monotonic() - begun:.0f} s")
    if given.json:
        whole = {**circumstances(), "figures": found, "ratios": ratios(found)}
        Path(given.json).write_text(json.dumps(whole, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

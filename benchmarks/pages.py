"""The table of docs/performance.md, from the figures of a run: python benchmarks/pages.py RESULT.json docs/performance.md."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

from run import figure_text, targets_table
from suites import SUBJECTS, SUITES

MARK = re.compile(r"(<!-- figures -->\n).*?(<!-- end of figures -->)", re.DOTALL)


def main() -> None:
    result = json.loads(Path(sys.argv[1]).read_text())
    figures, page = result["figures"], Path(sys.argv[2])
    subjects = [name for name in SUBJECTS if any(name in row for row in figures.values())]
    lines = ["| CPU µs, or as told | " + " | ".join(subjects) + " |", "|---" + "|---:" * len(subjects) + "|"]
    titles = {"import": "import, and a model made", **{name: suite.title for name, suite in SUITES.items()}}
    for name, title in titles.items():
        if name not in figures:  # a run of some suites
            continue
        row, shows = figures[name], SUITES[name].shows if name in SUITES else "cpu_us"
        cells = [figure_text(row[one].get(shows)) if one in row else "–" for one in subjects]
        lines.append(f"| {title} | " + " | ".join("–" if cell == "error" else cell for cell in cells) + " |")
    versions = ", ".join(f"{name} {number}" for name, number in result["versions"].items() if number != "–")
    text = "\n".join(lines) + f"\n\nPython {result['python']}, {result['cpus']} cores; {versions}.\n\n"
    text += "What we want of these figures, and what came:\n\n" + targets_table(figures) + "\n"
    page.write_text(MARK.sub(lambda found: found[1] + "\n" + text + "\n" + found[2], page.read_text()))


if __name__ == "__main__":
    main()

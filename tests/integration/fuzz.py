"""Coverage-guided fuzzing of all that strangers can send (tests/unit/fuzz_targets.py), by atheris: `make fuzz`.

    python tests/integration/fuzz.py [SECONDS] [TARGET …]

Each target runs so long in a process of its own, from the corpus on. What opens new ways through the code goes into
tests/unit/corpus, forty small files a target, which the ordinary tests feed again; a finding stops its target and is kept there too.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from hashlib import sha256
from pathlib import Path

UNIT = Path(__file__).parents[1] / "unit"
CORPUS = UNIT / "corpus"
KEPT, LONGEST = 40, 400
"""Files of a target's corpus, and bytes of one."""


def child(name: str, arguments: list[str]) -> None:
    """Fuzz one target; does not return."""
    import atheris

    sys.path.insert(0, str(UNIT))
    with atheris.instrument_imports(include=["langchain_hf_inference"]):
        from fuzz_targets import tried
    atheris.Setup([sys.argv[0], *arguments], lambda data: tried(name, data))
    atheris.Fuzz()


def fuzzed(name: str, seconds: int) -> tuple[str, bool]:
    """Fuzz one target in a process; give its row, and whether nothing was found."""
    home = CORPUS / name
    home.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        grown, crash = Path(folder, "grown"), Path(folder, "found-")
        grown.mkdir()
        common = [sys.executable, __file__, "--child", name]
        run = subprocess.run([*common, str(grown), str(home), f"-max_total_time={seconds}", "-max_len=2000", "-timeout=10",
                              "-print_final_stats=1", f"-artifact_prefix={crash}"], capture_output=True, text=True, check=False)  # fmt: skip
        _keep(home, grown)
        findings = sorted(Path(folder).glob("found-*"))
        for place, one in enumerate(findings):
            (home / f"finding-{place}.bin").write_bytes(one.read_bytes())
        found = re.search(r"number_of_executed_units:\s*(\d+)", run.stderr)
        covered = re.findall(r"cov: (\d+)", run.stderr)
    if findings:
        print(run.stderr[-3000:])
    executions = int(found[1]) if found else 0
    return (
        f"| {name} | {executions:,} | {seconds} s | {covered[-1] if covered else '–'} | {len(findings)} |",
        not findings,
    )


def _keep(home: Path, grown: Path) -> None:
    """Keep of what opened new ways the smallest files, as far as there is room beside the old ones."""
    files = sorted(
        (path for path in grown.iterdir() if 0 < path.stat().st_size <= LONGEST), key=lambda path: path.stat().st_size
    )
    known = {path.read_bytes() for path in home.glob("way-*.bin")}
    room = KEPT - len(known)
    for path in files[:: max(1, len(files) // max(1, room))][: max(0, room)]:
        if (content := path.read_bytes()) not in known:
            (home / f"way-{sha256(content).hexdigest()[:12]}.bin").write_bytes(content)


def main() -> int:
    if sys.argv[1:2] == ["--child"]:
        child(sys.argv[2], sys.argv[3:])
    sys.path.insert(0, str(UNIT))
    from fuzz_targets import TARGETS

    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else 30
    print("| target | executions | time | edges | findings |\n|---|---:|---:|---:|---:|")
    good = True
    for name in sys.argv[2:] or TARGETS:
        row, clean = fuzzed(name, seconds)
        print(row, flush=True)
        good = good and clean
    return not good


if __name__ == "__main__":
    sys.exit(main())

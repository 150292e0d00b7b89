"""What would be released: built, checked, installed in clean environments, imported, listed (`make release-check`)."""

from __future__ import annotations

import os
import re
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[2]
DIST = ROOT / "dist"
NEVER = re.compile(r"(^|/)\.env|\.pem$|\.key$|__pycache__|\.venv|\.gguf$|\.safetensors$|/result\d*\.json$")
"""What has no business in a package: keys, environments, weights, leavings."""
IMPORTING = "import time; a = time.perf_counter(); import langchain_hf_inference as p; p.ChatHFInference; print(time.perf_counter() - a)"
FLOOR = "import time; a = time.perf_counter(); import langchain_core.language_models as p; p.BaseChatModel; print(time.perf_counter() - a)"


def run(*words: object, **options: object) -> str:
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, **options)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, words))} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def main() -> None:
    shutil.rmtree(DIST, ignore_errors=True)
    run(sys.executable, "-m", "build", "--outdir", DIST, ROOT)
    (wheel,), (sdist,) = DIST.glob("*.whl"), DIST.glob("*.tar.gz")
    print(run(sys.executable, "-m", "twine", "check", "--strict", wheel, sdist).strip())
    check_version(wheel)
    listed(wheel, sdist)
    with tempfile.TemporaryDirectory() as folder:
        for package in (wheel, sdist):
            check_installed(package, Path(folder) / package.suffix.strip("."))


def check_version(wheel: Path) -> None:
    """The version is that of the changelog's newest heading, or there is something under "Unreleased"."""
    version = wheel.name.split("-")[1]
    newest = re.search(r"^## \[?(Unreleased|[\d.]+\w*)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    if newest is None or newest[1] not in ("Unreleased", version):
        sys.exit(f"the version is {version}, the changelog's newest {newest and newest[1]}")
    print(f"version {version}; the changelog begins with {newest[1]}")


def listed(wheel: Path, sdist: Path) -> None:
    """Tell sizes and contents, and refuse what must not be there."""
    with zipfile.ZipFile(wheel) as packed, tarfile.open(sdist) as tar:
        rows = [(info.filename, info.file_size) for info in packed.infolist()]
        inside = [*(name for name, _ in rows), *tar.getnames()]
        metadata = next(packed.read(name).decode() for name, _ in rows if name.endswith("/METADATA"))
    for name in inside:
        if NEVER.search(name):
            sys.exit(f"{name} must not be released")
    for name in ("langchain_hf_inference/py.typed", "langchain_hf_inference/data/model_profiles.toml",
                 "langchain_hf_inference/nodes/langflow/extension.json"):  # fmt: skip
        if name not in inside:
            sys.exit(f"{name} is missing")
    if dead := re.findall(r"\]\((?!https?:|#)[^)]+\)", metadata):
        sys.exit(f"links that lead nowhere on the package index: {dead[:3]}")
    print(
        f"\n{wheel.name}: {wheel.stat().st_size:,} bytes, {len(rows)} files; {sdist.name}: {sdist.stat().st_size:,} bytes, {len(inside) - len(rows)} entries"
    )
    for name, size in sorted(rows):
        print(f"{size:>9,}  {name}")
    folders = Counter("/".join(name.split("/")[1:3]) for name in inside[len(rows) :])
    print("sdist:", ", ".join(f"{folder or '.'} {count}" for folder, count in sorted(folders.items()) if count > 1))


def check_installed(package: Path, home: Path) -> None:
    """Install into an environment of its own, with what it asks for and nothing else, and look at what a user would."""
    run(sys.executable, "-m", "venv", home)
    python, environment = home / "bin" / "python", {**os.environ, "PYTHONPATH": "", "PYTHONDONTWRITEBYTECODE": ""}
    run(python, "-m", "pip", "-qq", "--disable-pip-version-check", "install", package)
    run(python, "-m", "pip", "check")
    outside = {"cwd": home, "env": environment}
    print(f"\n{package.name} in a clean environment:")
    for title, code in (
        ("import langchain_hf_inference.ChatHFInference", IMPORTING),
        ("import langchain_core.language_models.BaseChatModel", FLOOR),
    ):
        run(python, "-c", code, **outside)  # writes the bytecode
        times = [float(run(python, "-c", code, **outside)) for _ in range(7)]
        print(f"  {title}: {statistics.median(times) * 1000:.0f} ms (median of 7)")
    every = (
        "import langchain_hf_inference as p; print(len([getattr(p, name) for name in p.__all__]), 'names, all there')"
    )
    print(" ", run(python, "-c", every, **outside).strip())
    bare = subprocess.run([home / "bin" / "hf-inference", "--version"], capture_output=True, text=True, **outside)
    if bare.returncode == 0 or "needs its extra" not in bare.stderr or "Traceback" in bare.stderr:
        sys.exit(f"without its extra hf-inference should say so: {bare}")
    print(f"  hf-inference without its extra: {bare.stderr.strip()}")
    run(python, "-m", "pip", "-qq", "--disable-pip-version-check", "install", f"{package}[cli]")
    print(" ", run(home / "bin" / "hf-inference", "--version", **outside).strip())


if __name__ == "__main__":
    main()

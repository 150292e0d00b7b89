"""Live engines for the tests of this folder, and the table of what each gave.

ENGINES names them ("mlx" by default; "llama", "transformers", "vllm"), comma-separated.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from importlib.util import find_spec

import pytest
from calling import call

import engines
from engines import Running
from langchain_hf_inference._transport.lookups import forget_lookups

__all__ = ["call"]

_NEEDS = {
    "test_newest.py": "deepagents",
    "test_interop.py": "respx",
    "test_langflow.py": "lfx",
    "test_ray.py": "ray",
    "test_recipes.py": "haystack",
    "test_uvloop.py": "uvloop",
}
collect_ignore = [name for name, package in _NEEDS.items() if not find_spec(package)]  # make test-newest, …
if not find_spec("gradio") and not find_spec("lfx"):
    collect_ignore.append("test_examples.py")  # make test-examples, and test-langflow for one of them
collect_ignore_glob = ["langflow/*"]

NAMES = os.environ.get("ENGINES", "mlx").split(",")
_outcomes: dict[str, dict[str, str]] = {}
_stack = ExitStack()
_running: dict[str, Running] = {}


@pytest.fixture(scope="session", autouse=True)
def _stopped_at_the_end() -> Iterator[None]:
    with _stack:
        yield


@pytest.fixture(params=NAMES)
def engine(request: pytest.FixtureRequest) -> Running:
    """A running engine; each is started once, when the first test asks for it."""
    return started(request.param)


def started(name: str) -> Running:
    if name not in _running:
        forget_lookups()
        _running[name] = _stack.enter_context(engines.serving(name))
    return _running[name]


@pytest.fixture
def outcome(engine: Running, request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Note in a few words what came out, for the table at the end."""
    feature = request.node.originalname.removeprefix("test_")

    def noted(words: str) -> None:
        row = _outcomes.setdefault(feature, {})
        row[engine.engine.name] = words if row.get(engine.engine.name) in (None, words) else "sync and async differ"

    return noted


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not _outcomes:
        return
    names = sorted({name for row in _outcomes.values() for name in row})
    terminalreporter.section("engine x feature (sync and async alike)")
    terminalreporter.write_line("| feature | " + " | ".join(f"{n} {engines.ENGINES[n].version}" for n in names) + " |")
    terminalreporter.write_line("|---" * (len(names) + 1) + "|")
    for feature, row in _outcomes.items():
        terminalreporter.write_line(f"| {feature} | " + " | ".join(row.get(n, "-") for n in names) + " |")

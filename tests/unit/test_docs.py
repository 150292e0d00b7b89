"""Every Python block of README.md and docs/ runs, against the scripted server; the reference names every argument."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from langchain_hf_inference import (
    ChatHFInference,
    HFInferenceEmbeddings,
    HFInferenceLLM,
    HFReranker,
    HFTextClassifier,
    HFTextToImage,
)
from langchain_hf_inference._settings import ALIASES, CONTAINERS
from langchain_hf_inference.errors import __all__ as ERRORS

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.mark.usefixtures("internet")
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("page", [p for p in PAGES if BLOCK.search(p.read_text())], ids=lambda p: p.name)
def test_blocks_run(page: Path) -> None:
    """The blocks of a page run one after the other, as a reader would."""
    namespace: dict[str, object] = {"__name__": "docs"}
    for block in BLOCK.findall(page.read_text()):
        exec(compile(block, str(page), "exec"), namespace)


def test_reference_is_complete() -> None:
    """Each argument, each of its other names, and each error stands in the docs."""
    reference = (ROOT / "docs" / "reference.md").read_text()
    inherited = {"name", "cache", "verbose", "callbacks", "tags", "metadata", "custom_get_token_ids", "rate_limiter",
                 "disable_streaming", "output_version", "profile"}  # fmt: skip
    classes = (ChatHFInference, HFInferenceLLM, HFInferenceEmbeddings, HFTextClassifier, HFTextToImage, HFReranker)
    fields = {name for one in classes for name in one.model_fields} - inherited
    for name in [*fields, *ALIASES, *CONTAINERS]:
        assert f"`{name}`" in reference, name
    told = (ROOT / "docs" / "errors.md").read_text()
    for error in ERRORS:
        assert f"`{error}`" in told or error == "HFInferenceError", error


def test_architecture_is_true() -> None:
    """The drawing of the house shows every file, and no other."""
    drawn = set(re.findall(r"[├└]── (\w+\.py)", (ROOT / "docs" / "architecture.md").read_text()))
    package = ROOT / "langchain_hf_inference"
    files = {
        p.name
        for p in package.rglob("*.py")
        if "testing" not in p.parts and p.name not in ("__init__.py", "_version.py")
    }

    assert drawn == files


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CONTRIBUTING.md"], ids=lambda p: p.name)
def test_links_lead_somewhere(page: Path) -> None:
    """Links between pages lead to files that are there."""
    for target in re.findall(r"\]\((?!http|#)([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), target

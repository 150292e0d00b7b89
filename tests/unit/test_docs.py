"""README.md and docs/ are true: every block runs, links lead somewhere, the reference names every argument."""

from __future__ import annotations

import json
import re
import shlex
import tomllib
from pathlib import Path

import pytest
import yaml
from typing_at import Typed

from langchain_hf_inference import (
    ChatHFInference,
    HFInferenceEmbeddings,
    HFInferenceLLM,
    HFReranker,
    HFTextClassifier,
    HFTextToImage,
)
from langchain_hf_inference._settings import ALIASES, CONTAINERS
from langchain_hf_inference.cli.serve import serve_scripted
from langchain_hf_inference.errors import __all__ as ERRORS
from langchain_hf_inference.testing import InferenceServer

ROOT = Path(__file__).parents[2]
TOP = [
    ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md") if (ROOT / name).exists()
]
PAGES = [*TOP, *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```(?P<kind>[^\n]*)\n(?P<text>.*?)^```", re.MULTILINE | re.DOTALL)
PYTHON, ELSEWHERE = "python", {"python haystack", "python interop", "python prefect", "python ray"}
"""Blocks that run here, and those that run in lanes of their own: test_recipes.py, test_ray.py, test_interop.py."""
SHOWN = {"text"}
"""What is printed (test_readme.py), and drawings."""
STRANGERS = {"pip", "export", "docker", "vllm", "python", "llama-server", "transformers", "mlx_lm.server"}
"""Programs that are not ours: the engines' tests start them, with the same options."""


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def blocks(page: Path) -> list[tuple[str, str]]:
    return [(found["kind"].strip(), found["text"]) for found in BLOCK.finditer(page.read_text())]


def of_kind(kind: str) -> list[Path]:
    return [page for page in PAGES if any(found == kind for found, _ in blocks(page))]


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_no_block_is_left_out(page: Path) -> None:
    """Every block is of a kind that runs, or is read, somewhere."""
    assert {kind for kind, _ in blocks(page)} <= {PYTHON, "bash", "json", *ELSEWHERE, *SHOWN}


@pytest.mark.usefixtures("internet")
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("page", of_kind(PYTHON), ids=named)
def test_python_runs(page: Path) -> None:
    """The blocks of a page run one after the other, as a reader would."""
    namespace: dict[str, object] = {"__name__": "docs"}
    for kind, text in blocks(page):
        if kind == PYTHON:
            exec(compile(text, str(page), "exec"), namespace)


@pytest.mark.usefixtures("internet")
@pytest.mark.parametrize("page", of_kind("bash"), ids=named)
def test_bash_runs(
    page: Path, typed: Typed, server: InferenceServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Our own commands run; targets of make and extras of pip exist; other programs are known."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in.jsonl").write_text(
        '{"custom_id": "a", "url": "/v1/chat/completions", "body": {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}}\n'
    )
    (tmp_path / "workflow.json").write_text(json.dumps(WORKFLOW))
    for kind, text in blocks(page):
        for line in text.replace("\\\n", " ").splitlines() if kind == "bash" else ():
            words = shlex.split(line, comments=True)
            while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
                words.pop(0)
            if not words:
                continue
            if words[:2] == ["hf-inference", "serve-scripted"]:  # runs until Ctrl-C: test_cli.py starts it
                serve_scripted.make_context("serve-scripted", words[2:])
            elif words[0] == "hf-inference":
                done = typed(*words[1:], *(["--timeout", "5"] if words[1] == "doctor" else []))
                assert done.code == 0 or words[1:] == ["doctor"], (line, done.out, done.err)
            elif words[0] == "make":
                check_make(words[1:])
            else:
                assert words[0] in STRANGERS, line
                check_extras(line)


WORKFLOW = {
    "nodes": [
        {
            "name": "Model",
            "type": "@n8n/n8n-nodes-langchain.lmOpenHuggingFaceInference",
            "parameters": {"model": "org/name", "options": {}},
        }
    ],
    "connections": {},
}


def check_make(words: list[str]) -> None:
    """Targets exist; those with a pattern name a file."""
    makefile = (ROOT / "Makefile").read_text()
    for word in words:
        if word.startswith("example-"):
            assert (ROOT / "examples" / f"{word.removeprefix('example-')}.py").exists(), word
        elif "=" not in word:
            assert re.search(rf"^(.* )?{re.escape(word)}( .*)?:", makefile, re.MULTILINE), word


def check_extras(line: str) -> None:
    """Extras of ours that are to be installed exist."""
    known = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for extras in re.findall(r"langchain-hf-inference\[([\w,]+)\]", line):
        assert set(extras.split(",")) <= known.keys(), line


@pytest.mark.parametrize("page", of_kind("json"), ids=named)
def test_json_is_json(page: Path) -> None:
    """Blocks of JSON are lines of it."""
    for kind, text in blocks(page):
        for line in text.splitlines() if kind == "json" else ():
            assert json.loads(line)


def test_github_files() -> None:
    """What GitHub reads is YAML, and its workflow does what CI does and nothing else."""
    if not (files := list((ROOT / ".github").rglob("*.yml"))):
        pytest.skip("no checkout")
    read = {path.name: yaml.safe_load(path.read_text()) for path in files}
    steps = read["ci.yml"]["jobs"]["gate"]["steps"]

    assert [step["run"] for step in steps if "run" in step] == [".ci/run"]
    assert all(form["body"] for name, form in read.items() if name not in ("ci.yml", "config.yml"))


def test_every_page_is_on_the_site() -> None:
    """No page is left out of the site's navigation, and none of its entries is missing."""
    text = (ROOT / "docs" / "_site" / "mkdocs.yml").read_text()
    listed = set(re.findall(r": ([\w/-]+\.md)$", text[text.index("nav:") :], re.MULTILINE))
    pages = {str(page.relative_to(ROOT / "docs")) for page in (ROOT / "docs").rglob("*.md")}

    assert listed - {"contributing.md", "security.md", "changelog.md"} == pages


def test_inline_extras_exist() -> None:
    """Extras that are named in the text exist."""
    for page in PAGES:
        check_extras(page.read_text())


def test_reference_is_complete() -> None:
    """Each argument, each of its other names, and each error stands in the docs."""
    reference = (ROOT / "docs" / "reference.md").read_text()
    inherited = {"name", "cache", "verbose", "callbacks", "tags", "metadata", "custom_get_token_ids", "rate_limiter",
                 "disable_streaming", "output_version", "profile"}  # fmt: skip
    classes = (ChatHFInference, HFInferenceLLM, HFInferenceEmbeddings, HFTextClassifier, HFTextToImage, HFReranker)
    fields = {name for one in classes for name in one.model_fields} - inherited
    for name in [*fields, *ALIASES, *CONTAINERS]:
        assert f"`{name}`" in reference, name
    told = (ROOT / "docs" / "how-to" / "errors.md").read_text()
    for error in ERRORS:
        assert f"`{error}`" in told or error == "HFInferenceError", error


def test_architecture_is_true() -> None:
    """The drawing of the house shows every file, and no other."""
    drawn = re.findall(r"[├└]── (\w+\.py)", (ROOT / "docs" / "architecture.md").read_text())
    package = ROOT / "langchain_hf_inference"
    files = [
        p.name
        for p in package.rglob("*.py")
        if "testing" not in p.parts and p.name not in ("__init__.py", "_version.py")
    ]

    assert sorted(drawn) == sorted(files)


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_links_lead_somewhere(page: Path) -> None:
    """Links between pages lead to files, and to headings, that are there."""
    text = BLOCK.sub("", page.read_text())
    for target, anchor in re.findall(r"\]\((?!https?:|mailto:)([^)#]*)(?:#([^)]*))?\)", text):
        path = (page.parent / target).resolve() if target else page
        assert path.exists(), target
        assert not anchor or anchor in anchors(path), f"{target}#{anchor}"


def anchors(page: Path) -> set[str]:
    """Give the anchors of a page's headings, as GitHub and mkdocs make them."""
    titles = re.findall(r"^#+ (.*)$", BLOCK.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}

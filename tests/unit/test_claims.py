"""What README and reference claim is what tests prove, what rows of data say, and what was measured."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import engines
from langchain_hf_inference._protocol.dialects import DIALECTS
from langchain_hf_inference._protocol.providers import PROVIDER_CHAT_URLS

ROOT = Path(__file__).parents[2]
README, REFERENCE = (ROOT / "README.md").read_text(), (ROOT / "docs" / "reference.md").read_text()

PROVED = {
    "`temperature=0`, `top_p`": ["test_regressions.py::test_zero_is_a_value", "test_standard.py"],
    "reasoning (": ["test_regressions.py::test_reasoning_is_kept", "test_regressions.py::test_think_tags"],
    "token counts in streams": ["test_regressions.py::test_streamed_usage"],
    "Pydantic class in": ["test_regressions.py::test_pydantic_comes_back"],
    "`tool_choice` with several": ["test_regressions.py::test_tool_choice", "test_agents.py"],
    "your own vLLM": ["test_regressions.py::test_explicit_token_is_sent", "test_regressions.py::test_url_is_called_as_given"],
    "an `HF_TOKEN` of the environment": ["test_regressions.py::test_ambient_token_stays_home", "test_secrets.py::test_ambient_token_stays_at_home"],
    "retries that honour": ["test_retry.py::test_retry_after", "test_http.py::test_not_retried", "test_faults.py::test_fault"],
    "a stream cut short": ["test_http.py::test_real_cut", "test_faults.py::test_fault"],
    "errors are LangChain's": ["test_regressions.py::test_rate_limit_is_langchains", "test_error_response.py"],
    "CPU of a call": ["test_claims.py::test_figures"],
    "CPU of a streamed chunk": ["test_claims.py::test_figures"],
    "several `asyncio.run`": ["test_regressions.py::test_two_event_loops", "test_secrets.py::test_used_models_pickle_and_copy"],
    "model profile": ["test_profiles.py::test_refreshed_from_router", "test_token_count.py::test_server_counts", "test_profiles.py::test_cost_is_told"],
    "code written for": ["test_compat.py::test_what_is_given_arrives"],
}  # fmt: skip
"""Each row of the README's table of features, by its beginning, and the tests that hold it."""


def table(text: str, title: str) -> list[list[str]]:
    """Give the cells of the table whose first heading is `title`."""
    lines = text[text.index(title) :].split("\n\n")[0].splitlines()
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def test_features_are_proved() -> None:
    """Every row names tests that are there, and no row is without."""
    rows = table(README, "| | langchain-huggingface")[2:]
    for row in rows:
        (tests,) = [tests for start, tests in PROVED.items() if row[0].startswith(start)]
        for test in tests:
            name, _, function = test.partition("::")
            tree = ast.parse((Path(__file__).parent / name).read_text())
            functions = {n.name for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)}
            assert not function or function in functions, test
    assert len(rows) == len(PROVED)


def test_figures() -> None:
    """The README's figures are those of docs/performance.md, in whole numbers."""
    measured = table((ROOT / "docs" / "performance.md").read_text(), "| CPU µs, or as told")
    rows = {row[0]: dict(zip(measured[0], row, strict=True)) for row in measured[2:]}
    told = {row[0]: row[1:3] for row in table(README, "| | langchain-huggingface")[2:]}
    for start, name in (("CPU of a call", "a call"), ("CPU of a streamed chunk", "a chunk of 1,000")):
        (shown,) = [cells for row, cells in told.items() if row.startswith(start)]
        for cell, package in zip(shown, ("ChatHuggingFace", "ChatOpenAI"), strict=True):
            ratio = float(rows[name][package].replace(",", "")) / float(rows[name]["ours"].replace(",", ""))
            assert int(cell.rstrip("×")) in (int(ratio), round(ratio)), (name, package, ratio)


def test_providers() -> None:
    """The providers that are called by their own hosts are those of the table."""
    listed = re.search(r"its own host is\s+called: ([^.]*)\.\n", README)

    assert listed
    assert [name.strip() for name in listed[1].split(",")] == sorted(PROVIDER_CHAT_URLS)


ENGINES = {"vLLM": "vllm", "llama.cpp": "llama", "transformers serve": "transformers", "mlx-lm": "mlx"}


def test_engines() -> None:
    """What the README says an engine ignores is what its row says, and the versions are those that are tested."""
    rows = {row[0]: row for row in table(README, "| engine | tools")[2:]}
    for title, name in ENGINES.items():
        (row,) = [row for first, row in rows.items() if first.startswith(title)]
        engine = engines.ENGINES[name]
        assert engine.version.startswith(row[0].removeprefix(title).strip()), row[0]
        ignored = DIALECTS[engine.dialect].ignored
        assert (row[2] == "ignored, told") == ("tool_choice" in ignored)
        assert (row[3] == "ignored, told") == ("response_format" in ignored)


COLUMNS = {
    "TGI": "tgi",
    "vLLM": "vllm",
    "SGLang": "sglang",
    "llama.cpp": "llama.cpp",
    "transformers serve": "transformers",
    "mlx-lm": "mlx",
}


@pytest.mark.parametrize("column", COLUMNS)
def test_reference_by_engine(column: str) -> None:
    """Each mark in the reference is what the engine's row says: ✓ taken, – ignored, ✗ refused; other names are named."""
    heading, _, *rows = table(REFERENCE, "| argument | also accepted as | range |")
    place, dialect = heading.index(column), DIALECTS[COLUMNS[column]]
    for row in rows:
        for name in re.findall(r"`(\w+)`", row[0]):
            mark = "✗" if name in dialect.refused else "–" if name in dialect.ignored else "✓"
            assert row[place].startswith(mark), (name, row[place])
            if name in dialect.renamed:
                assert f"`{dialect.renamed[name]}`" in row[place], name
    known = set(re.findall(r"`(\w+)`", " ".join(row[0] for row in rows)))
    assert dialect.refused.keys() | dialect.ignored | dialect.renamed.keys() <= known | {"top_logprobs"}


PARTS = {"pictures": {"image_url"}, "sound": {"input_audio", "audio_url"}, "video": {"video_url"}, "files": {"file"}}


@pytest.mark.parametrize("title", COLUMNS)
def test_media_by_engine(title: str) -> None:
    """What the page on pictures says an engine reads is what its row lets through."""
    heading, _, *rows = table((ROOT / "docs" / "how-to" / "images.md").read_text(), "| | pictures")
    (row,) = [row for row in rows if row[0] == title]
    for kind, parts in PARTS.items():
        assert (row[heading.index(kind)] == "yes") == bool(parts & DIALECTS[COLUMNS[title]].parts), kind


OF_THE_TRANSPORT = ("Answers are bounded", "HTTP/1.1 is read strictly")
"""Claims of SECURITY.md that test_bodies.py and test_http1.py hold as whole files."""


def test_security_names_its_tests() -> None:
    """Each claim of SECURITY.md names tests, and they are there."""
    claims = (ROOT / "SECURITY.md").read_text().split("\n- ")[1:]
    assert len(claims) > 15
    for claim in claims:
        named = re.findall(r"`(test_\w+\.py)::(test_\w+)`", claim)
        assert named or claim.startswith(OF_THE_TRANSPORT), claim
        for name, function in named:
            tree = ast.parse((Path(__file__).parent / name).read_text())
            assert function in {
                n.name for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)
            }, (name, function)

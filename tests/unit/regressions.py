"""Issues of other packages that our users met, each with a test of ours; makes docs/regressions.md.

python tests/unit/regressions.py    # writes the page anew
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

TESTS = Path(__file__).parent
PAGE = TESTS.parents[1] / "docs" / "regressions.md"
HOMES = {
    "langchain": "langchain-ai/langchain", "langchain-docs": "langchain-ai/docs", "TGI": "huggingface/text-generation-inference",
    "llama-cpp-python": "abetlen/llama-cpp-python", "lmdeploy": "InternLM/lmdeploy", "vllm": "vllm-project/vllm",
    "huggingface_hub": "huggingface/huggingface_hub", "hub-docs": "huggingface/hub-docs",
    "api-inference-community": "huggingface/api-inference-community", "smolagents": "huggingface/smolagents",
    "dify-official-plugins": "langgenius/dify-official-plugins", "slide-deck-ai": "barun-saha/slide-deck-ai",
    "cline": "cline/cline", "page-assist": "n4ze3m/page-assist", "haystack": "deepset-ai/haystack",
    "pydantic-ai": "pydantic/pydantic-ai", "litellm": "BerriAI/litellm", "langflow": "langflow-ai/langflow", "n8n": "n8n-io/n8n",
    "local-deep-research": "LearningCircuit/local-deep-research", "deer-flow": "bytedance/deer-flow",
}  # fmt: skip

HEAD = """# Issues of other packages, and the tests that keep them away

Each row is an issue that users of LangChain with Hugging Face ran into, in langchain-huggingface, in ChatOpenAI pointed at the
router, or in what stands between; the test of ours asserts the opposite. Made by `python tests/unit/regressions.py`.

| issue | what was broken | test |
|---|---|---|
"""


def issue(*numbers: str, broken: str) -> Callable[[Any], Any]:
    """Name the issues that a test keeps away, and say what was broken."""
    for number in numbers:
        assert number.partition("#")[0] in HOMES, number
        assert number.partition("#")[2].isdigit(), number

    def marked(test: Any) -> Any:
        test.issues = (numbers, broken)
        return test

    return marked


def rows() -> Iterator[tuple[tuple[str, ...], str, str]]:
    """Give issues, symptom and test, as they stand in the tests."""
    for path in sorted(TESTS.glob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef):
                for call in node.decorator_list:
                    if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "issue":
                        numbers = tuple(ast.literal_eval(one) for one in call.args)
                        yield numbers, ast.literal_eval(call.keywords[0].value), f"{path.name}::{node.name}"


def page() -> str:
    """Write the page."""
    lines = []
    for numbers, broken, test in rows():
        links = [
            f"[{n}](https://github.com/{HOMES[n.partition('#')[0]]}/issues/{n.partition('#')[2]})" for n in numbers
        ]
        lines.append(f"| {', '.join(links)} | {broken} | `{test}` |")
    count = len({number for numbers, _, _ in rows() for number in numbers})
    return HEAD + "\n".join(lines) + f"\n\n{count} issues, {len(lines)} tests.\n"


if __name__ == "__main__":
    PAGE.write_text(page())
    print(page().splitlines()[-1])

"""What the site needs beside the pages: those that stand at the top of the repository, and links out of docs/."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[2]
TOP = {"contributing.md": "CONTRIBUTING.md", "security.md": "SECURITY.md", "changelog.md": "CHANGELOG.md"}
MARKED = re.compile(r"^```(\w+) \w+$", re.MULTILINE)
"""A block that another lane of tests runs: GitHub reads its first word alone, mkdocs all of them."""
LINK = re.compile(r"\]\((?P<target>(?!https?:|#|mailto:)[^)#\s]+)(?P<anchor>#[^)]*)?\)")


def on_files(files: Files, config: Any) -> Files:
    """Add the pages that stand at the top."""
    for name, source in TOP.items():
        text = (ROOT / source).read_text()
        files.append(File.generated(config, name, content=re.sub(r"\]\(docs/", "](", text)))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:  # noqa: ARG001 - mkdocs names them
    """Lead links to files that are no pages (examples, code) to the repository."""
    here = (ROOT / "docs" / page.file.src_uri).parent

    def led(found: re.Match[str]) -> str:
        path = (here / found["target"]).resolve()
        if path.is_relative_to(ROOT / "docs") or not path.is_relative_to(ROOT):
            return found[0]
        if not path.exists():
            raise FileNotFoundError(f"{page.file.src_uri}: {found['target']} is not there")
        return f"]({config.repo_url}/blob/main/{path.relative_to(ROOT)}{found['anchor'] or ''})"

    return MARKED.sub(r"```\1", LINK.sub(led, markdown))


def on_page_content(html: str, page: Any, config: Any, files: Files) -> str:  # noqa: ARG001
    """Refuse a page on which a block of code was not taken for one."""
    if "```" in html:
        raise ValueError(f"{page.file.src_uri}: a block of code is not closed, or its first line is not understood")
    return html

"""The README's first block on a live engine: the output that it shows is real."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from engines import Running

README = (Path(__file__).parents[2] / "README.md").read_text()


def test_first_block(engine: Running, capsys: pytest.CaptureFixture[str]) -> None:
    """The first block, put to the tiny model, prints what the README shows."""
    if engine.engine.name not in ("llama", "vllm"):
        pytest.skip(f"{engine.engine.name} ignores JSON Schemas")
    block = re.findall(r"```python\n(.*?)```", README, re.DOTALL)[0]
    shown = re.findall(r"```text\n(.*?)```", README, re.DOTALL)[0]
    here = f'ChatHFInference(model="tiny-chat", endpoint_url="{engine.url}", engine="{engine.engine.dialect}", temperature=0)'

    exec(re.sub(r"ChatHFInference\(model=.*\)", here, block), {})

    assert capsys.readouterr().out == shown

"""`hf-inference doctor`: what is wrong between here and a model, in plain words."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any

import click
from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from langchain_hf_inference._protocol.dialects import ENGINES
from langchain_hf_inference.cli.findings import Finding
from langchain_hf_inference.cli.offer_rows import offer_table
from langchain_hf_inference.cli.options import FAILED, complete_model, json_option, named_place, place_options
from langchain_hf_inference.cli.trials import examine

_SIGNS = {"ok": "[green]✓[/]", "warning": "[yellow]![/]", "failure": "[red]✗[/]", "skipped": "[dim]·[/]"}
_WIDTH = 12
"""Columns of a check's name."""


@click.command()
@click.argument("model", required=False, shell_complete=complete_model)
@place_options
@click.option("--engine", type=click.Choice(ENGINES), help="What serves; asked of the server without.")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=60.0,
    show_default=True,
    help="Seconds for each answer.",
)
@json_option
def doctor(model: str | None, engine: str | None, timeout: float, as_json: bool, **where: Any) -> None:
    """Look at token, account, route, server and providers, and try an answer, a tool call and a JSON Schema.

    Without MODEL (HF_MODEL) and --endpoint-url (HF_INFERENCE_URL), only what needs none is looked at. Three short
    questions are asked of a model, and no failure is tried again. Exit code 1: something is wrong.
    """
    place = named_place(model, **where) | ({"engine": engine} if engine else {})
    found: list[Finding] = []
    console = Console(highlight=False)
    for finding in examine(place, timeout=timeout):
        found.append(finding)
        if not as_json:
            _show(console, finding)
    verdict = _verdict(found)
    if as_json:
        click.echo(
            json.dumps(
                {"ok": not _failures(found), "verdict": verdict, "checks": [f.as_dict() for f in found]},
                ensure_ascii=False,
            )
        )
    else:
        console.print(f"\n[bold]{escape(verdict)}[/]")
    sys.exit(FAILED if _failures(found) else 0)


def _failures(found: Sequence[Finding]) -> list[Finding]:
    return [finding for finding in found if finding.state == "failure"]


def _verdict(found: Sequence[Finding]) -> str:
    if failures := _failures(found):
        return f"Wrong: {', '.join(finding.check for finding in failures)}. What to do stands beside it."
    warned = [finding.check for finding in found if finding.state == "warning"]
    if warned:
        return f"It works; look at: {', '.join(warned)}."
    return "All is well." if found[-1].check != "model" else "What was looked at is well."


def _show(console: Console, finding: Finding) -> None:
    if not console.is_terminal:  # each line whole
        click.echo(f"{Text.from_markup(_SIGNS[finding.state])} {finding.check:<{_WIDTH}} {finding.said}")
        if finding.mend:
            click.echo(f"  {'':<{_WIDTH}} → {finding.mend}")
        _show_offers(console, finding)
        return
    lines = Table.grid(padding=(0, 1, 0, 0))
    for width in (1, _WIDTH):
        lines.add_column(width=width)
    lines.add_column(overflow="fold")
    lines.add_row(_SIGNS[finding.state], finding.check, escape(finding.said))
    if finding.mend:
        lines.add_row("", "", f"[cyan]→ {escape(finding.mend)}[/]")
    console.print(lines)
    _show_offers(console, finding)


def _show_offers(console: Console, finding: Finding) -> None:
    if offers := finding.facts.get("offers"):
        console.print(Padding(offer_table(offers), (0, 0, 0, _WIDTH + 3)))

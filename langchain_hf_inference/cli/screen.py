"""How a conversation looks: Markdown as it comes on a terminal, plain text in a pipe."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import click
from langchain_core.messages import AIMessageChunk
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.live import Live
from rich.markdown import Markdown
from rich.panel import Panel
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from langchain_hf_inference.cli.conversation import Side, ask_all, reasoning_of
from langchain_hf_inference.nodes.action import error_envelope

REFRESHES = 12
"""How often a second the screen is drawn: Markdown is read anew each time."""


class _Tail:
    """The last lines of something, so many as the terminal has: what is above them has been read."""

    def __init__(self, whole: Callable[[], RenderableType]) -> None:
        self.whole = whole

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        lines = console.render_lines(self.whole(), options.update(height=None), pad=False)
        for line in lines[-(console.height - 2) :]:
            yield from line
            yield Segment.line()


def show_answers(console: Console, sides: Sequence[Side], question: str) -> None:
    """Ask, and show the answers as they come."""
    if console.is_terminal:

        def whole() -> RenderableType:
            return drawn(sides[0]) if len(sides) == 1 else side_by_side(sides)

        with Live(_Tail(whole), console=console, transient=True, refresh_per_second=REFRESHES):
            ask_all(sides, question, lambda *_: None)
        console.print(whole())
        return
    if len(sides) == 1:
        _write_along(sides[0], question)
        _end(sides[0])
        return
    ask_all(sides, question, lambda *_: None)
    for side in sides:
        click.echo(f"## {side.name}\n")
        if side.answer is not None:
            click.echo(reasoning_of(side.answer), err=True)
            click.echo(side.answer.text)
        _end(side)


def _write_along(side: Side, question: str) -> None:
    """Write the answer as it comes, the text to stdout and the reasoning to stderr."""
    is_thinking = False

    def write(_side: Side, chunk: AIMessageChunk) -> None:
        nonlocal is_thinking
        thought = reasoning_of(chunk)
        if is_thinking and chunk.text:
            click.echo(err=True)
        is_thinking = bool(thought) or (is_thinking and not chunk.text)
        click.echo(thought, nl=False, err=True)
        click.echo(chunk.text, nl=False)

    ask_all([side], question, write)


def _end(side: Side) -> None:
    click.echo()
    if side.error is not None:
        click.echo(f"hf-inference: {error_envelope(side.error)['message']}", err=True)
    if side.answer is not None:
        click.echo(side.footer(), err=True)


def drawn(side: Side) -> RenderableType:
    """Draw the answer of one side: its reasoning dimmed, its text, what it cost."""
    parts: list[Any] = []
    if side.reasoning:
        parts += [Text(side.reasoning.strip(), style="dim italic"), Text()]
    if side.answer is not None:
        parts.append(Markdown(side.answer.text))
        if side.seconds:
            parts += [Text(), Text(side.footer(), style="dim")]
    if side.error is not None:
        parts.append(Text(error_envelope(side.error)["message"], style="red"))
    return Group(*parts) if parts else Text("…", style="dim")


def side_by_side(sides: Sequence[Side]) -> Table:
    """Draw all sides beside each other."""
    table = Table.grid(expand=True, padding=(0, 1))
    for _ in sides:
        table.add_column(ratio=1)
    table.add_row(*(Panel(drawn(side), title=side.name, title_align="left") for side in sides))
    return table

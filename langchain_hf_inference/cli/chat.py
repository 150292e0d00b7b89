"""`hf-inference chat`: talk with a model, or with two at once."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import click
from rich.console import Console

from langchain_hf_inference._protocol.routing import is_url, shown_url
from langchain_hf_inference._protocol.wire import loads
from langchain_hf_inference.chat_models import ChatHFInference
from langchain_hf_inference.cli.conversation import Side, ask_all
from langchain_hf_inference.cli.options import complete_model, exit_code, json_option, place_of, place_options
from langchain_hf_inference.cli.screen import show_answers

PROMPT = "> "
HELP = (
    "/clear forgets what was said, /system TEXT sets the system message, /exit or Ctrl-D ends; Ctrl-C stops an answer"
)


@click.command()
@click.argument("model", required=False, shell_complete=complete_model)
@click.option("-m", "--message", help="Ask this, and end. Without, and with something piped in, that is asked.")
@click.option(
    "--compare",
    metavar="MODEL",
    shell_complete=complete_model,
    help="Ask this model too, side by side; or a server, by its URL.",
)
@place_options
@click.option("--system", help="The system message.")
@click.option("--temperature", type=float)
@click.option("--max-tokens", type=int)
@click.option("--top-p", type=float)
@click.option("--top-k", type=int)
@click.option("--frequency-penalty", type=float)
@click.option("--presence-penalty", type=float)
@click.option("--seed", type=int)
@click.option("--reasoning-effort", help="low, medium, high, or what the model knows.")
@click.option(
    "--set",
    "more",
    metavar="NAME=VALUE",
    multiple=True,
    help="Any other argument of ChatHFInference; VALUE is JSON, or text.",
)
@json_option
def chat(
    model: str | None,
    message: str | None,
    compare: str | None,
    system: str | None,
    more: Sequence[str],
    as_json: bool,
    **options: Any,
) -> None:
    """Talk with MODEL: streaming, Markdown, reasoning dimmed, tokens and price at the end.

    In a pipe the text alone goes to stdout; reasoning, tokens and price go to stderr.
    """
    where = {name: options.pop(name) for name in ("provider", "endpoint_url", "token")}
    settings = {name: value for name, value in options.items() if value is not None} | _settings(more)
    sides = [_side(place_of(model, **where), settings)]
    if compare:
        other = {**where, "endpoint_url": None} if is_url(compare) else where
        sides.append(_side(place_of(compare, **other), settings))
    for side in sides:
        side.begin(system)
    if message is None and (as_json or not sys.stdin.isatty()):
        message = sys.stdin.read()
    if message is None:
        _talk(sides, system)
        return
    if not message.strip():
        raise click.UsageError("there is nothing to ask: give --message, or pipe something in")
    if as_json:
        ask_all(sides, message, lambda *_: None)
        answers = [side.as_dict() for side in sides]
        click.echo(json.dumps({"answers": answers} if compare else answers[0], ensure_ascii=False))
    else:
        show_answers(Console(highlight=False), sides, message)
    if errors := [side.error for side in sides if side.error is not None]:
        sys.exit(exit_code(errors[0]))


def _side(place: dict[str, Any], settings: dict[str, Any]) -> Side:
    # Prices are the router's: servers of one's own have none.
    priced = {"report_cost": "endpoint_url" not in place}
    return Side(
        ChatHFInference(**place, **{**priced, **settings}), place.get("model") or shown_url(place["endpoint_url"])
    )


def _settings(more: Sequence[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for one in more:
        name, equals, value = one.partition("=")
        if not equals or not name.isidentifier():
            raise click.UsageError(
                f"--set {name if equals else ''}… is not NAME=VALUE: NAME is one word of letters and _"
            )
        try:
            found[name] = loads(value)
        except ValueError:
            found[name] = value
    return found


def _talk(sides: list[Side], system: str | None) -> None:
    """Ask and answer until Ctrl-D."""
    with suppress(ImportError):  # there is none on Windows
        import readline  # noqa: F401 - makes input() a line that can be edited, with the lines before it
    console = Console(highlight=False)
    console.print(
        f"[bold]{' · '.join(side.name for side in sides)}[/]   [dim]/help tells what else can be typed; Ctrl-D ends[/]"
    )
    while True:
        try:
            console.print()
            line = input(PROMPT).strip()
        except EOFError:
            console.print()
            return
        word, _, rest = line.partition(" ")
        if word in ("/exit", "/quit"):
            return
        if word in ("/clear", "/system"):
            system = rest if word == "/system" else system
            for side in sides:
                side.begin(system)
            console.print("[dim]forgotten[/]" if word == "/clear" else f"[dim]system: {system or 'none'}[/]")
        elif word.startswith("/"):
            console.print(f"[dim]{HELP}[/]")
        elif line:
            try:
                show_answers(console, sides, line)
            except KeyboardInterrupt:
                console.print("[dim](stopped; neither the question nor the answer is kept)[/]")

"""`hf-inference action` and `hf-inference n8n`: models described as data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from langchain_hf_inference._protocol.wire import loads
from langchain_hf_inference.batch.lines import ACTIONS
from langchain_hf_inference.cli.options import complete_action, json_option, model_option, place_options
from langchain_hf_inference.nodes.n8n import SubNode, from_n8n

_action_name = click.argument("name", type=click.Choice(list(ACTIONS)), shell_complete=complete_action)


@click.group()
def action() -> None:
    """Models described as data."""


@action.command("schema")
@_action_name
@click.option("--accepts", is_flag=True, help="All that is accepted, numbers as text among it, instead of the form.")
@json_option
def action_schema(name: str, accepts: bool, as_json: bool) -> None:
    """Print the JSON Schema of an action's form; with --json in one line."""
    kind = ACTIONS[name]
    _print(kind.accepts_schema() if accepts else kind.form_schema(), as_json=as_json)


@action.command("run")
@_action_name
@click.argument("data")
@click.option("--context", help="JSON in which {{path.to.value}} is looked up.")
@model_option
@place_options
@json_option
def action_run(name: str, data: str, context: str | None, token: str | None, as_json: bool, **place: Any) -> None:
    """Run an action: DATA is its fields as JSON, or @file. Prints the answer as JSON, with --json in one line."""
    fields = {**{key: value for key, value in place.items() if value is not None}, **_object(data, "DATA")}
    given = _object(context, "--context") if context else None
    _print(ACTIONS[name].parse(fields, given).run(token), as_json=as_json)


@click.command()
@click.argument("workflow", type=click.Path(exists=True, path_type=Path))
@click.option("--as-chat", is_flag=True, help="As chat models, penalties being penalties.")
@click.option("--items", help="JSON list of items; expressions see the first.")
@json_option
def n8n(workflow: Path, as_chat: bool, items: str | None, as_json: bool) -> None:
    """Tell what the Hugging Face sub-nodes of an n8n workflow are here."""
    nodes = from_n8n(workflow.read_text(), items=json.loads(items) if items else None, as_chat=as_chat)
    if as_json:
        _print([_told(node) for node in nodes], as_json=True)
        return
    for node in nodes:
        click.echo(
            f"{node.name}: {type(node.model).__name__}({_settings(node)}), for {', '.join(node.targets) or 'nobody'}"
        )
        for note in node.notes:
            click.echo(f"  note: {note}")


def _told(node: SubNode) -> dict[str, Any]:
    return {
        "name": node.name,
        "kind": node.kind,
        "class": type(node.model).__name__,
        "targets": node.targets,
        "notes": node.notes,
        "settings": _given(node),
    }


def _settings(node: SubNode) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in _given(node).items())


def _given(node: SubNode) -> dict[str, Any]:
    """Give what differs from the defaults; keys are no part of it."""
    given: dict[str, Any] = node.model.model_dump(
        mode="json", exclude_defaults=True, exclude={"metadata", "profile", "api_key"}
    )
    return given


def _print(value: Any, *, as_json: bool) -> None:
    click.echo(json.dumps(value, indent=None if as_json else 2, ensure_ascii=False))


def _object(text: str, name: str) -> dict[str, Any]:
    if text.startswith("@"):
        text = Path(text[1:]).read_text()
    try:
        found = loads(text)
    except ValueError as error:
        raise click.UsageError(f"{name} is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise click.UsageError(f"{name} is not a JSON object")
    return found

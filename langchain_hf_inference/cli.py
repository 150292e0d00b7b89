"""The command `hf-inference` (extra `cli`)."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

try:
    import click
except ImportError:  # pragma: no cover - the extra is there wherever this is tested
    sys.exit("hf-inference needs its extra: pip install 'langchain-hf-inference[cli]'")

from pydantic import ValidationError

from langchain_hf_inference._protocol.wire import loads
from langchain_hf_inference._version import __version__
from langchain_hf_inference.batch import BatchJob
from langchain_hf_inference.batch.lines import ACTIONS
from langchain_hf_inference.batch.progress import shown_progress
from langchain_hf_inference.errors import HFInferenceError
from langchain_hf_inference.nodes.action import error_envelope
from langchain_hf_inference.nodes.n8n import from_n8n

USAGE_ERROR = 2


def _place(command: Any) -> Any:
    """Add the options that say where to, and as whom."""
    for option in reversed((
        click.option("--model", help="Hub id, or a server's own name for its model."),
        click.option("--provider", help="fastest, cheapest, or a provider's name."),
        click.option("--endpoint-url", help="An Inference Endpoint or a server of your own."),
        click.option("--token", help="Token; by default HF_TOKEN or the stored login."),
    )):  # fmt: skip
        command = option(command)
    return command


@click.group()
@click.version_option(__version__, prog_name="hf-inference")
def main() -> None:
    """Open models on Hugging Face, from the command line."""


@main.command()
@click.argument("source", type=click.Path(path_type=Path))
@click.argument("output", type=click.Path(path_type=Path))
@click.option("--errors", type=click.Path(path_type=Path), help="Lines that failed; OUTPUT.errors.jsonl by default.")
@click.option("--action", type=click.Choice(list(ACTIONS)), help="What lines are that do not say so.")
@click.option(
    "--max-concurrency", type=click.IntRange(min=1), default=64, show_default=True, help="Most requests in flight."
)
@click.option(
    "--max-attempts", type=click.IntRange(min=1), default=8, show_default=True, help="How often a line is sent at most."
)
@click.option("--timeout", type=float, default=600.0, show_default=True, help="Seconds for one request.")
@click.option("--retry-errors", is_flag=True, help="Do the lines again that failed in an earlier run.")
@click.option("--overwrite", is_flag=True, help="Begin anew; without, a job that was broken off goes on.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON; no progress.")
@_place
def batch(source: Path, output: Path, errors: Path | None, **options: Any) -> None:
    """Send each line of SOURCE (JSONL, OpenAI's batch format or actions), and write the answers to OUTPUT.

    Exit code 0: all are answered. 1: some failed, see the errors file. 2: nothing could be begun. 130: stopped by
    Ctrl-C; the same command goes on.
    """
    as_json, token = options.pop("as_json"), options.pop("token")
    files: dict[str, Any] = {name: options.pop(name) for name in ("retry_errors", "overwrite")}
    job = BatchJob(api_key=token, **{name: value for name, value in options.items() if value is not None})
    if as_json:
        done = job.run(source, output, errors, **files)
        click.echo(json.dumps({name: getattr(done, name) for name in done.__slots__}))
    else:
        with shown_progress() as tell:
            done = job.run(source, output, errors, on_progress=tell, **files)
        told = f"{done.succeeded:,} answered, {done.failed:,} failed, {done.tokens:,} tokens in {done.seconds:,.1f} s"
        click.echo(told, err=True)
    sys.exit(done.exit_code)


@main.group()
def action() -> None:
    """Models described as data."""


@action.command("schema")
@click.argument("name", type=click.Choice(list(ACTIONS)))
@click.option("--accepts", is_flag=True, help="All that is accepted, numbers as text among it, instead of the form.")
def action_schema(name: str, accepts: bool) -> None:
    """Print the JSON Schema of an action's form."""
    kind = ACTIONS[name]
    click.echo(json.dumps(kind.accepts_schema() if accepts else kind.form_schema(), indent=2, ensure_ascii=False))


@action.command("run")
@click.argument("name", type=click.Choice(list(ACTIONS)))
@click.argument("data")
@click.option("--context", help="JSON in which {{path.to.value}} is looked up.")
@_place
def action_run(name: str, data: str, context: str | None, token: str | None, **place: Any) -> None:
    """Run an action: DATA is its fields as JSON, or @file."""
    fields = {**{key: value for key, value in place.items() if value is not None}, **_object(data, "DATA")}
    given = _object(context, "--context") if context else None
    made = ACTIONS[name].parse(fields, given)
    click.echo(json.dumps(made.run(token), ensure_ascii=False))


@main.command()
@click.argument("workflow", type=click.Path(exists=True, path_type=Path))
@click.option("--as-chat", is_flag=True, help="As chat models, penalties being penalties.")
@click.option("--items", help="JSON list of items; expressions see the first.")
def n8n(workflow: Path, as_chat: bool, items: str | None) -> None:
    """Tell what the Hugging Face sub-nodes of an n8n workflow are here."""
    nodes = from_n8n(workflow.read_text(), items=json.loads(items) if items else None, as_chat=as_chat)
    told = [{"name": n.name, "kind": n.kind, "class": type(n.model).__name__, "targets": n.targets, "notes": n.notes,
             "settings": n.model.model_dump(mode="json", exclude_defaults=True, exclude={"metadata", "profile"})}
            for n in nodes]  # fmt: skip
    click.echo(json.dumps(told, indent=2, ensure_ascii=False))


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


def run() -> None:
    """Run the command; a mistake of the user's, or a failure of the server's, is told in a line, without a trace."""
    try:
        main(standalone_mode=True)
    except (HFInferenceError, ValidationError, ValueError, OSError) as error:
        click.echo(f"hf-inference: {error_envelope(error)['message']}", err=True)
        sys.exit(USAGE_ERROR)


if __name__ == "__main__":
    run()

"""`hf-inference batch`: a file of requests."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from langchain_hf_inference.batch import BatchJob
from langchain_hf_inference.batch.lines import ACTIONS
from langchain_hf_inference.batch.progress import shown_progress
from langchain_hf_inference.cli.options import json_option, model_option, place_options


@click.command()
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
@model_option
@place_options
@json_option
def batch(source: Path, output: Path, errors: Path | None, **options: Any) -> None:
    """Send each line of SOURCE (JSONL, OpenAI's batch format or actions), and write the answers to OUTPUT.

    Exit code 0: all are answered. 1: some failed, see the errors file. 2: nothing could be begun. 130: stopped by
    Ctrl-C; the same command goes on. With --json the summary is printed, and no progress.
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

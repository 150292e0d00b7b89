"""What commands have in common: where to and as whom, JSON, and how a failure is told."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

import click
from pydantic import ValidationError

from langchain_hf_inference._profiles import known_models
from langchain_hf_inference._protocol.routing import is_url
from langchain_hf_inference.batch.lines import ACTIONS
from langchain_hf_inference.errors import ConfigurationError, HFInferenceError
from langchain_hf_inference.nodes.action import error_envelope

FAILED, USAGE_ERROR, INTERRUPTED = 1, 2, 130
"""Exit codes: the server or the model failed; the command could not be begun; Ctrl-C. 0 is success."""


def complete_model(_context: click.Context, _parameter: click.Parameter, begun: str) -> list[str]:
    """Complete a Hub id, from our own data."""
    return [name for name in known_models() if name.lower().startswith(begun.lower())]


def complete_action(_context: click.Context, _parameter: click.Parameter, begun: str) -> list[str]:
    """Complete the name of an action."""
    return [name for name in ACTIONS if name.startswith(begun)]


def place_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say where to, and as whom."""
    for option in reversed((
        click.option("--provider", help="fastest, cheapest, or a provider's name."),
        click.option("--endpoint-url", help="An Inference Endpoint or a server of your own."),
        click.option("--token", help="Token; by default HF_TOKEN or the stored login."),
    )):  # fmt: skip
        command = option(command)
    return command


model_option = click.option(
    "--model", shell_complete=complete_model, help="Hub id, or a server's own name for its model."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")


def named_place(
    model: str | None, provider: str | None = None, endpoint_url: str | None = None, token: str | None = None
) -> dict[str, Any]:
    """Give the arguments of a connection; HF_INFERENCE_URL and HF_MODEL stand for what is not given.

    A URL given as the model is a server, as it is for the models.
    """
    if is_url(model) and endpoint_url is None:
        model, endpoint_url = None, model
    place = {
        "model": model or os.environ.get("HF_MODEL") or None,
        "provider": provider,
        "endpoint_url": endpoint_url or os.environ.get("HF_INFERENCE_URL") or None,
        "api_key": token,
    }
    return {name: value for name, value in place.items() if value is not None}


def place_of(model: str | None, **where: str | None) -> dict[str, Any]:
    """Like `named_place`, where something must be named.

    Raises:
        ConfigurationError: Neither a model nor a server is named.
    """
    place = named_place(model, **where)
    if "model" not in place and "endpoint_url" not in place:
        raise ConfigurationError(
            "no model is named: give MODEL (say Qwen/Qwen3-32B), or --endpoint-url for a server of your own; "
            "HF_MODEL and HF_INFERENCE_URL stand for them"
        )
    return place


def is_mistake(error: Exception) -> bool:
    """Tell what the user can mend at the keyboard from what a server did."""
    return isinstance(error, ConfigurationError) or not isinstance(error, HFInferenceError)


def tell(error: Exception, *, as_json: bool) -> None:
    """Tell of a failure in a line, or as JSON; never as a trace."""
    if as_json:
        click.echo(json.dumps({"error": error_envelope(error)}, ensure_ascii=False))
    else:
        click.echo(f"hf-inference: {error_envelope(error)['message']}", err=True)


def exit_code(error: Exception) -> int:
    """Give the exit code of a failure."""
    return USAGE_ERROR if is_mistake(error) else FAILED


TOLD: tuple[type[Exception], ...] = (HFInferenceError, ValidationError, ValueError, OSError)
"""Failures that are told in a line."""

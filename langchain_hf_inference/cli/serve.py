"""`hf-inference serve-scripted` and `serve-tiny`: something to talk to, on this machine."""

from __future__ import annotations

import importlib.util
import json
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any

import click

from langchain_hf_inference.cli.options import json_option
from langchain_hf_inference.errors import ConfigurationError
from langchain_hf_inference.testing import Fault, InferenceServer, RecordedRequest

FAULTS = {
    "rate-limited": Fault.rate_limited(),
    "loading": Fault.loading(),
    "cut": Fault.cut_stream(),
    "stalled": Fault.stalled(3600.0),
    "silent": Fault.stalled(3600.0, after_events=0),
    "in-stream": Fault.in_stream(),
}
"""What can be shown by name; an HTTP status is shown as that."""


def fault_of(text: str) -> tuple[Fault, int]:
    """Read "cut", "503", or "429*3" for three times.

    Raises:
        click.BadParameter: It is none of these.
    """
    name, _, times = text.partition("*")
    if (times and not times.isdigit()) or not (name in FAULTS or (name.isdigit() and 400 <= int(name) < 600)):
        raise click.BadParameter(
            f"{text!r} is none of {', '.join(FAULTS)}, or a status from 400 to 599; cut*3 is three times"
        )
    return FAULTS[name] if name in FAULTS else Fault.of_status(int(name)), int(times or 1)


@click.command("serve-scripted")
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="0 takes a free one.")
@click.option("--engine", type=click.Choice(["tgi", "tei"]), help="Say so under /info.")
@click.option("--api-key", help="The token that requests must bear.")
@click.option("--model", "models", multiple=True, help="A name that is served; any without.")
@click.option("--context-length", type=click.IntRange(min=1), help="The most tokens (words) of a chat prompt.")
@click.option(
    "--chunk-delay", type=click.FloatRange(min=0), default=0.0, help="Seconds between the events of a stream."
)
@click.option(
    "--fault", "faults", multiple=True, help=f"{', '.join(FAULTS)}, or a status, for one request; cut*3 for three."
)
@json_option
def serve_scripted(faults: tuple[str, ...], as_json: bool, **options: Any) -> None:
    """Serve by rules, without a model: to try a chain, and what becomes of failures. Ctrl-C ends it.

    One line is printed for each request; with --json its body too.
    """
    shown = [fault_of(text) for text in faults]
    with InferenceServer(**options) as server:
        for fault, times in shown:
            server.fail(fault, times)
        _announce(server.url, "the scripted server: rules, no language model", as_json=as_json)
        told = 0
        while True:
            time.sleep(0.1)
            for request in server.requests[told:]:
                click.echo(_line(request, as_json=as_json))
                told += 1


def _line(request: RecordedRequest, *, as_json: bool) -> str:
    if as_json:
        return json.dumps(
            {"method": request.method, "path": request.path, "body": request.body}, ensure_ascii=False, default=repr
        )
    asked = request.body if isinstance(request.body, dict) else {}
    return f"{request.method} {request.path}  model {asked.get('model')!r}{', streamed' if asked.get('stream') else ''}"


@click.command("serve-tiny")
@click.option(
    "--engine", default="mlx", show_default=True, help="mlx, llama, transformers or vllm; installed on first use."
)
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="0 takes a free one.")
@json_option
def serve_tiny(engine: str, port: int, as_json: bool) -> None:
    """Serve the tiny model of the tests on a real engine, from a checkout. Ctrl-C ends it.

    The model was trained on the tests' dialogues: it knows some capitals, sums and the weather, and little else.
    """
    engines = _engines()
    if engine not in engines.ENGINES:
        raise click.BadParameter(f"{engine!r} is none of {', '.join(engines.ENGINES)}", param_hint="--engine")
    with socket.create_server(("127.0.0.1", port)) as free:  # else an older server would be taken for ours
        port = free.getsockname()[1]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # the engine is a process of its own: it ends with us
    with engines.serving(engine, port) as running:
        _announce(running.url, f"{engine} {running.engine.version}, model {running.model}", as_json=as_json)
        while True:
            time.sleep(1)


def _engines() -> Any:
    """Load tests/integration/engines.py of the checkout."""
    path = Path(__file__).parents[2] / "tests" / "integration" / "engines.py"
    spec = importlib.util.spec_from_file_location("engines", path)
    if not path.exists() or spec is None or spec.loader is None:
        raise ConfigurationError(
            "serve-tiny needs a checkout: the tiny model and its engines are no part of the package; "
            "hf-inference serve-scripted needs none"
        )
    module = sys.modules["engines"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _announce(url: str, what: str, *, as_json: bool) -> None:
    click.echo(json.dumps({"url": url, "what": what}) if as_json else f"{url}  {what}  (Ctrl-C ends it)")

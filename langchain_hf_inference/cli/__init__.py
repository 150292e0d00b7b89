"""The command `hf-inference` (extra `cli`).

Exit codes: 0 all is well; 1 a server or a model failed, or a check did; 2 the command could not be begun;
130 Ctrl-C.
"""

from __future__ import annotations

import os
import sys
import warnings
from typing import Any

try:
    import click
    import rich  # noqa: F401 - huggingface_hub brings the one, and not the other
except ImportError:  # pragma: no cover - the extra is there wherever this is tested
    sys.exit("hf-inference needs its extra: pip install 'langchain-hf-inference[cli]'")

from langchain_hf_inference._version import __version__
from langchain_hf_inference.cli.batch import batch
from langchain_hf_inference.cli.chat import chat
from langchain_hf_inference.cli.doctor import doctor
from langchain_hf_inference.cli.models import models
from langchain_hf_inference.cli.nodes import action, n8n
from langchain_hf_inference.cli.options import FAILED, INTERRUPTED, TOLD, exit_code, tell
from langchain_hf_inference.cli.serve import serve_scripted, serve_tiny

PROGRAM = "hf-inference"


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name=PROGRAM)
def main() -> None:
    """Open models on Hugging Face, from the command line."""


@main.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    r"""Print what makes SHELL complete commands, options and model names.

    \b
    bash:  hf-inference completion bash >> ~/.bashrc
    zsh:   hf-inference completion zsh  >> ~/.zshrc
    fish:  hf-inference completion fish > ~/.config/fish/completions/hf-inference.fish
    """
    from click.shell_completion import get_completion_class

    known = get_completion_class(shell)
    if known is not None:
        click.echo(known(main, {}, PROGRAM, "_HF_INFERENCE_COMPLETE").source())


for command in (chat, doctor, models, batch, action, n8n, serve_scripted, serve_tiny):
    main.add_command(command)


def run(words: list[str] | None = None) -> Any:
    """Run the command; a mistake of the user's, or a failure of the server's, is told in a line, without a trace."""
    given = sys.argv[1:] if words is None else words
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_, **__: click.echo(f"note: {message}", err=True)
        sys.exit(_outcome(given))


def _outcome(words: list[str]) -> Any:
    """Run the command, and give its exit code."""
    as_json = "--json" in words
    try:
        return main(words, prog_name=PROGRAM, standalone_mode=False)
    except click.ClickException as mistake:
        if as_json:
            tell(ValueError(mistake.format_message()), as_json=True)
        else:
            mistake.show()
        return mistake.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo(err=True)
        return INTERRUPTED
    except BrokenPipeError:  # `| head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nor is it to be told at the end
        return FAILED
    except TOLD as error:
        tell(error, as_json=as_json)
        return exit_code(error)


if __name__ == "__main__":
    run()

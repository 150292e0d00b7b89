"""Where the examples find a model: your server, the Hugging Face router, or a tiny model on this machine.

    HF_INFERENCE_URL=http://localhost:8000    that server (HF_MODEL names its model, if it must be named)
    HF_TOKEN=hf_...                           the router (HF_MODEL chooses the model)
    neither                                   mlx-lm, a real engine, with a tiny model of ours that knows some capitals, sums
                                              and the weather; installed on first use into ~/.cache

In code of your own there is nothing like this: `ChatHFInference(model="Qwen/Qwen3-32B")` is all.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from langchain_hf_inference.testing import InferenceServer

ROUTER_MODEL = "Qwen/Qwen3-32B"
sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "integration"))


@contextmanager
def served(*, quiet: bool = True, host: str = "127.0.0.1") -> Iterator[dict[str, Any]]:
    """Give the arguments of a model that can be reached, and say which one it is."""
    say = (lambda *_: None) if quiet else print
    if url := os.environ.get("HF_INFERENCE_URL"):
        say(f"Server: {url}\n")
        yield {"endpoint_url": url, "model": os.environ.get("HF_MODEL")}
    elif os.environ.get("HF_TOKEN"):
        model = os.environ.get("HF_MODEL", ROUTER_MODEL)
        say(f"Server: the Hugging Face router, model {model}\n")
        yield {"model": model}
    else:
        yield from _embedded(say, host)


def _embedded(say: Any, host: str) -> Iterator[dict[str, Any]]:
    """Start mlx-lm with the tiny model; where it has no wheel, the scripted server, which is no model."""
    import engines

    warnings.filterwarnings("ignore", message=".*ignores tool_choice")  # mlx-lm does; the tiny model calls anyway
    try:
        engines.ENGINES["mlx"].ensure()
    except subprocess.CalledProcessError:
        print("No wheel of mlx-lm for this machine, so the SCRIPTED server answers: rules, no language model\n")
        with InferenceServer(host=host) as server:
            yield {"endpoint_url": server.url, "model": "scripted/chat"}
        return
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # the engine is a process of its own: it ends with us
    with engines.serving("mlx", host=host) as engine:
        say(f"Server: mlx-lm {engine.engine.version} on {engine.url}, a real engine with a tiny model made here")
        say("(0.9 million parameters: it knows the script of tests/models and little else)\n")
        yield {"endpoint_url": engine.url, "model": engine.model, "engine": "mlx"}


@contextmanager
def embedding() -> Iterator[dict[str, Any]]:
    """Give the arguments of a model that embeds: a TEI server at EMBED_URL, the router's, or word counts."""
    if url := os.environ.get("EMBED_URL"):
        yield {"endpoint_url": url}
    elif os.environ.get("HF_TOKEN"):
        yield {"model": "BAAI/bge-small-en-v1.5"}
    else:
        with InferenceServer(engine="tei") as server:
            yield {"endpoint_url": server.url}

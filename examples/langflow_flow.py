"""A Langflow flow with Hugging Face for its provider: built in Python from stock components, and run by Langflow's executor.

    pip install lfx && python examples/langflow_flow.py ["What is the capital of France?"]

Langflow finds this package by itself once both are installed; in its canvas Hugging Face is a provider of the Language Model,
Agent and Embedding Model components. `lfx run examples/langflow_flow.py QUESTION` runs the flow by itself (HF_TOKEN set).
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit


def get_graph() -> Any:
    """Give the flow: a question, a model, an answer. Langflow calls this."""
    from lfx import components as cp
    from lfx.extension import load_installed_extensions
    from lfx.graph import Graph

    load_installed_extensions()
    asked = cp.input_output.ChatInput()
    model = {"name": os.environ.get("HF_MODEL", "Qwen/Qwen3-32B"), "provider": "Hugging Face", "metadata": {}}
    llm = cp.models_and_agents.LanguageModelComponent()
    llm.set(model=[model], input_value=asked.message_response, temperature=0.0)
    return Graph(asked, cp.input_output.ChatOutput().set(input_value=llm.text_response))


def main() -> None:
    from served import served

    question = sys.argv[1] if len(sys.argv) > 1 else "What is the capital of France?"
    # In a container Langflow takes 127.0.0.1 for the machine around it; Linux has more such addresses.
    with served(host="127.0.0.2" if sys.platform == "linux" else "127.0.0.1") as place:
        settings = {"HF_MODEL": place["model"], "DO_NOT_TRACK": "1"}
        if url := place.get("endpoint_url"):  # a server of your own: Langflow wants its host allowed, and some token
            settings |= {"HF_INFERENCE_BASE_URL": url, "LANGFLOW_SSRF_ALLOWED_HOSTS": urlsplit(url).hostname or "",
                         "HF_TOKEN": os.environ.get("HF_TOKEN", "none")}  # fmt: skip
        lfx = Path(sys.executable).with_name("lfx")
        command = [str(lfx), "run", __file__, question, "--format", "result"]
        print(
            subprocess.run(
                command, env={**os.environ, **settings}, check=True, capture_output=True, text=True
            ).stdout.strip()
        )


if __name__ == "__main__":
    main()

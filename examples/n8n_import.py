"""Run the models of an n8n workflow: an export goes in, LangChain objects come out.

python examples/n8n_import.py [WORKFLOW.json]
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from langchain_hf_inference.nodes import from_n8n
from served import served

EXPORT: dict[str, Any] = {
    "name": "Capitals",
    "nodes": [
        {
            "id": "1",
            "name": "Hugging Face Inference Model",
            "type": "@n8n/n8n-nodes-langchain.lmOpenHuggingFaceInference",
            "typeVersion": 1,
            "position": [0, 0],
            "parameters": {
                "model": "={{ $json.model }}",
                "options": {"maxTokens": 64, "temperature": 0, "frequencyPenalty": 0, "topP": 1},
            },
            "credentials": {"huggingFaceApi": {"id": "1", "name": "My Hugging Face account"}},
        },
        {"id": "2", "name": "Basic LLM Chain", "type": "@n8n/n8n-nodes-langchain.chainLlm", "parameters": {}},
    ],
    "connections": {
        "Hugging Face Inference Model": {
            "ai_languageModel": [[{"node": "Basic LLM Chain", "type": "ai_languageModel", "index": 0}]]
        }
    },
}


def main() -> None:
    workflow = json.loads(Path(sys.argv[1]).read_text()) if len(sys.argv) > 1 else EXPORT
    with served() as place:
        if url := place.get("endpoint_url"):  # n8n's own field for it
            workflow["nodes"][0]["parameters"]["options"]["endpointUrl"] = url
        items = [{"json": {"model": place["model"]}}]
        for node in from_n8n(workflow, items=items, as_chat=True):
            print(f"{node.name} ({node.kind}) serves {', '.join(node.targets)}; notes: {list(node.notes)}")
            for country in ("France", "Italy"):
                print("  ", node.model.invoke(f"What is the capital of {country}?").text.strip())


if __name__ == "__main__":
    main()

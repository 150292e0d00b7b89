"""Record exchanges with the real engines as fixtures of the unit tests.

    python tests/integration/record.py [ENGINE ...]      # all four by default

Writes tests/unit/recordings/<engine>-<version>-<case>.json: the day, the request, and the answer's
status, headers and body as received. Run it again when an engine's version changes.
"""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

import engines

TARGET = Path(__file__).parents[1] / "unit" / "recordings"
KEPT_HEADERS = ("content-type", "server", "x-request-id", "transfer-encoding")


def _tool(name: str, /, **properties: str) -> dict[str, Any]:
    schema = {
        "type": "object",
        "properties": {k: {"type": v} for k, v in properties.items()},
        "required": list(properties),
    }
    return {"type": "function", "function": {"name": name, "description": name, "parameters": schema}}


WEATHER, PERSON = _tool("get_weather", city="string"), _tool("Person", name="string", age="integer")
USAGE = {"stream": True, "stream_options": {"include_usage": True}}
THINK = {"chat_template_kwargs": {"enable_thinking": True}}
CALL = {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city": "Paris"}'}}
CASES: dict[str, tuple[str | list[dict[str, Any]], dict[str, Any]]] = {
    "chat": ("Hello", {}),
    "chat_stream": ("Hello", USAGE),
    "emoji_stream": ("Send me an emoji.", USAGE),
    "japanese_stream": ("Say hello in Japanese.", USAGE),
    "stop": ("Hello", {"stop": ["you"]}),
    "stop_stream": ("Hello", {"stop": ["you"], **USAGE}),
    "length": ("Sing forever.", {"max_tokens": 4}),
    "logprobs": ("ping", {"logprobs": True, "top_logprobs": 2}),
    "logprobs_stream": ("ping", {"logprobs": True, "top_logprobs": 2, **USAGE}),
    "tool": ("What is the weather in Paris?", {"tools": [WEATHER]}),
    "tool_stream": ("What is the weather in Paris?", {"tools": [WEATHER], **USAGE}),
    "tool_parallel": ("What is the weather in Paris and in London?", {"tools": [WEATHER]}),
    "tool_parallel_stream": ("What is the weather in Paris and in London?", {"tools": [WEATHER], **USAGE}),
    "tool_named": ("Alice is 30 years old.", {"tools": [PERSON], "tool_choice": {"type": "function", "function": {"name": "Person"}}}),
    "tool_required_stream": ("Alice is 30 years old.", {"tools": [PERSON], "tool_choice": "required", **USAGE}),
    "tool_cut_stream": ("What is the weather in Paris?", {"tools": [WEATHER], "max_tokens": 8, **USAGE}),
    "tool_result": ([{"role": "user", "content": "What is the weather in Paris?"}, {"role": "assistant", "tool_calls": [CALL]},
                     {"role": "tool", "tool_call_id": "call_1", "content": "sunny, 22C"}], {"tools": [WEATHER]}),
    "json_schema": ("Alice is 30 years old.", {"response_format": {"type": "json_schema", "json_schema": {
        "name": "Person", "schema": PERSON["function"]["parameters"]}}}),
    "json_schema_stream": ("Alice is 30 years old.", {"response_format": {"type": "json_schema", "json_schema": {
        "name": "Person", "schema": PERSON["function"]["parameters"]}}, **USAGE}),
    "think": ("What is the capital of France?", THINK),
    "think_stream": ("What is the capital of France?", {**THINK, **USAGE}),
    "error_too_long": ("Hello " * 3000, {}),
    "error_unknown_model": ("Hello", {"model": "no-such-model"}),
    "error_bad_value": ("Hello", {"temperature": "hot"}),
    "error_unknown_field": ("Hello", {"no_such_field": 1}),
}  # fmt: skip
SLOW = {"mlx": ("error_too_long",)}


def main() -> None:
    TARGET.mkdir(exist_ok=True)
    for name in sys.argv[1:] or list(engines.ENGINES):
        with engines.serving(name) as running:
            stem = f"{name}-{running.engine.version}"
            for old in TARGET.glob(f"{name}-*.json"):
                old.unlink()
            for case, (prompt, settings) in CASES.items():
                if case not in SLOW.get(name, ()):
                    messages = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt
                    body = {
                        "model": running.model,
                        "messages": messages,
                        "temperature": 0,
                        "max_tokens": 100,
                        **settings,
                    }
                    _save(
                        TARGET / f"{stem}-{case}.json",
                        running,
                        body,
                        httpx.post(f"{running.url}/v1/chat/completions", json=body, timeout=120),
                    )
            for path in ("/info", "/v1/models"):
                _save(TARGET / f"{stem}-get{path.replace('/', '_')}.json", running, None, httpx.get(running.url + path))


def _save(path: Path, running: engines.Running, body: Any, answer: httpx.Response) -> None:
    own = str(engines.MODELS)
    exchange = {
        "recorded": datetime.now(UTC).date().isoformat(),
        "engine": f"{running.engine.name} {running.engine.version}",
        "request": body,
        "status": answer.status_code,
        "headers": {name: answer.headers[name] for name in KEPT_HEADERS if name in answer.headers},
        "body": answer.content.decode(),
    }
    text = json.dumps(exchange, ensure_ascii=False, indent=1).replace(own, "/models")
    if len(text) > 20_000:  # a prompt that is long for its own sake
        text = json.dumps(
            {**exchange, "request": {"left out": "a prompt of 3,000 times 'Hello '"}}, ensure_ascii=False, indent=1
        )
    path.write_text(text.replace(own, "/models") + "\n")


if __name__ == "__main__":
    main()

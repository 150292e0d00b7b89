"""Exchanges with real servers, recorded by others: read from HF_RECORDINGS, never copied here.

The folder holds an `index.json` (one row per exchange) and five forms of files; `exchanges` brings
them into one. Where it is absent, tests that need it skip.
"""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(os.environ.get("HF_RECORDINGS") or Path(__file__).parents[3] / "shared" / "recordings")


@dataclass(frozen=True)
class Exchange:
    """One request and its answer; `asked` is empty where only the answer was kept."""

    name: str
    asked: dict[str, Any]
    status: int
    headers: dict[str, str]
    content: bytes
    is_stream: bool

    @property
    def body(self) -> Any:
        return json.loads(self.content)


def chat_exchanges() -> list[Exchange]:
    """Give every exchange of a chat-completion API, in the order of the index."""
    return [read for row in _index() if _is_chat(row) for read in [_exchange(row)]]


def task_exchanges() -> list[tuple[str, Exchange]]:
    """Give (task, exchange) of every text completion, generation, embedding and classification of the index."""
    found = []
    for row in _index():
        if row["method"] == "POST" and not _is_chat(row) and (task := _task(row)):
            found.append((task, _exchange(row)))
    return found


def _task(row: dict[str, Any]) -> str | None:
    url, features = row["url"] or "", row["features"]
    if url.endswith("/completions") or "text_completion" in features:
        return "completion"
    if "embeddings" in url or "feature-extraction" in url or "feature_extraction" in row["file"]:
        return "embedding"
    if url.endswith("/rerank"):
        return "ranking"
    if "text_classification" in row["file"]:
        return "classification"
    names = ("Generat", "generate", "text_generation", "not_tgi", "non_tgi", "unprocessable")
    if "native" in features or any(name in row["file"] for name in names):
        return "generate"
    return None


@cache
def _index() -> list[dict[str, Any]]:
    path = FOLDER / "index.json"
    return json.loads(path.read_text()) if path.exists() else []


def _is_chat(row: dict[str, Any]) -> bool:
    if row["url"]:
        return "chat/completions" in row["url"]
    if not row["source"].startswith("tgi_snapshots"):
        return False
    body = json.loads((FOLDER / row["file"]).read_text())
    first = body[0] if isinstance(body, list) and body else body
    choices = first.get("choices") if isinstance(first, dict) else None
    return bool(choices) and ("message" in choices[0] or "delta" in choices[0])  # TGI 2.4 calls chat text_completion


@cache
def _yaml(path: Path) -> Any:
    return yaml.load(path.read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))["interactions"]


def _exchange(row: dict[str, Any]) -> Exchange:
    path = FOLDER / row["file"]
    name = f"{row['file']}#{row['n']}"
    if row["source"].startswith("tgi_snapshots"):
        answer: Any = json.loads(path.read_text())
        status, headers, asked = 200, {}, {}
        if isinstance(answer, list) or "delta" in (answer.get("choices") or [{}])[0]:
            answer = _events(answer if isinstance(answer, list) else [answer])
    elif path.suffix == ".yaml":
        found = _yaml(path)[row["n"]]
        request, response = found["request"], found["response"]
        asked = request.get("parsed_body") or request.get("body") or {}
        status, headers = response["status"]["code"], {k: v[0] for k, v in response["headers"].items()}
        answer = response["body"]["string"] if "body" in response else response["parsed_body"]
    else:
        found = json.loads(path.read_text())
        request, response = found["request"], found["response"]
        asked = request["body"] if "body" in request else request["payload"]
        status, headers, answer = response.get("status", 200), response.get("headers", {}), response["body"]
        if isinstance(answer, list):
            answer = _events([chunk["__data__"] for chunk in answer])
        elif isinstance(answer, dict) and "__data__" in answer:
            answer = answer["__data__"]
    if isinstance(asked, str):
        asked = json.loads(asked)
    content = (
        answer
        if isinstance(answer, bytes)
        else answer.encode()
        if isinstance(answer, str)
        else json.dumps(answer).encode()
    )
    if content.startswith(b"\x1f\x8b"):
        content = gzip.decompress(content)
    is_stream = bool(asked.get("stream")) or content.lstrip().startswith((b"data:", b":", b"event:"))
    return Exchange(name, asked, status, {k.lower(): str(v) for k, v in headers.items()}, content, is_stream)


def _events(chunks: list[Any]) -> str:
    return "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks) + "data: [DONE]\n\n"


def events_of(content: bytes) -> Iterator[dict[str, Any]]:
    """Read a recorded stream the plain way, as a check on our decoder: the JSON objects of its data lines."""
    for line in content.decode().replace("\r\n", "\n").split("\n"):
        if line.startswith("data:") and line[5:].strip().startswith("{"):
            try:
                yield json.loads(line[5:])
            except ValueError:
                continue

"""A line of a batch file -> what is asked; an answer or a failure -> a line. Pure.

The form is that of OpenAI's batch files (platform.openai.com/docs/guides/batch): `custom_id`, `method`, `url`, `body`
in, `id`, `custom_id`, `response`, `error` out. A line may be an action instead: its fields, with "action" naming it.
`id` ends in the number of the line, counted from 0: by it a job that was broken off knows what is done.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from langchain_hf_inference._protocol.wire import JSON, loads
from langchain_hf_inference.errors import ConfigurationError, HFInferenceError
from langchain_hf_inference.nodes.action import Action, error_envelope
from langchain_hf_inference.nodes.actions import (
    ChatCompletionAction,
    EmbeddingsAction,
    TextClassificationAction,
    TextToImageAction,
)

PATHS = {
    "/v1/chat/completions": "/chat/completions",
    "/v1/completions": "/completions",
    "/v1/embeddings": "/embeddings",
}
"""What may stand in "url", and the path under a server's `/v1`."""

ACTIONS: Mapping[str, type[Action]] = {
    "chat_completion": ChatCompletionAction,
    "embeddings": EmbeddingsAction,
    "text_classification": TextClassificationAction,
    "text_to_image": TextToImageAction,
}
ID_PREFIX = "batch_req_"
_ID = re.compile(rb'\{"id":"' + ID_PREFIX.encode() + rb'(\d+)"')


@dataclass(frozen=True, slots=True)
class BatchLine:
    """One line: a body for a path of the API, or an action."""

    number: int
    custom_id: str | None
    path: str | None = None
    body: JSON | None = None
    action: Action | None = None


def read_line(raw: bytes | str, number: int, *, action: str | None, defaults: Mapping[str, Any]) -> BatchLine:
    """Read a line.

    Args:
        raw: The line.
        number: Its number in the file, from 0.
        action: What a line without "action" and "body" is, if it is an action.
        defaults: Connection of the job, for actions that name none.

    Raises:
        LineError: It cannot be read; it knows the line's custom_id where that could be.
    """
    try:
        row = loads(raw)
    except ValueError as error:
        raise LineError(f"the line is not JSON: {error}", None) from None
    if not isinstance(row, dict):
        raise LineError(f"the line is a JSON {type(row).__name__}, not an object", None)
    given = row.pop("custom_id", None)
    custom_id = None if given is None else str(given)
    if "body" in row or "url" in row:
        return _body_line(row, number, custom_id)
    name = row.pop("action", action)
    if name not in ACTIONS:
        known = ", ".join(ACTIONS)
        found = "it names no action and has no body" if name is None else f"action {str(name)[:50]!r} is not known"
        raise LineError(f"{found}; give OpenAI's custom_id, method, url, body, or one of {known}", custom_id)
    try:
        made = ACTIONS[name].parse({**{k: v for k, v in defaults.items() if v is not None}, **row})
    except (ValueError, TypeError) as error:
        raise LineError(error_envelope(error)["message"], custom_id) from None
    return BatchLine(number, custom_id, action=made)


def _body_line(row: JSON, number: int, custom_id: str | None) -> BatchLine:
    url, body, method = row.get("url", "/v1/chat/completions"), row.get("body"), row.get("method", "POST")
    if not isinstance(body, dict):
        raise LineError(f'"body" is {type(body).__name__}, not an object', custom_id)
    if url not in PATHS:
        raise LineError(f'"url" is {str(url)[:80]!r}; it may be {", ".join(PATHS)}', custom_id)
    if str(method).upper() != "POST":
        raise LineError(f'"method" is {str(method)[:20]!r}; only POST is sent', custom_id)
    if body.get("stream"):
        raise LineError("a batch has no streams; take stream out of the body", custom_id)
    return BatchLine(number, custom_id, path=PATHS[url], body={k: v for k, v in body.items() if k != "stream"})


class LineError(ConfigurationError):
    """A line cannot be read: nothing was sent for it."""

    def __init__(self, message: str, custom_id: str | None) -> None:
        super().__init__(message)
        self.custom_id = custom_id


def answer_row(
    number: int, custom_id: str | None, body: Any, *, status: int = 200, request_id: str | None = None
) -> bytes:
    """Give the line of an answer, the newline included."""
    response = {"status_code": status, "request_id": request_id, "body": body}
    return _row(number, {"custom_id": custom_id, "response": response, "error": None})


def error_row(number: int, custom_id: str | None, error: Exception, *, attempts: int) -> bytes:
    """Give the line of a failure: `error` has message, type, status, code and attempts; `response` the server's answer."""
    told = {**error_envelope(error), "attempts": attempts}
    response = None
    if told["status"] is not None:
        request_id = getattr(error, "request_id", None)
        response = {"status_code": told["status"], "request_id": request_id, "body": getattr(error, "body", None)}
    return _row(number, {"custom_id": custom_id, "response": response, "error": told})


def _row(number: int, rest: JSON) -> bytes:
    # "id" leads, and nothing is put between: `done_number` finds it without decoding the line.
    text = json.dumps({"id": f"{ID_PREFIX}{number}", **rest}, ensure_ascii=False, separators=(",", ":"), default=str)
    return text.encode("utf-8", "replace") + b"\n"


def done_number(row: bytes) -> int | None:
    """Give the number of the input line that a line of the output answers."""
    found = _ID.match(row)
    return int(found.group(1)) if found else None


def tokens_of(body: Any) -> int:
    """Count the tokens that an answer tells of."""
    usage = body.get("usage") if isinstance(body, dict) else None
    total = usage.get("total_tokens") if isinstance(usage, dict) else None
    return total if isinstance(total, int) else 0


def is_overload(error: HFInferenceError) -> bool:
    """Tell whether a failure says that there is too much at once."""
    return getattr(error, "status_code", None) in (429, 503, 529)

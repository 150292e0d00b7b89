"""The shapes of requests as they are sent, and of answers as they arrive.

Answers are typed loosely on purpose: every field may be absent, null or of an odd type
(only `choices` is dependable), so readers look fields up and never index them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from pydantic_core import to_json

from langchain_hf_inference._protocol.lenient_json import loads as loads
from langchain_hf_inference._protocol.lenient_json import parse_whole_json, sendable
from langchain_hf_inference.errors import (
    APIStatusError,
    ConfigurationError,
    InvalidRequestError,
    ResponseFormatError,
)

JSON: TypeAlias = dict[str, Any]
"""A JSON object, decoded."""

_NOT_MISSED = frozenset({"stream_options", "details", "return_full_text", "stop"})
"""What we ask for ourselves, and stop words: the text is cut at them here too."""
MAX_QUOTED_CHARS = 500  # of a foreign text inside an error message


@dataclass(frozen=True, slots=True)
class WireRequest:
    """One POST, decided in full but for the token.

    `droppable` names body keys, and parameters as `parameters.name`, that some servers refuse and
    that are not worth failing for; see `without_refused`.
    """

    url: str
    body: JSON
    headers: Mapping[str, str] = field(default_factory=dict)
    droppable: tuple[str, ...] = ()
    model: str | None = None
    """The model asked for, to be named in errors."""
    dialect: str = "openai"
    """The row of `dialects.py` that the response is read by; "openai" also where the engine is not known."""

    def encoded(self) -> bytes:
        """Return the body as UTF-8 JSON: NaN and infinities as null, a lone surrogate as U+FFFD.

        Text that a model wrote may hold either, and comes back in the next turn, in results of tools too.

        Raises:
            ConfigurationError: The body holds something that JSON cannot express.
        """
        try:
            return to_json(self.body, inf_nan_mode="null")
        except ValueError:
            pass
        try:
            return to_json(sendable(self.body), inf_nan_mode="null")
        except ValueError as error:
            raise ConfigurationError(f"the request cannot be written as JSON: {error}") from error

    def without_refused(self, error: APIStatusError) -> WireRequest | None:
        """Give this request less what `error` complains about; None if there is nothing to leave out.

        transformers serve 4.5x answers `stream_options` with 422 "Unsupported fields in the request".
        """
        if not isinstance(error, InvalidRequestError):
            return None
        refused = tuple(path for path in self.droppable if self._is_refused(path, error.message))
        return self.without(refused) if refused else None

    def without(self, paths: tuple[str, ...]) -> WireRequest:
        """Give this request less `paths`, as they stand in `droppable`."""
        body = {key: value for key, value in self.body.items() if key not in paths}
        if isinstance(inner := body.get("parameters"), dict):
            body["parameters"] = {key: value for key, value in inner.items() if f"parameters.{key}" not in paths}
        return replace(self, body=body, droppable=tuple(path for path in self.droppable if path not in paths))

    def loss(self, smaller: WireRequest) -> str:
        """Say which of the user's settings are no longer in `smaller`; "" if none is."""
        lost = [path.rpartition(".")[2] for path in self.droppable if path not in smaller.droppable]
        names = [name for name in lost if name not in _NOT_MISSED]
        return f"the server does not take {', '.join(names)}, left out from now on" if names else ""

    def _is_refused(self, path: str, message: str) -> bool:
        if path in self.body:
            return path in message
        # transformers: "The following `model_kwargs` are not used by the model: ['details', 'watermark']"
        return "model_kwargs" in message and f"'{path.removeprefix('parameters.')}'" in message


@dataclass(frozen=True, slots=True)
class WireResponse:
    """A whole answer with a good status."""

    status_code: int
    headers: Mapping[str, str]
    content: bytes

    def json(self) -> Any:
        """Decode the body; the content type is not trusted (DeepSeek sends JSON as octet-stream).

        Raises:
            ResponseFormatError: The body is not JSON.
        """
        return decoded(self.content)


def decoded(content: bytes) -> Any:
    """Decode JSON.

    Raises:
        ResponseFormatError: `content` is not JSON; it quotes the start of it.
    """
    try:
        return parse_whole_json(content)
    except ValueError as error:
        text = content[:MAX_QUOTED_CHARS].decode("utf-8", "replace")
        raise ResponseFormatError(f"the server's answer is not JSON: {text[:200]!r}", body=text) from error


def as_object(value: Any) -> JSON:
    """Give `value` if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def as_list(value: Any) -> list[Any]:
    """Give `value` as a list: None is empty, a single object is a list of one (TGI 2.x tool deltas)."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]

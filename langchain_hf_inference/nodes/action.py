"""Action: one call of a model, described as data. What all actions share: reading a form, running, batching."""

from __future__ import annotations

import difflib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, model_validator
from pydantic.alias_generators import to_camel

from langchain_hf_inference._protocol.redaction import redacted_error
from langchain_hf_inference._transport.fan_out import afan_out, fan_out
from langchain_hf_inference.errors import APIStatusError, HFInferenceError
from langchain_hf_inference.nodes.fields import Text, resolved

OnError = Literal["item", "raise"]


class Action(BaseModel, ABC):
    """A model, its input and its settings, as a form or a workflow file holds them.

    Every field takes what forms give: numbers as text, "" for nothing, names in snake_case or camelCase.
    What cannot be meant (a slip in a name, "hot" for a number, a reference that is not resolved) is refused, by
    the field's name. Tokens are no fields: they come from HF_TOKEN, or with `build`, `run` and `batch`.
    """

    model_config = ConfigDict(
        extra="forbid",
        allow_inf_nan=False,
        frozen=True,
        protected_namespaces=(),
        use_attribute_docstrings=True,
    )

    model: Text = Field(default=None, examples=["Qwen/Qwen3-32B"])
    """Hub id of the model, or the name under which a server of your own knows it."""
    provider: Text = Field(default=None, examples=["fastest"])
    """Who serves: fastest, cheapest, or a provider's name. Empty lets Hugging Face choose."""
    endpoint_url: Text = Field(default=None, json_schema_extra={"format": "uri"})
    """Address of an Inference Endpoint or a server of your own. Empty is Hugging Face's router."""

    example: ClassVar[dict[str, Any]]
    """A request and its response."""

    @model_validator(mode="before")
    @classmethod
    def _read_form(cls, given: Any, info: ValidationInfo) -> Any:
        if not isinstance(given, Mapping):
            return given
        found: dict[str, Any] = {}
        for key, value in given.items():
            name = cls._field_of(str(key))
            if name in found and found[name] != value:
                raise ValueError(f"{name} is given twice, as {name} and as {to_camel(name)}")
            if info.context is None:
                try:
                    value = resolved(value, None)
                except ValueError as error:
                    raise ValueError(f"{name}: {error}") from None
            if value is None or (isinstance(value, str) and not value.strip()):
                continue
            found[name] = value
        return found

    @classmethod
    def _field_of(cls, key: str) -> str:
        names = {alias: name for name in cls.model_fields for alias in (name, to_camel(name))}
        if key in names:
            return names[key]
        close = difflib.get_close_matches(key, names, n=1, cutoff=0.7)
        raise ValueError(
            f"{key} is no field of {cls.__name__}" + (f"; did you mean {names[close[0]]}?" if close else "")
        )

    @model_validator(mode="after")
    def _check_place(self) -> Self:
        if not (self.model or self.endpoint_url):
            raise ValueError("model is empty; give a Hub id, or an endpoint_url")
        return self

    @model_validator(mode="wrap")  # the last of the validators is the outermost: what the others raise passes it
    @classmethod
    def _hide_secrets(cls, given: Any, handler: Any) -> Any:
        try:
            return handler(given)
        except ValidationError as error:
            failure = redacted_error(error, given)
        raise failure

    @classmethod
    def parse(cls, data: Mapping[str, Any], context: Mapping[str, Any] | None = None) -> Self:
        """Read an action, with each `{{path.to.value}}` in it resolved from `context`.

        Raises:
            pydantic.ValidationError: A field cannot be read; it names the field.
            ValueError: A reference leads nowhere; it names the field.
        """
        found = {}
        for key, value in data.items():
            try:
                found[key] = resolved(value, context)
            except ValueError as error:
                raise ValueError(f"{key}: {error}") from None
        return cls.model_validate(found, context={"resolved": True})

    @classmethod
    def form_schema(cls) -> dict[str, Any]:
        """Give the JSON Schema of the fields with their ranges and help, one type each: what a form is drawn from."""
        schema = cls.model_json_schema(mode="serialization")
        properties = {name: _plain(rules) for name, rules in schema["properties"].items()}
        for name, field in cls.model_fields.items():
            properties[name].setdefault("description", field.description or "")
        return {**schema, "properties": properties, "additionalProperties": False}

    @classmethod
    def accepts_schema(cls) -> dict[str, Any]:
        """Give the JSON Schema of all that is accepted: numbers and lists as text, nothing, both spellings of a name."""
        form = cls.form_schema()
        wide = {name: _wide(rules) for name, rules in form["properties"].items()}
        return {**form, "properties": {**{to_camel(name): rules for name, rules in wide.items()}, **wide}}

    @abstractmethod
    def build(self, token: str | None = None, **options: Any) -> Any:
        """Give the LangChain object that this action runs.

        Args:
            token: The token; HF_TOKEN without.
            **options: Further arguments of that object, such as `max_retries` or `http_client`.
        """

    @abstractmethod
    def run(self, token: str | None = None, **options: Any) -> dict[str, Any]:
        """Run, and give the answer as data. Arguments as of `build`; raises what the object raises."""

    @abstractmethod
    async def arun(self, token: str | None = None, **options: Any) -> dict[str, Any]:
        """Like `run`."""

    @classmethod
    def batch(
        cls,
        items: Sequence[Self | Mapping[str, Any]],
        max_concurrency: int = 8,
        on_error: OnError = "item",
        *,
        context: Mapping[str, Any] | None = None,
        token: str | None = None,
        **options: Any,
    ) -> list[dict[str, Any]]:
        """Run many: results in the order of `items`, which are actions or their data.

        Args:
            items: Actions, or data as for `parse`.
            max_concurrency: How many run at once.
            on_error: "item" gives a failed item as `{"index", "error": {"message", "type", "status", "code",
                "attempts"}}` in its place; "raise" raises the first failure.
            context: Resolves references in the data.
            token: See `build`.
            **options: See `build`.
        """
        act = partial(cls._tried, on_error=on_error, context=context, token=token, options=options)
        return fan_out(act, list(enumerate(items)), at_once=max_concurrency)

    @classmethod
    async def abatch(
        cls,
        items: Sequence[Self | Mapping[str, Any]],
        max_concurrency: int = 8,
        on_error: OnError = "item",
        *,
        context: Mapping[str, Any] | None = None,
        token: str | None = None,
        **options: Any,
    ) -> list[dict[str, Any]]:
        """Like `batch`."""
        act = partial(cls._atried, on_error=on_error, context=context, token=token, options=options)
        return await afan_out(act, list(enumerate(items)), at_once=max_concurrency)

    @classmethod
    def _tried(
        cls, item: tuple[int, Any], *, on_error: OnError, context: Any, token: str | None, options: dict[str, Any]
    ) -> dict[str, Any]:
        index, given = item
        try:
            action = given if isinstance(given, Action) else cls.parse(given, context)
            return action.run(token, **options)
        except (HFInferenceError, ValueError, TypeError) as error:
            if on_error == "raise":
                raise
            return {"index": index, "error": error_envelope(error)}

    @classmethod
    async def _atried(
        cls, item: tuple[int, Any], *, on_error: OnError, context: Any, token: str | None, options: dict[str, Any]
    ) -> dict[str, Any]:
        index, given = item
        try:
            action = given if isinstance(given, Action) else cls.parse(given, context)
            return await action.arun(token, **options)
        except (HFInferenceError, ValueError, TypeError) as error:
            if on_error == "raise":
                raise
            return {"index": index, "error": error_envelope(error)}

    def _place(self, token: str | None) -> dict[str, Any]:
        """Give the arguments of a connection."""
        place = {"model": self.model, "provider": self.provider, "endpoint_url": self.endpoint_url, "api_key": token}
        return {name: value for name, value in place.items() if value is not None}


def error_envelope(error: Exception) -> dict[str, Any]:
    """Give a failure as data, in OpenAI's words and ours.

    Returns:
        `{"message", "type", "status", "code", "attempts"}`: the class of the error, the HTTP status or None where no
        answer came, the server's own code, and how often the request was sent.
    """
    if isinstance(error, ValidationError):
        found = error.errors(include_url=False, include_context=False)
        told = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" if e["loc"] else e["msg"] for e in found]
        message = "; ".join(line.replace("Value error, ", "") for line in told)
        return {"message": message, "type": "ValidationError", "status": None, "code": None, "attempts": 0}
    return {
        "message": str(error),
        "type": type(error).__name__,
        "status": getattr(error, "status_code", None),
        "code": error.code if isinstance(error, APIStatusError) else None,
        "attempts": error.attempts if isinstance(error, HFInferenceError) else 0,
    }


def _plain(rules: dict[str, Any]) -> dict[str, Any]:
    """Take the null out of what may be left empty: an empty field says that."""
    choices = [one for one in rules.get("anyOf", ()) if one.get("type") != "null"]
    if not choices:
        return {k: v for k, v in rules.items() if not (k == "default" and v is None)}
    rest = {k: v for k, v in rules.items() if k not in ("anyOf", "default")}
    return {**rest, **choices[0]} if len(choices) == 1 else {**rest, "anyOf": choices}


def _wide(rules: dict[str, Any]) -> dict[str, Any]:
    """Let a field be text, or nothing, beside what it is."""
    about: dict[str, Any] = {key: rules[key] for key in ("title", "description", "examples") if key in rules}
    return {
        **about,
        "anyOf": [{k: v for k, v in rules.items() if k not in about}, {"type": "string"}, {"type": "null"}],
    }

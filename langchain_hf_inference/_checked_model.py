"""CheckedModel: a pydantic model whose errors show no secret, and whose fields are checked whenever they are set.

LangChain's users assign fields (`llm.temperature = 0.5`, `llm.api_key = …` after unpickling), copy models with changes, and
pass the constructor's arguments to a call (`llm.invoke("…", timeout=5)`). All three go the way of the constructor here.
pydantic's own `validate_assignment` would run each of LangChain's validators once for every field that these assign while
a model is made.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextvars import ContextVar
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from langchain_hf_inference._arguments import CallArguments
from langchain_hf_inference._protocol.headers import Headers, merge_headers, normalize_headers
from langchain_hf_inference._protocol.redaction import redacted_error
from langchain_hf_inference._protocol.routing import shown_url
from langchain_hf_inference.errors import ConfigurationError

LIVE = ("http_client", "http_async_client")
"""Fields that copies share, and that pickles leave out."""
_UNCHECKED = frozenset({*LIVE, "profile", "metadata", "callbacks", "tokenizer"})
"""Fields whose assignment is not checked: any object will do, or LangChain assigns them while it makes a model."""
_DEPENDENT = ("model", "endpoint_url", "default_headers", "model_kwargs")
"""Fields that the assignment of another one may change: a URL as `model`, a password in `endpoint_url`."""


_CHANGES: ContextVar[frozenset[str] | None] = ContextVar("changes", default=None)


def is_news(*names: str) -> bool:
    """Return whether to warn of fields: not again, where a model changes in others alone."""
    changes = _CHANGES.get()
    return changes is None or not changes.isdisjoint(names)


class CheckedModel(BaseModel):
    """What all models share of arguments: checked when set, never shown where they may be secret."""

    model_config = ConfigDict(defer_build=True, hide_input_in_errors=True)  # where pydantic passes `__init__` by

    call_arguments: ClassVar[frozenset[str]] = frozenset({
        "timeout", "max_retries", "stream_chunk_timeout", "scale_up_timeout", "bill_to", "default_headers",
    })  # fmt: skip
    """Arguments of the constructor that a single call may set as well, beside the settings of an answer."""
    call_settings: ClassVar[frozenset[str]] = frozenset()
    """Fields that are settings of an answer: a call's are written into its request."""
    other_arguments: ClassVar[frozenset[str]] = frozenset()
    """Names that are no fields and still do not go into a request: another constructor of this package takes them."""

    def __init__(self, **data: Any) -> None:
        """Validate the arguments. Errors name the argument, and show its value unless it may be a secret.

        Raises:
            pydantic.ValidationError: A value is out of range, of the wrong type, or does not go with the others.
        """
        try:
            super().__init__(**data)
        except ValidationError as error:
            failure = redacted_error(error, data)
        else:
            return
        raise failure  # outside of the `except`, so that pydantic's own error is not its context

    def __setattr__(self, name: str, value: Any) -> None:
        """Assign a field; the value is checked as it is by the constructor, and the model stays as it was if it is refused."""
        if name in _UNCHECKED or name[:1] == "_" or name not in type(self).model_fields:
            super().__setattr__(name, value)
        else:
            self._update({name: value})

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Return a copy; what `update` sets is checked as by the constructor, all of it together."""
        copied = super().model_copy(deep=deep)
        if update:
            copied._forget_connections()
            copied._update(update)
        return copied

    def _update(self, values: Mapping[str, Any]) -> None:
        """Set fields, as if the model were made anew with them.

        Raises:
            pydantic.ValidationError: As at construction; nothing is set then.
        """
        unchecked = {name: value for name, value in values.items() if name in _UNCHECKED}
        checked = {name: value for name, value in values.items() if name not in _UNCHECKED}
        if checked:
            token = _CHANGES.set(frozenset(checked))
            try:
                made = type(self)(**{**self._arguments(checked), **checked})
            finally:
                _CHANGES.reset(token)
            changed = {*checked, *_DEPENDENT, *(made.model_fields_set - self.model_fields_set)} & type(
                self
            ).model_fields.keys()
            self.__dict__.update({name: made.__dict__[name] for name in changed})
            self.__pydantic_fields_set__.update(made.model_fields_set)
        for name, value in unchecked.items():
            super().__setattr__(name, value)

    def _arguments(self, changes: Iterable[str]) -> dict[str, Any]:
        """Return the arguments that make this model, less what `changes` take with them."""
        given = {name: self.__dict__[name] for name in self.model_fields_set - _UNCHECKED}
        if "endpoint_url" in changes and "default_headers" not in changes:  # a password belongs to its own server
            headers = self.__dict__["default_headers"].items()
            plain = {k: v for k, v in headers if (k.lower(), v[:6]) != ("authorization", "Basic ")}
            given["default_headers"] = Headers(plain)
        return given

    def _forget_connections(self) -> None:
        """Begin without the connections of the model that this one was copied from."""

    def _for_call(self, kwargs: dict[str, Any]) -> tuple[Self, dict[str, Any]]:
        """Return the model that honours the constructor's arguments among a call's, and the call's other arguments.

        Raises:
            ConfigurationError: An argument belongs to the model, and cannot be set for a single call.
        """
        if not kwargs or not (known := CallArguments.of(type(self))).concern(kwargs):
            return self, kwargs
        changes, rest = known.split(kwargs)
        if "default_headers" in changes:
            more = normalize_headers(changes["default_headers"] or {})
            changes["default_headers"] = merge_headers(self.__dict__["default_headers"], more)
        return (self.model_copy(update=changes) if changes else self), rest

    def _check_call(self, kwargs: Mapping[str, Any]) -> None:
        """Raise for arguments of the constructor that came by another way than LangChain's entry points.

        Raises:
            ConfigurationError: It would go into the request's body; the message names it.
        """
        if kwargs and (found := CallArguments.of(type(self)).constructor_names(kwargs)):
            raise ConfigurationError(
                f"{found[0]} cannot be set here: pass it to invoke, stream, generate or bind, or set it on the model"
            )

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        """Show an address without its query, which may hold a key."""
        for name, value in super().__repr_args__():
            yield name, f"{shown_url(value)}?***" if name == "endpoint_url" and "?" in (value or "") else value

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        """Share what is alive: a copy uses the same clients."""
        memo = {} if memo is None else memo
        for name in LIVE:
            if (client := getattr(self, name)) is not None:
                memo[id(client)] = client
        return super().__deepcopy__(memo)

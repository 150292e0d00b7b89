"""Arguments of a model, as users write them -> our fields: other packages' names, empty values, URLs, bytes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Self

from langchain_hf_inference._protocol.redaction import redacted_url
from langchain_hf_inference._protocol.routing import is_url, plain_place
from langchain_hf_inference._settings import (
    ALIASES,
    CONTAINERS,
    as_mapping,
    canonical,
    refuse_credentials,
    without_unknown,
)
from langchain_hf_inference.errors import ConfigurationError

_TEXTS = ("model", "provider", "endpoint_url", "engine", "api_key", "bill_to")
"""Arguments that are texts: bytes are decoded, and an empty one is not set."""
_OF_THE_CONFIG = frozenset({"callbacks", "tags", "metadata"})
_MODEL_NAMES = frozenset({"model", *(alias for alias, name in ALIASES.items() if name == "model")})
_ADDRESS_WITH_PASSWORD = re.compile(r"(?:[A-Za-z][\w+.\-]*://)?[^/@\s]*:[^@\s]*@")


def connection_arguments(values: Mapping[str, Any], known: frozenset[str]) -> tuple[dict[str, Any], list[str]]:
    """Return the arguments of a connection by our names, and what to warn of.

    Args:
        values: What was passed, by any package's names.
        known: The fields of the class.

    Raises:
        ValueError: The same argument is given twice, or a credential by a name that is not ours. No message holds a
            value that may be secret.
    """
    found = without_unknown(canonical(values, known), known)
    for name in _TEXTS:
        value = found.get(name)
        if value is None:
            continue
        if isinstance(value, bytes | bytearray):
            found[name] = value = bytes(value).decode("utf-8", "replace")
        if isinstance(value, str) and not value.strip():  # forms and os.environ.get(…, "") give these
            found[name] = None
    model = found.get("model")
    if not isinstance(model, str):
        return plain_place(found)
    found["model"] = model = model.strip()
    if is_url(model):
        if found.get("endpoint_url") not in (None, model):
            raise ConfigurationError(f"model={redacted_url(model)!r} is a URL, and endpoint_url is given too; give one")
        found |= {"model": None, "endpoint_url": model}
    elif "@" in model and _ADDRESS_WITH_PASSWORD.match(model):
        raise ConfigurationError(
            f"model={redacted_url(model)!r} is an address with a user and a password, and not a Hub id; "
            "give it as endpoint_url, with http:// or https://"
        )
    return plain_place(found)


@dataclass(frozen=True, slots=True)
class CallArguments:
    """Which arguments of a class's constructor a single call may set, and which it may not."""

    allowed: frozenset[str]
    refused: frozenset[str]
    watched: frozenset[str]
    """All names by which one of these may be passed to a call."""
    settings: frozenset[str]
    fields: frozenset[str]

    def concern(self, kwargs: Mapping[str, Any]) -> bool:
        """Return whether a call sets something that is not a setting of its answer.

        Raises:
            ConfigurationError: It has a key of another package's name, which would go into the body, or an address as
                `model`.
        """
        if unknown := kwargs.keys() - self.settings - self.watched:
            refuse_credentials(unknown)
        for name in _MODEL_NAMES & kwargs.keys():
            if isinstance(model := kwargs[name], str) and (
                "://" in model or _ADDRESS_WITH_PASSWORD.match(model.strip())
            ):
                raise ConfigurationError(
                    f"{name}={redacted_url(model)!r} is an address, and a call cannot change the server: make another "
                    "model with it as endpoint_url"
                )
        return not self.watched.isdisjoint(kwargs)

    @classmethod
    @cache
    def of(cls, kind: Any) -> Self:
        """Return those of a model's class: `call_arguments`, and all of its fields that are not settings of an answer."""
        settings = kind.call_settings
        fields = frozenset(kind.model_fields) - settings - {"model_kwargs"}
        allowed, refused = kind.call_arguments, (fields | kind.other_arguments) - kind.call_arguments
        aliases = {alias for alias, name in ALIASES.items() if name in allowed | refused}
        return cls(allowed, refused, frozenset((*allowed, *refused, *aliases, *CONTAINERS)), settings, fields)

    def constructor_names(self, kwargs: Mapping[str, Any]) -> list[str]:
        """Return the names in `kwargs` by which a constructor takes something that is no setting of an answer."""
        return sorted(
            name for name in kwargs if name in self.watched and name not in CONTAINERS and name not in self.settings
        )

    def split(self, kwargs: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return what a call sets of the model, and the rest of what it was given.

        Raises:
            ConfigurationError: It sets what only the constructor can set; the message names it.
            ValueError: It sets the same thing twice.
        """
        given = {name: value for name, value in kwargs.items() if name in self.watched}
        rest = {name: value for name, value in kwargs.items() if name not in self.watched}
        found = canonical(given, self.allowed | self.refused)
        refuse_credentials(found.get("model_kwargs") or ())
        for name in sorted(found.keys() & self.refused):
            names = [*given, *(key for container in CONTAINERS for key in as_mapping(given.get(container)))]
            written = next((key for key in names if ALIASES.get(key, key) == name), name)
            if name not in self.fields:
                raise ConfigurationError(f"{written} is not an argument of a call to this class, and is not sent")
            if name in _OF_THE_CONFIG:
                raise ConfigurationError(f"{written} belongs in the call's config: config={{{name!r}: …}}")
            raise ConfigurationError(
                f"{written} belongs to the model, and cannot be set for a single call: make another model with it, "
                f"by model.model_copy(update={{{name!r}: …}})"
            )
        changes = {name: value for name, value in found.items() if name in self.allowed}
        return changes, rest | {name: value for name, value in found.items() if name not in self.allowed}

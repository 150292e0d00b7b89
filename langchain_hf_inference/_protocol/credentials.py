"""Which secret may go to which origin, and what the secret is in what was written.

What people paste comes with the quotes of a shell or a .env file, with the `Bearer ` of a header, or as the whole line
`HF_TOKEN=hf_…`. Whose key it is, is decided on what is left, so that a quoted Hugging Face token is never taken for the
key of another company. A secret is only read here, together with the URL that it is for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any
from urllib.parse import urlsplit

from langchain_hf_inference._protocol.providers import PROVIDER_CHAT_URLS, ROUTING_POLICIES
from langchain_hf_inference._protocol.routing import ROUTER_URL, is_hugging_face_host, origin_of
from langchain_hf_inference._protocol.task_routes import PROVIDER_HOSTS
from langchain_hf_inference.errors import ConfigurationError

TOKEN_VARIABLES = ("HF_TOKEN", "HUGGINGFACEHUB_API_TOKEN", "HF_API_TOKEN")
"""Environment variables that may hold a token, in the order in which they are read."""

HUGGING_FACE_PREFIXES = ("hf_", "api_org_")
"""How Hugging Face's tokens begin; `api_org_` is the older form, for organizations."""

_BLANK = " \t\r\n\"'"
_QUOTES = "\"'`\u2018\u2019\u201c\u201d"
_NAMES = "|".join((*TOKEN_VARIABLES, "HUGGING_FACE_HUB_TOKEN"))
_WRITTEN = re.compile(rf"(?:(?:export|set)\s+)?(?:{_NAMES})\s*=|authorization\s*:", re.IGNORECASE)
_CLEAN = re.compile(r"(?:hf_|api_org_|(?!(?i:hf_|api_org_|bearer$)))[A-Za-z0-9_.\-]+")
"""Most keys, as they are written: nothing is to be removed from them."""
_UNCARRIED = re.compile(r"[^\x21-\x7e]")
BEARER = re.compile(r"bearer(?:\s+|$)", re.IGNORECASE)


def text_of(value: Any) -> str | None:
    """Return the text of a str, of bytes, or of a SecretStr; None for anything else."""
    if hasattr(value, "get_secret_value"):
        value = value.get_secret_value()
    if isinstance(value, bytes | bytearray):
        return bytes(value).decode("utf-8", "replace")
    return value if isinstance(value, str) else None


def normalize_credential(value: Any, *, source: str) -> str | None:
    """Return the secret in `value`, fit for a header.

    Surrounding whitespace and quotes, and a `Bearer `, `Authorization:`, `HF_TOKEN=` or `export HF_TOKEN=` before the
    secret are removed, in any order.

    Args:
        value: A str, a SecretStr, or None or False for none.
        source: What held it, an argument or a variable, for messages.

    Returns:
        The secret; None where there is none.

    Raises:
        ConfigurationError: It cannot be a secret. The message names `source` and the position, never the value.
    """
    if value is None or value is False:
        return None
    text = None if isinstance(value, bytes | bytearray) else text_of(value)
    if text is None:
        raise ConfigurationError(f"{source} must be a string, got a {type(value).__name__}")
    if _CLEAN.fullmatch(text):
        return text
    start, end = secret_bounds(text)
    if bad := _UNCARRIED.search(text, start, end):
        kind = "a character that is not ASCII" if ord(bad[0]) > 0x7F else "whitespace or a control character"
        raise ConfigurationError(
            f"{source} holds {kind}, at position {bad.start() + 1}, which no header can carry; copy it again"
        )
    secret = text[start:end]
    lowered = secret.lower()
    for prefix in HUGGING_FACE_PREFIXES:
        if lowered.startswith(prefix) and not secret.startswith(prefix):
            raise ConfigurationError(
                f"{source} begins with {prefix!r} in capital letters, which is neither a Hugging Face token nor another "
                f"key; tokens begin with {prefix!r} in lower case, and the name of a variable is not its value"
            )
    return secret or None


def is_hugging_face_token(secret: str | None) -> bool:
    """Return whether a normalized secret is a token of Hugging Face's, by how it begins; None counts as one."""
    return secret is None or secret.startswith(HUGGING_FACE_PREFIXES)


def secret_bounds(text: str) -> tuple[int, int]:
    """Return where the secret begins and ends in what was written."""
    start, end = 0, len(text)
    while start < end:
        if text[start].isspace() or text[start] in _QUOTES:
            start += 1
        elif text[end - 1].isspace() or text[end - 1] in _QUOTES:
            end -= 1
        elif found := _WRITTEN.match(text, start, end) or BEARER.match(text, start, end):
            start = found.end()
        else:
            break
    return start, end


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a model is served, as its arguments say it: this decides which origins may see its key."""

    model: str | None = None
    provider: str | Sequence[str] | None = None
    endpoint_url: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """`default_headers`."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """A secret and the headers of a user, with the origins that they may be sent to. Its repr shows no secret."""

    secret: str | None = field(default=None, repr=False)
    origins: frozenset[str] = frozenset()
    """Origins that may see `secret`."""
    is_for_hugging_face: bool = False
    """Whether all of Hugging Face's own hosts may see `secret` as well."""
    is_provider_key: bool = False
    """Whether `secret` belongs to another company than Hugging Face, or to a server of the user's own."""
    model_origin: str = ""
    """The only origin that may see `headers`: where the model is served."""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    def may_send_secret(self, url: str) -> bool:
        """Return whether there is a secret that may be sent to `url`."""
        if not self.secret:
            return False
        origin = origin_of(url)
        return bool(origin) and (origin in self.origins or (self.is_for_hugging_face and is_hugging_face_host(url)))

    def headers_for(self, url: str) -> dict[str, str]:
        """Return the headers that a request to `url` may carry: the key, and the user's own headers over it."""
        own = self.headers if self.headers and origin_of(url) == self.model_origin else {}
        if self.may_send_secret(url) and not any(name.lower() == "authorization" for name in own):
            return {"Authorization": f"Bearer {self.secret}", **own}
        return dict(own)

    def cache_key(self, url: str) -> str:
        """Return a digest of what a request to `url` carries: answers to other credentials are other answers."""
        sent = sorted((name.lower(), value) for name, value in self.headers_for(url).items())
        return blake2b(repr(sent).encode("utf-8", "replace"), digest_size=16).hexdigest() if sent else ""


ANONYMOUS = Credentials()
"""No secret and no headers, for lookups that need none."""


def environment_variable(environment: Mapping[str, str]) -> str | None:
    """Return the variable of `environment` that holds the token, the first of TOKEN_VARIABLES that is not empty."""
    return next((name for name in TOKEN_VARIABLES if environment.get(name, "").strip(_BLANK)), None)


def needs_stored_login(api_key: Any, endpoint_url: str | None, environment: Mapping[str, str]) -> bool:
    """Return whether the stored login has to be read: nothing else gives a token, and it may be sent there."""
    is_sent = is_hugging_face_host(endpoint_url or ROUTER_URL)
    return api_key is None and is_sent and environment_variable(environment) is None


def resolve_credentials(
    api_key: Any, destination: Destination, *, environment: Mapping[str, str], stored_login: str | None
) -> Credentials:
    """Return the secret of a call with the origins that it may go to.

    A token of the environment or of the stored login goes to Hugging Face's own hosts. A Hugging Face token given as
    `api_key` goes there too, or to the origin of `endpoint_url` alone where there is one. Any other key goes to the one
    origin that the user named, by `endpoint_url` or as one provider.

    Args:
        api_key: A str or SecretStr; None for the token of the environment, False for no key.
        destination: Where the model is served.
        environment: The variables of TOKEN_VARIABLES that are set.
        stored_login: The token of `hf auth login`.

    Raises:
        ConfigurationError: It is not clear whose key it is, or it would reach a company that it does not belong to.
    """
    url = destination.endpoint_url or ROUTER_URL
    given: dict[str, Any] = {"model_origin": origin_of(url), "headers": destination.headers}
    _check_authorization(destination.headers, url)
    if api_key is None:
        secret = _ambient_token(url, environment, stored_login) if is_hugging_face_host(url) else None
        return Credentials(secret, is_for_hugging_face=True, **given)
    secret = normalize_credential(api_key, source="api_key")
    if secret is None:
        return Credentials(**given)
    if not is_hugging_face_token(secret):
        given["model_origin"] = origin = _key_origin(destination)
        return Credentials(secret, frozenset((origin,)), is_provider_key=True, **given)
    if destination.endpoint_url is None:
        return Credentials(secret, is_for_hugging_face=True, **given)
    return Credentials(secret, frozenset((origin_of(url),)), is_for_hugging_face=is_hugging_face_host(url), **given)


def _ambient_token(url: str, environment: Mapping[str, str], stored_login: str | None) -> str | None:
    name = environment_variable(environment)
    if name is None:
        return normalize_credential(stored_login, source="the stored login")
    source = f"the environment variable {name}"
    secret = normalize_credential(environment[name], source=source)
    if not is_hugging_face_token(secret) and _is_hub(url):
        raise ConfigurationError(
            f"{source} holds no Hugging Face token: it does not begin with hf_, and is not sent to {origin_of(url)}; "
            "give a provider's key as api_key, with provider or endpoint_url"
        )
    return secret


def _key_origin(destination: Destination) -> str:
    """Return the one origin that a key of another company than Hugging Face may go to."""
    if destination.endpoint_url is not None:
        if _is_hub(destination.endpoint_url):
            raise ConfigurationError(
                f"api_key is not a Hugging Face token (hf_…), and is not sent to {origin_of(destination.endpoint_url)}; "
                "give a Hugging Face token, or the provider's own address as endpoint_url"
            )
        return origin_of(destination.endpoint_url)
    named = (destination.provider,) if isinstance(destination.provider, str) else destination.provider or ()
    names = list(dict.fromkeys(named)) or ["auto"]
    if len(names) > 1:
        raise ConfigurationError(
            f"api_key is not a Hugging Face token (hf_…), and provider names {len(names)} companies: one key is not sent "
            "to several; name its owner alone, or give a Hugging Face token"
        )
    suffix = (destination.model or "").partition(":")[2]
    name = suffix if names[0] == "auto" and suffix else names[0]
    if name in ("auto", *ROUTING_POLICIES):
        raise ConfigurationError(
            "api_key is not a Hugging Face token (hf_…), and nothing says whose key it is; name its provider "
            '(provider="groq", say), give its server as endpoint_url, or give a Hugging Face token'
        )
    address = PROVIDER_CHAT_URLS.get(name) or PROVIDER_HOSTS.get(name)
    if address is None:
        raise ConfigurationError(
            f"the key is not a Hugging Face token (hf_…), and the host of provider={name!r} is not known; "
            "give its address as endpoint_url, or a Hugging Face token"
        )
    return origin_of(address)


def _check_authorization(headers: Mapping[str, str], url: str) -> None:
    """Refuse to send another company's key to Hugging Face by way of `default_headers`."""
    if not headers or not _is_hub(url):
        return
    value = next((value for name, value in headers.items() if name.lower() == "authorization"), "")
    if (found := BEARER.match(value)) and not is_hugging_face_token(value[found.end() :]):
        raise ConfigurationError(
            f"default_headers: Authorization holds no Hugging Face token (hf_…), and is not sent to {origin_of(url)}; "
            "give the provider's own address as endpoint_url"
        )


def _is_hub(url: str) -> bool:
    """Return whether `url` is the Hub or the router, which take Hugging Face tokens only; an endpoint may have its own key."""
    return is_hugging_face_host(url) and not (urlsplit(url).hostname or "").endswith(".endpoints.huggingface.cloud")

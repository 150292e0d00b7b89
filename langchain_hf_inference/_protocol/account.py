"""What the Hub says of a token: whose it is, and what it may do.

Source: `GET /api/whoami-v2` as huggingface_hub 2.4.0 (hf_api.py, _login.py) and @huggingface/hub 2.17.5 (who-am-i.ts) read
it, on 2026-11-20. A token of an old role may call models; a fine-grained one only with the permission for it, which its owner
ticked as "Make calls to Inference Providers" or "Make calls to your Inference Endpoints". Their names are those of the Hub's
links to a new token; since no document lists them, nothing is refused on their account.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from langchain_hf_inference._protocol.wire import as_list, as_object

MAY_CALL_PROVIDERS, MAY_CALL_ENDPOINTS = "inference.serverless.write", "inference.endpoints.infer.write"

OLD_ROLES = frozenset({"read", "write", "contributor", "admin"})


@dataclass(frozen=True, slots=True)
class Account:
    """Whose token it is; None where the Hub does not say."""

    name: str | None = None
    token_name: str | None = None
    role: str | None = None
    """"read", "write", …, or "fineGrained"."""
    permissions: frozenset[str] | None = None
    """Of a fine-grained token, on whatever account or organisation."""
    organisations: tuple[str, ...] = ()
    is_pro: bool | None = None

    def may(self, permission: str) -> bool | None:
        """Tell whether the token has `permission`; None where the Hub does not say."""
        if self.role in OLD_ROLES:
            return True
        return None if self.permissions is None else permission in self.permissions


def needed_permission(url: str) -> str:
    """Give the permission that a fine-grained token needs to call `url`, a host of Hugging Face's."""
    host = urlsplit(url).hostname or ""
    return MAY_CALL_ENDPOINTS if host.endswith(".endpoints.huggingface.cloud") else MAY_CALL_PROVIDERS


def account_url(hub_endpoint: str) -> str:
    """Give the address at which the Hub tells whose a token is."""
    return f"{hub_endpoint.rstrip('/')}/api/whoami-v2"


def read_account(body: Any) -> Account:
    """Read the Hub's answer."""
    found = as_object(body)
    token = as_object(as_object(found.get("auth")).get("accessToken"))
    fine = as_object(token.get("fineGrained"))
    scoped = [
        permission
        for scope in as_list(fine.get("scoped"))
        for permission in as_list(as_object(scope).get("permissions"))
    ]
    organisations = (as_object(one).get("name") for one in as_list(found.get("orgs")))
    is_pro = found.get("isPro")
    return Account(
        name=_text(found.get("name")),
        token_name=_text(token.get("displayName")),
        role=_text(token.get("role")),
        permissions=frozenset(one for one in [*as_list(fine.get("global")), *scoped] if isinstance(one, str))
        if fine
        else None,
        organisations=tuple(name for name in organisations if isinstance(name, str)),
        is_pro=is_pro if isinstance(is_pro, bool) else None,
    )


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None

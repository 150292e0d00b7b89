"""The one door to huggingface_hub: the stored login and the Hub's address.

Only functions that are the same in 1.x and 2.x are used, and none of its HTTP types passes:
1.x speaks httpx, 2.x httpx2. It is imported on first use, since that costs what a chat call costs.
"""

from __future__ import annotations

import os
import time

STORED_LOGIN_S = 60.0
"""How long a stored login is believed: a new `hf auth login` is seen after a minute."""

_stored: tuple[float, str | None] | None = None


def stored_token() -> str | None:
    """Give the token of `hf auth login`, or None. Reads a file, may refresh an OAuth token over the network."""
    global _stored
    if os.environ.get("HF_HUB_DISABLE_IMPLICIT_TOKEN", "").lower() in ("1", "true", "yes", "on"):
        return None
    now = time.monotonic()
    if _stored is None or now - _stored[0] > STORED_LOGIN_S:
        from huggingface_hub import get_token

        try:
            token = get_token()
        except Exception:  # noqa: BLE001 - an OIDC exchange or a token refresh may fail in any way; then there is none
            token = None
        _stored = (now, token)
    return _stored[1]


def login_place() -> str:
    """Say where `stored_token` finds its token."""
    if os.environ.get("HUGGING_FACE_HUB_TOKEN", "").strip():
        return "the environment variable HUGGING_FACE_HUB_TOKEN"
    from huggingface_hub import constants

    return f"the stored login ({constants.HF_TOKEN_PATH})"


def hub_endpoint() -> str:
    """Give the Hub's address: `HF_ENDPOINT`, else https://huggingface.co."""
    from huggingface_hub import constants

    return str(constants.ENDPOINT)


def forget_login() -> None:
    """Read the stored login anew at the next use."""
    global _stored
    _stored = None

"""The checks of `hf-inference doctor` that come before a model is asked: token, account, route, server, providers."""

from __future__ import annotations

import difflib
import platform
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from langchain_hf_inference import _transport
from langchain_hf_inference._connection import HFConnection
from langchain_hf_inference._profiles import known_models, plain_id, providers_of
from langchain_hf_inference._protocol.account import MAY_CALL_PROVIDERS, Account, needed_permission
from langchain_hf_inference._protocol.credentials import Credentials, Destination
from langchain_hf_inference._protocol.dialects import dialect_of
from langchain_hf_inference._protocol.providers import ROUTING_POLICIES
from langchain_hf_inference._protocol.routing import ROUTER_URL, Route, is_hugging_face_host, shown_url
from langchain_hf_inference._transport import hub
from langchain_hf_inference._transport.tokens import TokenSource
from langchain_hf_inference.chat_models import ChatHFInference
from langchain_hf_inference.cli.findings import Finding, failed
from langchain_hf_inference.cli.offer_rows import offer_row
from langchain_hf_inference.errors import (
    APIConnectionError,
    APIStatusError,
    AuthenticationError,
    HFInferenceError,
    ModelNotFoundError,
)

PACKAGES = ("langchain-hf-inference", "langchain-core", "httpx", "huggingface-hub", "pydantic")
NEW_TOKEN_URL = (
    "https://huggingface.co/settings/tokens/new?ownUserPermissions=inference.serverless.write&tokenType=fineGrained"  # noqa: S105
)


def check_versions() -> Finding:
    """Tell the versions of what takes part."""
    found = {"Python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # run from a checkout that is not installed
            found[name] = "not installed"
    return Finding("versions", "ok", ", ".join(f"{name} {number}" for name, number in found.items()), facts=found)


def check_token(place: dict[str, Any]) -> Finding:
    """Tell where the token is found, and whether one is needed."""
    url, source = place.get("endpoint_url"), TokenSource(place.get("api_key"))
    where = source.place()
    try:
        source.credentials(Destination(place.get("model"), place.get("provider"), url))
    except HFInferenceError as error:
        mend = "copy the token anew, without blanks" if "no header can carry" in str(error) else None
        return failed("token", error, mend)
    goes = where == "the argument" or is_hugging_face_host(url or ROUTER_URL)
    facts = {"place": where, "sent": bool(where) and goes}
    if where and goes:
        said = "given by --token" if where == "the argument" else f"found in {where}"
        return Finding("token", "ok", said, facts=facts)
    if where:
        said = f"found in {where}; not sent to {shown_url(url or '')}, which is not Hugging Face"
        return Finding("token", "ok", said, "if that server wants a key, give it with --token", facts)
    if url and not is_hugging_face_host(url):
        return Finding("token", "ok", "none, and a server of your own may need none", facts=facts)
    mend = f"make one at {NEW_TOKEN_URL} and set HF_TOKEN, or run `hf auth login`"
    return Finding("token", "failure", "no Hugging Face token: not in HF_TOKEN, no stored login", mend, facts)


def check_account(connection: HFConnection, credentials: Credentials) -> Finding:
    """Ask the Hub whose token it is, and what it may do."""
    endpoint = hub.hub_endpoint()
    if credentials.is_provider_key:
        return Finding(
            "account", "skipped", "not asked: the key is not one of Hugging Face's (it does not begin with hf_)"
        )
    if not credentials.may_send_secret(endpoint):
        return Finding(
            "account", "skipped", f"not asked: HF_ENDPOINT is {shown_url(endpoint)}, which is not Hugging Face"
        )
    try:
        account = _transport.lookups.account(connection._transport(), credentials)
    except AuthenticationError as error:
        mend = f"it is wrong, expired or revoked: make a new one at {NEW_TOKEN_URL}"
        return failed("account", error, mend)
    except HFInferenceError as error:
        return Finding("account", "warning", f"not known: {error}", "check the connection to huggingface.co",
                       {"error": type(error).__name__})  # fmt: skip
    return _account_found(account, needed_permission(connection.endpoint_url or ROUTER_URL))


def _account_found(account: Account, needed: str) -> Finding:
    facts = {"name": account.name, "token_name": account.token_name, "role": account.role, "is_pro": account.is_pro,
             "permissions": sorted(account.permissions or ()), "organisations": list(account.organisations)}  # fmt: skip
    pro = " (PRO)" if account.is_pro else ""
    said = f"{account.name or 'nameless'}{pro}, token {account.token_name!r} of role {account.role}"
    if account.may(needed) is False:
        what = "Inference Providers" if needed == MAY_CALL_PROVIDERS else "your Inference Endpoints"
        mend = f'edit it at https://huggingface.co/settings/tokens and tick "Make calls to {what}"'
        return Finding("account", "warning", f"{said}: it seems not to be allowed calls to {what}", mend, facts)
    may = "may make calls to models" if account.may(needed) else "what it may do is not told"
    return Finding("account", "ok", f"{said}: {may}", facts=facts)


def check_server(model: ChatHFInference, credentials: Credentials) -> Finding:
    """Ask a server of the user's own whether it is there, what it is, and what it serves."""
    transport, url = model._transport(), model.endpoint_url or ""
    note = ""
    try:
        names = _transport.lookups.server_models(transport, url, credentials)
    except (APIConnectionError, AuthenticationError) as error:
        mend = "give the server's key with --token" if isinstance(error, AuthenticationError) else None
        return failed("server", error, mend)
    except APIStatusError as error:
        names, note = [], f"; it has no list of models ({error.status_code})"
    except HFInferenceError as error:
        return failed("server", error)
    facts = _transport.lookups.server_facts(transport, url, credentials)
    engine = model.engine or facts.engine
    number = _transport.lookups.server_version(transport, url, engine, credentials)
    row = dialect_of(engine or "openai")
    said = f"{row.title}{f' {number}' if number else ''}, model {model.model or facts.model or 'not named'}"
    if facts.context_length:
        said += f", context {facts.context_length:,} tokens"
    found = {"engine": engine, "version": number, "model": model.model or facts.model, "models": names,
             "context_length": facts.context_length, "chats": row.chats}  # fmt: skip
    if model.model and names and model.model not in names and row.lists_models:
        mend = f"it serves {', '.join(names[:5])}; leave MODEL out to take the first"
        return Finding("server", "warning", said + f"; {model.model} is not in its list", mend, found)
    return Finding("server", "ok", said + note, facts=found)


def check_route(routes: list[Route]) -> Finding:
    """Tell where a request goes."""
    facts = [{"url": shown_url(route.url), "model": route.model, "provider": route.provider} for route in routes]
    told = [f"POST {shown_url(route.url)}, model {route.model or 'left to the server'}" for route in routes]
    return Finding("route", "ok", "; then ".join(told), facts={"routes": facts})


def check_offers(model: ChatHFInference) -> Finding:
    """Ask the router who serves the model, for how much, and with what."""
    try:
        model.refresh_profile()
    except ModelNotFoundError as error:
        near = difflib.get_close_matches(plain_id(model.model), known_models(), 3, 0.6)
        return failed("providers", error, f"did you mean {' or '.join(near)}?" if near else
                      "look for a model at https://huggingface.co/models?inference_provider=all")  # fmt: skip
    except HFInferenceError as error:
        return failed("providers", error)
    live, asked = [offer for offer in model.offers if offer.is_live], providers_of(model.model, model.provider)
    rows = [offer_row(offer) for offer in model.offers]
    names = [offer.provider for offer in live]
    missing = [name for name in asked if name not in names and name not in ROUTING_POLICIES]
    if not live:
        return Finding("providers", "failure", "no provider serves it just now",
                       "choose another model: hf-inference models", {"offers": rows})  # fmt: skip
    if missing and len(missing) == len(asked):
        return Finding("providers", "failure", f"{', '.join(missing)} does not serve it just now",
                       f"these do: {', '.join(names)}", {"offers": rows})  # fmt: skip
    return Finding("providers", "ok", f"{len(live)} live: {', '.join(names)}", facts={"offers": rows})


def credentials_of(connection: HFConnection) -> Credentials:
    """Return the credentials of a connection, without asking the server or the Hub."""
    return connection._credentials()


def first_checks(place: dict[str, Any]) -> Iterator[Finding]:
    """Check what needs no model."""
    yield check_versions()
    token = check_token(place)
    yield token
    connection = HFConnection(**place)
    if token.facts.get("sent") and is_hugging_face_host(connection.endpoint_url or ROUTER_URL):
        yield check_account(connection, credentials_of(connection))

"""`hf-inference models`: what can be asked, and for how much."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from langchain_hf_inference import _transport
from langchain_hf_inference._connection import HFConnection
from langchain_hf_inference._profiles import known_models
from langchain_hf_inference._protocol.offers import ModelOffers, Offer
from langchain_hf_inference.cli.checks import credentials_of
from langchain_hf_inference.cli.offer_rows import dollars, offer_row, yes_no
from langchain_hf_inference.cli.options import json_option, named_place, place_options

SORTS = ("name", "price", "context", "speed")


@click.command()
@click.argument("search", required=False)
@place_options
@click.option("--tools", is_flag=True, help="Only what calls tools.")
@click.option("--sort", type=click.Choice(SORTS), default="name", show_default=True)
@click.option("--known", is_flag=True, help="What this package knows by itself; nothing is asked.")
@json_option
def models(search: str | None, tools: bool, sort: str, known: bool, as_json: bool, **where: Any) -> None:
    """List the models of the router whose name holds SEARCH, a row for each live provider; or a server's own.

    Prices are US dollars per million tokens.
    """
    place = named_place(None, **where)
    if known and (sort not in ("name", "context") or where["provider"] or where["endpoint_url"]):
        raise click.UsageError("--known has neither providers, prices nor speeds, and asks no server")
    if place.get("endpoint_url") and not known and (tools or sort != "name" or where["provider"]):
        raise click.UsageError(
            "a server of your own tells the names of its models alone: no --tools, --sort, --provider"
        )
    if known:
        rows = [{"model": name, **row} for name, row in known_models().items() if _fits(name, search)]
        rows = [row for row in rows if "tools" in row["can"] or not tools]
        rows.sort(key=lambda row: (-row["context"] if sort == "context" else 0, row["model"]))
        lines = [[row["model"], f"{row['context']:,}", " ".join(row["can"])] for row in rows]
        _print(rows, ("model", "context", "can"), lines, as_json=as_json)
        return
    connection, url = HFConnection(**{k: v for k, v in place.items() if k != "provider"}), place.get("endpoint_url")
    credentials = credentials_of(connection)
    if url:
        names = _transport.lookups.server_models(connection._transport(), url, credentials)
        shown = [{"model": name} for name in names if _fits(name, search)]
        _print(shown, ("model",), [[row["model"]] for row in shown], as_json=as_json)
        return
    found = _transport.lookups.router_models(connection._transport(), credentials)
    offers = sorted(_offers(found, search, where.get("provider"), tools=tools), key=lambda pair: _order(sort, *pair))
    rows = [{"model": name, **offer_row(offer)} for name, offer in offers]
    columns = ("model", "provider", "$/M in", "$/M out", "context", "tools", "schema", "tokens/s")
    _print(rows, columns, [_line(name, offer) for name, offer in offers], as_json=as_json)


def _fits(name: str, search: str | None) -> bool:
    return search is None or search.lower() in name.lower()


def _offers(
    found: list[ModelOffers], search: str | None, provider: str | None, *, tools: bool
) -> Iterator[tuple[str, Offer]]:
    for one in found:
        for offer in one.serving([provider] if provider else []):
            if _fits(one.model, search) and (offer.supports_tools or not tools):
                yield one.model, offer


def _order(sort: str, name: str, offer: Offer) -> tuple[float, str]:
    if sort == "price":
        known = offer.input_price is not None and offer.output_price is not None
        return ((offer.input_price or 0) + (offer.output_price or 0) if known else float("inf")), name
    if sort == "context":
        return -(offer.context_length or 0), name
    return (-(offer.throughput or 0) if sort == "speed" else 0.0), name


def _line(name: str, offer: Offer) -> list[str]:
    return [
        name,
        offer.provider,
        dollars(offer.input_price),
        dollars(offer.output_price),
        f"{offer.context_length:,}" if offer.context_length else "?",
        yes_no(offer.supports_tools),
        yes_no(offer.supports_structured_output),
        f"{offer.throughput:,.0f}" if offer.throughput else "?",
    ]


def _print(rows: list[dict[str, Any]], columns: tuple[str, ...], lines: list[list[str]], *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(rows, ensure_ascii=False))
        return
    table = Table(box=None, header_style="dim", padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column, no_wrap=True, justify="left" if column in ("model", "provider", "can") else "right")
    for line in lines:
        table.add_row(*line)
    Console(highlight=False, width=None if _is_narrow(lines) else 200).print(table)
    click.echo(f"{len(lines)} found", err=True)


def _is_narrow(lines: list[list[str]]) -> bool:
    return sum(max((len(line[i]) for line in lines), default=0) + 2 for i in range(len(lines[0]) if lines else 0)) <= 80

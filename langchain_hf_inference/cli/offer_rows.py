"""A provider's offer of a model, as data and as a row of a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.table import Table

from langchain_hf_inference._protocol.offers import Offer


def offer_row(offer: Offer) -> dict[str, Any]:
    """Give an offer as data."""
    return {name: getattr(offer, name) for name in Offer.__slots__}


def offer_table(offers: Sequence[dict[str, Any]]) -> Table:
    """Draw who offers a model: dollars per million tokens, context, what is supported, how fast."""
    table = Table(box=None, header_style="dim", padding=(0, 2, 0, 0))
    for name in ("provider", "$/M in", "$/M out", "context", "tools", "schema", "first token", "tokens/s"):
        table.add_column(name, justify="left" if name == "provider" else "right")
    for offer in offers:
        name = offer["provider"] if offer["is_live"] else f"{offer['provider']} (down)"
        latency, speed, length = offer["first_token_latency_ms"], offer["throughput"], offer["context_length"]
        table.add_row(
            name,
            dollars(offer["input_price"]),
            dollars(offer["output_price"]),
            f"{length:,}" if length else "?",
            yes_no(offer["supports_tools"]),
            yes_no(offer["supports_structured_output"]),
            f"{latency:,.0f} ms" if latency else "?",
            f"{speed:,.0f}" if speed else "?",
        )
    return table


def dollars(value: float | None) -> str:
    """Write a price per million tokens."""
    return "?" if value is None else f"{value:.2f}"


def yes_no(value: bool | None) -> str:
    """Write a flag that may not be known."""
    return {True: "yes", False: "no", None: "?"}[value]

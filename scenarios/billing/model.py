"""What an order's invoice is."""

from typing import Any


def invoice_of(order: dict[str, Any], number: str) -> dict[str, Any]:
    """Each attempt has another number: numbers have gaps, no two invoices have the same."""
    return {
        "invoice": number,
        "order": order["order"],
        "customer": order["customer"],
        "total_cents": order["quantity"] * order["price_cents"],
    }

"""What the enriched purchases must be: a pure function of both topics' records."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

UNKNOWN = "REF INCONNUE"


@dataclass(frozen=True)
class Product:
    """A record of the table; `name` None is a tombstone."""

    timestamp_ms: int
    id: str
    name: str | None


@dataclass(frozen=True)
class Purchase:
    """A record of the stream."""

    timestamp_ms: int
    id: int
    price: float


def enrich(products: Iterable[Product], purchases: Iterable[Purchase]) -> list[tuple[str, dict[str, Any]]]:
    """Key and value of each output: the name is that of the product's newest record not newer than the purchase.

    Products are given in the order of their log: of two with one timestamp the later one counts.
    """
    table = list(products)
    return [
        (str(one.id), {"id": one.id, "name": _name(table, one) or UNKNOWN, "price": one.price})
        for one in purchases
    ]


def _name(table: list[Product], purchase: Purchase) -> str | None:
    known = [one for one in table if one.id == str(purchase.id) and one.timestamp_ms <= purchase.timestamp_ms]
    return sorted(known, key=lambda one: one.timestamp_ms)[-1].name if known else None

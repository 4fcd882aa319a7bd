"""Reads `achats` and `referentiel`, writes `achats-enrichis`: `python -m purchases.app`.

A purchase gets the name that its product had at the purchase's time, by the timestamps of the records (an as-of join).
"""

from typing import Any

from quixstreams import Application

from streaming.application import application, run
from streaming.settings import Settings

PRODUCTS, PURCHASES, ENRICHED = "referentiel", "achats", "achats-enrichis"
UNKNOWN = "REF INCONNUE"


def product_of(purchase: dict[str, Any]) -> str:
    """Purchases have no key; products are keyed by their id as text."""
    return str(purchase["id"])


def enriched(purchase: dict[str, Any], product: dict[str, Any] | None) -> dict[str, Any]:
    return {
        "id": purchase["id"],
        "name": product["name"] if product else UNKNOWN,
        "price": purchase["price"],
    }


def topology(app: Application) -> None:
    """With several partitions the purchases go through a repartition topic, so that each meets its product."""
    products = app.dataframe(app.topic(PRODUCTS, key_deserializer="str"))
    purchases = app.dataframe(app.topic(PURCHASES)).group_by(
        product_of, name="product", key_serializer="str", key_deserializer="str"
    )
    named = purchases.join_asof(products, how="left", on_merge=enriched)
    named.to_topic(app.topic(ENRICHED, key_serializer="str"))


def main() -> None:
    app = application(Settings.of(group="purchases"))
    topology(app)
    run(app)


if __name__ == "__main__":
    main()

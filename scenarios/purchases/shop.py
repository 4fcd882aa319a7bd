"""The purchases scenarios' words: the topics, their records, and what the model makes of them."""

import json
import time

from kafkaos.checks import exactly_once
from purchases.model import Product, Purchase, enrich
from streaming.world import Sent

PRODUCTS, PURCHASES, ENRICHED = "referentiel", "achats", "achats-enrichis"
BEGIN_MS = int(time.time() * 1000) - 60_000
"""Not in the past of the notes: brokers delete records that are older than the retention, by these timestamps."""
NOTES = [
    {"id": 1, "price": 3.45},
    {"id": 2, "price": 13.40},
    {"id": 30, "price": 1.05},
    {"id": 1, "price": 3.40},
]
ONCE = exactly_once(source=PURCHASES, sink=ENRICHED, by=("id", "price"))


def create_topics(cluster, *, partitions=1):
    cluster.create_topic(PRODUCTS, partitions=partitions, config={"cleanup.policy": "compact"})
    cluster.create_topic(PURCHASES, partitions=partitions)
    cluster.create_topic(ENRICHED, partitions=partitions)


def product(number, name=None, *, at_ms=0):
    value = {"id": number, "name": name or f"produit{number}"}
    return Sent(value, key=str(number), timestamp_ms=BEGIN_MS + at_ms)


def purchase(number, price, *, at_ms=0):
    return Sent({"id": number, "price": price}, timestamp_ms=BEGIN_MS + at_ms)


def start(world, name="purchases", **env):
    return world.application(
        "purchases.app",
        name=name,
        reads=(PRODUCTS, PURCHASES),
        writes=(ENRICHED,),
        stores=[(PRODUCTS, "join")],
        **env,
    )


def expect_of_the_log(chaos):
    """The model's output for what lies in both input topics."""
    products = [
        Product(body.timestamp_ms, body.key.decode(), json.loads(body.value)["name"] if body.value else None)
        for body in chaos.bodies(PRODUCTS)
    ]
    purchases = [Purchase(body.timestamp_ms, **json.loads(body.value)) for body in chaos.bodies(PURCHASES)]
    chaos.expect(ENRICHED, enrich(products, purchases))
    return len(purchases)

"""Takes orders, some of which are cancelled: `python -m billing.desk`. Each visit of customers is a transaction."""

import itertools
import json
import logging
import random
import sys
import time
import zlib

from billing.calls import StartOver, Stopping, until_asked
from billing.settings import Settings
from billing.transactions import NUMBERS, Told, Transactions
from streaming.lines import say

log = logging.getLogger("desk")
CUSTOMERS = 50
ORDERS_PER_VISIT = 5
CANCELLED_EVERY = 5
PARTITIONS = 3
PAUSE_S = 0.05


def take(settings: Settings, stopping: Stopping, partitions: int) -> None:
    """Orders with ascending numbers until the end is asked for. A cancelled visit's numbers are not used again."""
    told = Told(settings.incarnation)
    numbers = itertools.count(settings.incarnation * NUMBERS)
    chance = random.Random(settings.incarnation)
    ready = False
    while not stopping:
        try:
            producer = Transactions(settings.client, f"desk-{settings.instance}", told, stopping)
        except StartOver as reason:
            log.warning("starting over: %s", reason)
            continue
        if not ready:
            say("startup_complete")
            ready = True
        try:
            while not stopping:
                _visit(producer, settings.orders, numbers, chance, partitions)
                time.sleep(PAUSE_S)
        except StartOver as reason:
            log.warning("starting over: %s", reason)
        finally:
            producer.close()


def _visit(
    producer: Transactions,
    topic: str,
    numbers: "itertools.count[int]",
    chance: random.Random,
    partitions: int,
) -> None:
    number = producer.begin()
    for _ in range(ORDERS_PER_VISIT):
        customer = f"customer {chance.randrange(CUSTOMERS)}"
        order = {
            "order": next(numbers),
            "customer": customer,
            "quantity": chance.randrange(1, 10),
            "price_cents": chance.randrange(100, 10_000),
        }
        partition = zlib.crc32(customer.encode()) % partitions
        producer.send(number, topic, partition=partition, key=customer, value=json.dumps(order))
    if number % CANCELLED_EVERY == CANCELLED_EVERY - 1:
        producer.abort()
    else:
        producer.commit()


if __name__ == "__main__":
    sys.exit(until_asked(lambda stopping: take(Settings.of(), stopping, PARTITIONS)))

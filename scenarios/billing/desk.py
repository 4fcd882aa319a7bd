"""Takes orders, some of which are cancelled: `python -m billing.desk`. Each visit of customers is a transaction."""

import itertools
import json
import logging
import random
import signal
import sys
import time
import zlib

from confluent_kafka import KafkaException

from billing.calls import StartOver, Stopping
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


def main() -> int:
    """Status 1 where nobody but an operator can help."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s %(message)s")
    stopping = Stopping()
    signal.signal(signal.SIGTERM, stopping.ask)
    try:
        take(Settings.of(), stopping, PARTITIONS)
    except KafkaException as failure:
        log.critical("no client can go on: %s", failure.args[0].str())
        return 1
    say("shutdown_complete")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""A bank's teller: each transfer writes the new balances of two accounts in one transaction: `bank_teller.py TOPIC ID`.

The topic is the bank's only book. What the accounts hold is read from it at the start, by a reader of committed
records. Accounts of a transfer lie in different partitions. Transfers have ascending numbers, over all incarnations.
The first incarnation stops for good between the two records of a transfer: there it is to be killed.
"""

import json
import random
import sys
from signal import pause

from bank_book import ACCOUNTS, HALVED, OPENING, PARTITIONS, balances_of
from confluent_kafka import Producer
from patience import CALL_S, Stopping, config, incarnation, patiently, tell

from kafkaos.traffic.bodies import read_bodies

RESTORE_DEADLINE_S = 60
PACE_S = 0.01
NUMBERS = 1_000_000
"""Transfers of an incarnation have the numbers from so many times its own on: an aborted one's is never used again."""


class Teller:
    """Writes balances; `number` is that of the transfer in hand."""

    def __init__(self, topic: str, transactional_id: str) -> None:
        self._topic = topic
        self._producer = Producer({**config(), "transactional.id": transactional_id, "linger.ms": 0})
        self._number = incarnation() * NUMBERS

    def work(self, stopping: Stopping) -> None:
        """Transfers from one random account to its neighbour until SIGTERM."""
        # First of all: it ends what an earlier incarnation left open, so that what is read next is all there is.
        patiently(lambda: self._producer.init_transactions(CALL_S))
        book = read_bodies(self._topic, config(), isolation="read_committed", timeout_s=RESTORE_DEADLINE_S)
        balances = balances_of(book)
        tell("startup_complete", accounts=len(balances))
        if not balances and self._book(dict.fromkeys(range(ACCOUNTS), OPENING)):
            balances = dict.fromkeys(range(ACCOUNTS), OPENING)
        chance = random.Random(incarnation())
        while not stopping:
            giver, amount = chance.randrange(ACCOUNTS), chance.randrange(1, OPENING)
            taker = (giver + 1) % ACCOUNTS
            after = {giver: balances[giver] - amount, taker: balances[taker] + amount}
            if self._book(after):
                balances |= after
            self._producer.poll(PACE_S)

    def _book(self, balances: dict[int, int]) -> bool:
        """One transaction; whether it was committed."""
        number = self._number
        self._number += 1
        tell("begin", transaction=number)
        self._producer.begin_transaction()
        for account, balance in balances.items():
            self._write(number, account, balance)
            if number == HALVED:
                self._producer.flush()
                tell("half", transfer=number)
                pause()
        committed = patiently(lambda: self._producer.commit_transaction(CALL_S))
        if not committed:
            patiently(lambda: self._producer.abort_transaction(CALL_S))
        tell("end", transaction=number, outcome="committed" if committed else "aborted")
        return committed

    def _write(self, number: int, account: int, balance: int) -> None:
        key, value = str(account), json.dumps({"transfer": number, "balance": balance})
        partition = account % PARTITIONS
        told = {"topic": self._topic, "key": key, "value": value, "transaction": number}
        tell("send", partition=partition, **told)

        def answer(error, record) -> None:
            if error is None:
                tell("producer_send_success", **told, partition=record.partition(), offset=record.offset())
            else:
                tell("producer_send_error", **told, exception=error.name(), message=error.str())

        self._producer.produce(self._topic, key=key, value=value, partition=partition, on_delivery=answer)


if __name__ == "__main__":
    Teller(*sys.argv[1:]).work(Stopping())
    tell("shutdown_complete")

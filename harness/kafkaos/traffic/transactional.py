"""The recording transactional producer as a process: `python -m kafkaos.traffic.transactional SETTINGS.json`.

BEGIN and END rows carry the transaction's id (client number << 40 | count), as do its sends. END is `ok` for
a confirmed commit, `fail` for a confirmed abort, and stays `info` where neither was confirmed: the next
incarnation with the same transactional.id then decides.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable
from typing import Final

from confluent_kafka import KafkaError, KafkaException

from kafkaos.history import payload
from kafkaos.history.recorder import Recorder
from kafkaos.history.rows import Op, Outcome
from kafkaos.traffic.pace import Pace
from kafkaos.traffic.process import ClientProcess, FatalClient, recorder_of, run_client
from kafkaos.traffic.producer import BLOCK_RECORDS, partition_counts
from kafkaos.traffic.sends import Sends
from kafkaos.traffic.settings import TransactionalSettings
from kafkaos.traffic.status import Control, State, Word

_CALL_S: Final = 5.0  # one try of a transactional call; it is repeated for as long as nobody says stop
_IDLE_S: Final = 0.02


class Transactions:
    """Begins, fills and ends transactions one after the other."""

    def __init__(self, settings: TransactionalSettings, recorder: Recorder, client: ClientProcess) -> None:
        self._settings = settings
        self._recorder = recorder
        self._client = client
        self._sends = Sends(settings, recorder, client)
        self._random = random.Random(f"{settings.seed}/{settings.client}/{settings.incarnation}")
        self._count = 0
        self._stop_by_s: float | None = None

    def run(self) -> None:
        """Transactions until told to stop or the count of records is reached; an open one is ended first."""
        settings, client = self._settings, self._client
        if settings.transactions and not self._settled(
            lambda: self._sends.producer.init_transactions(_CALL_S)
        ):
            return
        counts = partition_counts(settings, client, self._sends.producer)
        pace = Pace(settings.rate, now_s=time.monotonic())
        while (command := client.command) is not Control.STOP:
            if settings.count is not None and self._sends.sent >= settings.count:
                return
            if client.see_mark():
                self._sends.mark()
            if command is Control.RUN:
                client.state(State.RUNNING)
                topic = settings.topics[self._count % len(settings.topics)]
                self._transact(topic, pace, partitions=counts[topic])
            else:
                pace.skip(time.monotonic())
                client.state(State.DRAINED if command is Control.DRAIN else State.PAUSED)
                self._sends.producer.poll(_IDLE_S)

    def finish(self) -> None:
        """Take the answers that are still to come."""
        self._sends.flush(timeout_s=1.0 if self._client.fatal else self._settings.flush_timeout_s)

    def _transact(self, topic: str, pace: Pace, *, partitions: int) -> None:
        transaction = payload.value_id(self._settings.number, self._count)
        self._count += 1
        abort = self._random.random() < self._settings.abort_ratio
        self._recorder.add(Op.BEGIN, transaction=transaction)
        if self._settings.transactions:
            self._sends.producer.begin_transaction()
        left = self._settings.records_per_transaction
        while left and self._client.command is not Control.STOP and self._client.fatal is None:
            due = pace.due(time.monotonic(), at_most=min(left, BLOCK_RECORDS))
            if due:
                self._sends.send(topic, due, partitions=partitions, transaction=transaction)
                left -= due
            self._sends.producer.poll(0 if due else pace.wait_s())
            self._sends.settle()
        # An abort at once would purge the records before they reach the log, and prove nothing. One before the broker
        # took the partitions in is also answered with INVALID_TXN_STATE, which librdkafka takes for fatal.
        if abort or left:
            self._sends.flush(timeout_s=self._settings.flush_timeout_s)
        self._client.raise_if_fatal()
        self._end(transaction, abort=abort or left > 0)

    def _end(self, transaction: int, *, abort: bool) -> None:
        row = self._recorder.begin(Op.END, transaction=transaction)
        committed = False
        try:
            if not abort:
                committed = self._settled(self._commit)
        except KafkaException as error:  # only an abort is left
            self._client.on_error(error.args[0])
            abort = True
        aborted = abort and self._settled(self._abort)
        self._sends.settle()
        if committed:
            self._recorder.complete(row, Outcome.OK)
            self._client.page.add(Word.TRANSACTIONS_COMMITTED, 1)
        elif aborted:
            self._recorder.complete(row, Outcome.FAIL)
            self._client.page.add(Word.TRANSACTIONS_ABORTED, 1)

    def _commit(self) -> None:
        if self._settings.transactions:
            self._sends.producer.commit_transaction(_CALL_S)
        else:
            self._sends.flush(timeout_s=self._settings.flush_timeout_s)

    def _abort(self) -> None:
        if self._settings.transactions:
            self._sends.producer.abort_transaction(_CALL_S)

    def _settled(self, call: Callable[[], None]) -> bool:
        """Repeat a transactional call until it is through; False if a stop was asked and time is over.

        Raises FatalClient on a fatal error, and KafkaException where the transaction must be aborted.
        """
        while True:
            try:
                call()
            except KafkaException as failure:
                error: KafkaError = failure.args[0]
                if error.fatal():
                    self._client.on_error(error)
                    raise FatalClient(str(error)) from None
                if error.txn_requires_abort():
                    raise
                self._client.on_error(error)
            else:
                return True
            self._sends.settle()
            if self._client.command is Control.STOP:
                now_s = time.monotonic()
                self._stop_by_s = self._stop_by_s or now_s + self._settings.flush_timeout_s
                if now_s >= self._stop_by_s:
                    return False
            self._sends.producer.poll(_IDLE_S)


def transact(settings: TransactionalSettings, client: ClientProcess) -> None:
    """Run transactions until told to stop."""
    with recorder_of(settings, "producer", transactional_id=settings.transactional_id) as recorder:
        transactions = Transactions(settings, recorder, client)
        try:
            transactions.run()
            client.state(State.STOPPING)
        finally:
            transactions.finish()
    client.raise_if_fatal()


def main() -> int:
    """The command."""
    return run_client(TransactionalSettings, transact)


if __name__ == "__main__":
    sys.exit(main())

"""Handles for each kind of client, with the words that a scenario uses."""

from __future__ import annotations

from pathlib import Path

from kafkaos.errors import WaitExpired
from kafkaos.traffic.child import Surroundings
from kafkaos.traffic.client import STOP_DEADLINE_S, ClientHandle
from kafkaos.traffic.settings import (
    ConsumerSettings,
    FinalSettings,
    ProducerSettings,
    TransactionalSettings,
)
from kafkaos.traffic.status import Control, State, Word


class ProducerHandle(ClientHandle[ProducerSettings]):
    """A recording producer."""

    module = "kafkaos.traffic.producer"

    @property
    def sent(self) -> int:
        """Records handed to the client so far."""
        return self._count(Word.SENT)

    @property
    def acknowledged(self) -> int:
        """Sends with a positive delivery report."""
        return self._count(Word.ACKNOWLEDGED)

    @property
    def failed(self) -> int:
        """Sends that were surely never appended."""
        return self._count(Word.FAILED)

    @property
    def unknown(self) -> int:
        """Sends that ended with an error which proves nothing (and all with acks=0)."""
        return self._count(Word.UNKNOWN)

    @property
    def outstanding(self) -> int:
        """Sends of the present incarnation that are not answered yet."""
        page = self._page
        if page is None:
            return 0
        return page[Word.SENT] - page[Word.ACKNOWLEDGED] - page[Word.FAILED] - page[Word.UNKNOWN]

    def wait_acknowledged(self, count: int, *, timeout_s: float, after: int | None = None) -> None:
        """Wait for `count` acknowledged sends in all, or of those sent after mark `after`."""

        def enough() -> bool:
            if after is None:
                return self.acknowledged >= count
            return self._count_after(Word.MARKED_ACKNOWLEDGED, after=after) >= count

        since = "" if after is None else " since the mark"
        self.wait_until(enough, f"acknowledged {count} records{since}", timeout_s=timeout_s)

    def hold(self) -> None:
        """Have it send no more; answers are still taken. `go_on` ends it."""
        self.page[Word.CONTROL] = Control.PAUSE

    def go_on(self) -> None:
        """Send again after `hold`, `drain` or `start(paused=True)`."""
        self.page[Word.CONTROL] = Control.RUN

    def drain(self, *, timeout_s: float) -> None:
        """Have it send no more, and wait until all sends are answered."""
        self.page[Word.CONTROL] = Control.DRAIN
        self.wait_until(lambda: self.state in (State.DRAINED, State.STOPPED), "drained", timeout_s=timeout_s)


class TransactionalHandle(ProducerHandle):
    """A recording transactional producer; `drain` waits for the end of its transaction as well."""

    module = "kafkaos.traffic.transactional"

    def __init__(self, settings: TransactionalSettings, around: Surroundings) -> None:
        super().__init__(settings, around)
        self._transactional_id = settings.transactional_id

    @property
    def transactional_id(self) -> str:
        """Its `transactional.id`."""
        return self._transactional_id

    @property
    def transactions_committed(self) -> int:
        """Transactions that ended with a confirmed commit."""
        return self._count(Word.TRANSACTIONS_COMMITTED)

    @property
    def transactions_aborted(self) -> int:
        """Transactions that ended with a confirmed abort."""
        return self._count(Word.TRANSACTIONS_ABORTED)

    def wait_committed(self, count: int, *, timeout_s: float) -> None:
        """Wait for `count` committed transactions in all."""
        self.wait_until(
            lambda: self.transactions_committed >= count,
            f"done with {count} committed transactions",
            timeout_s=timeout_s,
        )


class ConsumerHandle(ClientHandle[ConsumerSettings]):
    """A recording consumer."""

    module = "kafkaos.traffic.consumer"

    @property
    def read(self) -> int:
        """Records delivered so far, re-delivered ones included."""
        return self._count(Word.READ)

    @property
    def processed(self) -> int:
        """Records whose work is done."""
        return self._count(Word.PROCESSED)

    @property
    def committed(self) -> int:
        """Confirmed offset commits, one a partition."""
        return self._count(Word.COMMITTED)

    @property
    def assigned(self) -> int:
        """Partitions that it owns now."""
        return 0 if self._page is None else self._page[Word.ASSIGNED]

    def wait_read(self, count: int, *, timeout_s: float, after: int | None = None) -> None:
        """Wait for `count` delivered records in all, or since mark `after`."""

        def enough() -> bool:
            if after is None:
                return self.read >= count
            return self._count_after(Word.MARKED_READ, after=after) >= count

        since = "" if after is None else " since the mark"
        self.wait_until(enough, f"done reading {count} records{since}", timeout_s=timeout_s)

    def wait_assigned(self, count: int, *, timeout_s: float) -> None:
        """Wait until it owns exactly `count` partitions."""
        self.wait_until(lambda: self.assigned == count, f"assigned {count} partitions", timeout_s=timeout_s)

    @property
    def group(self) -> str | None:
        """Its `group.id`; None for a reader of fixed partitions."""
        return self._given.group

    @property
    def group_instance_id(self) -> str | None:
        """Its `group.instance.id`; None for a dynamic member."""
        return self._given.group_instance_id

    @property
    def segment_path(self) -> Path:
        """What the present incarnation records."""
        return self.settings.segment_path

    def stall(self) -> None:
        """Have it poll no more, as an application that is busy; its heartbeats go on. `go_on` ends it."""
        self.page[Word.CONTROL] = Control.PAUSE

    def go_on(self) -> None:
        """Poll again after `stall`."""
        self.page[Word.CONTROL] = Control.RUN

    def slow_down(self, per_record_ms: float) -> None:
        """Have it take so much longer for each record, until told 0; a new incarnation is not slow."""
        self.page[Word.SLOWER_US] = int(per_record_ms * 1_000)

    def rewind(self) -> None:
        """Seek to the beginning of all its partitions (a SEEK row each)."""
        self.page.add(Word.REWIND, 1)


class FinalHandle(ClientHandle[FinalSettings]):
    """The final reader."""

    module = "kafkaos.traffic.final"

    def read_all(self) -> None:
        """Start it and wait for its end (its own deadline and a little). What it missed, the rows tell."""
        self.start()
        deadline_s = self.settings.deadline_s + STOP_DEADLINE_S
        status = self.wait_ended(timeout_s=deadline_s)
        if status != 0:
            raise WaitExpired(self._told(f"ended with status {status}; see {self.log_path}"))

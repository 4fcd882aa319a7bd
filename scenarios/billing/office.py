"""The billing scenarios' words: its topics, its two processes, and what is true of them in every run."""

import json
import sys
from itertools import groupby
from pathlib import Path

from billing.desk import PARTITIONS
from kafkaos.apps.handle import AppHandle
from kafkaos.checks import (
    at_least_once,
    atomic_transactions,
    commits_follow_work,
    exactly_once,
    no_aborted_read,
    no_acknowledged_loss,
    no_duplicates,
    no_phantom,
    offsets_agree,
)
from streaming.world import SCENARIOS, WAIT_S, World

ORDERS, INVOICES = "orders", "invoices"
SOME = 10
ONCE = exactly_once(source=ORDERS, sink=INVOICES, by=("order", "customer"))
SAFE = (
    ONCE,
    no_aborted_read,
    atomic_transactions,
    no_acknowledged_loss,
    no_duplicates,
    no_phantom,
    offsets_agree,
    at_least_once,
    commits_follow_work,
)


class Office:
    """The desk, billing, and a reader of committed invoices. `code` is the folder of their modules."""

    def __init__(self, cluster, chaos, code: Path = SCENARIOS) -> None:
        self.chaos = chaos
        self._world = World(cluster, chaos, Path(sys.executable), code)
        copies = min(2, sum(node.is_broker for node in cluster.nodes))
        for topic in (ORDERS, INVOICES):
            cluster.create_topic(topic, partitions=PARTITIONS, config={"min.insync.replicas": str(copies)})
        beginning = tuple((INVOICES, partition, -2) for partition in range(PARTITIONS))
        self.reader = chaos.consumer(INVOICES, name="reader", assignment=beginning, isolation="committed")
        self.group = self._world.group
        self.transactional_id = f"{self.group}-0"
        env = {"BILLING_ORDERS": ORDERS, "BILLING_INVOICES": INVOICES, "BILLING_GROUP": self.group}
        self.desk: AppHandle = chaos.app(
            "desk", [sys.executable, "-m", "billing.desk"],
            env=env, topics=[ORDERS], transactional_id="desk-0", cwd=code,
        )  # fmt: skip
        self.billing: AppHandle = chaos.app(
            "billing", [sys.executable, "-m", "billing.app"],
            env=env, topics=[INVOICES], reads=[ORDERS], group=self.group, transactional_id=self.transactional_id,
            isolation="committed", cwd=code,
        )  # fmt: skip

    def go_on(self) -> None:
        """Until more orders were taken, and more transactions of billing committed."""
        for app in (self.desk, self.billing):
            so_far = sum(event["outcome"] == "committed" for event in app.events("end"))
            app.wait_event(
                "end",
                count=so_far + SOME,
                timeout_s=WAIT_S,
                where=lambda event: event["outcome"] == "committed",
            )

    def close(self) -> None:
        """No more orders; until all are billed, and the reader was given all invoices."""
        assert self.desk.stop() == 0
        self._world.wait_committed(self.billing, ORDERS)
        written = len(self.chaos.bodies(INVOICES))
        self.reader.wait_until(
            lambda: self.reader.read >= written, f"done with {written} invoices", timeout_s=WAIT_S
        )

    def in_order(self, topic: str) -> dict[int, list[int]]:
        """The numbers of the orders of each partition, as a committed reader is given them."""
        found = groupby(self.chaos.bodies(topic), key=lambda body: body.partition)
        return {
            partition: [json.loads(body.value)["order"] for body in bodies] for partition, bodies in found
        }

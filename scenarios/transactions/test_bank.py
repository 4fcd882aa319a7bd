"""A bank whose only book is a topic: no transfer may create or destroy money, whatever is killed."""

import sys
from pathlib import Path

import pytest
from bank_book import HALVED, PARTITIONS, TOTAL, sums

from kafkaos.checks import (
    atomic_transactions,
    no_aborted_read,
    no_acknowledged_loss,
    no_duplicates,
    no_phantom,
    offsets_agree,
)
from kafkaos.faults import Kill, KillClient
from kafkaos.faults.roles import coordinator, leader

WAIT_S = 120
SOME = 20
TELLER = Path(__file__).with_name("bank_teller.py")
SAFE = (no_acknowledged_loss, no_duplicates, no_phantom, offsets_agree, no_aborted_read, atomic_transactions)


@pytest.mark.scenario("faults-transactions")
@pytest.mark.kafka_cluster("three")
def test_the_sum_of_a_bank_is_the_same_in_every_committed_snapshot(kafka_cluster, chaos):
    """Leaders, the coordinator and the teller in mid-transfer are killed: committed readers see every sum equal.

    A reader of uncommitted records, in the same run, sees the half transfer, and a sum that lacks its amount.
    """
    topic = kafka_cluster.create_topic("accounts", partitions=PARTITIONS, config={"min.insync.replicas": "2"})
    beginning = tuple((topic, partition, -2) for partition in range(PARTITIONS))
    careful = chaos.consumer(topic, name="careful", assignment=beginning, isolation="committed")
    careless = chaos.consumer(topic, name="careless", assignment=beginning)
    teller = chaos.app(
        "teller", [sys.executable, TELLER, topic, "teller"], topics=[topic], transactional_id="teller"
    )
    teller.wait_event("half", timeout_s=WAIT_S)
    with chaos.fault(KillClient(teller.name)):
        pass
    go_on(teller)
    with chaos.fault(Kill(leader(topic, partition=0))):
        go_on(teller)
        with chaos.fault(KillClient(teller.name)):
            pass
        go_on(teller)
    kafka_cluster.wait_healthy(timeout_s=WAIT_S)
    with chaos.fault(Kill(coordinator(transactional_id="teller"))):
        go_on(teller)

    assert teller.stop() == 0
    for reader, isolation in ((careful, "read_committed"), (careless, "read_uncommitted")):
        written = len(chaos.bodies(topic, isolation=isolation))
        reader.wait_until(lambda r=reader, n=written: r.read >= n, f"done with {written}", timeout_s=WAIT_S)
    chaos.verify(*SAFE)

    seen = sums(read_by(chaos, topic, careful))
    assert len(seen) > 5 * SOME - HALVED
    assert {transfer: total for transfer, total in seen.items() if total != TOTAL} == {}
    wrong = {
        transfer: total for transfer, total in sums(read_by(chaos, topic, careless)).items() if total != TOTAL
    }
    assert wrong[HALVED] < TOTAL


def go_on(teller):
    """Until more transfers are through; those of the present incarnation."""
    teller.wait_ready(timeout_s=WAIT_S)
    so_far = len(teller.events("end"))
    teller.wait_event("end", count=so_far + SOME, timeout_s=WAIT_S)


def read_by(chaos, topic, reader):
    """The records that a reader was given."""
    log = {(body.partition, body.offset): body for body in chaos.bodies(topic, isolation="read_uncommitted")}
    rows = chaos.recording.rows.filter(op="read", client=reader.name).select("partition", "offset")
    return [log[place] for place in rows.iter_rows()]

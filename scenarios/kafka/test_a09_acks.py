"""A9: what `acks` 0, 1 and all may lose when a leader dies."""

import contextlib
import time

import polars as pl
import pytest

from kafkaos.backends.ready import wait_until
from kafkaos.checks import Status, no_acknowledged_loss
from kafkaos.errors import SetupFailed
from kafkaos.faults import Pause
from kafkaos.faults.roles import broker
from kafkaos.history.log_segment import read_batches

WAIT_S = 120
LEADER, FOLLOWERS = 1, (2, 3)


@pytest.mark.scenario("A9")
@pytest.mark.kafka_cluster("clusters/patient.toml", only="it needs brokers that give a silent one up late")
def test_acks_all_loses_nothing_with_its_leader_acks_1_what_only_the_leader_had_and_acks_0_never_knows(
    kafka_cluster, chaos, record_property
):
    """Leader killed while its followers lag: `all` loses nothing, `1` what it was told is safe, `0` is told nothing.

    The loss of `acks=1` is explained whole: it is the tail of the old leader's log, acknowledged after the
    follower that leads next had stopped fetching and before the leader died, and nothing else.
    """
    topics = {
        acks: kafka_cluster.create_topic(
            f"acks-{acks}", replicas=[LEADER, *FOLLOWERS], config={"min.insync.replicas": "2"}
        )
        for acks in ("all", "1", "0")
    }
    producers = {
        acks: chaos.producer(topic, name=f"acks-{acks}", acks=acks, idempotence=acks == "all", rate=500)
        for acks, topic in topics.items()
    }
    for acks in ("all", "1"):
        producers[acks].wait_acknowledged(300, timeout_s=WAIT_S)
    wait_until(lambda: producers["0"].sent >= 300, timeout_s=WAIT_S, what="acks=0 has sent 300 records")

    with contextlib.ExitStack() as asleep:
        for node_id in FOLLOWERS:
            asleep.enter_context(chaos.fault(Pause(broker(node_id), expect_fenced=False)))
        had = [_log_end(kafka_cluster, node_id, topics["1"]) for node_id in FOLLOWERS]
        sent = producers["0"].sent
        producers["1"].wait_acknowledged(100, after=producers["1"].mark(), timeout_s=WAIT_S)
        wait_until(
            lambda: producers["0"].sent >= sent + 100, timeout_s=WAIT_S, what="acks=0 has sent 100 more"
        )
        states = kafka_cluster.observe(list(topics.values())).partitions
        if [(p.leader, set(p.isr)) for p in states] != [(LEADER, {1, 2, 3})] * 3:
            raise SetupFailed(
                "the followers' session was over before the leader was killed: run it on a less busy machine"
            )
        chaos.phase("the leader is killed", target=LEADER)
        kafka_cluster.kill(LEADER)
        dead_ns = time.monotonic_ns()
    wait_until(
        lambda: all(p.leader in FOLLOWERS for p in kafka_cluster.observe(list(topics.values())).partitions),
        timeout_s=WAIT_S,
        what="a follower leads every partition",
    )
    kafka_cluster.start(LEADER)
    for acks in ("all", "1"):
        producers[acks].wait_acknowledged(300, after=producers[acks].mark(), timeout_s=WAIT_S)
    (verdict,) = chaos.judge(no_acknowledged_loss)

    rows = chaos.recording.rows
    gone = {acks: _gone(rows, topic) for acks, topic in topics.items()}
    for acks, missing in gone.items():
        record_property(
            f"acks_{acks}_sent", rows.filter(op="send").filter(pl.col("topic") == topics[acks]).height
        )
        record_property(f"acks_{acks}_lost", missing.height)
    assert producers["all"].acknowledged > 600
    assert gone["all"].filter(outcome="ok").height == 0

    lost = gone["1"].filter(outcome="ok")
    assert lost.height >= 100
    assert verdict.status is Status.FAIL
    assert verdict.counts["lost"] == lost.height
    assert {witness.client for witness in verdict.witnesses} == {"acks-1"}
    offsets = lost["offset"].sort().to_list()
    assert offsets == list(range(offsets[0], offsets[0] + len(offsets)))
    # Whichever of them leads after: what it had in its log when it fell asleep is there.
    assert offsets[0] >= min(had)
    assert lost["invoked_ns"].max() < dead_ns

    assert producers["0"].acknowledged == 0
    assert producers["0"].unknown > 500
    assert gone["0"].height >= 100
    assert gone["0"]["outcome"].unique().to_list() == ["info"]


def _log_end(cluster, node_id: int, topic: str) -> int:
    """The offset after the last one that a broker has on its disk."""
    return max(batch.last for batch in read_batches(cluster.partition_folder(node_id, topic, 0))) + 1


def _gone(rows: pl.DataFrame, topic: str) -> pl.DataFrame:
    """The sends to a topic that the final reader did not find in the log."""
    of_topic = rows.filter(pl.col("topic") == topic)
    log = of_topic.filter(op="final", isolation="uncommitted").select("value")
    assert log.height > 0
    return of_topic.filter(op="send").join(log, on="value", how="anti")

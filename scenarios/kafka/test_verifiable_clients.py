"""Kafka's own VerifiableProducer and VerifiableConsumer, unchanged, as applications under test."""

from __future__ import annotations

import pytest

from kafkaos.backends.jars import kafka_jars
from kafkaos.backends.java import find_java
from kafkaos.backends.jvm import Jvm
from kafkaos.checks import (
    at_least_once,
    commits_follow_work,
    no_acknowledged_loss,
    no_duplicates,
    no_phantom,
    offsets_agree,
    one_owner,
    producer_order,
    reader_order,
)
from kafkaos.faults import Kill, KillClient
from kafkaos.faults.roles import leader
from kafkaos.spec import DEFAULT_KAFKA_VERSION

WAIT_S = 120.0
HEAP_MB = 128
SAFE = (
    no_acknowledged_loss,
    no_duplicates,
    no_phantom,
    offsets_agree,
    producer_order,
    reader_order,
    at_least_once,
    commits_follow_work,
    one_owner,
)


def command(tool, *arguments):
    """A tool's command line in a shell, which fills in what the application is told by its environment.

    The value prefix is the incarnation: every start counts from 0 again.
    """
    jvm = Jvm(find_java(), kafka_jars(DEFAULT_KAFKA_VERSION))
    java = jvm.command(f"org.apache.kafka.tools.{tool}", *arguments, heap_mb=HEAP_MB)
    more = '--bootstrap-server "$KAFKAOS_BOOTSTRAP" --command-config "$KAFKAOS_JAVA_CONFIG"'
    prefix = '--value-prefix "$KAFKAOS_INCARNATION"' if tool == "VerifiableProducer" else ""
    return ["sh", "-c", f'exec "$@" {more} {prefix}', "sh", *java]


@pytest.mark.scenario("A7")
@pytest.mark.kafka_cluster("three", "three-mtls", brokers=3)
def test_verifiable_clients_of_kafka_survive_the_kill_of_a_leader_and_their_own(kafka_cluster, chaos):
    """Java's verifiable producer and consumer lose nothing when the leader is killed, and then each of them."""
    topic = kafka_cluster.create_topic("orders", partitions=3, config={"min.insync.replicas": "2"})
    consumer = chaos.app(
        "consumer",
        command("VerifiableConsumer", "--topic", topic, "--group-id", "billing", "--verbose",
                "--session-timeout", "6000"),
        topics=[topic], reads=[topic], group="billing",
    )  # fmt: skip
    producer = chaos.app(
        "producer",
        command("VerifiableProducer", "--topic", topic, "--throughput", "500"),
        topics=[topic],
    )

    def wait_answered(count):
        so_far = len(producer.events("producer_send_success"))
        producer.wait_event("producer_send_success", count=so_far + count, timeout_s=WAIT_S)

    wait_answered(300)
    with chaos.fault(Kill(leader(topic, partition=0))):
        wait_answered(500)
    for name in ("producer", "consumer"):
        with chaos.fault(KillClient(name)):
            pass
        chaos.clients[name].wait_ready(timeout_s=WAIT_S)
    wait_answered(500)
    assert producer.stop() == 143
    assert producer.events("shutdown_complete")
    chaos.verify(*SAFE)
    assert consumer.events("offsets_committed")
    assert {event["incarnation"] for event in consumer.events("records_consumed")} == {0, 1}

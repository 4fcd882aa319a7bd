"""A2: the exercises of the command line, by Kafka's own tools."""

import pytest
from console import DEADLINE_S, Console

TOPIC = "library-events"
GROUP = "library-events-listener-group"


@pytest.mark.scenario("A2")
@pytest.mark.kafka_cluster("single", "three-mtls")
def test_kafkas_own_tools_create_write_read_and_alter(kafka_cluster):
    """Create, list, describe; produce and consume with and without a key; alter a topic; consume as a group."""
    console = Console(kafka_cluster)
    copies = min(3, len(kafka_cluster.brokers))
    # Nobody else gets this cluster, should the test end before it has deleted what it made.
    kafka_cluster.dirty = True
    console("topics", "--create", "--topic", TOPIC, "--partitions", "3", "--replication-factor", str(copies))
    assert TOPIC in console("topics", "--list").splitlines()

    console("console-producer", "--topic", TOPIC, typed="first\nsecond\nthird\n")
    keyed = ("--reader-property", "parse.key=true", "--reader-property", "key.separator=-")
    console("console-producer", "--topic", TOPIC, *keyed, typed="A-apple\nB-banana\nA-apricot\nA-avocado\n")

    shown = ("--formatter-property", "print.key=true", "--formatter-property", "key.separator=:")
    wanted = ("--topic", TOPIC, "--group", GROUP, "--from-beginning", "--max-messages", "7")
    read = console("console-consumer", *wanted, *shown).splitlines()
    assert [line for line in read if line.startswith("A:")] == ["A:apple", "A:apricot", "A:avocado"]
    assert sorted(set(read) - {"A:apple", "A:apricot", "A:avocado"}) == [
        "B:banana", "null:first", "null:second", "null:third",
    ]  # fmt: skip
    lags = _lags(console("consumer-groups", "--describe", "--group", GROUP))
    assert sum(current for current, _, _ in lags) == sum(end for _, end, _ in lags) == 7
    # A partition to which no record came is not listed.
    assert {lag for _, _, lag in lags} == {0}

    altered = ("--entity-type", "topics", "--entity-name", TOPIC, "--add-config", "min.insync.replicas=2")
    console("configs", "--alter", *altered)
    assert kafka_cluster.topic_config(TOPIC)["min.insync.replicas"] == "2"
    described = console("topics", "--describe", "--topic", TOPIC)
    assert f"PartitionCount: 3\tReplicationFactor: {copies}\tConfigs: min.insync.replicas=2" in described
    assert described.count("Leader: ") == 3

    kafka_cluster.admin().delete_topics([TOPIC])[TOPIC].result(DEADLINE_S)
    kafka_cluster.dirty = False


def _lags(table: str) -> list[tuple[int, int, int]]:
    """Current offset, end offset and lag of each partition."""
    rows = [line.split() for line in table.splitlines() if line.startswith(GROUP)]
    return [(int(row[3]), int(row[4]), int(row[5])) for row in rows]

"""Waiting for groups, against librdkafka's own mock brokers."""

from __future__ import annotations

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from kafkaos.errors import WaitExpired
from kafkaos.traffic.catch_up import Reading, wait_caught_up
from kafkaos.traffic.settings import Config


def test_a_group_is_waited_for_until_it_has_committed_the_end(mock_brokers: Config) -> None:
    """What is left to read is told at the deadline; a group that has committed the end is not waited for."""
    producer = Producer(mock_brokers)
    for _ in range(5):
        producer.produce("orders", b"x", partition=0)
    assert producer.flush(20) == 0
    config = {name: str(value) for name, value in mock_brokers.items()}
    member = Consumer({**mock_brokers, "group.id": "billing"})
    member.commit(offsets=[TopicPartition("orders", 0, 2)], asynchronous=False)
    with pytest.raises(WaitExpired, match=r"billing did not catch up .* left to read: \{'orders-0': 3\}"):
        wait_caught_up({"billing": Reading({"orders"})}, config, timeout_s=0.2)
    member.commit(offsets=[TopicPartition("orders", 0, 5)], asynchronous=False)
    wait_caught_up({"billing": Reading({"orders"})}, config, timeout_s=20)
    with pytest.raises(WaitExpired, match="silent did not catch up"):
        wait_caught_up({"silent": Reading({"orders"})}, config, timeout_s=0.2)
    member.close()

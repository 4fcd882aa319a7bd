"""The recording producer as a process: `python -m kafkaos.traffic.producer SETTINGS.json`.

It sends at its rate until it is told to stop or its count is reached, and goes on over every error that is
not fatal. A full queue is waited for; it is no failed send.
"""

from __future__ import annotations

import sys
import time
from typing import Final

from confluent_kafka import KafkaException, Producer

from kafkaos.traffic.pace import Pace
from kafkaos.traffic.process import ClientProcess, recorder_of, run_client
from kafkaos.traffic.sends import Sends
from kafkaos.traffic.settings import ProducerSettings
from kafkaos.traffic.status import Control, State

BLOCK_RECORDS: Final = 2_000
_IDLE_S: Final = 0.02
_METADATA_S: Final = 1.0


def produce(settings: ProducerSettings, client: ClientProcess) -> None:
    """Send until told to stop, then wait for the answers, at most `flush_timeout_s`."""
    with recorder_of(settings, "producer") as recorder:
        sends = Sends(settings, recorder, client)
        try:
            _loop(settings, client, sends)
            client.state(State.STOPPING)
        finally:
            sends.flush(timeout_s=settings.flush_timeout_s if client.fatal is None else 1.0)
    client.raise_if_fatal()


def partition_counts(settings: ProducerSettings, client: ClientProcess, producer: Producer) -> dict[str, int]:
    """Partitions of each topic, for going round them; waits for the cluster as long as nobody says stop."""
    counts: dict[str, int] = {}
    if settings.partition != "round_robin":
        return dict.fromkeys(settings.topics, 0)
    for topic in settings.topics:
        while topic not in counts and client.command is not Control.STOP:
            try:
                found = producer.list_topics(topic, timeout=_METADATA_S).topics[topic]
            except KafkaException as error:
                client.on_error(error.args[0])
                continue
            if found.error is not None:
                client.on_error(found.error)
                producer.poll(_IDLE_S)
            else:
                counts[topic] = len(found.partitions)
    return counts


def _loop(settings: ProducerSettings, client: ClientProcess, sends: Sends) -> None:
    counts = partition_counts(settings, client, sends.producer)
    pace = Pace(settings.rate, now_s=time.monotonic())
    topics = settings.topics
    blocks = 0
    while (command := client.command) is not Control.STOP and client.fatal is None:
        if client.see_mark():
            sends.mark()
        left = BLOCK_RECORDS if settings.count is None else settings.count - sends.sent
        if left <= 0 and not sends.outstanding:
            return
        room = min(BLOCK_RECORDS, left, settings.window_records - sends.outstanding)
        now_s = time.monotonic()
        if command is not Control.RUN:
            pace.skip(now_s)
            drained = command is Control.DRAIN and not sends.outstanding
            client.state(State.DRAINED if drained else State.PAUSED)
            sends.producer.poll(_IDLE_S)
        else:
            client.state(State.RUNNING)
            due = pace.due(now_s, at_most=room) if room > 0 else 0
            if due:
                topic = topics[blocks % len(topics)]
                blocks += 1
                sends.send(topic, due, partitions=counts[topic])
            sends.producer.poll(0 if due else pace.wait_s())
        sends.settle()


def main() -> int:
    """The command."""
    return run_client(ProducerSettings, produce)


if __name__ == "__main__":
    sys.exit(main())

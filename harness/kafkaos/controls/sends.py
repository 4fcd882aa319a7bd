"""Controls of what idempotence is for: duplicates and order."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psutil

from kafkaos.checks import no_duplicates, producer_order
from kafkaos.cluster import HasFiles
from kafkaos.controls.control import PATIENT, WAIT_S, Control, Topics, create_topics
from kafkaos.errors import SetupFailed, WaitExpired
from kafkaos.faults import CutClients, Pause
from kafkaos.faults.roles import broker
from kafkaos.faults.waiting import until
from kafkaos.run import Chaos
from kafkaos.traffic.handles import ProducerHandle

RATE = 50.0
SOME = 10
IMPATIENT = {"socket.timeout.ms": 1_000, "socket.connection.setup.timeout.ms": 2_000}
REQUEST_TIMEOUT_MS = 2_000
"""Five requests fail one after the other; the pause has to end before the fifth did, on a busy machine too."""


def _lost_answers(chaos: Chaos) -> Topics:
    """The leader writes what it is sent, its answers are lost; the client gives up and sends again: there are two."""
    topics = create_topics(chaos, replicas=(1, 2, 3))
    careless = chaos.producer(topics.weak, name="careless", idempotence=False, rate=RATE, config=IMPATIENT)
    careful = chaos.producer(topics.twin, name="careful", rate=RATE, config=IMPATIENT)
    _let_settle(careless, careful)
    logs = {
        producer.name: _Log(chaos, topic)
        for producer, topic in zip((careless, careful), (topics.weak, topics.twin), strict=True)
    }
    sizes = {name: log.size_bytes() for name, log in logs.items()}
    with chaos.fault(CutClients(broker(1), direction="from")):
        held = {producer.name: _connections(chaos, producer) for producer in (careless, careful)}
        for producer in (careless, careful):
            producer.go_on()
        for producer in (careless, careful):
            logs[producer.name].wait_larger(sizes[producer.name])
            _wait_given_up(chaos, producer, held[producer.name])
    for producer in (careless, careful):
        producer.wait_acknowledged(SOME, after=producer.mark(), timeout_s=WAIT_S)
    return topics


def _passing_error(chaos: Chaos) -> Topics:
    """The first of several requests in flight ends REQUEST_TIMED_OUT and goes out again behind the others.

    Broker 2 is in the ISR and stands still, so acks=all ends after `request.timeout.ms`. A broker handles a
    connection's requests one by one: once the second is in the log, the first was answered with the error. Then
    broker 2 goes on, and the requests already on their way succeed before the repeated one.
    """
    topics = create_topics(chaos, replicas=(1, 2))
    given: dict[str, Any] = {
        "rate": RATE,
        "in_flight": 5,
        "linger_ms": 0.0,
        "config": {"request.timeout.ms": REQUEST_TIMEOUT_MS, "batch.num.messages": 1},
    }
    careless = chaos.producer(topics.weak, name="careless", idempotence=False, **given)
    careful = chaos.producer(topics.twin, name="careful", **given)
    _let_settle(careless, careful)
    logs = {topic: _Log(chaos, topic) for topic in (topics.weak, topics.twin)}
    sizes = {topic: log.size_bytes() for topic, log in logs.items()}
    one_bytes = {
        topics.weak: sizes[topics.weak] // careless.acknowledged,
        topics.twin: sizes[topics.twin] // careful.acknowledged,
    }
    with chaos.fault(Pause(broker(2), expect_fenced=False)):
        for producer in (careless, careful):
            producer.go_on()
        for topic, log in logs.items():
            log.wait_larger(sizes[topic] + one_bytes[topic] * 3 // 2)
    for producer in (careless, careful):
        producer.wait_acknowledged(SOME, after=producer.mark(), timeout_s=WAIT_S)
    return topics


class _Log:
    """A partition's only segment at its leader, broker 1."""

    def __init__(self, chaos: Chaos, topic: str) -> None:
        assert isinstance(chaos.cluster, HasFiles)
        self.path: Path = chaos.cluster.partition_folder(1, topic, 0) / f"{0:020}.log"

    def size_bytes(self) -> int:
        return self.path.stat().st_size

    def wait_larger(self, size_bytes: int) -> None:
        if until(lambda: self.size_bytes() > size_bytes or None, timeout_s=WAIT_S) is None:
            raise WaitExpired(f"{self.path} did not grow beyond {size_bytes} bytes within {WAIT_S:g} s")


def _let_settle(*producers: ProducerHandle) -> None:
    """Connections are up and nothing is under way, so that the fault meets the next sends alone."""
    for producer in producers:
        producer.wait_acknowledged(SOME, timeout_s=WAIT_S)
        producer.drain(timeout_s=WAIT_S)


def _connections(chaos: Chaos, producer: ProducerHandle) -> set[int]:
    """The local ports of a client's connections to broker 1."""
    host, _, port = chaos.cluster.node(1).client_address.rpartition(":")
    return {
        connection.laddr.port
        for connection in psutil.Process(producer.pid).net_connections("tcp")
        if connection.raddr == (host, int(port)) and connection.status == psutil.CONN_ESTABLISHED
    }


def _wait_given_up(chaos: Chaos, producer: ProducerHandle, held: set[int]) -> None:
    """Wait until a connection that the client had is closed: its requests timed out, and go out again."""
    if not held:
        raise SetupFailed(
            f"{producer.name} has no connection to the leader: there is nothing to lose answers on"
        )
    producer.wait_until(
        lambda: bool(held - _connections(chaos, producer)), "giving up its connection", timeout_s=WAIT_S
    )


LOST_ANSWERS = Control(
    name="lost-answers",
    weakness="enable.idempotence=false, retries on",
    safety="enable.idempotence=true",
    guarantees=(no_duplicates,),
    cluster="three",
    properties=PATIENT,
    play=_lost_answers,
)
PASSING_ERROR = Control(
    name="passing-error",
    weakness="enable.idempotence=false, 5 in flight",
    safety="enable.idempotence=true, 5 in flight",
    guarantees=(producer_order,),
    cluster="three",
    properties=PATIENT,
    play=_passing_error,
)

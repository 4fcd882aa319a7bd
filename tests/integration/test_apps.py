"""Applications under test inside a run: what they are told, what is kept of them, and what the end asks of them."""

from __future__ import annotations

import stat
import sys
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer

from kafkaos.checks import Status, no_acknowledged_loss, no_phantom
from kafkaos.errors import SetupFailed, WrongUse
from kafkaos.faults import KillClient, PauseClient

WAIT_S = 60.0

PRELUDE = """
import json, os, sys, time
from confluent_kafka import Producer
def say(name, **fields):
    print(json.dumps({"timestamp": time.time() * 1000, "name": name, **fields}), flush=True)
config = dict(line.rstrip("\\n").split("=", 1) for line in open(os.environ["KAFKAOS_CLIENT_CONFIG"]))
def send(value, tell=True):
    def answered(error, message):
        if tell and error is None:
            say("producer_send_success", topic="orders", key=None, value=value, partition=message.partition(),
                offset=message.offset())
    if tell:
        say("send", topic="orders", key=None, value=value)
    producer.produce("orders", value, on_delivery=answered)
    producer.flush()
producer = Producer(config)
"""


def python(program: str) -> list[str]:
    return [sys.executable, "-c", PRELUDE + program]


@pytest.mark.kafka_cluster("single-mtls")
def test_passwords_are_told_in_a_file_of_the_cluster_and_nowhere_else(kafka_cluster: Any, chaos: Any) -> None:
    """Java's properties hold store passwords: readable by the owner alone, beside the keys, not in the run's folder."""
    topic = kafka_cluster.create_topic("orders")
    app = chaos.app(
        "shop",
        python(
            "say('told', java=os.environ['KAFKAOS_JAVA_CONFIG'], bootstrap=os.environ['KAFKAOS_BOOTSTRAP'])\n"
            "send('one')\nsay('startup_complete')\ntime.sleep(600)"
        ),
        topics=[topic],
        env={"SHOP_SECRET": "a secret of its own"},
    )
    told = app.events("told")[0]
    path = Path(told["java"])
    assert told["bootstrap"] == kafka_cluster.client_config()["bootstrap.servers"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    passwords = [line.split("=", 1)[1] for line in path.read_text().splitlines() if "password" in line]
    assert passwords
    app.stop()
    chaos.verify(no_acknowledged_loss, no_phantom)
    secrets = [password.encode() for password in passwords] + [b"a secret of its own"]
    kept = [file for file in chaos.folder.rglob("*") if file.is_file()]
    assert kept
    assert [file for file in kept if any(secret in file.read_bytes() for secret in secrets)] == []


@pytest.mark.kafka_cluster("single")
def test_a_record_that_no_line_tells_is_a_phantom(kafka_cluster: Any, chaos: Any) -> None:
    """An application that tells its sends is taken at its word: one that it kept to itself is seen."""
    topic = kafka_cluster.create_topic("orders")
    app = chaos.app(
        "shop",
        python("send('told')\nsend('hidden', tell=False)\nsay('startup_complete')\ntime.sleep(600)"),
        topics=[topic],
    )
    app.stop()
    kept, phantom = chaos.judge(no_acknowledged_loss, no_phantom)
    assert kept.status is Status.PASS
    assert phantom.status is Status.FAIL
    assert len(phantom.witnesses) == 1


@pytest.mark.kafka_cluster("single")
def test_a_crash_fails_the_run_unless_it_was_waited_for(kafka_cluster: Any, chaos: Any) -> None:
    """An application that ended by itself with an error is told at the drain, with its status."""
    topic = kafka_cluster.create_topic("orders")
    program = python("send('one')\nsay('startup_complete')\nsys.exit(int(sys.argv[1]))")
    for name, status in (("good", "0"), ("bad", "3"), ("known", "4")):
        chaos.app(name, [*program, status], topics=[topic])
    assert chaos.clients["known"].wait_ended(timeout_s=WAIT_S) == 4
    chaos.clients["good"].wait_ended(timeout_s=WAIT_S)
    chaos.clients["bad"].wait_until(lambda: chaos.clients["bad"].crashed, "ended", timeout_s=WAIT_S)
    with pytest.raises(SetupFailed, match="'bad' ended by itself with status 3"):
        chaos.verify(no_phantom)


@pytest.mark.kafka_cluster("single")
def test_faults_of_clients_hurt_applications(kafka_cluster: Any, chaos: Any) -> None:
    """Kill and pause bite, are proven, and are healed: the one by a new incarnation, the other by going on."""
    topic = kafka_cluster.create_topic("orders")
    app = chaos.app(
        "shop",
        python(
            "say('startup_complete')\nn = 0\nwhile True:\n"
            "    send(f\"{os.environ['KAFKAOS_INCARNATION']}/{n}\")\n    n += 1\n    time.sleep(0.01)"
        ),
        topics=[topic],
    )
    for fault in (PauseClient("shop"), KillClient("shop")):
        with chaos.fault(fault):
            pass
        app.wait_ready(timeout_s=WAIT_S)
        answered = len(app.events("producer_send_success"))
        app.wait_event("producer_send_success", count=answered + 20, timeout_s=WAIT_S)
    assert app.incarnation == 1
    assert chaos.without_evidence == ()
    with pytest.raises(WrongUse, match="a client 'shop' already"):
        chaos.app("shop", ["true"])
    chaos.verify(no_acknowledged_loss, no_phantom)


@pytest.mark.kafka_cluster("single")
def test_bodies_are_whole_and_kept_in_the_run(kafka_cluster: Any, chaos: Any) -> None:
    """Key, value, headers and time stamp of each record, in order; an aborted one only if asked for."""
    topic = kafka_cluster.create_topic("orders", partitions=2)
    config = kafka_cluster.client_config()
    producer = Producer(config | {"transactional.id": "bodies"})
    producer.init_transactions(WAIT_S)
    for value, commit in ((b"one", True), (b"aborted", False), (None, True)):
        producer.begin_transaction()
        producer.produce(
            topic, value, key=b"k\xff", partition=1, timestamp=1234, headers={"h": b"\x00", "e": None}
        )
        producer.flush(WAIT_S)
        if commit:
            producer.commit_transaction(WAIT_S)
        else:
            producer.abort_transaction(WAIT_S)
    found = chaos.bodies(topic)
    assert [(body.partition, body.value) for body in found] == [(1, b"one"), (1, None)]
    assert {(body.key, body.timestamp_ms, tuple(body.headers)) for body in found} == {
        (b"k\xff", 1234, (("h", b"\x00"), ("e", b"")))
    }
    assert [body.value for body in chaos.bodies(topic, isolation="read_uncommitted")] == [
        b"one",
        b"aborted",
        None,
    ]
    lines = (chaos.folder / "bodies" / f"{topic}.jsonl").read_text().splitlines()
    assert len(lines) == 3
    assert '"key": {"base64": "a/8="}, "value": "one"' in lines[0]
    with pytest.raises(SetupFailed, match="no topic nowhere"):
        chaos.bodies("nowhere")

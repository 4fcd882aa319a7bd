"""A14: SASL_SSL with SCRAM: who logs in, who is refused and why, and where no password is to be found."""

import stat

import pytest
from confluent_kafka import KafkaException, Producer
from refusals import assert_refused, assert_served

from kafkaos.backends.ready import wait_until
from kafkaos.checks import no_acknowledged_loss, no_duplicates, no_phantom, offsets_agree, reader_order
from kafkaos.faults import Kill
from kafkaos.faults.roles import leader
from kafkaos.tls.stores import random_password

WAIT_S = 120
RECORDS = 300
WRONG_LOGIN = r"_AUTHENTICATION: .*SASL authentication error: Authentication failed"


@pytest.mark.scenario("A14")
@pytest.mark.kafka_cluster(
    "single-scram", "three-scram", only="it is about clients that log in with a password"
)
def test_clients_log_in_and_their_password_is_in_no_log_and_no_recording(kafka_cluster, chaos):
    """Over SASL_SSL records arrive, over a leader's death too; the password is in no log and in no recording.

    Where it lies in a file, that file is its owner's alone.
    """
    topic = kafka_cluster.create_topic("private")
    producer = chaos.producer(topic, rate=RECORDS)
    consumer = chaos.consumer(topic, group="readers")
    producer.wait_acknowledged(RECORDS, timeout_s=WAIT_S)
    with chaos.fault(Kill(leader(topic, partition=0))):
        pass
    producer.wait_acknowledged(RECORDS, after=producer.mark(), timeout_s=WAIT_S)
    consumer.wait_read(RECORDS, timeout_s=WAIT_S)
    chaos.verify(no_acknowledged_loss, no_duplicates, no_phantom, offsets_agree, reader_order)

    password = kafka_cluster.client_config()["sasl.password"].encode()
    told = [
        path
        for folder in (chaos.folder, kafka_cluster.log_folder)
        for path in folder.rglob("*")
        if path.is_file()
    ]
    assert any(b'"sasl.username"' in path.read_bytes() for path in told)
    assert [path for path in told if password in path.read_bytes()] == []
    own = [path for path in kafka_cluster.files(1).folder.parent.rglob("*") if path.is_file()]
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in own if password in path.read_bytes())


@pytest.mark.scenario("A14")
@pytest.mark.kafka_cluster(
    "single-scram", "three-scram", only="it is about clients that log in with a password"
)
def test_a_wrong_password_and_an_unknown_user_are_refused(kafka_cluster):
    """A wrong password, an unknown user, a weaker mechanism, TLS with no login, and plaintext: each is refused."""
    right = _secure(kafka_cluster)
    assert_served(kafka_cluster, right)
    assert_refused(kafka_cluster, {**right, "sasl.password": "guessed"}, WRONG_LOGIN)
    assert_refused(kafka_cluster, {**right, "sasl.username": "nobody"}, WRONG_LOGIN)
    assert_refused(kafka_cluster, {**right, "sasl.mechanism": "PLAIN"}, r"Unsupported SASL mechanism")
    tls_alone = {name: value for name, value in right.items() if not name.startswith("sasl.")}
    _assert_cut_off(kafka_cluster, {**tls_alone, "security.protocol": "SSL"}, "during SASL handshake")
    _assert_cut_off(kafka_cluster, {"security.protocol": "PLAINTEXT"}, "(SSL handshake failed)")
    assert_served(kafka_cluster, right)


@pytest.mark.scenario("A14")
@pytest.mark.kafka_cluster("single-scram", only="it is about clients that log in with a password")
def test_after_a_change_of_password_the_old_one_is_refused(kafka_cluster, chaos):
    """A user's password changes under load: who is connected goes on, the old password opens nothing any more."""
    kafka_cluster.set_password("billing", random_password())
    old = _secure(kafka_cluster, "billing")
    assert_served(kafka_cluster, old)
    topic = kafka_cluster.create_topic("invoices")
    producer = chaos.producer(topic, rate=RECORDS, config=old)
    producer.wait_acknowledged(RECORDS, timeout_s=WAIT_S)

    kafka_cluster.set_password("billing", random_password())
    assert_refused(kafka_cluster, old, WRONG_LOGIN)
    assert_served(kafka_cluster, _secure(kafka_cluster, "billing"))
    producer.wait_acknowledged(RECORDS, after=producer.mark(), timeout_s=WAIT_S)
    wait_until(
        lambda: "Failed authentication" in kafka_cluster.log_path(1).read_text(),
        timeout_s=WAIT_S,
        what="the broker tells of the refused login",
    )
    chaos.verify(no_acknowledged_loss, no_duplicates)


def _secure(cluster, user: str = "client") -> dict[str, str]:
    """The settings of a client that does everything right, without the address."""
    return {name: value for name, value in cluster.client_config(user).items() if name != "bootstrap.servers"}


def _assert_cut_off(cluster, security: dict[str, str], reason: str) -> None:
    """A client that does not even log in is told nothing: that it was refused, and why, is in the brokers' logs."""
    logs = [cluster.log_path(node.id) for node in cluster.brokers]
    before = [len(log.read_text()) for log in logs]
    client = Producer({"bootstrap.servers": cluster.bootstrap, **security, "log_level": 0})

    def told() -> bool:
        with pytest.raises(KafkaException):
            client.list_topics(timeout=0.5)
        return any(reason in log.read_text()[start:] for log, start in zip(logs, before, strict=True))

    wait_until(told, timeout_s=WAIT_S, what=f"a broker tells of a connection that it ended: {reason}")

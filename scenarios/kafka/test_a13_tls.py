"""A13: TLS, one-way and mutual: who is refused and why, and what can be read on the wire."""

import re
import socket
import ssl

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from refusals import assert_refused, assert_served

from kafkaos.backends.ready import wait_until
from kafkaos.checks import no_acknowledged_loss, no_duplicates, no_phantom, offsets_agree, reader_order
from kafkaos.tls.authority import Authority
from kafkaos.tls.profiles import load_profile

WAIT_S = 30
RECORDS = 300
BROKER_NOT_VERIFIED = r"certificate verify failed"


@pytest.mark.scenario("A13")
@pytest.mark.kafka_cluster("single-tls", "single-mtls", only="it is about these TLS profiles")
def test_a_client_that_trusts_the_authority_is_served(kafka_cluster, chaos):
    """One-way and mutual TLS: records of a client with the right material are acknowledged and read."""
    topic = kafka_cluster.create_topic("private")
    producer = chaos.producer(topic, count=RECORDS)
    consumer = chaos.consumer(topic, group="readers")
    producer.wait_acknowledged(RECORDS, timeout_s=WAIT_S)
    consumer.wait_read(RECORDS, timeout_s=WAIT_S)
    chaos.verify(no_acknowledged_loss, no_duplicates, no_phantom, offsets_agree, reader_order)


@pytest.mark.scenario("A13")
@pytest.mark.kafka_cluster("single-tls", "single-mtls", only="it is about these TLS profiles")
def test_plaintext_and_an_unknown_authority_are_refused(kafka_cluster, tmp_path):
    """A plaintext client is cut off; a client that trusts another authority itself refuses the broker."""
    log = kafka_cluster.log_path(1)
    before = len(log.read_text())
    # The client learns only that it was cut off; the broker tells why.
    assert_refused(kafka_cluster, {"security.protocol": "PLAINTEXT"}, r"ALL_BROKERS_DOWN")
    wait_until(
        lambda: "(SSL handshake failed)" in log.read_text()[before:],
        timeout_s=WAIT_S,
        what="the broker tells of a failed handshake",
    )

    stranger = tmp_path / "stranger.pem"
    stranger.write_bytes(Authority().pem)
    mistrusting = {**_secure(kafka_cluster), "ssl.ca.location": str(stranger)}
    assert_refused(kafka_cluster, mistrusting, BROKER_NOT_VERIFIED)
    assert_served(kafka_cluster, _secure(kafka_cluster))


@pytest.mark.scenario("A13")
@pytest.mark.kafka_cluster("single-tls", only="it is about these TLS profiles")
def test_one_way_tls_serves_a_client_without_a_certificate(kafka_cluster):
    """One-way TLS: only the broker shows a certificate (the control of the next test)."""
    assert_served(kafka_cluster, kafka_cluster.tls.client("client").librdkafka(certificate=False))


@pytest.mark.scenario("A13")
@pytest.mark.kafka_cluster("single-mtls", only="it is about these TLS profiles")
def test_mutual_tls_refuses_a_missing_an_expired_and_a_foreign_client_certificate(kafka_cluster):
    """Mutual TLS: the broker ends the handshake with the alert for no certificate, or for one that it does not accept.

    A certificate of a foreign authority is not even shown: the broker names its own in the handshake, and the
    client, having none of that, shows nothing.
    """
    material = kafka_cluster.tls
    assert_refused(
        kafka_cluster, material.client("client").librdkafka(certificate=False), r"certificate required"
    )
    expired = material.add_client("expired", profile=load_profile("expired"))
    assert_refused(kafka_cluster, expired.librdkafka(), r"alert (certificate expired|certificate unknown)")
    foreign = material.add_client("foreign", profile=load_profile("unknown-ca"))
    assert_refused(
        kafka_cluster, foreign.librdkafka(), r"alert (certificate required|unknown ca|certificate unknown)"
    )
    # Issued in the same way, and nothing wrong with it.
    assert_served(kafka_cluster, material.add_client("healthy").librdkafka())


@pytest.mark.scenario("A13")
@pytest.mark.kafka_cluster(
    "clusters/expired.toml",
    "clusters/wrong-host.toml",
    "clusters/unknown-ca.toml",
    only="it is about these TLS profiles",
)
def test_a_broker_with_a_bad_certificate_is_refused_for_its_defect(kafka_cluster):
    """An expired certificate, one for another host, one of a foreign authority: clients refuse each, for that reason.

    librdkafka's message is the same for all three, so a plain handshake tells which defect it was.
    """
    reasons = {
        "expired": r"certificate has expired",
        "wrong-host": r"address mismatch",
        "unknown-ca": r"self-signed certificate in certificate chain|unable to get local issuer certificate",
    }
    assert_refused(kafka_cluster, _secure(kafka_cluster), BROKER_NOT_VERIFIED)

    host, _, port = kafka_cluster.bootstrap.rpartition(":")
    trust = ssl.create_default_context(cafile=str(kafka_cluster.tls.ca_pem))
    with (
        socket.create_connection((host, int(port)), WAIT_S) as connection,
        pytest.raises(ssl.SSLCertVerificationError) as refused,
    ):
        trust.wrap_socket(connection, server_hostname=host)
    assert re.search(reasons[kafka_cluster.spec.name], refused.value.verify_message)
    # The broker itself is well: a client that checks nothing is served.
    unchecked = {
        "enable.ssl.certificate.verification": "false",
        "ssl.endpoint.identification.algorithm": "none",
    }
    assert_served(kafka_cluster, {**_secure(kafka_cluster), **unchecked})


@pytest.mark.scenario("A13")
@pytest.mark.kafka_cluster("single", "single-tls", "single-mtls")
def test_what_is_on_the_wire_can_be_read_in_plaintext_and_not_over_tls(kafka_cluster, tmp_path):
    """A record's text is in the bytes between client and broker in plaintext (the control), and not over TLS."""
    topic = kafka_cluster.create_topic("letters")
    secret = b"for your eyes only " * 20
    # To any broker and back: which one leads is the cluster's.
    there = [(0, broker.id) for broker in kafka_cluster.brokers]
    back = [(source, client) for client, source in there]
    with kafka_cluster.tap_links([*there, *back], tmp_path) as files:
        assert _write_and_read(kafka_cluster.client_config(), topic, secret) == secret
    sent, received = (b"".join(files[link].read_bytes() for link in links) for links in (there, back))

    assert len(sent) > len(secret)
    assert len(received) > len(secret)
    readable = kafka_cluster.spec.security == "plain"
    assert (secret in sent) is readable
    assert (secret in received) is readable
    assert (topic.encode() in sent) is readable


def _write_and_read(config: dict[str, str], topic: str, value: bytes) -> bytes:
    """The value after its way to the broker and back."""
    producer = Producer(config)
    producer.produce(topic, value)
    assert producer.flush(WAIT_S) == 0
    consumer = Consumer({**config, "group.id": "readers"})
    try:
        consumer.assign([TopicPartition(topic, 0, 0)])
        message = consumer.poll(WAIT_S)
        assert message is not None
        assert message.error() is None
        return message.value()
    finally:
        consumer.close()


def _secure(cluster) -> dict[str, str]:
    """The settings of a client that does everything right, without the address."""
    return {name: value for name, value in cluster.client_config().items() if name != "bootstrap.servers"}

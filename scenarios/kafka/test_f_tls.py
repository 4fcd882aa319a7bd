"""Certificates that go bad, and are replaced, under load."""

import pytest

from kafkaos.checks import (
    available,
    no_acknowledged_loss,
    no_duplicates,
    no_phantom,
    offsets_agree,
    producer_order,
    reader_order,
)
from kafkaos.faults import ExpiredCertificate, RevokedTrust, RotateCertificates
from kafkaos.faults.roles import leader

WAIT_S = 120
SAFE = (no_acknowledged_loss, no_duplicates, no_phantom, offsets_agree, producer_order, reader_order)


@pytest.mark.scenario("faults-tls", "A13")
@pytest.mark.kafka_cluster("single-mtls", only="it is about certificates on both sides")
@pytest.mark.parametrize("fault", [ExpiredCertificate, RevokedTrust])
def test_a_certificate_gone_bad_keeps_new_clients_out_until_it_is_mended(kafka_cluster, chaos, fault):
    """Whoever is connected goes on, who comes new is refused, and is served when it is mended, without a restart."""
    topic = kafka_cluster.create_topic("private")
    connected = chaos.producer(topic, rate=300)
    connected.wait_acknowledged(100, timeout_s=WAIT_S)
    with chaos.fault(fault(leader(topic))):
        connected.wait_acknowledged(100, after=connected.mark(), timeout_s=WAIT_S)
        late = chaos.producer(topic, name="late", rate=100)
        late.wait_until(lambda: "ssl" in late.last_error.lower(), "refused", timeout_s=WAIT_S)
        assert late.acknowledged == 0
    late.wait_acknowledged(100, timeout_s=WAIT_S)
    assert late.incarnation == 0
    chaos.verify(*SAFE[:-1])


@pytest.mark.scenario("faults-tls", "A13")
@pytest.mark.kafka_cluster("three-mtls", only="it is about certificates on both sides")
def test_all_certificates_are_rotated_under_load_and_nothing_is_lost(kafka_cluster, chaos):
    """New keys for every broker, then for the clients, who restart one after the other: not one record is lost."""
    topic = kafka_cluster.create_topic("private", partitions=3, config={"min.insync.replicas": "2"})
    producer = chaos.producer(topic, rate=300, partition="round_robin")
    consumer = chaos.consumer(topic, group="readers")
    producer.wait_acknowledged(100, timeout_s=WAIT_S)
    consumer.wait_read(100, timeout_s=WAIT_S)
    with chaos.fault(RotateCertificates()):
        producer.wait_acknowledged(100, after=producer.mark(), timeout_s=WAIT_S)
        old = kafka_cluster.tls.client("client").certificate_pem.read_bytes()
        new = kafka_cluster.tls.add_client("client")
        assert new.certificate_pem.read_bytes() != old
        for client in (producer, consumer):
            assert client.stop() == 0
            client.start()
        producer.wait_acknowledged(100, after=producer.mark(), timeout_s=WAIT_S)
        consumer.wait_read(100, after=consumer.mark(), timeout_s=WAIT_S)
    chaos.verify(*SAFE, available)

"""Consume, transform, produce in transactions, while the leaders of all that it needs come and go."""

import pytest

from billing.office import INVOICES, ORDERS, SAFE, Office
from kafkaos.faults import Kill
from kafkaos.faults.roles import coordinator, leader
from streaming.world import WAIT_S


@pytest.mark.scenario("faults-transactions")
@pytest.mark.kafka_cluster("three", brokers=3)
def test_each_order_has_one_invoice_and_no_cancelled_one_has_while_leaders_bounce(
    kafka_cluster, chaos, record_property
):
    """A leader is killed, then each of both coordinators: each committed order is billed once, in order.

    Without its deadline on each call billing stands still here: `send_offsets_to_transaction` of librdkafka does not
    come back when the group's coordinator leaves the cluster (its issues 5511 and 5456).
    """
    office = Office(kafka_cluster, chaos)
    office.go_on()
    roles = (
        leader(ORDERS, 1),
        coordinator(transactional_id=office.transactional_id),
        coordinator(group=office.group),
    )
    for role in roles:
        with chaos.fault(Kill(role)):
            office.go_on()
        kafka_cluster.wait_healthy(timeout_s=WAIT_S)
    office.close()
    record_property("started_over", len(office.billing.events("started_over")))

    chaos.verify(*SAFE)
    assert office.billing.incarnation == 0
    assert office.in_order(INVOICES) == office.in_order(ORDERS)

"""Any plan, or any Chaos Toolkit experiment, under traffic: what `kafkaos run FILE.json` runs.

Beside it run the producer `producer` (acks=all) and the consumer `consumer` of group `billing` on the topic `orders`
with three partitions.
"""

from pathlib import Path

import pytest

from kafkaos.chaostoolkit import run_experiment
from kafkaos.checks import (
    no_acknowledged_loss,
    no_duplicates,
    no_phantom,
    offsets_agree,
    producer_order,
    reader_order,
)
from kafkaos.errors import WrongUse
from kafkaos.faults import (
    AnyOf,
    Hold,
    Kill,
    KillClient,
    Parallel,
    Pause,
    Plan,
    Restart,
    Step,
    Trigger,
    roles,
)
from kafkaos.planfile import Experiment, read_plan_file

WAIT_S = 120
SAFE = (no_acknowledged_loss, no_duplicates, no_phantom, offsets_agree, producer_order, reader_order)
PLAN = Plan(
    (
        AnyOf(
            (
                Step(
                    Kill(roles.any_broker()), Trigger(after_acknowledged=(200, 1500)), Hold(acknowledged=500)
                ),
                Step(Restart(roles.any_broker()), Trigger(after_acknowledged=(200, 1500))),
            )
        ),
        Parallel(
            (
                Step(Pause(roles.leader("orders")), Trigger(healthy=True), Hold(acknowledged=(300, 1000))),
                Step(KillClient("consumer"), Trigger(after_acknowledged=(1, 300))),
            )
        ),
    )
)


@pytest.fixture
def traffic(kafka_cluster, chaos):
    """The producer and the consumer, once they are at work."""
    topic = kafka_cluster.create_topic("orders", partitions=3)
    producer = chaos.producer(topic, name="producer", rate=1000, partition="round_robin", keys=50)
    consumer = chaos.consumer(topic, name="consumer", group="billing")
    producer.wait_acknowledged(500, timeout_s=WAIT_S)
    consumer.wait_read(100, timeout_s=WAIT_S)
    return producer


@pytest.mark.kafka_cluster("three")
def test_a_plan_breaks_no_guarantee(kafka_cluster, chaos, traffic, kafka_plan):
    """What the seed makes of a plan (here: a broker down, then a paused leader and a killed reader) loses nothing."""
    if isinstance(kafka_plan, Experiment):
        raise WrongUse(f"{kafka_plan.path} is an experiment: run it with the test beside this one")
    chaos.run_plan(kafka_plan or PLAN)
    kafka_cluster.wait_healthy(timeout_s=WAIT_S)
    traffic.wait_acknowledged(300, after=traffic.mark(), timeout_s=WAIT_S)
    chaos.verify(*SAFE)


@pytest.mark.kafka_cluster("three")
def test_an_experiment_keeps_its_steady_state_and_breaks_no_guarantee(chaos, traffic, kafka_plan):
    """A Chaos Toolkit experiment runs as it is; its steady state holds before and after, and the guarantees too."""
    experiment = kafka_plan or read_plan_file(Path(__file__).with_name("experiment.json"))
    if not isinstance(experiment, Experiment):
        raise WrongUse("--kafka-plan names a plan: run it with the test beside this one")
    journal = run_experiment(chaos, experiment)
    assert journal["status"] == "completed"
    assert traffic.acknowledged > 500
    chaos.verify(*SAFE)

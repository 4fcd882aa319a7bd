"""Controls of consumer groups: commits before the work, rare commits, members that ignore what they lost."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

from confluent_kafka import OFFSET_BEGINNING

from kafkaos.checks import AtLeastOnce, BoundedRereading, CommitsFollowWork, KeyOrder, OneOwner
from kafkaos.controls.control import WAIT_S, Control, Topics, create_topics
from kafkaos.faults import KillClient, PauseClient
from kafkaos.run import Chaos
from kafkaos.traffic.handles import ConsumerHandle

RECORDS = 300
SOME = 10
SLOW_MS = 20.0
ENOUGH = 100
"""Records of SLOW_MS each: two seconds of work, twice the grace of the check."""


def _fill(chaos: Chaos, topic: str, *, records: int = RECORDS, **settings: Any) -> None:
    """All records are there before anybody reads, so that a reader's batches are whole."""
    producer = chaos.producer(topic, name=f"to-{topic}", count=records, **settings)
    producer.wait_acknowledged(records, timeout_s=WAIT_S)


def _member_at_work(chaos: Chaos, topic: str, *, group: str | None = None, **settings: Any) -> ConsumerHandle:
    """A slow member that is at the beginning of its work.

    It is to be hurt before another one is started: a start takes so long that it would be through its batch.
    """
    member = chaos.consumer(
        topic, name=f"member-of-{topic}", group=group or topic, processing_ms=SLOW_MS, **settings
    )
    _wait_at_work(member, SOME)
    return member


def _wait_at_work(member: ConsumerHandle, records: int) -> None:
    member.wait_until(lambda: member.processed >= records, f"done with {records} records", timeout_s=WAIT_S)


def _killed_at_work(chaos: Chaos, weak: dict[str, Any], twin: dict[str, Any]) -> Topics:
    """Each is killed in the middle of its first batch, starts again and works the rest off.

    That is little more than the batch. And it has a seat, or it would wait until the dead one's session is over.
    """
    topics = create_topics(chaos, replicas=(1,))
    for topic in (topics.weak, topics.twin):
        _fill(chaos, topic, records=ENOUGH + SOME)
    for topic, settings in ((topics.weak, weak), (topics.twin, twin)):
        member = _member_at_work(
            chaos, topic, group=f"seated-{topic}", group_instance_id=f"seat-of-{topic}", **settings
        )
        with chaos.fault(KillClient(member.name)):
            pass
    return topics


def _commit_first(chaos: Chaos) -> Topics:
    weak = {"commit": "before", "batch_records": ENOUGH}
    return _killed_at_work(chaos, weak, {"commit": "batch", "batch_records": ENOUGH})


def _commit_rarely(chaos: Chaos) -> Topics:
    weak = {"commit": "batch", "batch_records": ENOUGH}
    return _killed_at_work(chaos, weak, {"commit": "record", "batch_records": ENOUGH})


def _frozen_past_its_session(chaos: Chaos) -> Topics:
    """A member is frozen until its group gave the partition to another; one has much left of its batch, one little."""
    topics = create_topics(chaos, replicas=(1,))
    for topic in (topics.weak, topics.twin):
        _fill(chaos, topic)
    with ExitStack() as frozen:
        old = []
        for topic, batch_records in ((topics.weak, RECORDS), (topics.twin, 2)):
            old.append(_member_at_work(chaos, topic, batch_records=batch_records))
            frozen.enter_context(chaos.fault(PauseClient(old[-1].name)))
        for member in old:
            (topic,) = member.settings.topics
            successor = chaos.consumer(
                topic, name=f"successor-of-{member.name}", group=topic, processing_ms=1.0
            )
            successor.wait_read(SOME, timeout_s=WAIT_S)
        worked = old[0].processed
    _wait_at_work(old[0], worked + ENOUGH)
    return topics


def _operation_as_key(chaos: Chaos) -> Topics:
    """The records of a key are spread over three partitions, which a reader is given one after the other."""
    topics = Topics(*(chaos.cluster.create_topic(name, partitions=3) for name in ("weak", "twin")))
    _fill(chaos, topics.weak, keys=5, partition="round_robin")
    _fill(chaos, topics.twin, keys=5)
    for topic in (topics.weak, topics.twin):
        places = tuple((topic, partition, OFFSET_BEGINNING) for partition in range(3))
        reader = chaos.consumer(topic, name=f"reader-of-{topic}", assignment=places)
        reader.wait_read(RECORDS, timeout_s=WAIT_S)
    return topics


COMMIT_FIRST = Control(
    name="commit-first",
    weakness="offsets committed before the work",
    safety="offsets committed after the work",
    guarantees=(CommitsFollowWork(), AtLeastOnce()),
    cluster="single",
    play=_commit_first,
)
RARE_COMMITS = Control(
    name="rare-commits",
    weakness="a commit after each batch, where one record may be done again",
    safety="a commit after each record",
    guarantees=(BoundedRereading(limit=1),),
    cluster="single",
    play=_commit_rarely,
)
STUBBORN_MEMBER = Control(
    name="stubborn-member",
    weakness="a member that works on without polling after its session is over",
    safety="a member that polls after each few records",
    guarantees=(OneOwner(grace_s=1.0),),
    cluster="single",
    play=_frozen_past_its_session,
)
SPREAD_KEY = Control(
    name="spread-key",
    weakness="a key's records in several partitions",
    safety="a key's records in one partition",
    guarantees=(KeyOrder(),),
    cluster="single",
    play=_operation_as_key,
)

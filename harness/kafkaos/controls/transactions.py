"""Controls of transactions: what they hide, what they hold together, and whom they fence."""

from __future__ import annotations

from confluent_kafka import OFFSET_BEGINNING

from kafkaos.checks import AtomicTransactions, Fencing, NoAbortedRead, NoDirtyCycle
from kafkaos.controls.control import WAIT_S, Control, Topics, create_topics
from kafkaos.faults import PauseClient
from kafkaos.run import Chaos
from kafkaos.traffic.handles import ConsumerHandle, TransactionalHandle

RATE = 200.0
SOME = 20
LONG = 100
"""Records of a transaction that is open for half a second at RATE."""


def _reader(chaos: Chaos, topic: str, isolation: str) -> ConsumerHandle:
    places = ((topic, 0, OFFSET_BEGINNING),)
    return chaos.consumer(topic, name=f"reader-of-{topic}", isolation=isolation, assignment=places)


def _wait_for_both_ends(producer: TransactionalHandle) -> None:
    """Until transactions were committed, and others aborted."""
    producer.wait_committed(3, timeout_s=WAIT_S)
    producer.wait_until(lambda: producer.transactions_aborted >= 3, "aborting transactions", timeout_s=WAIT_S)


def _aborting(chaos: Chaos) -> Topics:
    """Half of the transactions are aborted; one reader asks for committed records, the other takes all."""
    topics = create_topics(chaos, replicas=(1,))
    for topic, isolation in ((topics.weak, "uncommitted"), (topics.twin, "committed")):
        reader = _reader(chaos, topic, isolation)
        producer = chaos.transactional_producer(
            topic,
            name=f"to-{topic}",
            transactional_id=topic,
            records_per_transaction=5,
            abort_ratio=0.5,
            rate=RATE,
        )
        _wait_for_both_ends(producer)
        reader.wait_read(SOME, timeout_s=WAIT_S)
    return topics


def _believing(chaos: Chaos) -> Topics:
    """One producer has no transactional.id, though its program has transactions: readers see what it takes back."""
    topics = create_topics(chaos, replicas=(1,))
    for topic, transactions in ((topics.weak, False), (topics.twin, True)):
        reader = _reader(chaos, topic, "committed")
        producer = chaos.transactional_producer(
            topic, name=f"to-{topic}", transactional_id=topic, records_per_transaction=LONG, abort_ratio=0.5,
            rate=RATE * 2, transactions=transactions,
        )  # fmt: skip
        _wait_for_both_ends(producer)
        reader.wait_read(LONG, timeout_s=WAIT_S)
    return topics


def _crossing(chaos: Chaos) -> Topics:
    """Two transactions are open at once and write in turns; on the twin one producer begins when the other ended."""
    topics = create_topics(chaos, replicas=(1,))
    for topic, at_once in ((topics.weak, True), (topics.twin, False)):
        producers = [
            chaos.transactional_producer(
                topic, name=f"{name}-{topic}", transactional_id=f"{name}-{topic}", records_per_transaction=LONG,
                rate=RATE, start=False,
            )
            for name in ("first", "second")
        ]  # fmt: skip
        for producer in producers:
            producer.start()
            if not at_once:
                producer.wait_committed(3, timeout_s=WAIT_S)
                producer.stop()
        if at_once:
            for producer in producers:
                producer.wait_committed(5, timeout_s=WAIT_S)
    return topics


def _succeeded(chaos: Chaos) -> Topics:
    """A producer is frozen in its work, a successor takes over, then it goes on; only the same id fences it."""
    topics = create_topics(chaos, replicas=(1,))
    for topic, same_id in ((topics.weak, False), (topics.twin, True)):
        old, new = (
            chaos.transactional_producer(
                topic, name=f"{name}-{topic}", transactional_id=topic if same_id else f"{name}-{topic}",
                records_per_transaction=LONG, rate=RATE, start=False,
            )
            for name in ("old", "new")
        )  # fmt: skip
        old.start()
        old.wait_committed(1, timeout_s=WAIT_S)
        with chaos.fault(PauseClient(old.name)):
            before = old.transactions_committed
            new.start()
            new.wait_committed(1, timeout_s=WAIT_S)
        if same_id:
            old.wait_ended(timeout_s=WAIT_S)
        else:
            old.wait_committed(before + 3, timeout_s=WAIT_S)
        new.wait_committed(3, timeout_s=WAIT_S)
    return topics


UNCOMMITTED_READER = Control(
    name="uncommitted-reader",
    weakness="isolation.level=read_uncommitted",
    safety="isolation.level=read_committed",
    guarantees=(NoAbortedRead(readers="all"),),
    cluster="single",
    play=_aborting,
)
NO_TRANSACTIONAL_ID = Control(
    name="no-transactional-id",
    weakness="groups of sends without a transactional.id",
    safety="transactions",
    guarantees=(AtomicTransactions(), NoAbortedRead()),
    cluster="single",
    play=_believing,
)
CROSSING_TRANSACTIONS = Control(
    name="crossing-transactions",
    weakness="two transactional producers at once on one partition",
    safety="one after the other",
    guarantees=(NoDirtyCycle(),),
    cluster="single",
    play=_crossing,
)
OWN_ID_FOR_EACH = Control(
    name="own-id-for-each",
    weakness="the successor has a transactional.id of its own",
    safety="the successor has the same transactional.id",
    guarantees=(Fencing(line=("old-weak", "new-weak")),),
    cluster="single",
    play=_succeeded,
)

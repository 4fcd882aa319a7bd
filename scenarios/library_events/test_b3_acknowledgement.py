"""B3: the acknowledgement modes, each killed between processing and commit, again and again."""

import contextlib
import signal

import pytest
from library_traffic import Feed, update
from library_world import wait_for

from kafkaos.checks import (
    BoundedRereading,
    Status,
    at_least_once,
    commits_follow_work,
    no_acknowledged_loss,
    no_phantom,
    offsets_agree,
    reader_order,
)

SAFE = (no_acknowledged_loss, no_phantom, offsets_agree, reader_order, commits_follow_work, at_least_once)

KILLS = 20
A_ROUND = 30
LIMITS = {"record": 1, "batch": 20, "manual": 10}
SETTINGS = {"record": {}, "batch": {"batch_max": 20}, "manual": {"ack_every": 10}}


@pytest.mark.scenario("B3")
@pytest.mark.kafka_cluster("single")
def test_killed_between_processing_and_commit_each_mode_rereads_what_it_may_and_skips_nothing(
    library, databases, chaos, tell
):
    """20 kills each: RECORD does one record again, BATCH at most a batch, MANUAL what was not acknowledged; no skip."""
    library.topic()
    books = {mode: databases(mode) for mode in LIMITS}
    apps = {
        mode: library.consumer(
            books[mode],
            name=mode,
            group=f"{mode}-group",
            ack_mode=mode,
            recovery="database",
            database_timeout_s=60,
            **SETTINGS[mode],
        )
        for mode in LIMITS
    }
    with Feed(chaos) as feed:
        for kill in range(KILLS):
            kill_between_processing_and_commit(library, feed, apps, books, first=kill * A_ROUND)
        feed.send(update(1, KILLS * A_ROUND))
    sent = KILLS * A_ROUND + 1
    for mode in LIMITS:
        wait_for(lambda mode=mode: events_in(books[mode]) == sent, f"every record in the database of {mode}")
    bounds = [BoundedRereading(group=f"{mode}-group", limit=limit) for mode, limit in LIMITS.items()]
    *_, record, batch, manual = chaos.verify(*SAFE, *bounds)
    assert record.counts["done_again"] == KILLS
    assert batch.counts["done_again"] >= KILLS
    assert manual.counts["done_again"] >= KILLS
    assert batch.counts["most_of_one"] > 1
    again = {"record": record, "batch": batch, "manual": manual}
    tell(kills=KILLS, done_again={mode: verdict.counts["done_again"] for mode, verdict in again.items()})
    # The bound can be broken: a batch is more than one record.
    too_strict = BoundedRereading(group="batch-group", limit=1).judge(chaos.recording)
    assert too_strict.status is Status.FAIL
    assert too_strict.witnesses[0].client == "batch"


def kill_between_processing_and_commit(library, feed, apps, books, *, first):
    """The work waits at a locked database until the brokers are cut off; so it is done and cannot be committed."""
    incarnation = next(iter(apps.values())).incarnation

    def said(mode, name):
        return [event for event in apps[mode].events(name) if event["incarnation"] == incarnation]

    for mode, app in apps.items():
        app.wait_ready()
        wait_for(lambda app=app: committed(app) == first, f"all that came before committed by {mode}")
    with contextlib.ExitStack() as held:
        for mode in apps:
            held.enter_context(books[mode].held("processed_event"))
        before = {mode: (len(said(mode, "record_data")), len(said(mode, "process"))) for mode in apps}
        feed.send(*[update(1 + number % 50, number) for number in range(first, first + A_ROUND)])
        for mode in apps:
            wait_for(
                lambda mode=mode: len(said(mode, "record_data")) > before[mode][0],
                f"a record given to {mode}",
            )
        with library.cut_off():
            held.close()
            for mode, (given, done) in before.items():
                due = 1 if mode != "batch" else len(said(mode, "record_data")) - given
                wait_for(
                    lambda mode=mode, done=done, due=due: len(said(mode, "process")) >= done + due,
                    f"records done by {mode}",
                )
            for app in apps.values():
                app.kill()
                assert app.exit_status == -signal.SIGKILL
    for app in apps.values():
        app.start()


def committed(app):
    """How many records the group has confirmed, over all partitions; their offsets begin at 0 and have no gaps."""
    offsets = {}
    for event in app.events("offsets_committed"):
        if event["success"]:
            offsets |= {place["partition"]: place["offset"] for place in event["offsets"]}
    return sum(offsets.values())


def events_in(books):
    return int(books.rows("SELECT count(*) AS n FROM processed_event")[0]["n"])

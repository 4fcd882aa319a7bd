"""A weak setting must break its guarantee on a real cluster, its safe twin must hold in the same faults."""

import json

import pytest

from kafkaos.controls import Control
from kafkaos.controls.downtime import LEADER_DOWN
from kafkaos.controls.loss import ACKS_1, POWER_LOSS, UNCLEAN_ELECTION
from kafkaos.controls.reads import FOREIGN_WRITER, FORGOTTEN_OFFSETS
from kafkaos.controls.sends import LOST_ANSWERS, PASSING_ERROR


def live(control):
    """Run the test with this control on its cluster."""

    def mark(test):
        marked = pytest.mark.parametrize("control", [control], ids=[control.name])(test)
        return pytest.mark.kafka_cluster(control.cluster)(marked)

    return mark


def play(control: Control, chaos) -> None:
    result = control.run(chaos)
    print(result.sentence)
    assert result.holds, result.sentence
    assert json.loads((chaos.folder / "control.json").read_text()) == result.to_json()


@live(ACKS_1)
def test_acks_1_loses_what_only_a_dead_leader_had(control, chaos):
    """Records acknowledged by the leader alone are lost by fail-over, with acks=all none is."""
    play(control, chaos)


@live(UNCLEAN_ELECTION)
def test_an_unclean_election_loses_records_and_gives_their_offsets_away(control, chaos):
    """A replica out of sync that becomes leader loses records and reuses offsets; a clean election does neither."""
    play(control, chaos)


@live(POWER_LOSS)
def test_kill_9_loses_nothing_that_a_power_failure_would(control, chaos):
    """One broker's kill -9 loses no acknowledged record, the loss of its page cache does."""
    play(control, chaos)


@live(LOST_ANSWERS)
def test_retries_without_idempotence_leave_duplicates(control, chaos):
    """Answers that come too late double the records of a plain producer, not of an idempotent one."""
    play(control, chaos)


@live(PASSING_ERROR)
def test_retries_without_idempotence_change_the_order(control, chaos):
    """A passing error puts the first of five requests in flight behind the others, unless they are idempotent."""
    play(control, chaos)


@live(FORGOTTEN_OFFSETS)
def test_a_reset_to_latest_skips_records(control, chaos):
    """A group whose offsets are gone leaves records out with latest, and none with earliest."""
    play(control, chaos)


@live(FOREIGN_WRITER)
def test_foreign_records_are_phantoms(control, chaos):
    """Records of somebody outside the run are found, a topic without them is clean."""
    play(control, chaos)


@live(LEADER_DOWN)
def test_one_replica_is_down_for_as_long_as_its_broker(control, chaos):
    """A dead leader stops a topic with one replica beyond the limit, one with three recovers within it."""
    play(control, chaos)

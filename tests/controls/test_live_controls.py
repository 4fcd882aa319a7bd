"""A weak setting must break its guarantee on a real cluster, its safe twin must hold in the same faults."""

import json

import pytest

from kafkaos.controls import Control
from kafkaos.controls.downtime import LEADER_DOWN
from kafkaos.controls.groups import COMMIT_FIRST, RARE_COMMITS, SPREAD_KEY, STUBBORN_MEMBER
from kafkaos.controls.loss import ACKS_1, POWER_LOSS, UNCLEAN_ELECTION
from kafkaos.controls.reads import FOREIGN_WRITER, FORGOTTEN_OFFSETS
from kafkaos.controls.replicas import ROTTEN_DISK
from kafkaos.controls.sends import LOST_ANSWERS, PASSING_ERROR
from kafkaos.controls.streams import OFFSETS_OUTSIDE
from kafkaos.controls.transactions import (
    CROSSING_TRANSACTIONS,
    NO_TRANSACTIONAL_ID,
    OWN_ID_FOR_EACH,
    UNCOMMITTED_READER,
)


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


@live(UNCOMMITTED_READER)
def test_a_reader_of_uncommitted_records_is_given_aborted_ones(control, chaos):
    """read_uncommitted is given records of aborted transactions, read_committed is not."""
    play(control, chaos)


@live(NO_TRANSACTIONAL_ID)
def test_without_a_transactional_id_nothing_is_held_together_or_taken_back(control, chaos):
    """Groups of sends without a transactional.id are seen before their commit and after their abort."""
    play(control, chaos)


@live(CROSSING_TRANSACTIONS)
def test_transactions_that_write_in_turns_make_a_circle(control, chaos):
    """Two transactions open at once on one partition each wrote after the other; one after the other they did not."""
    play(control, chaos)


@live(OWN_ID_FOR_EACH)
def test_a_successor_with_another_id_fences_nobody(control, chaos):
    """A producer that comes back goes on writing, unless its successor has the same transactional.id."""
    play(control, chaos)


@live(COMMIT_FIRST)
def test_a_commit_before_the_work_leaves_records_out(control, chaos):
    """Killed after the commit and before the work, a group never does that work; after it, it does it again."""
    play(control, chaos)


@live(RARE_COMMITS)
def test_a_commit_after_each_batch_does_more_than_one_record_again(control, chaos):
    """Killed in the middle of a batch, its records are done again; with a commit after each record one at most."""
    play(control, chaos)


@live(STUBBORN_MEMBER)
def test_a_member_that_does_not_poll_works_on_what_it_lost(control, chaos):
    """Frozen past its session, a member with a large batch goes on with it beside the new owner."""
    play(control, chaos)


@live(SPREAD_KEY)
def test_a_key_in_several_partitions_is_read_in_another_order(control, chaos):
    """Spread over partitions a key's records are read in another order than sent, in one partition they are not."""
    play(control, chaos)


@live(OFFSETS_OUTSIDE)
def test_offsets_outside_of_the_transaction_double_the_output(control, chaos):
    """Killed between outputs and offsets, a copier writes outputs twice, unless both are one transaction."""
    play(control, chaos)


@live(ROTTEN_DISK)
def test_a_changed_byte_makes_replicas_disagree(control, chaos):
    """A byte changed under a stopped follower is found beside the other replicas, and nothing where none changed."""
    play(control, chaos)

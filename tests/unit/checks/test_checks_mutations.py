"""The first control: every check turns red for each anomaly that it exists for, and only then."""

from __future__ import annotations

import pytest

from kafkaos.checks import GUARANTEES, Guarantee, Status
from kafkaos.checks.healthy import healthy
from kafkaos.checks.mutations import MUTATIONS, plant

DECLARED = [(name, mutation) for name, kind in GUARANTEES.items() for mutation in kind.mutations]
HEALTHY = healthy()


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize(("name", "mutation"), DECLARED, ids=str)
def test_turns_red_with_a_witness_of_the_planted_record(name: str, mutation: str, seed: int) -> None:
    """A check finds each anomaly that it declares, and one of its witnesses names the planted record."""
    planted = plant(mutation, HEALTHY, seed=seed)
    verdict = GUARANTEES[name]().judge(planted.recording)
    assert verdict.status is Status.FAIL, verdict.sentence
    witnesses = [witness.to_json() for witness in verdict.witnesses]
    assert any(planted.expect.items() <= witness.items() for witness in witnesses), (
        planted.expect,
        witnesses,
    )
    assert all(witness["sentence"].endswith(".") for witness in witnesses)


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("guarantee", [kind() for kind in GUARANTEES.values()], ids=lambda given: given.name)
def test_stays_green_for_the_untouched_run(guarantee: Guarantee, seed: int) -> None:
    """A healthy run, with its fault, unknown sends, gaps and re-deliveries, is a pass."""
    verdict = guarantee.judge(healthy(seed=seed))
    assert verdict.status is Status.PASS, (verdict.sentence, verdict.witnesses)
    assert not verdict.witnesses


def test_every_check_declares_and_every_mutation_is_declared() -> None:
    """No check without a control, and no mutation that nobody is held to."""
    assert all(kind.mutations for kind in GUARANTEES.values())
    assert {mutation for _, mutation in DECLARED} == set(MUTATIONS)


@pytest.mark.parametrize("mutation", sorted(MUTATIONS))
def test_planting_changes_the_recording_and_leaves_the_original(mutation: str) -> None:
    """A mutation makes a new recording that differs; the healthy one stays as it was."""
    before = {
        "rows": HEALTHY.rows.clone(),
        **{topic: HEALTHY.bodies[topic].clone() for topic in HEALTHY.bodies},
    }
    planted = plant(mutation, HEALTHY)
    after = {"rows": HEALTHY.rows, **HEALTHY.bodies}
    assert all(after[name].equals(table) for name, table in before.items())
    hurt = {"rows": planted.recording.rows, **planted.recording.bodies}
    assert all(hurt[name].schema == table.schema for name, table in before.items())
    assert not all(hurt[name].equals(table) for name, table in before.items())

"""Random healthy recordings: silent as they are, and each planted anomaly found."""

from __future__ import annotations

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from kafkaos.checks import GUARANTEES, Status, judge_all
from kafkaos.checks.healthy import healthy
from kafkaos.checks.mutations import plant
from kafkaos.history import Recording

ALL = [kind() for kind in GUARANTEES.values()]
DECLARED = [(kind, mutation) for kind in GUARANTEES.values() for mutation in kind.mutations]

recordings = st.builds(
    healthy,
    producers=st.integers(2, 4),
    partitions=st.integers(2, 4),
    groups=st.sampled_from([("billing",), ("billing", "audit")]),
    records=st.integers(800, 1_500),
    transactions=st.integers(24, 60),
    replicas=st.integers(2, 3),
    seed=st.integers(0, 1_000_000),
)
# No shrinking: a counterexample is a whole recording, and its parameters tell it.
few = settings(
    max_examples=12,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@given(recordings)
@few
def test_a_healthy_recording_breaks_nothing(recording: Recording) -> None:
    """Several clients, partitions, transactions, groups, a rebalance and a fault: everything holds."""
    wrong = [verdict for verdict in judge_all(recording, ALL) if verdict.status is not Status.PASS]
    assert not wrong, [(one.guarantee, one.sentence) for one in wrong]


@given(recordings, st.data())
@few
def test_what_is_planted_is_found(recording: Recording, data: st.DataObject) -> None:
    """Whatever the recording, a check that declares an anomaly names the record on which it was planted."""
    for kind, mutation in data.draw(st.permutations(DECLARED))[:6]:
        planted = plant(mutation, recording, seed=data.draw(st.integers(0, 99)))
        verdict = kind().judge(planted.recording)
        assert verdict.status is Status.FAIL, (kind.name, mutation, verdict.sentence)
        told = [witness.to_json() for witness in verdict.witnesses]
        assert any(planted.expect.items() <= one.items() for one in told), (
            kind.name,
            mutation,
            planted.expect,
            told,
        )

"""What a live control is: a weak setting that must break its guarantees beside a safe twin that must hold them.

Both are topics of one cluster in one run and suffer the same faults. A control whose weak side comes out green
shows that its check is blind or that its fault did nothing; it never passes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from kafkaos.checks import Guarantee, Status, Verdict, judge_all
from kafkaos.errors import SetupFailed
from kafkaos.history import Recording
from kafkaos.run import Chaos
from kafkaos.spec import ClusterSpec, load_spec

Properties = Mapping[str, str | int | float | bool]

RESULT_FILE = "control.json"
"""The result as JSON, in the run's folder."""

WAIT_S = 60.0
"""The deadline of each wait of a control; the conditions end them much earlier."""

PATIENT: Properties = {"broker.session.timeout.ms": 30_000, "replica.lag.time.max.ms": 30_000}
"""For pauses that nobody is to notice: neither fencing nor a shrinking ISR within 30 s."""


@dataclass(frozen=True)
class Topics:
    """The two sides of one control."""

    weak: str
    twin: str


@dataclass(frozen=True, kw_only=True)
class ControlResult:
    """How a control came out; verdicts in the order of the control's guarantees."""

    control: str
    weak: tuple[Verdict, ...]
    twin: tuple[Verdict, ...]
    sentence: str

    @property
    def holds(self) -> bool:
        """Every guarantee broke on the weak side and held on its twin; unknown is neither."""
        return (
            bool(self.weak)
            and all(verdict.status is Status.FAIL for verdict in self.weak)
            and all(verdict.status is Status.PASS for verdict in self.twin)
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "control": self.control,
            "holds": self.holds,
            "sentence": self.sentence,
            "weak": [verdict.to_json() for verdict in self.weak],
            "twin": [verdict.to_json() for verdict in self.twin],
        }


@dataclass(frozen=True, kw_only=True)
class Control:
    """One control as a value. `play` creates both topics on the cluster and does to both what breaks the weak one."""

    name: str
    weakness: str
    """The weak side in a few words."""
    safety: str
    """Its twin."""
    guarantees: tuple[Guarantee, ...]
    cluster: str
    """The shipped cluster that it runs on, with `properties` on top."""
    play: Callable[[Chaos], Topics]
    properties: Properties = field(default_factory=dict)
    twin_guarantees: tuple[Guarantee, ...] = ()
    """The same guarantees where their parameters name a side's own topics; without them those of the weak side."""

    @property
    def spec(self) -> ClusterSpec:
        """The cluster that `run` needs."""
        shipped = load_spec(self.cluster)
        return shipped.model_copy(update={"properties": {**shipped.properties, **self.properties}})

    def run(self, chaos: Chaos) -> ControlResult:
        """Play it in a fresh run on a cluster of `spec`, drain, judge both sides, and leave `control.json`.

        SetupFailed where a fault left no evidence, WaitExpired where its conditions were not met: then nothing
        is known of the checks.
        """
        topics = self.play(chaos)
        recording = chaos.recording_for((*self.guarantees, *self.twin_guarantees))
        if chaos.without_evidence:
            raise SetupFailed(
                f"the control {self.name} proves nothing, these faults left no evidence: "
                f"{'; '.join(chaos.without_evidence)}; run it again on an idle machine"
            )
        weak = judge_all(only_topic(recording, topics.weak), self.guarantees)
        twin = judge_all(only_topic(recording, topics.twin), self.twin_guarantees or self.guarantees)
        result = ControlResult(
            control=self.name,
            weak=tuple(weak),
            twin=tuple(twin),
            sentence=f"weak ({self.weakness}): {_told(weak)} | twin ({self.safety}): {_told(twin)}",
        )
        (chaos.folder / RESULT_FILE).write_text(json.dumps(result.to_json(), indent=1))
        return result


def create_topics(
    chaos: Chaos,
    *,
    replicas: tuple[int, ...],
    weak: Mapping[str, str] | None = None,
    twin: Mapping[str, str] | None = None,
    weak_replicas: tuple[int, ...] | None = None,
) -> Topics:
    """Both topics with one partition each, led by the same broker, so that one fault hits both alike."""
    create = chaos.cluster.create_topic
    return Topics(
        weak=create("weak", replicas=weak_replicas or replicas, config=weak),
        twin=create("twin", replicas=replicas, config=twin),
    )


def only_topic(recording: Recording, topic: str) -> Recording:
    """The same run as if there had been but this topic; rows without a topic (the faults) stay."""
    name = pl.col("topic").cast(pl.String)
    return recording.with_rows(recording.rows.filter(name.is_null() | (name == topic)))


def _told(verdicts: list[Verdict]) -> str:
    return " ".join(f"[{verdict.guarantee} {verdict.status}] {verdict.sentence}" for verdict in verdicts)

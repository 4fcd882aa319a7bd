"""One recording: what a scenario calls `chaos`.

Safety and liveness are separate phases: faults are injected while traffic runs; then everything is healed, the cluster
must become healthy, and only then is the log read to its end and judged.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from kafkaos import checks
from kafkaos.apps.handle import AppHandle
from kafkaos.checks import Guarantee, Verdict
from kafkaos.cluster import Cluster
from kafkaos.errors import KafkaosError, NotAvailable, WrongUse
from kafkaos.faults.base import Fault
from kafkaos.faults.conduct import Conductor
from kafkaos.faults.journal import HealJournal
from kafkaos.faults.plan import Plan, Step
from kafkaos.faults.undo import heal_pending
from kafkaos.faults.world import World
from kafkaos.history import Recording
from kafkaos.history.bodies import (
    BODIES_FOLDER,
    MODELS_FOLDER,
    Expected,
    load_bodies,
    load_models,
    write_model,
)
from kafkaos.history.events import EventLog
from kafkaos.history.recorder import Recorder
from kafkaos.history.recording import SEGMENTS_FOLDER, archive, load, write_meta
from kafkaos.run.clients import Clients
from kafkaos.run.draining import FINAL_DEADLINE_S, end_traffic, read_final_truth, record_apps
from kafkaos.run.injecting import Injector, StepHook
from kafkaos.run.judging import bodies_of, insist
from kafkaos.run.stored import KeptPlan, keep_verdicts
from kafkaos.traffic.bodies import Body, BodyIsolation, keep_bodies, read_bodies
from kafkaos.traffic.child import Spawner, Surroundings
from kafkaos.traffic.handles import ProducerHandle
from kafkaos.watch import Watch

HEALTH_DEADLINE_S = 120.0
CLIENT_DEADLINE_S = 120.0


class Chaos(Clients):
    """One recording: its clients, its faults, its verdicts. Not for use by several threads."""

    def __init__(
        self,
        cluster: Cluster,
        *,
        spawner: Spawner,
        folder: Path,
        run_id: str,
        seed: int,
        settings: dict[str, Any] | None = None,
        step: StepHook = contextlib.nullcontext,
        replay: Plan | None = None,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        super().__init__(cluster, Surroundings(folder, spawner, run=run_id))
        self.folder = folder
        self.seed = seed
        self.rng = random.Random(seed)
        self.verdicts: list[Verdict] = []
        self._step = step
        self._events = EventLog(folder / "events.jsonl")
        self._recorder = Recorder(
            folder / SEGMENTS_FOLDER / "harness.seg",
            client="harness",
            incarnation=0,
            role="harness",
            run=run_id,
        )
        self._world = World(
            cluster=cluster,
            clients=self.clients,
            rng=self.rng,
            journal=HealJournal(folder / "heal.jsonl"),
            topics=self._topics,
        )
        self._watch = Watch(cluster, self._events, lambda: self._topics)
        self._injector = Injector(
            self._world, events=self._events, recorder=self._recorder, watch=self._watch, step=step
        )
        self._expected: list[str] = []
        self._plan = KeptPlan(folder, replay)
        self._conducting = False
        self._drained = False
        self._recording: Recording | None = None
        write_meta(
            folder,
            {
                "run": run_id,
                "seed": seed,
                "cluster": cluster.spec.model_dump(),
                "versions": {"kafka": cluster.spec.kafka},
                "settings": settings or {},
            },
        )
        self.phase("setup", nodes=[node.name for node in cluster.nodes])

    def phase(self, name: str, **details: Any) -> None:
        """Mark the begin of a phase in the recording."""
        self._events.phase(name, **details)

    # what it is judged by

    def bodies(self, topic: str, *, isolation: BodyIsolation = "read_committed") -> list[Body]:
        """Every record of a topic, by partition and offset, to the high watermark of this moment.

        Also kept as `bodies/TOPIC.jsonl` in the run's folder, the last call's. WaitExpired if it cannot be read to
        its end, as with an open transaction at `read_committed`.
        """
        found = read_bodies(
            topic, self.cluster.client_config(), isolation=isolation, timeout_s=FINAL_DEADLINE_S
        )
        keep_bodies(found, self.folder / BODIES_FOLDER / f"{topic}.jsonl")
        return found

    def expect(self, topic: str, records: Iterable[Expected]) -> None:
        """What a reference model says that `topic` holds, as (key, JSON value) pairs; `matches_model` compares.

        Kept as `models/TOPIC.jsonl` in the run's folder. WrongUse for a value that is no JSON.
        """
        write_model(records, self.folder / MODELS_FOLDER / f"{topic}.jsonl")
        self._expected.append(topic)

    # faults

    @contextlib.contextmanager
    def fault(self, fault: Fault) -> Iterator[Any]:
        """Inject, prove that it bit, run the body, and always undo it, also on Ctrl-C.

        NotAvailable where this cluster cannot have the fault. Without evidence the run's verdict is unknown.
        """
        reason = fault.available(self.cluster)
        if reason is not None:
            raise NotAvailable(f"{fault.name} is not available on cluster {self.cluster.spec.name}: {reason}")
        if not self._conducting:
            self._plan.go_on(Plan((Step(fault),)), fixed=True)
        with self._injector.injected(fault) as injection:
            yield injection

    def run_plan(self, plan: Plan) -> Plan:
        """Carry out a plan, what it leaves to chance drawn by the seed; the explicit plan, as `plan.json` keeps it.

        In a replay the stored plan takes its place. WaitExpired when traffic that a step awaits does not come.
        """
        brokers = [node.id for node in self.cluster.nodes if node.is_broker]
        explicit = self._plan.go_on(plan.expand(self.rng, brokers=brokers), fixed=False)
        producers = [c for c in self.clients.values() if isinstance(c, ProducerHandle)]
        conductor = Conductor(
            self.fault,
            acknowledged=lambda: sum(producer.acknowledged for producer in producers),
            wait_healthy=lambda: self.cluster.wait_healthy(timeout_s=HEALTH_DEADLINE_S),
        )
        self._conducting = True
        try:
            conductor.carry_out(explicit)
        finally:
            self._conducting = False
        return explicit

    # the end

    def drain(self, *, timeout_s: float = CLIENT_DEADLINE_S) -> None:
        """Wait for a healthy cluster, stop the traffic in order, let every group catch up, read the final truth."""
        if self._drained:
            return
        self._drained = True
        with self._step("wait for a healthy cluster"):
            self.phase("healthy")
            self.cluster.wait_healthy(timeout_s=HEALTH_DEADLINE_S)
            self._watch.look()
        with self._step("drain"):
            self.phase("drain")
            end_traffic(self.clients.values(), self.cluster, timeout_s=timeout_s)
        if self._topics:
            with self._step("read the final truth"):
                self.phase("final")
                read_final_truth(self._topics, self.cluster, self._around)
        self._record_apps()
        self.phase("end")

    def _record_apps(self) -> None:
        record_apps([c for c in self.clients.values() if isinstance(c, AppHandle)], self.folder)

    def judge(self, *guarantees: Guarantee) -> list[Verdict]:
        """Drain if need be, and judge; raises nothing for a broken guarantee (controls look at it themselves)."""
        self.drain()
        with self._step("check"):
            recording = self.recording_for(guarantees)
            write_meta(self.folder, {"guarantees": [checks.to_json(guarantee) for guarantee in guarantees]})
            self.verdicts = [*self.verdicts, *checks.judge_all(recording, guarantees)]
            keep_verdicts(self.folder, self.verdicts)
        return self.verdicts[-len(guarantees) :]

    def verify(self, *guarantees: Guarantee) -> list[Verdict]:
        """Judge, and raise GuaranteeBroken with the witnesses, or VerdictUnknown; the verdicts where all held."""
        if not guarantees:
            raise WrongUse("verify needs at least one guarantee: a run that checks nothing proves nothing")
        verdicts = self.judge(*guarantees)
        insist(verdicts, without_evidence=self.without_evidence)
        return verdicts

    @property
    def without_evidence(self) -> tuple[str, ...]:
        """The faults so far that left no proof that they bit, each in words."""
        return tuple(self._injector.without_evidence)

    def recording_for(self, guarantees: Sequence[Guarantee]) -> Recording:
        """What was recorded, with the whole records of the topics that these guarantees look at; drains first."""
        recording = self.recording
        for topic in sorted(
            {topic for guarantee in guarantees for topic in bodies_of(guarantee, self._expected)}
        ):
            self.bodies(topic)
        return replace(recording, bodies=load_bodies(self.folder), models=load_models(self.folder))

    @property
    def recording(self) -> Recording:
        """What was recorded; drains first."""
        self.drain()
        if self._recording is None:
            self._recorder.close()
            archive(self.folder)
            self._recording = load(self.folder)
        return self._recording

    def close(self) -> None:
        """Undo what is still in place, end every client, close the recording; for a test that failed half-way too."""
        with contextlib.ExitStack() as files:
            for file in (self._events, self._recorder, self._world.journal):
                files.callback(file.close)
            self._watch.close()
            with contextlib.suppress(KafkaosError):
                if heal_pending(self._world):
                    self.phase("healed at the end", note="a fault was still in place")
            for client in self.clients.values():
                with contextlib.suppress(KafkaosError):
                    client.kill()
            with contextlib.suppress(KafkaosError):
                if not self._drained:  # what the applications said until then is kept as well
                    self._record_apps()

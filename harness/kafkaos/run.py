"""One run: traffic, faults, healing, the final truth, the verdict. What a scenario calls `chaos`.

Safety and liveness are separate phases: faults are injected while traffic runs; then everything is healed, the cluster
must become healthy, and only then is the log read to its end and judged.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from kafkaos import checks
from kafkaos.apps.environment import client_environment
from kafkaos.apps.handle import AppHandle, AppSettings, Ready
from kafkaos.apps.truth import Truth
from kafkaos.backends.replicas import record_replicas
from kafkaos.checks import Guarantee, Status, Verdict
from kafkaos.cluster import Cluster
from kafkaos.errors import KafkaosError, NotAvailable, SetupFailed, WrongUse
from kafkaos.faults.base import Fault, told_target
from kafkaos.faults.conduct import Conductor
from kafkaos.faults.journal import HealJournal
from kafkaos.faults.plan import Plan, Step, plan_from_json
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
from kafkaos.history.recorder import Isolation, Recorder
from kafkaos.history.recording import archive, write_meta
from kafkaos.history.rows import Op, Outcome
from kafkaos.traffic.bodies import Body, BodyIsolation, keep_bodies, read_bodies
from kafkaos.traffic.catch_up import Reading, wait_caught_up
from kafkaos.traffic.child import Spawner, Surroundings
from kafkaos.traffic.handles import ConsumerHandle, FinalHandle, ProducerHandle, TransactionalHandle
from kafkaos.traffic.settings import ConsumerSettings, FinalSettings, ProducerSettings, TransactionalSettings
from kafkaos.watch import Watch

HEALTH_DEADLINE_S = 60.0
CLIENT_DEADLINE_S = 60.0
FINAL_DEADLINE_S = 120.0
# A killed member's partitions wait for this; librdkafka's own is 45 s.
SHORT_SESSION = {"session.timeout.ms": 6000, "heartbeat.interval.ms": 500}
VERDICTS_FILE = "verdicts.json"
PLAN_FILE = "plan.json"

H = TypeVar("H", bound=ProducerHandle | ConsumerHandle | AppHandle)
StepHook = Callable[[str], AbstractContextManager[Any]]


class GuaranteeBroken(AssertionError):
    """A guarantee broke; the message has the witnesses."""


class VerdictUnknown(KafkaosError):
    """Too little was seen, or a fault left no evidence: neither held nor broke."""


class Chaos:
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
        self.cluster = cluster
        self.folder = folder
        self.seed = seed
        self.rng = random.Random(seed)
        self.verdicts: list[Verdict] = []
        self._step = step
        self._around = Surroundings(folder, spawner, run=run_id)
        self._events = EventLog(folder / "events.jsonl")
        self._recorder = Recorder(
            folder / "segments" / "harness.seg", client="harness", incarnation=0, role="harness", run=run_id
        )
        self.clients: dict[str, ProducerHandle | ConsumerHandle | AppHandle] = {}
        self._world = World(
            cluster=cluster,
            clients=self.clients,
            rng=self.rng,
            journal=HealJournal(folder / "heal.jsonl"),
            topics=[],
        )
        self._watch = Watch(cluster, self._events, lambda: self._world.topics)
        self._names = itertools.count(1)
        self._expected: list[str] = []
        self._without_evidence: list[str] = []
        self._plan = Plan()
        self._replay = replay
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

    # traffic

    def producer(
        self, topic: str, *, name: str | None = None, start: bool = True, **settings: Any
    ) -> ProducerHandle:
        """A recording producer in a process of its own; settings as in ProducerSettings (rate, acks, keys …)."""
        made = ProducerSettings(**self._common(topic, name or self._name("producer"), settings))
        return self._add(ProducerHandle(made, self._around), start)

    def transactional_producer(
        self,
        topic: str,
        *,
        transactional_id: str,
        name: str | None = None,
        start: bool = True,
        **settings: Any,
    ) -> TransactionalHandle:
        """A recording transactional producer; settings as in TransactionalSettings."""
        common = self._common(topic, name or self._name("transactional"), settings)
        made = TransactionalSettings(transactional_id=transactional_id, **common)
        return self._add(TransactionalHandle(made, self._around), start)

    def consumer(
        self,
        topic: str,
        *,
        group: str | None = None,
        name: str | None = None,
        start: bool = True,
        **settings: Any,
    ) -> ConsumerHandle:
        """A recording consumer; settings as in ConsumerSettings (commit, isolation, assignor …)."""
        if group is None:
            settings.setdefault("commit", "never")
        if self.cluster.spec.timeouts == "short" and settings.get("group_protocol") != "consumer":
            settings["config"] = {**SHORT_SESSION, **settings.get("config", {})}
        made = ConsumerSettings(group=group, **self._common(topic, name or self._name("consumer"), settings))
        return self._add(ConsumerHandle(made, self._around), start)

    # applications under test

    def app(
        self,
        name: str,
        command: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        topics: Sequence[str] = (),
        reads: Sequence[str] = (),
        group: str | None = None,
        transactional_id: str | None = None,
        isolation: Isolation = "uncommitted",
        ready: Ready = "startup_complete",
        cwd: Path | None = None,
        start: bool = True,
    ) -> AppHandle:
        """Any command as an application under test, started and ready; `start=False` leaves both to the caller.

        It finds the cluster by KAFKAOS_BOOTSTRAP, KAFKAOS_CLIENT_CONFIG and KAFKAOS_JAVA_CONFIG (properties files),
        and `env` on top. What it prints on stdout in the words of kafkaos.apps.lines becomes rows of the recording, of
        consumer group `group` and read at `isolation`. `topics` are all that the final truth is to read; the drain
        waits until `group` has committed the ends of the topics in `reads` (the group's input). `ready` is the name
        of the line that says so, a condition, or None: running is ready. SetupFailed if it ends before that.
        """
        self._check_name(name)
        settings = AppSettings(
            name=name,
            command=tuple(map(str, command)),
            env=dict(env or {}),
            topics=tuple(dict.fromkeys([*topics, *reads])),
            reads=tuple(reads),
            group=group,
            transactional_id=transactional_id,
            isolation=isolation,
            ready=ready,
            cwd=cwd,
        )
        self._keep_topics(settings.topics)
        environment = client_environment(self.cluster, folder=self.cluster.client_folder)
        handle = self._add(AppHandle(settings, self._around, environment), start)
        if start:
            handle.wait_ready()
        return handle

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

    @property
    def _apps(self) -> list[AppHandle]:
        return [client for client in self.clients.values() if isinstance(client, AppHandle)]

    def _name(self, kind: str) -> str:
        return f"{kind}-{next(self._names)}"

    def _common(self, topic: str, name: str, settings: dict[str, Any]) -> dict[str, Any]:
        self._check_name(name)
        self._keep_topics([topic])
        config = {**self.cluster.client_config(), **settings.pop("config", {})}
        return {"topics": (topic,), "client": name, "config": config, **settings}

    def _check_name(self, name: str) -> None:
        if name in self.clients:
            raise WrongUse(f"there is a client '{name}' already: give each its own name")

    def _keep_topics(self, topics: Iterable[str]) -> None:
        """For the final truth."""
        self._world.topics.extend(topic for topic in topics if topic not in self._world.topics)

    def _add(self, handle: H, start: bool) -> H:
        self.clients[handle.name] = handle
        if start:
            handle.start()
        return handle

    # faults

    @contextlib.contextmanager
    def fault(self, fault: Fault) -> Iterator[Any]:
        """Inject, prove that it bit, run the body, and always undo it, also on Ctrl-C.

        NotAvailable where this cluster cannot have the fault. Without evidence the run's verdict is unknown.
        """
        reason = fault.available(self.cluster)
        if reason is not None:
            raise NotAvailable(f"{fault.name} is not available on cluster {self.cluster.spec.name}: {reason}")
        self._steady_state()
        if not self._conducting:
            self._next_steps(Plan((Step(fault),)), fixed=True)
        with self._step(f"inject: {fault.title}"):
            number = self._events.inject(fault.name, target=told_target(fault), fault_json=_json(fault))
            row = self._recorder.begin(Op.INJECT, sequence=number)
            injection = fault.inject(self._world)
            self._recorder.complete(row, Outcome.OK)
        try:
            with self._step("evidence that it bit"):
                evidence = fault.evidence(self._world, injection)
                self._events.append("evidence", fault.name, of_fault=number, evidence=_json(evidence))
            if evidence is None:
                self._without_evidence.append(f"{fault.title} ({injection})")
            with self._step("while it lasts"):
                yield injection
        finally:
            with self._step(f"heal: {fault.title}"):
                heal_row = self._recorder.begin(Op.HEAL, sequence=number)
                fault.heal(self._world, injection)
                self._recorder.complete(heal_row, Outcome.OK)
                self._events.heal(fault.name, fault=number, state=self.cluster.observe().to_json())

    def _steady_state(self) -> None:
        """Note what a fault is about to disturb."""
        counts = [
            f"{name} acknowledged {client.acknowledged:,}"
            if isinstance(client, ProducerHandle)
            else f"{name} read {client.read:,}"
            for name, client in self.clients.items()
            if isinstance(client, ProducerHandle | ConsumerHandle) and client.is_running
        ]
        with self._step("steady state" + (f": {', '.join(counts)}" if counts else "")):
            self._watch.look()

    def run_plan(self, plan: Plan) -> Plan:
        """Carry out a plan, what it leaves to chance drawn by the seed; the explicit plan, as `plan.json` keeps it.

        In a replay the stored plan takes its place. WaitExpired when traffic that a step awaits does not come.
        """
        brokers = [node.id for node in self.cluster.nodes if node.is_broker]
        explicit = self._next_steps(plan.expand(self.rng, brokers=brokers), fixed=False)
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

    def _next_steps(self, plan: Plan, *, fixed: bool) -> Plan:
        """What comes next, kept in `plan.json`. In a replay what came then, which what is `fixed` must equal."""
        if self._replay is not None:
            at = len(self._plan.steps)
            stored = Plan(self._replay.steps[at : at + len(plan.steps)])
            if fixed and stored.faults != plan.faults:
                then = ", ".join(map(str, stored.faults)) or "nothing more"
                raise WrongUse(
                    f"this scenario does {plan.faults[0]} as step {at + 1}, the stored plan has {then}: "
                    "replay it with the scenario as it was recorded"
                )
            plan = stored
        self._plan = Plan((*self._plan.steps, *plan.steps))
        (self.folder / PLAN_FILE).write_text(json.dumps(self._plan.to_json(), indent=1) + "\n")
        return plan

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
            for client in self.clients.values():
                if isinstance(client, ProducerHandle) and client.is_running:
                    client.drain(timeout_s=timeout_s)
            for app in self._apps:
                if app.is_running:
                    app.wait_ready(timeout_s=timeout_s)
            wait_caught_up(self._groups(), self.cluster.client_config(), timeout_s=timeout_s)
            for client in self.clients.values():
                if client.is_running:
                    client.stop()
        if self._world.topics:
            with self._step("read the final truth"):
                self.phase("final")
                settings = FinalSettings(
                    topics=tuple(self._world.topics), client="final-reader", config=dict(self.cluster.client_config()),
                    deadline_s=FINAL_DEADLINE_S,
                )  # fmt: skip
                FinalHandle(settings, self._around).read_all()
                record_replicas(
                    self.cluster, self._world.topics, self.folder / "segments", run=self._around.run
                )
        self._record_apps()
        self.phase("end")

    def _groups(self) -> dict[str, Reading]:
        """The groups that the drain waits for, with the topics that they are to read to the end."""
        groups: dict[str, Reading] = {}
        for client in self.clients.values():
            if not client.is_running:
                continue
            if isinstance(client, AppHandle):
                group, topics = client.settings.group, client.settings.reads
            elif isinstance(client, ConsumerHandle) and client.settings.commit in (
                "batch",
                "record",
                "before",
            ):
                group, topics = client.settings.group, client.settings.topics
            else:
                continue
            if group is not None and topics:
                reading = groups.setdefault(group, Reading())
                reading.topics.update(topics)
                if client.settings.isolation == "uncommitted":
                    reading.isolation = "uncommitted"
        return groups

    def _record_apps(self) -> None:
        """Write the applications' rows. SetupFailed for one that ended by itself, as no good application does."""
        if not self._apps:
            return
        truth = Truth(sorted((self.folder / "segments").glob("final-reader-*.seg")))
        for app in self._apps:
            app.record(truth)
        write_meta(self.folder, {"applications": [app.told() for app in self._apps]})
        for app in self._apps:
            if app.crashed:
                raise SetupFailed(
                    f"application {app.name!r} ended by itself with status {app.exit_status}: see {app.log_path}, or "
                    "wait for that with wait_ended() where it is what the scenario wants"
                )

    def judge(self, *guarantees: Guarantee) -> list[Verdict]:
        """Drain if need be, and judge; raises nothing for a broken guarantee (controls look at it themselves)."""
        self.drain()
        with self._step("check"):
            recording = self.recording_for(guarantees)
            write_meta(self.folder, {"guarantees": [checks.to_json(guarantee) for guarantee in guarantees]})
            self.verdicts = [*self.verdicts, *checks.judge_all(recording, guarantees)]
            text = json.dumps([verdict.to_json() for verdict in self.verdicts], indent=1)
            (self.folder / VERDICTS_FILE).write_text(text)
        return self.verdicts[-len(guarantees) :]

    def verify(self, *guarantees: Guarantee) -> list[Verdict]:
        """Judge, and raise GuaranteeBroken with the witnesses, or VerdictUnknown; the verdicts where all held."""
        if not guarantees:
            raise WrongUse("verify needs at least one guarantee: a run that checks nothing proves nothing")
        verdicts = self.judge(*guarantees)
        broken = [verdict for verdict in verdicts if verdict.status is Status.FAIL]
        if broken:
            raise GuaranteeBroken("\n".join(map(tell, broken)))
        if self.without_evidence:
            raise VerdictUnknown(
                f"there is no evidence that these faults bit: {'; '.join(self.without_evidence)}"
            )
        doubtful = [verdict for verdict in verdicts if verdict.status is Status.UNKNOWN]
        if doubtful:
            raise VerdictUnknown("\n".join(map(tell, doubtful)))
        return verdicts

    @property
    def without_evidence(self) -> tuple[str, ...]:
        """The faults so far that left no proof that they bit, each in words."""
        return tuple(self._without_evidence)

    def _archived(self) -> Recording:
        if self._recording is None:
            self._recorder.close()
            self._recording = archive(self.folder)
        return self._recording

    def _bodies_of(self, guarantee: Guarantee) -> Sequence[str]:
        """The topics whose whole records a guarantee compares: read once more at the end, when all is said."""
        if isinstance(guarantee, checks.MatchesModel):
            return [guarantee.topic] if guarantee.topic else self._expected
        return guarantee.bodies_of if isinstance(guarantee, checks.ExactlyOnce) else ()

    def recording_for(self, guarantees: Sequence[Guarantee]) -> Recording:
        """What was recorded, with the whole records of the topics that these guarantees look at; drains first."""
        recording = self.recording
        for topic in sorted({topic for guarantee in guarantees for topic in self._bodies_of(guarantee)}):
            self.bodies(topic)
        return replace(recording, bodies=load_bodies(self.folder), models=load_models(self.folder))

    @property
    def recording(self) -> Recording:
        """What was recorded; drains first."""
        self.drain()
        return self._archived()

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


def tell(verdict: Verdict) -> str:
    """A verdict in words, with its witnesses."""
    return "\n".join(
        [f"{verdict.guarantee}: {verdict.sentence}", *(f"  - {w.sentence}" for w in verdict.witnesses)]
    )


def _json(value: Any) -> Any:
    if hasattr(value, "to_json"):
        return value.to_json()
    if hasattr(value, "__dataclass_fields__"):
        return {name: _json(getattr(value, name)) for name in value.__dataclass_fields__}
    if isinstance(value, dict):
        return {str(key): _json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_json(item) for item in value]
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def plan_of(folder: Path) -> Plan:
    """The plan that a run left in its folder; WrongUse where there is none, or a broken one."""
    path = folder / PLAN_FILE
    try:
        return plan_from_json(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise WrongUse(f"{folder} holds no {PLAN_FILE}: name the folder of a run that had faults") from None
    except ValueError as error:
        raise WrongUse(f"{path} is not JSON ({error}): take it from a good copy of the run") from None


def verdicts_of(folder: Path) -> Sequence[Verdict]:
    """The verdicts that a run left in its folder; none if it did not get that far."""
    path = folder / VERDICTS_FILE
    return [Verdict.from_json(given) for given in json.loads(path.read_text())] if path.exists() else []

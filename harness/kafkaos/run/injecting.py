"""One fault in a run: its begin, the evidence that it bit and its end, each a row and an event of the recording."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

from kafkaos.faults.base import Fault, told_target
from kafkaos.faults.world import World
from kafkaos.history.events import EventLog
from kafkaos.history.recorder import Recorder
from kafkaos.history.rows import Op, Outcome
from kafkaos.traffic.handles import ConsumerHandle, ProducerHandle
from kafkaos.watch import Watch

StepHook = Callable[[str], AbstractContextManager[Any]]


class Injector:
    """Injects into one world, and notes it."""

    def __init__(
        self, world: World, *, events: EventLog, recorder: Recorder, watch: Watch, step: StepHook
    ) -> None:
        self._world = world
        self._events = events
        self._recorder = recorder
        self._watch = watch
        self._step = step
        self.without_evidence: list[str] = []
        """The faults so far that left no proof that they bit, each in words."""

    @contextlib.contextmanager
    def injected(self, fault: Fault) -> Iterator[Any]:
        """Inject, look for the evidence, run the body, and always undo it."""
        self._steady_state()
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
                self.without_evidence.append(f"{fault.title} ({injection})")
            with self._step("while it lasts"):
                yield injection
        finally:
            with self._step(f"heal: {fault.title}"):
                heal_row = self._recorder.begin(Op.HEAL, sequence=number)
                fault.heal(self._world, injection)
                self._recorder.complete(heal_row, Outcome.OK)
                self._events.heal(fault.name, fault=number, state=self._world.cluster.observe().to_json())

    def _steady_state(self) -> None:
        """Note what a fault is about to disturb."""
        counts = [
            f"{name} acknowledged {client.acknowledged:,}"
            if isinstance(client, ProducerHandle)
            else f"{name} read {client.read:,}"
            for name, client in self._world.clients.items()
            if isinstance(client, ProducerHandle | ConsumerHandle) and client.is_running
        ]
        with self._step("steady state" + (f": {', '.join(counts)}" if counts else "")):
            self._watch.look()


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

"""Carries a plan out: waits for triggers, injects, holds and heals, in one thread.

Each branch of a `Parallel` is a generator that is asked in turn whether it can go on. So triggers and holds overlap,
while two injections never run at the same moment: each needs the state before it as its evidence.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from typing import Any

from kafkaos.errors import WaitExpired, WrongUse
from kafkaos.faults.base import Fault
from kafkaos.faults.plan import Node, Parallel, Plan, Serial, Step

LOOK_EVERY_S = 0.02
WAIT_DEADLINE_S = 120.0


@dataclass(frozen=True)
class Conductor:
    """What a plan is carried out with."""

    fault: Callable[[Fault], AbstractContextManager[Any]]
    """Injects, proves, and heals at the end of the block."""
    acknowledged: Callable[[], int]
    """Acknowledged sends of all producers so far."""
    wait_healthy: Callable[[], None]
    """Returns when the cluster is healthy; WaitExpired when it does not become so."""
    deadline_s: float = WAIT_DEADLINE_S
    """For a number of acknowledged sends to be reached."""

    def carry_out(self, plan: Plan) -> None:
        """Every step of an explicit plan. WaitExpired when the awaited sends are not acknowledged in time.

        Whatever ends it early, all that it injected is healed.
        """
        playing = self._play(Serial(plan.steps))
        try:
            for _ in playing:
                time.sleep(LOOK_EVERY_S)
        finally:
            playing.close()

    def _play(self, node: Node) -> Generator[None]:
        match node:
            case Step(fault, trigger, hold):
                if trigger.healthy:
                    self.wait_healthy()
                yield from self._wait(trigger.after_acknowledged, trigger.after_s, f"before {fault}")
                with self.fault(fault):
                    yield from self._wait(hold.acknowledged, hold.duration_s, f"under {fault}")
            case Serial(of):
                for child in of:
                    yield from self._play(child)
            case Parallel(of):
                yield from self._side_by_side([self._play(child) for child in of])
            case _:
                raise WrongUse("this plan leaves something to chance: expand it by a seed first")

    def _side_by_side(self, branches: list[Generator[None]]) -> Generator[None]:
        with ExitStack() as healing:
            for branch in branches:
                healing.callback(branch.close)
            while branches:
                branches = [branch for branch in branches if next(branch, self) is None]
                yield

    def _wait(self, count: Any, seconds: Any, what: str) -> Generator[None]:
        began_s = time.monotonic()
        if isinstance(count, tuple) or isinstance(seconds, tuple):
            raise WrongUse("this plan leaves a range to chance: expand it by a seed first")
        if seconds is not None:
            while time.monotonic() - began_s < seconds:
                yield
        if count is not None:
            goal = self.acknowledged() + count
            while self.acknowledged() < goal:
                if time.monotonic() - began_s > self.deadline_s:
                    raise WaitExpired(
                        f"waited {self.deadline_s:g} s in vain for {count} acknowledged sends {what}: "
                        "does traffic run, and can it be acknowledged then?"
                    )
                yield

"""A transactional producer that is thought dead, and comes back after its successor began."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

from kafkaos.errors import SetupFailed, WrongUse
from kafkaos.faults.base import EVIDENCE_DEADLINE_S, Evidence, Injection
from kafkaos.faults.clients import ClientFault, aim_at_client, named
from kafkaos.faults.node import is_frozen
from kafkaos.faults.undo import RESUME_CLIENT, undone_on_error
from kafkaos.faults.waiting import until
from kafkaos.faults.world import TransactionalSender, World

COMMITTED_DEADLINE_S: Final = 60.0


@dataclass(frozen=True)
class ZombieProducer(ClientFault):
    """A transactional producer is frozen, its successor (same transactional id) begins and commits; healing thaws it.

    Then it is fenced: nothing that it sends may become visible. `successor` is a client of the run that was not
    started yet; it goes on afterwards.
    """

    name: ClassVar = "zombie-producer"
    title: ClassVar = "a transactional producer comes back after its successor began"
    successor: str

    def __str__(self) -> str:
        return f"client {self.client} comes back after its successor {self.successor} began"

    def inject(self, world: World) -> Injection:
        hit, successor = _sender(world, self.client), _sender(world, self.successor)
        if hit.transactional_id != successor.transactional_id:
            raise WrongUse(f"{self.client} and {self.successor} need the same transactional_id")
        if successor.is_running:
            raise SetupFailed(f"client {self.successor} runs already: declare it with start=False")
        injection = aim_at_client(self.name, self.client, world, RESUME_CLIENT)
        with undone_on_error(world, injection.undo):
            hit.pause()
            successor.restart()
            if not until(lambda: successor.transactions_committed or None, timeout_s=COMMITTED_DEADLINE_S):
                raise SetupFailed(
                    f"client {self.successor} committed nothing within {COMMITTED_DEADLINE_S:g} s"
                )
        return injection

    def evidence(
        self, world: World, injection: Injection, *, timeout_s: float = EVIDENCE_DEADLINE_S
    ) -> Evidence | None:
        """The one is stopped, in the kernel's words, and the other has committed."""
        if not until(lambda: is_frozen(injection.facts["pid"]) or None, timeout_s=timeout_s):
            return None
        committed = _sender(world, self.successor).transactions_committed
        told = f"{injection.told} is stopped and its successor committed {committed} transactions"
        return Evidence(told=told, facts={**injection.facts, "committed": committed})


def _sender(world: World, name: str) -> TransactionalSender:
    found = named(world, name)
    if not isinstance(found, TransactionalSender):
        raise WrongUse(f"client {name} is not a recording transactional producer: name one that is")
    return found

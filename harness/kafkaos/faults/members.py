"""Faults of a group's members: late for the poll, slow, coming and going, and a seat taken by another."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from itertools import combinations, pairwise
from typing import ClassVar, Final

import numpy as np

from kafkaos.cluster import Cluster, HasGroups
from kafkaos.errors import SetupFailed, WrongUse
from kafkaos.faults.base import EVIDENCE_DEADLINE_S, Evidence, Injection, lacking
from kafkaos.faults.clients import ClientFault, aim_at_client, client_ended_with, named
from kafkaos.faults.undo import (
    END_CLIENT,
    RESTART_CLIENT,
    UNHINDER_CLIENT,
    note_client,
    undone_on_error,
)
from kafkaos.faults.waiting import until
from kafkaos.faults.world import Member, World
from kafkaos.history.reading import read_segment
from kafkaos.history.rows import Op

JOINED_DEADLINE_S: Final = 60.0
EXIT_FENCED: Final = 3
"""A recording client's exit status when its Kafka client is dead."""


@dataclass(frozen=True)
class ExceedPollInterval(ClientFault):
    """A consumer is busy longer than `max.poll.interval.ms`; its heartbeats go on, yet it is put out of the group.

    Give the client a short interval (not below its session time-out), or wait Kafka's five minutes. Healing lets it
    poll again: it rejoins.
    """

    name: ClassVar = "exceed-poll-interval"
    title: ClassVar = "a consumer is busy longer than max.poll.interval.ms"

    def __str__(self) -> str:
        return f"client {self.client} is late for its poll"

    def available(self, cluster: Cluster) -> str | None:
        return lacking(cluster, [HasGroups], what="tell the members of a group")

    def inject(self, world: World) -> Injection:
        member = _member(world, self.client)
        injection = aim_at_client(self.name, self.client, world, UNHINDER_CLIENT)
        with undone_on_error(world, injection.undo):
            # Before it owns a partition its client has not joined for good, and takes nothing for a late poll.
            if not until(
                lambda: (self._is_member(world) and member.assigned > 0) or None, timeout_s=JOINED_DEADLINE_S
            ):
                raise SetupFailed(
                    f"client {self.client} owns no partition in group {member.group}: wait until it does"
                )
            member.stall()
        return injection

    def evidence(
        self, world: World, injection: Injection, *, timeout_s: float = EVIDENCE_DEADLINE_S
    ) -> Evidence | None:
        """The coordinator no longer has it as a member, though its process runs."""
        if not until(lambda: (not self._is_member(world)) or None, timeout_s=timeout_s):
            return None
        if not world.clients[self.client].is_running:
            return None
        told = f"{injection.told} runs and is no member of its group any more"
        return Evidence(told=told, facts=dict(injection.facts))

    def _is_member(self, world: World) -> bool:
        assert isinstance(world.cluster, HasGroups)
        group = _member(world, self.client).group
        assert group is not None
        return self.client in world.cluster.members(group)


@dataclass(frozen=True)
class SlowConsumer(ClientFault):
    """A consumer takes so much longer for each record, as one whose database is slow."""

    name: ClassVar = "slow-consumer"
    title: ClassVar = "a consumer takes longer for each record"
    per_record_ms: float = 50.0

    def __post_init__(self) -> None:
        if self.per_record_ms <= 0:
            raise WrongUse(f"per_record_ms={self.per_record_ms:g} slows nobody down: give more than 0")

    def __str__(self) -> str:
        return f"client {self.client} takes {self.per_record_ms:g} ms longer for each record"

    def inject(self, world: World) -> Injection:
        member = _member(world, self.client)
        injection = aim_at_client(self.name, self.client, world, UNHINDER_CLIENT)
        with undone_on_error(world, injection.undo):
            member.slow_down(self.per_record_ms)
        return injection

    def evidence(
        self, world: World, injection: Injection, *, timeout_s: float = EVIDENCE_DEADLINE_S
    ) -> Evidence | None:
        """Ten records in a row were read no faster than that: one that only waited for them reads many at once."""
        member = _member(world, self.client)
        deadline_s = time.monotonic() + timeout_s
        least_ms = 0.9 * self.per_record_ms

        def ten_slow() -> Evidence | None:
            looks = [(time.monotonic(), member.read)]

            def ten_read() -> bool | None:
                looks.append((time.monotonic(), member.read))
                return looks[-1][1] >= looks[0][1] + 10 or None

            if not until(ten_read, timeout_s=deadline_s - looks[0][0]):
                return None
            # Between two looks lie the whole times of all records that were read in between but one.
            if any(
                (after - before - 1) * least_ms > (after_s - before_s) * 1000
                for (before_s, before), (after_s, after) in combinations(looks, 2)
            ):
                return None
            (began_s, began), (ended_s, ended) = looks[0], looks[-1]
            each_ms = (ended_s - began_s) * 1000 / (ended - began)
            if each_ms < least_ms:
                return None
            told = f"{injection.told} took {each_ms:.0f} ms for each of ten records"
            return Evidence(told=told, facts={**injection.facts, "each_ms": each_ms})

        return until(ten_slow, timeout_s=timeout_s)


@dataclass(frozen=True)
class RebalanceStorm(ClientFault):
    """A member leaves its group and joins it again, so many times: each is two rebalances for the others."""

    name: ClassVar = "rebalance-storm"
    title: ClassVar = "a member leaves and joins its group again and again"
    times: int = 3

    def __str__(self) -> str:
        return f"rebalance storm by client {self.client}"

    def available(self, cluster: Cluster) -> str | None:
        return lacking(cluster, [HasGroups], what="tell the members of a group")

    def inject(self, world: World) -> Injection:
        member = _member(world, self.client)
        injection = aim_at_client(self.name, self.client, world, RESTART_CLIENT, restart=True)
        generations = injection.facts["generations"] = []
        with undone_on_error(world, injection.undo):
            for round_number in range(self.times + 1):
                if round_number:
                    member.stop()
                    member.restart()
                found = until(lambda: _generation(member), timeout_s=JOINED_DEADLINE_S)
                if found is None:
                    raise SetupFailed(
                        f"client {self.client} got no partition within {JOINED_DEADLINE_S:g} s: give the group enough"
                    )
                generations.append(found)
        return injection

    def evidence(
        self,
        world: World,  # noqa: ARG002 - injecting noted it
        injection: Injection,
        *,
        timeout_s: float = EVIDENCE_DEADLINE_S,  # noqa: ARG002
    ) -> Evidence | None:
        """The generation of the group rose at each return."""
        generations: list[int] = injection.facts["generations"]
        rises = sum(later > earlier for earlier, later in pairwise(generations))
        if rises < self.times:
            return None
        told = f"{injection.told} came back {rises} times: generations {generations}"
        return Evidence(told=told, facts=dict(injection.facts))


@dataclass(frozen=True)
class FenceStaticMember(ClientFault):
    """A second process takes the seat of a static member (the same `group.instance.id`): the first is fenced.

    `twin` is a client of the run that was not started yet. Healing ends it and starts the first again.
    """

    name: ClassVar = "fence-static-member"
    title: ClassVar = "a static member's seat is taken by a second process"
    twin: str

    def __str__(self) -> str:
        return f"client {self.twin} takes the seat of {self.client}"

    def available(self, cluster: Cluster) -> str | None:
        return lacking(cluster, [HasGroups], what="tell the members of a group")

    def inject(self, world: World) -> Injection:
        member, twin = _member(world, self.client), _member(world, self.twin)
        if member.group_instance_id is None or member.group_instance_id != twin.group_instance_id:
            raise WrongUse(f"{self.client} and {self.twin} need the same group_instance_id")
        injection = aim_at_client(self.name, self.client, world, RESTART_CLIENT, restart=True)
        injection = replace(injection, undo=(note_client(world, END_CLIENT, self.twin), *injection.undo))
        with undone_on_error(world, injection.undo):
            if not until(lambda: member.assigned or None, timeout_s=JOINED_DEADLINE_S):
                raise SetupFailed(f"client {self.client} has no partition: wait until it has")
            twin.restart()
        return injection

    def evidence(
        self, world: World, injection: Injection, *, timeout_s: float = EVIDENCE_DEADLINE_S
    ) -> Evidence | None:
        """The first one's client died of being fenced."""
        if client_ended_with(world, injection, timeout_s=timeout_s) != EXIT_FENCED:
            return None
        told = f"{injection.told} was fenced and ended"
        return Evidence(told=told, facts=dict(injection.facts))


def _member(world: World, name: str) -> Member:
    found = named(world, name)
    if not isinstance(found, Member) or found.group is None:
        raise WrongUse(f"client {name} is not a recording consumer of a group: name one that is")
    return found


def _generation(member: Member) -> int | None:
    """The generation of the last assignment of the present incarnation."""
    if not member.assigned:
        return None
    rows = read_segment(member.segment_path).rows
    given = rows["generation"][rows["op"] == Op.ASSIGN]
    return int(np.max(given)) if len(given) else None

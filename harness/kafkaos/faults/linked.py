"""What the faults of the network have in common: aiming at links, holding them back, and the counters as evidence."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import ClassVar, Literal

from kafkaos.cluster import Cluster, HasLinks
from kafkaos.errors import SetupFailed, WrongUse
from kafkaos.faults.base import Evidence, Fault, Injection, lacking
from kafkaos.faults.journal import UNDO_KINDS, Undo, UndoKind, find, identity
from kafkaos.faults.roles import NodeTarget
from kafkaos.faults.undo import undone_on_error
from kafkaos.faults.waiting import until
from kafkaos.faults.world import World
from kafkaos.links.firewall import remove_table
from kafkaos.links.rules import Counters, Effect, LinkId

CLIENTS = 0
"""Stands for all clients at one end of a link."""
LINK_RULE = "link-rule"
PROBE_TIMEOUT_S = 1.0

Direction = Literal["to", "from", "both"]
"""Of the target's links: what is sent to it, what it sends, or both."""
Peers = Literal["all", "nodes", "clients"]


def available(cluster: Cluster) -> str | None:
    """None where the cluster's traffic goes over links."""
    reason = lacking(cluster, [HasLinks], what="cut or slow the network")
    if reason is None and isinstance(cluster, HasLinks) and not cluster.links():
        return f"cluster {cluster.spec.name} has `links` at `none`: its traffic goes over no links"
    return reason


def linked_cluster(world: World) -> HasLinks:
    """The cluster as that which its links can be asked of; `available` has seen to it."""
    assert isinstance(world.cluster, HasLinks)
    return world.cluster


def links_of(world: World, node: int, others: Iterable[int], direction: Direction) -> tuple[LinkId, ...]:
    """The links between a node and others, in that direction, of those that there are."""
    there = set(linked_cluster(world).links())
    wanted = []
    for other in others:
        wanted += [(node, other)] if direction in ("from", "both") else []
        wanted += [(other, node)] if direction in ("to", "both") else []
    return tuple(link for link in wanted if link in there)


def node_ids(world: World) -> list[int]:
    return [node.id for node in world.cluster.nodes]


def tell(world: World, end: int) -> str:
    """An end of a link in words."""
    return "the clients" if end == CLIENTS else world.cluster.node(end).name


@dataclass(frozen=True)
class LinkFault(Fault):
    """A fault of links of a target: those to one peer, or to all of some kind."""

    name: ClassVar[str]
    family: ClassVar = "network"
    target: NodeTarget
    peer: NodeTarget | None = None
    """The node at the other end; None: all that `peers` says."""
    peers: Peers = "all"
    direction: Direction = "both"

    def __str__(self) -> str:
        other = {"all": "everybody", "nodes": "the other nodes", "clients": "the clients"}[self.peers]
        way = {"both": "between {} and {}", "from": "from {} to {}", "to": "to {} from {}"}[self.direction]
        return f"{self.name} {way.format(self.target, self.peer or other)}"

    def available(self, cluster: Cluster) -> str | None:
        return available(cluster)

    def aim(self, world: World) -> Injection:
        """Resolve target and peer, and note the links' counters and the undo."""
        node = self.target.resolve(world)
        if self.peer is not None:
            others = [self.peer.resolve(world)]
            if others == [node]:
                raise WrongUse(f"{self.target} and {self.peer} are both node {node}: a link has two ends")
        else:
            others = [other for other in node_ids(world) if other != node and self.peers != "clients"]
            others += [CLIENTS] if self.peers != "nodes" else []
        links = links_of(world, node, others, self.direction)
        if not links:
            raise WrongUse(f"nothing goes between {tell(world, node)} and what {self} names: choose another")
        told = f"{self.target} ({world.cluster.node(node).name})"
        return noted(world, self.name, node, told, links)


def noted(world: World, fault: str, node: int, told: str, links: Sequence[LinkId]) -> Injection:
    """The injection, with the undo on disk. SetupFailed where another fault would be this one's proof."""
    cluster = linked_cluster(world)
    before = world.cluster.observe()
    if node not in before.alive:
        raise SetupFailed(f"{told} does not run: heal the earlier fault before this one")
    counters = cluster.link_counters()
    rule = f"{fault}-{time.monotonic_ns()}"
    undo = world.journal.record(
        LINK_RULE, rule=rule, table=cluster.links_table(), **identity(cluster.links_pid())
    )
    facts = {"rule": rule, "links": list(links), "counters_before": counted(counters, links)}
    return Injection(fault=fault, target=node, told=told, before=before, undo=(undo,), facts=facts)


def put(world: World, injection: Injection, effect: Effect) -> Injection:
    """Put the effect on the links that were aimed at; the counters at that moment are for the evidence."""
    cluster = linked_cluster(world)
    links = injection.facts["links"]
    with undone_on_error(world, injection.undo):
        cluster.set_link_rule(injection.facts["rule"], links, effect)
        injection.facts["counters_at"] = counted(cluster.link_counters(), links)
        injection.facts["effect"] = effect.to_json()
    return injection


def counted(counters: Mapping[LinkId, Counters], links: Iterable[LinkId]) -> dict[str, dict[str, int]]:
    """The counters of these links as JSON."""
    return {_key(link): asdict(counters[link]) for link in links}


def held_back(world: World, injection: Injection, *, timeout_s: float, connects: bool) -> Evidence | None:
    """Not one byte passes while a question is asked, and it is not answered.

    It can be asked at all (`connects`) while a link is only silent, and not while it is cut.
    """
    cluster = linked_cluster(world)
    links: list[LinkId] = injection.facts["links"]

    def look() -> Evidence | None:
        before = counted(cluster.link_counters(), links)
        asked = cluster.probe_link(links[0], timeout_s=PROBE_TIMEOUT_S)
        now = counted(cluster.link_counters(), links)
        passed = any(now[key]["bytes"] != before[key]["bytes"] for key in now)
        if passed or asked.round_trip_s is not None or asked.connected != connects:
            return None
        waiting = sum(counts["waiting_bytes"] for counts in now.values())
        dropped = sum(counts["dropped_packets"] for counts in now.values())
        lost = f", {dropped} packet(s) were dropped" if dropped else f" while {waiting} wait"
        probed = "was accepted and not answered" if connects else "could not be opened"
        ends = f"{tell(world, links[0][0])} and {tell(world, links[0][1])}"
        return Evidence(
            told=f"no byte passed on {len(links)} link(s) of {injection.told}{lost}; "
            f"a connection between {ends} {probed}",
            facts={**injection.facts, "counters_now": now},
        )

    return until(look, timeout_s=timeout_s)


def _key(link: LinkId) -> str:
    return f"{link[0]} to {link[1]}"


def _take_away(world: World, undo: Undo) -> None:
    linked_cluster(world).remove_link_rule(undo.facts["rule"])


def _leftover(undo: Undo) -> str:
    table = undo.facts["table"]
    if table is not None and remove_table(table):
        return f"the kernel's table {table} with the rule {undo.facts['rule']} was still in force and was removed."
    process = find(undo.facts)
    if process is None:
        return f"the links with the rule {undo.facts['rule']} ended with their run; nothing to undo."
    process.kill()
    return f"the links with the rule {undo.facts['rule']} (pid {process.pid}) had outlived their run and were ended."


UNDO_KINDS[LINK_RULE] = UndoKind(_take_away, _leftover)

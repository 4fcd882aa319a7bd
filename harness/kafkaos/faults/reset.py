"""Connections reset under their users."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from kafkaos.faults.base import EVIDENCE_DEADLINE_S, Evidence, Injection
from kafkaos.faults.linked import LinkFault, counted, linked_cluster
from kafkaos.faults.undo import undone_on_error
from kafkaos.faults.waiting import until
from kafkaos.faults.world import World


@dataclass(frozen=True)
class Reset(LinkFault):
    """RST on every connection of the links, once: as of a firewall or a load balancer that lost its state.

    `direction` says who opened the connections: `to` those opened to the target, `from` those that it opened.
    """

    name: ClassVar = "reset"
    title: ClassVar = "connections reset (RST)"

    def inject(self, world: World) -> Injection:
        injection = self.aim(world)
        cluster = linked_cluster(world)
        with undone_on_error(world, injection.undo):
            injection.facts["reset"] = cluster.reset_links(injection.facts["links"])
        return injection

    def evidence(
        self, world: World, injection: Injection, *, timeout_s: float = EVIDENCE_DEADLINE_S
    ) -> Evidence | None:
        """Connections were reset, and new ones were opened in their place."""
        cluster = linked_cluster(world)
        links = injection.facts["links"]
        before = injection.facts["counters_before"]

        def look() -> Evidence | None:
            now = counted(cluster.link_counters(), links)
            resets = sum(now[key]["resets"] - before[key]["resets"] for key in now)
            opened = sum(now[key]["connections"] - before[key]["connections"] for key in now)
            if not resets or not opened:
                return None
            return Evidence(
                told=f"{resets} connection(s) of {injection.told} were reset, {opened} opened since",
                facts={**injection.facts, "counters_now": now},
            )

        return until(look, timeout_s=timeout_s)

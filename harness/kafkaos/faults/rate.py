"""Narrow links: a limited rate."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import ClassVar

from kafkaos.errors import WrongUse
from kafkaos.faults.base import EVIDENCE_DEADLINE_S, Evidence, Injection
from kafkaos.faults.linked import LinkFault, counted, linked_cluster, put
from kafkaos.faults.waiting import until
from kafkaos.faults.world import World
from kafkaos.links.rules import Effect

LEAST_S = 0.5
SLACK = 1.1
BURST_BYTES = 1 << 17


@dataclass(frozen=True)
class Rate(LinkFault):
    """netem's rate: so many kilobits (1,000 bits) a second over each of the links, all its connections together."""

    name: ClassVar = "rate"
    title: ClassVar = "rate limit"
    rate_kbit: float = 1000.0

    def inject(self, world: World) -> Injection:
        if self.rate_kbit <= 0:
            raise WrongUse("a rate is above 0 kbit: `cut` lets nothing pass")
        return put(world, self.aim(world), Effect(rate_kbit=self.rate_kbit))

    def evidence(
        self, world: World, injection: Injection, *, timeout_s: float = EVIDENCE_DEADLINE_S
    ) -> Evidence | None:
        """Somewhere more waits than may pass, and what passed is no more than the rate allows."""
        cluster = linked_cluster(world)
        links = injection.facts["links"]
        at = injection.facts["counters_at"]
        began_s = time.monotonic()

        def look() -> Evidence | None:
            now = counted(cluster.link_counters(), links)
            took_s = time.monotonic() - began_s
            for key, counts in now.items():
                passed = counts["bytes"] - at[key]["bytes"]
                limited = counts["delayed_bytes"] > at[key]["delayed_bytes"] and counts["waiting_bytes"] > 0
                most = self.rate_kbit * 125 * took_s * SLACK + BURST_BYTES
                if took_s >= LEAST_S and limited and 0 < passed <= most:
                    return Evidence(
                        told=f"{key}: {passed} bytes passed in {took_s:.1f} s ({passed / took_s / 125:.0f} kbit/s) "
                        f"while {counts['waiting_bytes']} wait",
                        facts={**injection.facts, "counters_now": now},
                    )
            return None

        return until(look, timeout_s=timeout_s)

"""Slow links: latency with jitter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from kafkaos.errors import WrongUse
from kafkaos.faults.base import EVIDENCE_DEADLINE_S, Evidence, Injection
from kafkaos.faults.linked import LinkFault, counted, linked_cluster, put, tell
from kafkaos.faults.waiting import until
from kafkaos.faults.world import World
from kafkaos.links.rules import Effect

PROBES = 3
PROBE_SLACK_S = 10.0


@dataclass(frozen=True)
class Delay(LinkFault):
    """netem's delay and jitter: every byte arrives so much later, plus or minus the jitter; order stays."""

    name: ClassVar = "delay"
    title: ClassVar = "latency with jitter"
    delay_ms: float = 200.0
    jitter_ms: float = 0.0

    def inject(self, world: World) -> Injection:
        if not 0 <= self.jitter_ms <= self.delay_ms or self.delay_ms <= 0:
            raise WrongUse("a delay is above 0 ms, and its jitter from 0 to the delay")
        injection = self.aim(world)
        cluster = linked_cluster(world)
        asked = [
            cluster.probe_link(injection.facts["links"][0], timeout_s=PROBE_SLACK_S) for _ in range(PROBES)
        ]
        answers = [probe.round_trip_s for probe in asked if probe.round_trip_s is not None]
        injection.facts["round_trip_before_s"] = min(answers, default=None)
        return put(world, injection, Effect(delay_ms=self.delay_ms, jitter_ms=self.jitter_ms))

    def evidence(
        self, world: World, injection: Injection, *, timeout_s: float = EVIDENCE_DEADLINE_S
    ) -> Evidence | None:
        """Bytes were delayed, and the quickest of three questions takes longer by what the delay says."""
        cluster = linked_cluster(world)
        links = injection.facts["links"]
        before_s = injection.facts["round_trip_before_s"]
        ways = 2 if (links[0][1], links[0][0]) in links else 1
        least_s = ways * (self.delay_ms - self.jitter_ms) / 1000

        def look() -> Evidence | None:
            asked = [cluster.probe_link(links[0], timeout_s=least_s + PROBE_SLACK_S) for _ in range(PROBES)]
            answers = [probe.round_trip_s for probe in asked if probe.round_trip_s is not None]
            now = counted(cluster.link_counters(), links)
            at = injection.facts["counters_at"]
            delayed = sum(now[key]["delayed_bytes"] - at[key]["delayed_bytes"] for key in now)
            if before_s is None or not answers or min(answers) < least_s or not delayed:
                return None
            ends = f"{tell(world, links[0][0])} and {tell(world, links[0][1])}"
            return Evidence(
                told=f"a round trip between {ends} takes {min(answers) * 1000:.0f} ms instead of "
                f"{before_s * 1000:.1f} ms; {delayed} bytes were delayed",
                facts={**injection.facts, "counters_now": now, "round_trip_s": min(answers)},
            )

        return until(look, timeout_s=timeout_s)

"""Leaders and in-sync replicas over time. Times in seconds from `zero_ns`, the run's first row."""

from __future__ import annotations

from dataclasses import dataclass, replace

import polars as pl

from kafkaos.checks.story import NS_PER_S
from kafkaos.history import Recording


@dataclass(frozen=True)
class Span:
    """A partition's state from one moment to another; leader None while it had none.

    `answers` is False while its leader, the last that a broker named, answered nobody: dead, frozen or starting.
    """

    from_s: float
    to_s: float
    leader: int | None
    epoch: int
    isr: tuple[int, ...]
    answers: bool = True

    @property
    def is_led(self) -> bool:
        return self.leader is not None and self.answers

    @property
    def led_by(self) -> str:
        """In words."""
        if self.leader is None:
            return "no leader"
        return f"leader {self.leader}" + ("" if self.answers else ", which does not answer")


@dataclass(frozen=True)
class Lane:
    """One partition over time."""

    name: str
    replicas: tuple[int, ...]
    spans: list[Span]


def lanes(recording: Recording, *, zero_ns: int, duration_s: float) -> list[Lane]:
    """Each partition that has rows, from the snapshots of the cluster's state among the events."""
    used = set(recording.rows["topic"].cast(pl.String).unique())
    spans: dict[tuple[str, int], list[Span]] = {}
    replicas: dict[tuple[str, int], tuple[int, ...]] = {}
    for event in recording.events:
        state = event.details.get("state")
        moment = max(round((event.monotonic_ns - zero_ns) / NS_PER_S, 4), 0.0)
        if not isinstance(state, dict) or moment > duration_s:
            continue
        answered = state.get("answered")  # missing where somebody else wrote the recording
        for p in state.get("partitions", ()):
            if p["topic"] in used:
                place = p["topic"], p["partition"]
                replicas[place] = tuple(p["replicas"])
                answers = answered is None or p["leader"] in answered
                now = Span(moment, duration_s, p["leader"], p["leader_epoch"], tuple(p["isr"]), answers)
                _go_on(spans.setdefault(place, []), now)
        if answered == [] and not state.get("partitions"):  # nobody is there to tell of another leader
            for mine in spans.values():
                _go_on(mine, replace(mine[-1], from_s=moment, to_s=duration_s, answers=False))
    return [Lane(f"{topic}-{n}", replicas[topic, n], spans[topic, n]) for topic, n in sorted(spans)]


def _go_on(spans: list[Span], now: Span) -> None:
    """The last span ends where `now` begins, unless it is the same state."""
    if spans:
        if replace(spans[-1], from_s=now.from_s) == now:
            return
        spans[-1] = replace(spans[-1], to_s=now.from_s)
    spans.append(now)

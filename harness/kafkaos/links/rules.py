"""What can be done to a link, and what several rules for one link come to together.

A link is a direction: `(1, 2)` is whatever node 1 sends to node 2, on connections that either of them opened; source or
target 0 are all clients. Words and units are netem's: delay, jitter, rate.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

LinkId = tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class Effect:
    """What a rule does to a link; several fields may be set together."""

    cut: bool = False
    """No byte passes, and no new connection between the two comes about: packets are lost. What was sent meanwhile
    arrives when the link is whole again, as TCP sends it again."""
    silent: bool = False
    """Half-open: new connections are accepted, and no byte passes."""
    delay_ms: float = 0.0
    jitter_ms: float = 0.0
    """Added to the delay, between minus and plus this much; the order of a connection's bytes stays."""
    rate_kbit: float = 0.0
    """At most so many kilobits (1,000 bits) a second over all connections of the link; 0: as many as there are."""

    @property
    def holds(self) -> bool:
        """Whether no byte passes."""
        return self.cut or self.silent

    @property
    def shapes(self) -> bool:
        """Whether bytes pass, but not at once."""
        return self.delay_ms > 0 or self.jitter_ms > 0 or self.rate_kbit > 0

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


NOTHING = Effect()


def combined(effects: Iterable[Effect]) -> Effect:
    """All of them at once: delays add up, and the lowest rate counts."""
    given = list(effects)
    rates = [effect.rate_kbit for effect in given if effect.rate_kbit > 0]
    return Effect(
        cut=any(effect.cut for effect in given),
        silent=any(effect.silent for effect in given),
        delay_ms=sum(effect.delay_ms for effect in given),
        jitter_ms=sum(effect.jitter_ms for effect in given),
        rate_kbit=min(rates, default=0.0),
    )


@dataclass(frozen=True)
class Rule:
    """One effect on several links, under a name by which it is taken away again."""

    name: str
    links: tuple[LinkId, ...]
    effect: Effect


@dataclass(frozen=True, kw_only=True)
class Counters:
    """What went over one link since the cluster started."""

    bytes: int = 0
    """Passed on."""
    waiting_bytes: int = 0
    """Sent by the source and not passed on, now."""
    delayed_bytes: int = 0
    """Passed on later than they came, because of a delay or a rate."""
    connections: int = 0
    """Accepted, of those that the source opened."""
    open: int = 0
    """Of those that the source opened, now."""
    dropped_packets: int = 0
    """By the kernel, where it does the cutting, since its rules changed last."""
    resets: int = 0
    """Of those that the source opened: reset on request."""
    refused: int = 0
    """Of those that the source opened: the target did not take them."""

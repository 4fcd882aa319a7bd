"""The relay's data: links with what is in force on them, and the two byte streams of each connection."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

from kafkaos.links.rules import NOTHING, Effect, LinkId

READ_BYTES = 1 << 19
"""A third less work for each gigabyte than with an eighth of it, and nothing more for a small request."""
DELAYED_BYTES_LIMIT = 16 << 20
"""Of one connection under way at a time, as a network's bandwidth-delay product."""
PIECE_S = 0.01
"""A rate is kept over this long: the pieces sent at once."""
LEAST_PIECE_BYTES = 1448


@dataclass(eq=False)
class Link:
    """One direction between two; `pipes` are the streams that run over it now."""

    id: LinkId
    effect: Effect = NOTHING
    pipes: set[Pipe] = field(default_factory=set)
    free_s: float = 0.0
    """When the next piece may go, where there is a rate."""
    bytes: int = 0
    delayed_bytes: int = 0
    connections: int = 0
    resets: int = 0
    refused: int = 0
    tap: BinaryIO | None = None
    """Where a copy of every byte goes."""

    @property
    def bytes_per_s(self) -> float:
        return self.effect.rate_kbit * 1000 / 8

    def due_s(self, now_s: float, rng: random.Random) -> float:
        """When what was read now is to arrive."""
        delay_ms = self.effect.delay_ms
        if self.effect.jitter_ms:
            delay_ms += rng.uniform(-self.effect.jitter_ms, self.effect.jitter_ms)
        return now_s + max(delay_ms, 0.0) / 1000


class Pipe:
    """The bytes of one connection in one direction, from the socket `source` to the socket `sink`."""

    __slots__ = ("eof", "link", "opened", "queue", "queued_bytes", "sink", "source", "timer_s")

    def __init__(self, link: Link, source: int, sink: int, *, opened: Link) -> None:
        self.link = link
        self.opened = opened
        """The link in whose direction the connection was opened."""
        self.source = source
        self.sink = sink
        self.queue: deque[tuple[float, memoryview]] = deque()
        """What is not passed on yet, each with the time at which it is due (monotonic, s)."""
        self.queued_bytes = 0
        self.eof = False
        self.timer_s = 0.0
        link.pipes.add(self)

    @property
    def wants_more(self) -> bool:
        """Whether the source is to be read: not while what it sent before has to wait for the sink."""
        if self.eof or self.link.effect.holds:
            return False
        limit = DELAYED_BYTES_LIMIT if self.link.effect.delay_ms or self.link.effect.jitter_ms else 1
        return self.queued_bytes < limit

    def put(self, data: memoryview, due_s: float) -> None:
        """Queue it; a stream stays in order, whatever the jitter."""
        last_s = self.queue[-1][0] if self.queue else 0.0
        self.queue.append((max(due_s, last_s), data))
        self.queued_bytes += len(data)

    def took(self, count: int) -> None:
        """The sink took so many bytes of the first piece."""
        due_s, data = self.queue[0]
        self.queued_bytes -= count
        if count == len(data):
            self.queue.popleft()
        else:
            self.queue[0] = (due_s, data[count:])


def pieces(link: Link) -> int:
    """How many bytes may go at once."""
    return max(int(link.bytes_per_s * PIECE_S), LEAST_PIECE_BYTES) if link.effect.rate_kbit else READ_BYTES


def both(link: LinkId) -> Iterator[LinkId]:
    """A link and its opposite."""
    yield link
    yield link[1], link[0]

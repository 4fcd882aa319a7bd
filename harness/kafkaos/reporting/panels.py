"""The panels of the timeline's picture: rates, latencies, and a row for each partition."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from html import escape

from kafkaos.reporting.lanes import Lane
from kafkaos.reporting.timeline import Numbers, Timeline

WIDE, NARROW = 1120, 360
RIGHT = 10
INK, FAINT, GRID = "#1f2933", "#64748b", "#e2e8f0"
ACKED, READ, FAILED, LEADERLESS = "#2563eb", "#94a3b8", "#dc2626", "#111827"
# Told apart also by people who see few colours (Okabe and Ito); the last stands for every further broker.
LEADERS = ("#0072b2", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#d55e00", "#999933", "#555555")


@dataclass(frozen=True)
class Panel:
    """Pixels of a panel, and how seconds become pixels."""

    top: float
    height: float
    left: float
    width: float
    duration_s: float

    @property
    def floor(self) -> float:
        return self.top + self.height

    def x(self, at_s: float) -> float:
        share = min(max(at_s / self.duration_s, 0.0), 1.0)
        return round(self.left + share * (self.width - self.left - RIGHT), 1)

    def title(self, words: str) -> str:
        """Over the panel, readable also where a fault's line goes through it."""
        halo = '<g paint-order="stroke" stroke="#ffffff" stroke-opacity="0.8" stroke-width="3">'
        return f"{halo}{text(4, self.top - 9, words, FAINT)}</g>"


def text(x: float, y: float, words: str, colour: str = INK, anchor: str = "start") -> str:
    return f'<text x="{x:g}" y="{y:g}" fill="{colour}" text-anchor="{anchor}">{escape(words)}</text>'


def rates(timeline: Timeline, panel: Panel) -> list[str]:
    numbers = [*timeline.acknowledged, *timeline.unacknowledged, *timeline.read]
    # Logarithmic: the burst that follows an outage would flatten everything else.
    powers = max(math.ceil(math.log10(max((n for n in numbers if n), default=10.0))), 1)
    floor = panel.floor

    def y(rate: float) -> float:
        return round(floor - math.log10(max(rate, 1.0)) / powers * panel.height, 1)

    parts = [panel.title("records a second")]
    for power in range(powers + 1):
        parts += _rule(panel, y(10.0**power), _short(10.0**power) if power else "0")
    read = _steps(timeline.read, timeline.bucket_s, panel, y)
    parts += [
        f'<path d="M{line}L{x1:g} {floor:g}L{x0:g} {floor:g}z" fill="{READ}" fill-opacity="0.35"/>'
        for line, x0, x1 in read
    ]
    for index, rate in enumerate(timeline.unacknowledged):
        if rate:
            begin = panel.x(index * timeline.bucket_s)
            wide = max(panel.x((index + 1) * timeline.bucket_s) - begin, 1)
            parts.append(
                f'<rect x="{begin}" y="{y(rate)}" width="{wide:g}" height="{floor - y(rate):g}" fill="{FAILED}"/>'
            )
    parts += [
        f'<path d="M{line}" fill="none" stroke="{ACKED}" stroke-width="1.4"/>'
        for line, _, _ in _steps(timeline.acknowledged, timeline.bucket_s, panel, y)
    ]
    for since, until in timeline.waits:
        told = f"From {since:.2f} s to {until:.2f} s no send was acknowledged, though some were outstanding."
        begin, end = panel.x(since), panel.x(until)
        parts.append(
            f'<rect x="{begin}" y="{floor + 1:g}" width="{max(end - begin, 1):g}" height="5" fill="{FAILED}">'
            f"<title>{told}</title></rect>"
        )
    return parts


def latencies(timeline: Timeline, panel: Panel) -> list[str]:
    series = (
        (timeline.delivery_p50_ms, READ, "1.2", ""),
        (timeline.acknowledgement_p50_ms, ACKED, "1.4", ""),
        (timeline.acknowledgement_p99_ms, ACKED, "0.8", ' stroke-dasharray="2 2"'),
    )
    known = [n for numbers, *_ in series for n in numbers if n]
    low = math.floor(math.log10(max(min(known, default=1.0), 0.1)))
    high = max(math.ceil(math.log10(max(known, default=10.0))), low + 1)

    def y(ms: float) -> float:
        share = (math.log10(max(ms, 10.0**low)) - low) / (high - low)
        return round(panel.floor - share * panel.height, 1)

    words = "latency: to acknowledgement (line p50, dashes p99), to delivery (grey)"
    parts = [
        panel.title(words if panel.width >= WIDE else "latency: to ack p50, p99 (dashes); to read (grey)")
    ]
    for power in range(low, high + 1):
        ms = 10.0**power
        parts += _rule(panel, y(ms), f"{ms / 1000:g} s" if ms >= 1000 else f"{ms:g} ms")
    for numbers, colour, wide, dashes in series:
        for line, _, _ in _steps(numbers, timeline.bucket_s, panel, y):
            parts.append(f'<path d="M{line}" fill="none" stroke="{colour}" stroke-width="{wide}"{dashes}/>')
    return parts


def lane_row(lane: Lane, panel: Panel) -> list[str]:
    name = lane.name
    while width_px(name) > panel.left - 6:
        name = "…" + name.removeprefix("…")[1:]
    parts = [text(panel.left - 5, panel.floor - 2, name, FAINT, "end")]
    for span in lane.spans:
        begin, end = panel.x(span.from_s), panel.x(span.to_s)
        told = f"{lane.name}, {span.from_s:.1f} s to {span.to_s:.1f} s: {span.led_by}, epoch {span.epoch}, "
        told += f"ISR {list(span.isr)} of replicas {list(lane.replicas)}"
        # The bar is as high as the ISR is whole.
        height = panel.height * max(len(span.isr), 0.3) / max(len(lane.replicas), 1)
        colour = colour_of(span.leader if span.answers else None)
        parts.append(
            f'<rect x="{begin}" y="{panel.floor - height:g}" width="{max(end - begin, 1):g}" '
            f'height="{height:g}" fill="{colour}"><title>{escape(told)}</title></rect>'
        )
    return parts


def width_px(words: str) -> float:
    """How wide a text is at most; no font is known before a reader's browser has chosen one."""
    return sum(8.0 if letter.isupper() or letter in "mw…" else 6.3 for letter in words)


def colour_of(leader: int | None) -> str:
    return LEADERLESS if leader is None else LEADERS[min(max(leader - 1, 0), len(LEADERS) - 1)]


def _rule(panel: Panel, y: float, words: str) -> Iterable[str]:
    yield f'<line x1="{panel.left:g}" x2="{panel.width - RIGHT:g}" y1="{y}" y2="{y}" stroke="{GRID}"/>'
    yield text(panel.left - 5, y + 4, words, FAINT, "end")


def _steps(
    numbers: Numbers, bucket_s: float, panel: Panel, y: Callable[[float], float]
) -> Iterable[tuple[str, float, float]]:
    """Unbroken runs of numbers as SVG points, each with its first and last x."""
    points: list[tuple[float, float]] = []
    for index, number in enumerate([*numbers, None]):
        if number is not None:
            points.append((panel.x((index + 0.5) * bucket_s), y(number)))
        elif points:
            if len(points) == 1:  # a line needs two ends to be seen
                points.append((points[0][0] + 1, points[0][1]))
            yield "L".join(f"{x:g} {height:g}" for x, height in points), points[0][0], points[-1][0]
            points = []


def _short(number: float) -> str:
    return f"{number / 1000:g}k" if number >= 1000 else f"{number:g}"

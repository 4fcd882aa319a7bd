"""The timeline as one SVG: no script, no font, nothing loaded; it scales, and each part tells itself by its title."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from html import escape

from kafkaos.reporting.timeline import Lane, Numbers, Timeline

WIDE, NARROW = 1120, 360
LANES_MAX = 16
LEFT, RIGHT, GAP = 58, 10, 22
RATE_HEIGHT, LATENCY_HEIGHT, LANE_HEIGHT = 130, 96, 15
LABEL_HEIGHT = 15

INK, FAINT, GRID = "#1f2933", "#64748b", "#e2e8f0"
ACKED, READ, FAILED, FAULT = "#2563eb", "#94a3b8", "#dc2626", "#f59e0b"
# Told apart also by people who see few colours (Okabe and Ito); the last stands for every further broker.
LEADERS = ("#0072b2", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#d55e00", "#999933", "#555555")


@dataclass(frozen=True)
class _Panel:
    """Pixels of a panel, and how seconds become pixels."""

    top: float
    height: float
    width: float
    duration_s: float

    def x(self, at_s: float) -> float:
        share = min(max(at_s / self.duration_s, 0.0), 1.0)
        return round(LEFT + share * (self.width - LEFT - RIGHT), 1)


def draw(timeline: Timeline, *, width: int = WIDE) -> str:
    """The picture; `width` in pixels (it scales, but text and line widths are made for that width)."""
    parts: list[str] = []
    labels_height = LABEL_HEIGHT * max(len(timeline.faults), 1) + 6
    legend_height = 18 if width >= WIDE else 50
    top = labels_height + legend_height
    lanes = timeline.lanes[:LANES_MAX]
    rate = _Panel(top, RATE_HEIGHT, width, timeline.duration_s)
    latency = _Panel(rate.top + RATE_HEIGHT + GAP, LATENCY_HEIGHT, width, timeline.duration_s)
    lanes_top = latency.top + LATENCY_HEIGHT + GAP
    bottom = lanes_top + LANE_HEIGHT * len(lanes) + (6 if lanes else -GAP + 4)
    parts += _legend(timeline, width)
    parts += _faults(timeline, rate, legend_height, bottom)
    parts += _rates(timeline, rate)
    parts += _latencies(timeline, latency)
    for number, lane in enumerate(lanes):
        parts += _lane(
            lane, _Panel(lanes_top + number * LANE_HEIGHT, LANE_HEIGHT - 4, width, timeline.duration_s)
        )
    for at_s, sentence in timeline.marks:
        x = rate.x(at_s)
        parts.append(
            f'<g><title>{escape(sentence)}</title><line x1="{x}" x2="{x}" y1="{rate.top}" y2="{bottom}" '
            f'stroke="{FAILED}" stroke-dasharray="2 3"/><path d="M{x - 4} {rate.top - 7}h8l-4 7z" fill="{FAILED}"/></g>'
        )
    parts += _seconds(rate, bottom)
    height = bottom + 30
    if len(timeline.lanes) > LANES_MAX:
        more = len(timeline.lanes) - LANES_MAX
        parts.append(_text(LEFT, height + 4, f"and {more} more partitions", FAINT))
        height += 14
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height:g}" width="{width}" '
        f'height="{height:g}" class="timeline" data-left="{LEFT}" data-right="{RIGHT}" data-top="{rate.top}" '
        f'data-bottom="{bottom:g}" role="img" aria-label="the run over time" '
        'font-family="system-ui, sans-serif" font-size="11">'
        f'<rect width="{width}" height="{height:g}" fill="#ffffff"/>{"".join(parts)}</svg>'
    )


def _text(x: float, y: float, words: str, colour: str = INK, anchor: str = "start") -> str:
    return f'<text x="{x:g}" y="{y:g}" fill="{colour}" text-anchor="{anchor}">{escape(words)}</text>'


def _legend(timeline: Timeline, width: int) -> list[str]:
    entries = [(ACKED, "acknowledged"), (READ, "delivered"), (FAILED, "not acknowledged, or waited for")]
    leaders = sorted({s.leader for lane in timeline.lanes for s in lane.spans if s.leader is not None})
    entries += [(_colour(leader), f"leader {leader}") for leader in leaders]
    parts, x, y = [], 4.0, 12.0
    for colour, words in entries:
        length = 18 + 6.2 * len(words)
        if x + length > width:
            x, y = 4.0, y + 15
        parts.append(f'<rect x="{x:g}" y="{y - 8:g}" width="9" height="9" rx="2" fill="{colour}"/>')
        parts.append(_text(x + 13, y, words, FAINT))
        x += length + 8
    return parts


def _faults(timeline: Timeline, panel: _Panel, top: float, bottom: float) -> list[str]:
    parts = []
    for number, fault in enumerate(timeline.faults):
        begin, end = panel.x(fault.from_s), panel.x(timeline.duration_s if fault.to_s is None else fault.to_s)
        y = top + LABEL_HEIGHT * (number + 1)
        until = "never undone" if fault.to_s is None else f"undone at {fault.to_s:.1f} s"
        told = f"{fault.name}: from {fault.from_s:.1f} s, {until}. {fault.evidence or 'No evidence that it bit.'}"
        room = int((panel.width - 8) / 6)
        words = fault.name if len(fault.name) <= room else fault.name[: room - 1] + "…"
        # A label near the right edge is set to the left of its fault.
        fits = begin + 6.2 * len(words) < panel.width
        place = (
            _text(begin, y - 3, words, "#92400e")
            if fits
            else _text(max(end, 6.2 * len(words)), y - 3, words, "#92400e", "end")
        )
        parts.append(
            f'<g><title>{escape(told)}</title><rect x="{begin}" y="{y:g}" width="{max(end - begin, 2):g}" '
            f'height="{bottom - y:g}" fill="{FAULT}" fill-opacity="0.16"/>'
            f'<line x1="{begin}" x2="{begin}" y1="{y:g}" y2="{bottom:g}" stroke="{FAULT}"/>{place}</g>'
        )
    return parts


def _rates(timeline: Timeline, panel: _Panel) -> list[str]:
    numbers = [*timeline.acknowledged, *timeline.unacknowledged, *timeline.read]
    # Logarithmic: the burst that follows an outage would flatten everything else.
    powers = max(math.ceil(math.log10(max((n for n in numbers if n), default=10.0))), 1)
    floor = panel.top + panel.height

    def y(rate: float) -> float:
        return round(floor - math.log10(max(rate, 1.0)) / powers * panel.height, 1)

    parts = [_text(4, panel.top - 6, "records a second", FAINT)]
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


def _latencies(timeline: Timeline, panel: _Panel) -> list[str]:
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
        return round(panel.top + panel.height - share * panel.height, 1)

    parts = [_text(4, panel.top - 6, "latency: to acknowledgement (line p50, dashes p99), to delivery (grey)"
                   if panel.width >= WIDE else "latency: to ack p50, p99 (dashes); to read (grey)", FAINT)]  # fmt: skip
    for power in range(low, high + 1):
        ms = 10.0**power
        parts += _rule(panel, y(ms), f"{ms / 1000:g} s" if ms >= 1000 else f"{ms:g} ms")
    for numbers, colour, wide, dashes in series:
        for line, _, _ in _steps(numbers, timeline.bucket_s, panel, y):
            parts.append(f'<path d="M{line}" fill="none" stroke="{colour}" stroke-width="{wide}"{dashes}/>')
    return parts


def _lane(lane: Lane, panel: _Panel) -> list[str]:
    name = lane.name if len(lane.name) <= 9 else "…" + lane.name[-8:]
    parts = [_text(LEFT - 5, panel.top + panel.height - 2, name, FAINT, "end")]
    for span in lane.spans:
        begin, end = panel.x(span.from_s), panel.x(span.to_s)
        leader = "no leader" if span.leader is None else f"leader {span.leader}"
        told = f"{lane.name}, {span.from_s:.1f} s to {span.to_s:.1f} s: {leader}, epoch {span.epoch}, "
        told += f"ISR {list(span.isr)} of replicas {list(lane.replicas)}"
        # The bar is as high as the ISR is whole.
        height = panel.height * max(len(span.isr), 0.3) / max(len(lane.replicas), 1)
        colour = FAILED if span.leader is None else _colour(span.leader)
        parts.append(
            f'<rect x="{begin}" y="{panel.top + panel.height - height:g}" width="{max(end - begin, 1):g}" '
            f'height="{height:g}" fill="{colour}"><title>{escape(told)}</title></rect>'
        )
    return parts


def _seconds(panel: _Panel, bottom: float) -> list[str]:
    step = _nice(panel.duration_s / (12 if panel.width >= WIDE else 5))
    parts = []
    for number in range(int(panel.duration_s / step) + 1):
        x = panel.x(number * step)
        parts.append(f'<line x1="{x}" x2="{x}" y1="{bottom:g}" y2="{bottom + 4:g}" stroke="{FAINT}"/>')
        anchor = "end" if x > panel.width - 24 else "middle"
        parts.append(_text(x, bottom + 16, f"{number * step:g} s", FAINT, anchor))
    return parts


def _rule(panel: _Panel, y: float, words: str) -> Iterable[str]:
    yield f'<line x1="{LEFT}" x2="{panel.width - RIGHT:g}" y1="{y}" y2="{y}" stroke="{GRID}"/>'
    yield _text(LEFT - 5, y + 4, words, FAINT, "end")


def _steps(
    numbers: Numbers, bucket_s: float, panel: _Panel, y: Callable[[float], float]
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


def _colour(leader: int) -> str:
    return LEADERS[min(max(leader - 1, 0), len(LEADERS) - 1)]


def _nice(number: float) -> float:
    """The next of 1, 2, 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(number))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= number - 1e-12)


def _short(number: float) -> str:
    return f"{number / 1000:g}k" if number >= 1000 else f"{number:g}"

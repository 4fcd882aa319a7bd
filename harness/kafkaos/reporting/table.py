"""The table of guarantees that closes a run in the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from kafkaos.checks import GUARANTEES, Status, Verdict
from kafkaos.history import Recording

STYLES = {Status.PASS: "green", Status.FAIL: "bold red", Status.UNKNOWN: "yellow"}
WORDS = {Status.PASS: "held", Status.FAIL: "BROKE", Status.UNKNOWN: "unknown"}


@dataclass(frozen=True)
class Totals:
    """What a run did, counted from its recording; recovery time in seconds, None without a fault."""

    sent: int
    acknowledged: int
    read: int
    lost: int | None
    duplicated: int | None
    recovery_s: float | None

    @classmethod
    def of(cls, recording: Recording, verdicts: Sequence[Verdict]) -> Totals:
        rows = recording.rows
        sends = rows.filter(rows["op"] == "send")
        found = {v.guarantee: v.counts for v in verdicts}
        recovery = found.get("recovered", {}).get("recovery_s")
        lost = found.get("no_acknowledged_loss", {}).get("lost")
        duplicated = found.get("no_duplicates", {}).get("duplicated")
        return cls(
            sent=sends.height,
            acknowledged=int((sends["outcome"] == "ok").sum()),
            read=int((rows["op"] == "read").sum()),
            lost=None if lost is None else int(lost),
            duplicated=None if duplicated is None else int(duplicated),
            recovery_s=None if recovery is None else float(recovery),
        )


def guarantees_table(title: str, verdicts: Sequence[Verdict]) -> Table:
    """One row a guarantee: its plain words, the verdict, the sentence with the counts."""
    table = Table(title=escape(title), box=SIMPLE_HEAD, title_justify="left", title_style="bold")
    table.add_column("guarantee", overflow="fold")
    table.add_column("verdict", no_wrap=True)
    table.add_column("what was seen", overflow="fold")
    for verdict in verdicts:
        kind = GUARANTEES.get(verdict.guarantee)
        words = f"[{STYLES[verdict.status]}]{WORDS[verdict.status]}"
        if not verdict.applicable:
            words = "[dim]not applicable"
        table.add_row(kind.title if kind else verdict.guarantee, words, escape(verdict.sentence))
    return table


def totals_table(rows: Sequence[tuple[str, Totals]]) -> Table:
    """One row a scenario with its counts."""
    table = Table(box=SIMPLE_HEAD)
    table.add_column("scenario", overflow="fold")
    for name in ("sent", "acknowledged", "read", "lost", "duplicated", "recovery"):
        table.add_column(name, justify="right", no_wrap=True)
    for scenario, t in rows:
        counts = (
            "-" if n is None else f"{n:,}" for n in (t.sent, t.acknowledged, t.read, t.lost, t.duplicated)
        )
        table.add_row(escape(scenario), *counts, "-" if t.recovery_s is None else f"{t.recovery_s:.1f} s")
    return table

"""Availability: nobody waits too long for an acknowledgement or for a record that is there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import polars as pl

from kafkaos.checks import views
from kafkaos.checks.guarantee import broke, held, not_applicable, unknown
from kafkaos.checks.keys import arranged, found, number
from kafkaos.checks.seen import ByPartition, Seen
from kafkaos.checks.story import NS_PER_S, faults, since_start_s, without_rows, witness
from kafkaos.checks.verdict import WITNESSES_MAX, Verdict, Witness, plural
from kafkaos.checks.waits import Times, Waits, waits
from kafkaos.history import Recording

_PROCESS = ["client", "incarnation"]


@dataclass(frozen=True, kw_only=True)
class Available(ByPartition):
    """No wait longer than `within_s`: for any acknowledgement while sends are outstanding, and, for each
    group, for any delivery while acknowledged records of its partitions are not delivered.

    The default is Kafka's own `replica.lag.time.max.ms` (30 s), the longest that acks=all waits for a dead
    follower. A send whose client died is awaited until that client's last row, a delivery until the group's.
    """

    name: ClassVar[str] = "available"
    title: ClassVar[str] = "Acknowledgements and deliveries never pause for longer than the limit"
    mutations: ClassVar[tuple[str, ...]] = ("stretch_gap", "stretch_delivery")

    within_s: float = 30.0

    def look(self, recording: Recording) -> Seen:
        sent = views.sends(recording)
        acked = sent.filter(pl.col("outcome") == "ok")
        untimed = acked["completed_ns"].null_count()
        return Seen(
            counts={"sent": sent.height, "acknowledged": acked.height, "_untimed": untimed},
            arrays=_send_times(recording, sent, acked) | _delivery_times(recording),
            run=without_rows(recording),
        )

    def conclude(self, seen: Seen) -> Verdict:
        assert seen.run is not None
        if not seen.counts["sent"]:
            return not_applicable(self, "Nothing was sent, so availability was not observed.")
        found = {"an acknowledgement": _send_waits(seen.arrays)}
        found |= {f"a delivery to {name}": wait for name, wait in _delivery_waits(seen.arrays).items()}
        counts = _windows(seen.run, found)
        counts["acknowledged"] = seen.counts["acknowledged"]
        if untimed := seen.counts["_untimed"]:  # their answers may have ended any wait
            say = not_applicable if untimed == seen.counts["acknowledged"] else unknown
            return say(
                self,
                f"Of {plural(untimed, 'acknowledged send')} the completion is not known, so nobody knows how long "
                "clients waited.",
                counts,
            )
        longest = max(wait.longest_ns() for wait in found.values()) / NS_PER_S
        if longest > self.within_s:
            return broke(
                self,
                f"Clients waited up to {longest:.3f} s, the limit is {self.within_s:g} s.",
                counts,
                self._witnesses(seen.run, found),
            )
        if not seen.counts["acknowledged"]:
            return unknown(
                self, "No send was acknowledged, and not long enough tried to call it down.", counts
            )
        return held(self, f"The longest wait was {longest:.3f} s, the limit is {self.within_s:g} s.", counts)

    def _witnesses(self, recording: Recording, found: dict[str, Waits]) -> list[Witness]:
        told: list[tuple[int, Witness]] = []
        for what, wait in found.items():
            lengths = wait.ends - wait.starts
            for place in np.flatnonzero(lengths > self.within_s * NS_PER_S):
                start, end = int(wait.starts[place]), int(wait.ends[place])
                sentence = (
                    f"From {since_start_s(recording, start):.3f} s to {since_start_s(recording, end):.3f} s, "
                    f"{(end - start) / NS_PER_S:.3f} s long, somebody waited for {what} and none came."
                )
                told.append((end - start, witness(recording, sentence, {"seen_ns": start})))
        told.sort(key=lambda one: -one[0])
        return [one for _, one in told[:WITNESSES_MAX]]


def lifetimes(recording: Recording) -> pl.DataFrame:
    """When each incarnation of a client was last heard of."""
    return recording.derive(
        "lifetimes",
        lambda: recording.rows.group_by(_PROCESS).agg(
            last_ns=pl.max_horizontal(pl.col("invoked_ns").max(), pl.col("completed_ns").max())
        ),
    )


def _send_times(recording: Recording, sent: pl.DataFrame, acked: pl.DataFrame) -> dict[str, Times]:
    """When sends began, when they were over however they ended, and when acknowledgements came."""
    if sent["completed_ns"].null_count():
        sent = sent.filter((pl.col("outcome") != "ok") | pl.col("completed_ns").is_not_null())
        sent = sent.join(lifetimes(recording), on=_PROCESS, how="left").with_columns(
            completed_ns=pl.coalesce("completed_ns", "last_ns", "invoked_ns")
        )
    return {
        "begun": sent["invoked_ns"].to_numpy(),
        "done": sent["completed_ns"].to_numpy(),
        "came": acked["completed_ns"].drop_nulls().to_numpy(),
    }


def _send_waits(times: dict[str, Times]) -> Waits:
    done = times["done"]
    return waits(
        begun=times["begun"], done=done, came=times["came"], end_ns=int(done.max()) if len(done) else 0
    )


def _delivery_times(recording: Recording) -> dict[str, Times]:
    """Of each group, or reader without one: from when records were owed to it, when each of them was given
    (-1: never), when deliveries came, and its first and last row. Owed is what was acknowledged from where it began.
    """
    who = pl.coalesce(pl.col("group").cast(pl.String), pl.col("client").cast(pl.String))
    reads = views.reads(recording)
    had = pl.concat([reads.select("group", "client", "place"), _assigned(recording)]).drop_nulls("place")
    awaited = views.acknowledged(recording).drop_nulls(["place", "promised_ns"])
    if (log := views.log(recording)).height:  # nobody can be given what was lost
        there = views.in_log(recording, awaited)
        moved = awaited.filter(~there).join(log.select("place", "value"), on=["place", "value"], how="semi")
        awaited = pl.concat([awaited.filter(there), moved])
    awaited = awaited.select("place", "offset", "value", "promised_ns")
    times: dict[str, Times] = {}
    spans = _spans(recording, who)
    for (name,), owned in had.with_columns(who=who).group_by("who"):
        mine = reads.filter(who == name).select("place", "value", "offset", "invoked_ns")
        begins = mine.group_by("place").agg(first_offset=pl.col("offset").min())
        owed = (
            awaited.join(owned.select("place").unique(), on="place", how="semi")
            .join(begins, on="place", how="left")
            .filter((pl.col("offset") >= pl.col("first_offset")).fill_null(True))
            .select("place", "value", "promised_ns")
        )
        times |= {
            f"{name}\towed": owed["promised_ns"].to_numpy(),
            f"{name}\tgiven": _given_ns(owed, mine),
            f"{name}\tcame": mine["invoked_ns"].to_numpy(),
            f"{name}\tspan": np.array(spans[str(name)], dtype=np.int64),
        }
    return times


def _given_ns(owed: pl.DataFrame, mine: pl.DataFrame) -> Times:
    """When each owed record was first given, -1 for never."""
    both = pl.concat([owed.select("place", "value"), mine.select("place", "value")])
    record = number(both, "place", "value")
    given = mine.with_columns(record=record[owed.height :]).drop_nulls("record")
    given = arranged(given, "record", "invoked_ns")
    at = found(given["record"], record[: owed.height])
    return np.where(at < 0, -1, np.append(given["invoked_ns"].to_numpy(), -1)[at])


def _assigned(recording: Recording) -> pl.DataFrame:
    return views.of_op(recording, "assign").select("group", "client", "place")


def _spans(recording: Recording, who: pl.Expr) -> dict[str, tuple[int, int]]:
    """The first and the last row of each group, or reader without one."""

    def compute() -> dict[str, tuple[int, int]]:
        at = pl.col("invoked_ns")
        table = recording.rows.group_by("group", "client").agg(first=at.min(), last=at.max())
        table = table.with_columns(who=who).group_by("who").agg(pl.col("first").min(), pl.col("last").max())
        return {name: (first, last) for name, first, last in table.iter_rows()}

    return recording.derive("spans", compute)


def _delivery_waits(times: dict[str, Times]) -> dict[str, Waits]:
    found = {}
    for name in (key.removesuffix("\tspan") for key in times if key.endswith("\tspan")):
        came, span = times[f"{name}\tcame"], times[f"{name}\tspan"]
        if not len(came):
            continue
        begin, end = int(span.min()), int(span.max())
        owed, given = times[f"{name}\towed"], times[f"{name}\tgiven"]
        in_time = owed <= end
        begun, given = np.maximum(owed[in_time], begin), given[in_time]
        given = np.where(given < 0, end, given)
        found[name] = waits(begun=begun, done=np.maximum(given, begun), came=came, end_ns=end)
    return found


def _windows(recording: Recording, found: dict[str, Waits]) -> dict[str, int | float]:
    """The longest waits before the first fault, from there to the last one's end, and after."""
    known = faults(recording)
    first_ns = min((fault.injected_ns for fault in known), default=None)
    healed = [fault.healed_ns for fault in known]
    last_ns = None if None in healed or not healed else max(time for time in healed if time is not None)
    windows: dict[str, tuple[int | None, int | None]] = {"all": (None, None)}
    if first_ns is not None:
        windows |= {"before": (None, first_ns), "during": (first_ns, last_ns)}
    if last_ns is not None:
        windows["after"] = (last_ns, None)
    counts: dict[str, int | float] = {}
    for label, (since_ns, until_ns) in windows.items():
        for kind, chosen in (("acknowledgement", "an ack"), ("delivery", "a deliv")):
            lengths = [
                wait.longest_ns(since_ns=since_ns, until_ns=until_ns)
                for what, wait in found.items()
                if what.startswith(chosen)
            ]
            if lengths:
                counts[f"{kind}_wait_{label}_s"] = round(max(lengths) / NS_PER_S, 6)
    return counts

"""Availability: nobody waits too long for an acknowledgement or for a record that is there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import polars as pl

from kafkaos.checks import views
from kafkaos.checks.guarantee import broke, held, not_applicable, unknown
from kafkaos.checks.story import NS_PER_S, faults, since_start_s, witness
from kafkaos.checks.verdict import WITNESSES_MAX, Verdict, Witness
from kafkaos.checks.waits import Waits, waits
from kafkaos.history import Recording

_PROCESS = ["client", "incarnation"]


@dataclass(frozen=True, kw_only=True)
class Available:
    """No wait longer than `within_s`: for any acknowledgement while sends are outstanding, and, for each
    group, for any delivery while acknowledged records of its partitions are not delivered.

    The default is Kafka's own `replica.lag.time.max.ms` (30 s), the longest that acks=all waits for a dead
    follower. A send whose client died is awaited until that client's last row, a delivery until the group's.
    """

    name: ClassVar[str] = "available"
    title: ClassVar[str] = "Acknowledgements and deliveries never pause for longer than the limit"
    mutations: ClassVar[tuple[str, ...]] = ("stretch_gap", "stretch_delivery")

    within_s: float = 30.0

    def judge(self, recording: Recording) -> Verdict:
        sent = views.sends(recording)
        acked = sent.filter(pl.col("outcome") == "ok")
        if sent.is_empty():
            return not_applicable(self, "Nothing was sent, so availability was not observed.")
        found = {"an acknowledgement": _send_waits(recording, sent, acked)}
        found |= {f"a delivery to {name}": wait for name, wait in _delivery_waits(recording).items()}
        counts = _windows(recording, found)
        counts["acknowledged"] = acked.height
        longest = max(wait.longest_ns() for wait in found.values()) / NS_PER_S
        if longest > self.within_s:
            return broke(
                self,
                f"Clients waited up to {longest:.3f} s, the limit is {self.within_s:g} s.",
                counts,
                self._witnesses(recording, found),
            )
        if acked.is_empty():
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


def _send_waits(recording: Recording, sent: pl.DataFrame, acked: pl.DataFrame) -> Waits:
    lifetimes = recording.rows.group_by(_PROCESS).agg(
        last_ns=pl.max_horizontal(pl.col("invoked_ns").max(), pl.col("completed_ns").max())
    )
    if sent["completed_ns"].null_count():
        sent = sent.join(lifetimes, on=_PROCESS).with_columns(
            completed_ns=pl.coalesce("completed_ns", "last_ns")
        )
    done = sent["completed_ns"].to_numpy()
    return waits(
        begun=sent["invoked_ns"].to_numpy(),
        done=done,
        came=acked["completed_ns"].drop_nulls().to_numpy(),
        end_ns=int(done.max()),
    )


def _delivery_waits(recording: Recording) -> dict[str, Waits]:
    """Of each group, or reader without one: awaited is what was acknowledged from where it began."""
    who = pl.coalesce(pl.col("group").cast(pl.String), pl.col("client").cast(pl.String))
    reads = views.reads(recording)
    had = pl.concat([reads, views.of_op(recording, "assign")], how="diagonal").with_columns(who=who)
    owners = had.select("who", "place").unique().drop_nulls()
    awaited = views.acknowledged(recording).drop_nulls(["place", "promised_ns"])
    if (log := views.log(recording)).height:  # nobody can be given what was lost
        awaited = awaited.join(log, on=["place", "value"], how="semi")
    found = {}
    for (name,), mine in reads.with_columns(who=who).group_by("who"):
        places = owners.filter(pl.col("who") == name).select("place")
        begins = mine.group_by("place").agg(first_offset=pl.col("offset").min())
        owed = (
            awaited.join(places, on="place", how="semi")
            .join(begins, on="place", how="left")
            .filter((pl.col("offset") >= pl.col("first_offset")).fill_null(True))
            .select("place", "value", "promised_ns")
        )
        first = mine.group_by("place", "value").agg(given_ns=pl.col("invoked_ns").min())
        rows = recording.rows.filter(who == name)["invoked_ns"]
        begin, end = int(rows.min()), int(rows.max())  # type: ignore[arg-type]
        owed = owed.join(first, on=["place", "value"], how="left").filter(pl.col("promised_ns") <= end)
        begun = np.maximum(owed["promised_ns"].to_numpy(), begin)
        given = owed["given_ns"].fill_null(end).to_numpy()
        came = mine["invoked_ns"].to_numpy()
        found[str(name)] = waits(begun=begun, done=np.maximum(given, begun), came=came, end_ns=end)
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

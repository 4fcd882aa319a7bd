"""One owner: of a group, no two members own a partition in one generation, nor act on one they gave up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import polars as pl

from kafkaos.checks import views
from kafkaos.checks.guarantee import broke, held, not_applicable
from kafkaos.checks.seen import ByPartition, Seen
from kafkaos.checks.story import NS_PER_S, at, first_rows, witness
from kafkaos.checks.verdict import Verdict, plural
from kafkaos.checks.work import GROUP_PLACE
from kafkaos.history import Recording

_MEMBER = ["client", "incarnation"]


@dataclass(frozen=True, kw_only=True)
class OneOwner(ByPartition):
    """A member is one incarnation of a client. Three ways to break it:

    - members of two clients claim a partition in one generation, by `assign` rows or confirmed commits that carry one;
    - a member reads or processes a record of a partition after it gave that up (`revoke`), while another
      member was assigned it;
    - a member that never noticed goes on for more than `grace_s` after another was assigned the partition,
      counted from its own first act after that: one that was paused may use up what it had fetched.
    """

    name: ClassVar[str] = "one_owner"
    title: ClassVar[str] = "A partition has one owner in a group"
    mutations: ClassVar[tuple[str, ...]] = ("second_owner", "act_after_revoke", "ignore_the_rebalance")

    grace_s: float = 10.0

    def look(self, recording: Recording) -> Seen:
        assigned = views.of_op(recording, "assign", "generation").drop_nulls(GROUP_PLACE)
        if assigned.is_empty():
            return Seen(counts={"assignments": 0, "doubled": 0, "acts_without_ownership": 0})
        doubled = _doubled(recording, assigned)
        late = self._late(recording, assigned)
        return Seen(
            counts={
                "assignments": assigned.height,
                "doubled": doubled.height,
                "acts_without_ownership": late.height,
            },
            told={
                "doubled": [
                    witness(recording, _doubled_sentence(row), row) for row in first_rows(doubled, "seen_ns")
                ],
                "late": [
                    witness(recording, _late_sentence(row), row) for row in first_rows(late, "seen_ns", "row")
                ],
            },
        )

    def conclude(self, seen: Seen) -> Verdict:
        counts = seen.all_counts()
        doubled, late = seen.counts["doubled"], seen.counts["acts_without_ownership"]
        if not seen.counts["assignments"]:
            return not_applicable(self, "No member of a group was assigned a partition.")
        if not doubled and not late:
            assigned = plural(seen.counts["assignments"], "assignment")
            return held(self, f"{assigned}, each partition with one owner.", counts)
        parts = [f"{plural(doubled, 'partition')} claimed twice in a generation"] * bool(doubled)
        parts += [f"{plural(late, 'record')} taken by a member that was not the owner"] * bool(late)
        told = f"A partition had two owners: {' and '.join(parts)}."
        return broke(self, told, counts, seen.witnesses("doubled", "late"))

    def _late(self, recording: Recording, assigned: pl.DataFrame) -> pl.DataFrame:
        """What members did in a partition after it had been given to another."""
        acts = _acts(recording)
        if acts.is_empty():
            return acts.with_columns(seen_ns="invoked_ns", other=pl.lit(""), given_up=pl.lit(False)).clear()
        own = _state(recording, acts, assigned)
        # The last assignment of the partition to anybody, at the time of the act.
        takeovers = assigned.select(
            *GROUP_PLACE, other="client", other_incarnation="incarnation", taken_ns="invoked_ns"
        )
        table = own.sort("invoked_ns").join_asof(
            takeovers.sort("taken_ns").with_columns(at=pl.col("taken_ns")),
            left_on="invoked_ns", right_on="at", by=GROUP_PLACE, strategy="backward", check_sortedness=False,
        )  # fmt: skip
        foreign = (pl.col("other") != pl.col("client")) | (
            pl.col("other_incarnation") != pl.col("incarnation")
        )
        table = table.filter(
            foreign.fill_null(False) & (pl.col("taken_ns") > pl.col("assigned_ns").fill_null(0))
        )
        first_ns = pl.col("invoked_ns").min().over(*_MEMBER, "place", "taken_ns")
        goes_on = pl.col("invoked_ns") - first_ns > self.grace_s * NS_PER_S
        return table.filter(pl.col("given_up") | goes_on).rename({"invoked_ns": "seen_ns"})


def _acts(recording: Recording) -> pl.DataFrame:
    columns = [*_MEMBER, "group", "row", "topic", "partition", "place", "offset", "value", "invoked_ns"]
    parts = [views.reads(recording), views.of_op(recording, "process")]
    return pl.concat(part.select(columns) for part in parts).drop_nulls(GROUP_PLACE)


def _state(recording: Recording, acts: pl.DataFrame, assigned: pl.DataFrame) -> pl.DataFrame:
    """Each act with when its member was last assigned the partition, and whether it has given it up since."""
    member = [*_MEMBER, "place"]
    revoked = views.of_op(recording, "revoke").select(*_MEMBER, "place", "row")
    every = revoked.filter(pl.col("place").is_null()).drop("place")
    if every.height:  # a row without a partition is one of all that the member had
        had = assigned.select(member).unique()
        revoked = pl.concat([revoked, every.join(had, on=_MEMBER).select(*_MEMBER, "place", "row")])
    changes = pl.concat(
        [
            assigned.select(*member, "row", assigned_ns="invoked_ns", given_up=pl.lit(False)),
            revoked.drop_nulls("place").with_columns(
                assigned_ns=pl.lit(None, pl.Int64), given_up=pl.lit(True)
            ),
        ],
        how="diagonal",
    ).sort("row")
    changes = changes.with_columns(pl.col("assigned_ns").forward_fill().over(member), at=pl.col("row")).drop(
        "row"
    )
    return (
        acts.sort("row")
        .join_asof(
            changes, left_on="row", right_on="at", by=member, strategy="backward", check_sortedness=False
        )
        .with_columns(pl.col("given_up").fill_null(False))
    )


def _doubled(recording: Recording, assigned: pl.DataFrame) -> pl.DataFrame:
    commits = views.of_op(recording, "commit", "generation", "outcome").filter(pl.col("outcome") == "ok")
    columns = [*_MEMBER, *GROUP_PLACE, "topic", "partition", "generation", "invoked_ns"]
    claims = pl.concat(
        [assigned.select(columns), commits.drop_nulls(GROUP_PLACE).select(columns)]
    ).drop_nulls("generation")
    claims = claims.sort("invoked_ns").unique(
        [*_MEMBER, *GROUP_PLACE, "generation"], keep="first", maintain_order=True
    )
    found = claims.group_by(*GROUP_PLACE, "generation", maintain_order=True).agg(
        pl.col("topic", "partition").first(),
        members=pl.concat_str("client", pl.lit(" (incarnation "), "incarnation", pl.lit(")")),
        clients=pl.col("client").n_unique(),
        client=pl.col("client").last(),
        seen_ns=pl.col("invoked_ns").last(),
    )
    # A static member that comes back within its session has its partitions again, in the same generation.
    return found.filter(pl.col("clients") > 1)


def _doubled_sentence(row: dict[str, Any]) -> str:
    return (
        f"In generation {row['generation']} of group {row['group']} {' and '.join(row['members'])} both own "
        f"{row['topic']}-{row['partition']}."
    )


def _late_sentence(row: dict[str, Any]) -> str:
    how = "after giving it up" if row["given_up"] else "as if it still owned it"
    return (
        f"{row['client']} took record {row['value']} in {at(row)} {how}, "
        f"{(row['seen_ns'] - row['taken_ns']) / NS_PER_S:.3f} s "
        f"after the partition had been assigned to {row['other']} of group {row['group']}."
    )

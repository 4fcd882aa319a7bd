"""Bounded re-reading: after a crash no more is done again than the acknowledgement mode allows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import polars as pl

from kafkaos.checks import views
from kafkaos.checks.guarantee import broke, held, not_applicable
from kafkaos.checks.keys import number
from kafkaos.checks.seen import ByPartition, Seen
from kafkaos.checks.story import delivery, first_rows, witness
from kafkaos.checks.verdict import Verdict, plural
from kafkaos.checks.work import confirmed_commits
from kafkaos.history import Recording

_PLACE = ["group", "place"]
_OWNER = ["client", "incarnation"]


@dataclass(frozen=True, kw_only=True)
class BoundedRereading(ByPartition):
    """Two bounds, of all readers with a group.

    Always: a member that takes a partition over, or has it back after a restart, is not given a record below the
    group's last offset commit that was confirmed before. Where `limit` is set: of what one incarnation of a client
    did, at most `limit` records are done again later, by whomever; 1 for a commit after each record, the size of a
    batch for one after each batch. Done is what `process` rows tell; of a group without any, its deliveries.

    Reading again after a seek is what was asked for, and counts for neither. `group` judges that group alone.
    """

    name: ClassVar[str] = "bounded_rereading"
    title: ClassVar[str] = "After a crash no more is read again than the commits allow"
    mutations: ClassVar[tuple[str, ...]] = ("read_below_the_commit",)

    limit: int | None = None
    group: str | None = None

    def look(self, recording: Recording) -> Seen:
        taken_over = _taken_over(recording)
        if self.group is not None:
            taken_over = taken_over.filter(pl.col("group") == self.group)
        again = _done_again(recording, taken_over)
        below = taken_over.filter(pl.col("offset") < pl.col("committed"))
        redone = again.group_by("group", "first_client", "first_incarnation").agg(
            pl.len().alias("again"),
            pl.col("topic", "partition", "offset", "value", "client", "invoked_ns").first(),
        )
        rows = redone.sort("invoked_ns").to_dicts() if self.limit is not None else []
        return Seen(
            counts={
                "taken_over": taken_over.select(*_PLACE, *_OWNER, "stretch").unique().height,
                "done_again": again.height,
                "below_commit": below.height,
            },
            # Of one incarnation what was done again in each partition adds up.
            sums={
                f"{row['first_client']} (incarnation {row['first_incarnation']}) in group {row['group']}": row[
                    "again"
                ]
                for row in redone.to_dicts()
            },
            told={
                "below": [
                    witness(recording, _below_sentence(row), delivery(row))
                    for row in first_rows(below, "invoked_ns")
                ],
                "over": [witness(recording, self._over_sentence(row), delivery(row)) for row in rows],
            },
        )

    def conclude(self, seen: Seen) -> Verdict:
        below = seen.counts["below_commit"]
        over = [name for name, again in seen.sums.items() if self.limit is not None and again > self.limit]
        most = max(seen.sums.values(), default=0)
        counts = {**seen.all_counts(), "most_of_one": most}
        if not seen.counts["taken_over"]:
            return not_applicable(
                self, "No partition of a group had a second reader: nothing could be re-read.", counts
            )
        if below or over:
            said = [f"{plural(below, 'record')} below a confirmed commit"] * bool(below)
            said += [f"more than {self.limit} of {plural(len(over), 'incarnation')}"] * bool(over)
            shown = seen.witnesses("below")
            shown += [one for one in seen.witnesses("over") if any(name in one.sentence for name in over)]
            return broke(self, f"Too much was read again: {' and '.join(said)}.", counts, shown)
        return held(
            self,
            f"{plural(seen.counts['done_again'], 'record')} done again in "
            f"{plural(seen.counts['taken_over'], 'take-over')}, "
            f"at most {most} of one incarnation, none below a confirmed commit.",
            counts,
        )

    def _over_sentence(self, row: dict[str, Any]) -> str:
        return (
            f"Of what {row['first_client']} (incarnation {row['first_incarnation']}) in group {row['group']} had done "
            f"in {row['topic']}-{row['partition']}, {plural(row['again'], 'record')} were done again, not at most "
            f"{self.limit} in all; the first: offset {row['offset']}."
        )


def _taken_over(recording: Recording) -> pl.DataFrame:
    """Deliveries of groups in a partition's second and later stretches, those after a seek apart.

    A stretch is what one incarnation is given between assign, revoke and seek rows. `committed` is the group's last
    commit that was confirmed before the stretch began, `who` made it.
    """
    reads = views.reads(recording).drop_nulls([*_PLACE, "offset"])
    resets = [
        views.of_op(recording, kind).drop_nulls(_PLACE).with_columns(opener=pl.lit(kind))
        for kind in ("assign", "revoke", "seek")
    ]
    steps = pl.concat([reads, *resets], how="diagonal")
    steps = steps.with_columns(owner=number(steps, *_PLACE, *_OWNER))
    changes = (
        steps[reads.height :]
        .sort("row")
        .select(
            "owner",
            "opener",
            at="row",
            opened_ns="invoked_ns",
            stretch=pl.int_range(1, pl.len() + 1).over("owner"),
        )
    )
    given = steps[: reads.height].drop("opener")
    if changes.height:
        given = given.sort("row").join_asof(
            changes,
            left_on="row",
            right_on="at",
            by="owner",
            strategy="backward",
            allow_exact_matches=False,
            check_sortedness=False,
        )
    else:
        unopened = {"opener": pl.String, "opened_ns": pl.Int64, "stretch": pl.Int64}
        given = given.with_columns(pl.lit(None, kind).alias(name) for name, kind in unopened.items())
    given = given.with_columns(pl.col("stretch").fill_null(0))
    stretches = given.group_by("owner", "stretch", maintain_order=True).agg(
        pl.col(*_PLACE, "opener").first(),
        begun_ns=pl.coalesce(pl.col("opened_ns").first(), pl.col("invoked_ns").min()),
    )
    stretches = stretches.sort("begun_ns").with_columns(nth=pl.int_range(pl.len()).over(_PLACE))
    later = stretches.filter((pl.col("nth") > 0) & pl.col("opener").ne_missing("seek"))
    later = later.join_asof(
        _confirmed(recording), left_on="begun_ns", right_on="at", by=_PLACE, strategy="backward",
        check_sortedness=False,
    )  # fmt: skip
    return given.join(later.drop(*_PLACE, "opener"), on=["owner", "stretch"])


def _confirmed(recording: Recording) -> pl.DataFrame:
    """The groups' commits by when they were confirmed."""
    commits = confirmed_commits(recording)
    return commits.select(*_PLACE, committed="offset", at="completed_ns", who="client").sort("at")


def _done_again(recording: Recording, taken_over: pl.DataFrame) -> pl.DataFrame:
    """Records that were done more than once, each later time, with who had done it last before."""
    processed = views.of_op(recording, "process").drop_nulls([*_PLACE, "offset"])
    reads = views.reads(recording).drop_nulls([*_PLACE, "offset"])
    silent = reads.filter(~pl.col("group").is_in(processed["group"].unique().implode()))
    done = pl.concat([processed, silent], how="diagonal")
    done = done.join(taken_over.select("spot"), on="spot", how="semi")
    done = done.with_columns(doing=number(done, "group", "spot"))
    done = done.filter(done["doing"].is_duplicated()).sort("invoked_ns", "row")
    done = done.with_columns(
        first_client=pl.col("client").shift().over("doing"),
        first_incarnation=pl.col("incarnation").shift().over("doing"),
    )
    asked_for = taken_over.select(*_PLACE, "offset", *_OWNER)
    return done.drop_nulls("first_client").join(asked_for, on=[*_PLACE, "offset", *_OWNER], how="semi")


def _below_sentence(row: dict[str, Any]) -> str:
    return (
        f"{row['client']} was given offset {row['offset']} of {row['topic']}-{row['partition']} although "
        f"{row['who']} had committed offset {row['committed']} for group {row['group']} before."
    )

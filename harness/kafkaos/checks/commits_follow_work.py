"""Commits follow work: nothing is committed before it was processed, and committed offsets do not fall."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import polars as pl

from kafkaos.checks import views
from kafkaos.checks.guarantee import broke, held, not_applicable, unknown
from kafkaos.checks.keys import arranged, found, number
from kafkaos.checks.seen import ByPartition, Seen
from kafkaos.checks.story import first_rows, witness
from kafkaos.checks.verdict import Verdict, plural
from kafkaos.checks.work import GROUP_PLACE, confirmed_commits, first_positions, worked
from kafkaos.history import Recording
from kafkaos.history.columns import ROW_KEY

_NEVER_NS = (1 << 63) - 1


@dataclass(frozen=True, kw_only=True)
class CommitsFollowWork(ByPartition):
    """Only commits that were confirmed count. Work is what `process` rows tell; of a group without any, its
    deliveries are its work.

    *Ahead*: below the committed offset lies a record, from the group's first position on, that was not
    processed by any member when the commit was asked for. Work of the member that commits is compared by its
    program order, that of others by time: it was surely later if done after the commit's
    answer. Which records there are is told by the log at the
    end (of committed records where the group reads those) and by the deliveries. In a partition where a
    member sought, only delivered records count. *Fallen*: a commit asked for after another was confirmed, with
    no seek between, has the smaller offset.
    """

    name: ClassVar[str] = "commits_follow_work"
    title: ClassVar[str] = "Offsets are committed after the work, and do not fall"
    mutations: ClassVar[tuple[str, ...]] = ("commit_ahead", "commit_an_unprocessed_record", "commit_falls")

    def look(self, recording: Recording) -> Seen:
        commits = confirmed_commits(recording)
        work = worked(recording)
        fallen = _fallen(recording, commits)
        ahead = _ahead(recording, commits, work) if commits.height else commits
        return Seen(
            counts={
                "commits": commits.height,
                "ahead": ahead.height,
                "fallen": fallen.height,
                "work": work.height,
            },
            told={
                "ahead": [
                    witness(recording, _ahead_sentence(row), _of(row))
                    for row in first_rows(ahead, "invoked_ns")
                ],
                "fallen": [
                    witness(recording, _fallen_sentence(row), _of(row))
                    for row in first_rows(fallen, "invoked_ns")
                ],
            },
        )

    def conclude(self, seen: Seen) -> Verdict:
        counts, ahead, fallen = seen.all_counts(), seen.counts["ahead"], seen.counts["fallen"]
        if not seen.counts["commits"]:
            return not_applicable(self, "No offset commit of a group was confirmed.")
        if ahead or fallen:
            parts = [f"{plural(ahead, 'commit')} ahead of the work"] * bool(ahead)
            parts += [f"{plural(fallen, 'commit')} below an earlier one"] * bool(fallen)
            told = f"Commits did not follow the work: {' and '.join(parts)}."
            return broke(self, told, counts, seen.witnesses("ahead", "fallen"))
        if not seen.counts["work"]:
            return unknown(self, "No work of a group that committed was recorded, only its commits.", counts)
        return held(self, f"{plural(seen.counts['commits'], 'commit')}, none ahead of the work.", counts)


def _required(recording: Recording) -> pl.DataFrame:
    """For each group and place the records that it had to do; several rows where a record is known in several ways."""
    reads = views.reads(recording).drop_nulls([*GROUP_PLACE, "offset"])
    given = reads.select(*GROUP_PLACE, "offset", "value")
    sought = _seeks(recording).select(GROUP_PLACE).unique()
    begun = first_positions(recording).join(sought, on=GROUP_PLACE, how="anti")
    open_to_all = reads.filter(pl.col("isolation") == "uncommitted").select(GROUP_PLACE).unique()
    required = [given]
    for committed, how in ((True, "anti"), (False, "semi")):
        mine = begun.join(open_to_all, on=GROUP_PLACE, how=how)  # type: ignore[arg-type]
        if mine.height:
            log = views.log_for(recording, committed=committed).select("place", "offset", "value")
            lying = log.join(mine, on="place").filter(pl.col("offset") >= pl.col("begin"))
            required.append(lying.select(*GROUP_PLACE, "offset", "value"))
    return pl.concat(required)


def _ahead(recording: Recording, commits: pl.DataFrame, work: pl.DataFrame) -> pl.DataFrame:
    tables = [_required(recording), work, commits]
    both = pl.concat([table.select(*GROUP_PLACE, "offset") for table in tables])
    at = number(both, *GROUP_PLACE, "offset")
    required, done, asked = (
        table.with_columns(at=at.slice(begin, table.height))
        for table, begin in zip(tables, (0, tables[0].height, both.height - commits.height), strict=True)
    )
    required = _first_done(required, done)
    ahead = [
        _with_latest(asked, required, "done_ns", GROUP_PLACE).filter(
            pl.col("latest") > pl.col("completed_ns")
        ),
        _with_latest(asked, required.drop_nulls("client"), "row", [*GROUP_PLACE, "client", "incarnation"])
        .filter(pl.col("latest") > pl.col("row"))
        .with_columns(latest=pl.lit(0, pl.Int64)),
    ]
    return pl.concat(ahead).unique(ROW_KEY, keep="first", maintain_order=True)


def _first_done(required: pl.DataFrame, done: pl.DataFrame) -> pl.DataFrame:
    """Each record once, by `at`, with when and by whom it was first done."""
    required = required.sort("at", maintain_order=True)
    required = required.filter(pl.col("at").ne_missing(pl.col("at").shift()))
    done = arranged(done.select("at", "done_ns", "client", "incarnation", "row"), "at", "done_ns", "row")
    first = pl.Series(found(done["at"], required["at"])).replace(-1, None)
    who = done.drop("at").select(pl.all().gather(first))
    return required.hstack(who).with_columns(pl.col("done_ns").fill_null(_NEVER_NS))


def _with_latest(commits: pl.DataFrame, required: pl.DataFrame, name: str, by: list[str]) -> pl.DataFrame:
    """Each commit with the greatest `name` among the records below its offset, and the record that has it."""
    line = number(pl.concat([required.select(by), commits.select(by)]), *by)
    required = required.with_columns(line=line[: required.height])
    required = required.with_columns(latest=pl.col(name).cum_max().over("line").cast(pl.Int64))
    last = pl.col(name) == pl.col("latest")
    required = required.select(
        "line",
        "at",
        "latest",
        undone=pl.when(last).then("offset").forward_fill().over("line"),
        undone_value=pl.when(last).then("value").forward_fill().over("line"),
    )
    return (
        commits.with_columns(line=line[required.height :], last=pl.col("at") - 1)
        .sort("last")
        .drop("at")
        .join_asof(
            required, left_on="last", right_on="at", by="line", strategy="backward", check_sortedness=False
        )
    )


def _seeks(recording: Recording) -> pl.DataFrame:
    return views.of_op(recording, "seek").drop_nulls(GROUP_PLACE)


def _fallen(recording: Recording, commits: pl.DataFrame) -> pl.DataFrame:
    """Commits below one that was confirmed before they were asked for, in the same stretch between seeks."""
    table = commits
    seeks = _seeks(recording).select(*GROUP_PLACE, at="invoked_ns").sort("at")
    if seeks.height:
        seeks = seeks.with_columns(stretch=pl.int_range(1, pl.len() + 1).over(GROUP_PLACE))
        for name, of in (("stretch", "invoked_ns"), ("done_stretch", "completed_ns")):
            table = table.sort(of).join_asof(
                seeks.rename({"stretch": name}), left_on=of, right_on="at", by=GROUP_PLACE,
                strategy="backward", check_sortedness=False,
            ).drop("at", strict=False)  # fmt: skip
    else:
        table = table.with_columns(stretch=pl.lit(None, pl.Int64), done_stretch=pl.lit(None, pl.Int64))
    table = table.with_columns(pl.col("stretch", "done_stretch").fill_null(0))
    by = [*GROUP_PLACE, "stretch"]
    confirmed = (
        table.select(*GROUP_PLACE, "completed_ns", "offset", stretch="done_stretch", who="client")
        .sort("completed_ns")
        .with_columns(highest=pl.col("offset").cum_max().over(by))
        .select(*by, "highest", at="completed_ns")
    )
    found = table.sort("invoked_ns").join_asof(
        confirmed, left_on="invoked_ns", right_on="at", by=by, strategy="backward", check_sortedness=False
    )
    return found.filter(pl.col("offset") < pl.col("highest"))


def _of(row: dict[str, Any]) -> dict[str, Any]:
    told = {name: row.get(name) for name in ("client", "topic", "partition", "offset")}
    return told | {"value": row.get("undone_value"), "seen_ns": row["invoked_ns"]}


def _ahead_sentence(row: dict[str, Any]) -> str:
    when = "was never processed" if row["latest"] == _NEVER_NS else "was processed only later"
    return (
        f"{row['client']} of group {row['group']} committed offset {row['offset']} of "
        f"{row['topic']}-{row['partition']}, "
        f"but record {row['undone_value']} at offset {row['undone']} {when}."
    )


def _fallen_sentence(row: dict[str, Any]) -> str:
    return (
        f"{row['client']} of group {row['group']} committed offset {row['offset']} of "
        f"{row['topic']}-{row['partition']} "
        f"after offset {row['highest']} had been confirmed."
    )

"""Exactly once: each input of a consume-transform-produce application has one output, through all faults."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, ClassVar

import polars as pl

from kafkaos.checks.guarantee import broke, held, not_applicable, unknown
from kafkaos.checks.matches_model import content
from kafkaos.checks.verdict import WITNESSES_MAX, Verdict, Witness, plural
from kafkaos.history import Recording
from kafkaos.history.bodies import canonical


@dataclass(frozen=True, kw_only=True)
class ExactlyOnce:
    """Counts what `source` and `sink` hold, by the fields `by` of their JSON values that an output has of its input.

    Without `by` an output is the whole value of its input. So inputs that are equal in `by` are told by their number:
    n of them must have n outputs. Records are those that readers of committed records were given at the end.
    """

    name: ClassVar[str] = "exactly_once"
    title: ClassVar[str] = "Each input of an application has one output"
    mutations: ClassVar[tuple[str, ...]] = ("drop_output_of_an_input", "double_output", "rewrite_output")

    source: str = "input"
    sink: str = "output"
    by: tuple[str, ...] = ()

    @property
    def bodies_of(self) -> tuple[str, ...]:
        """The topics whose records it looks at."""
        return (self.source, self.sink)

    def judge(self, recording: Recording) -> Verdict:
        for topic in self.bodies_of:
            if topic not in recording.bodies:
                return not_applicable(
                    self, f"The records of {topic} were not kept, so nothing could be counted."
                )
        given, made = (self._projected(recording.bodies[topic]) for topic in self.bodies_of)
        if given.is_empty() and made.is_empty():
            return unknown(self, f"{self.source} and {self.sink} are empty, so nothing was counted.")
        nth = pl.int_range(pl.len()).over("what").alias("nth")
        given, made = given.with_columns(nth), made.with_columns(nth)
        lost = given.join(made, on=["what", "nth"], how="anti", maintain_order="left")
        surplus = made.join(given, on=["what", "nth"], how="anti", maintain_order="left").with_columns(
            known=pl.col("what").is_in(given["what"].unique().implode())
        )
        doubled, unfounded = surplus.filter("known"), surplus.filter(~pl.col("known"))
        counts: dict[str, int | float] = {
            "inputs": given.height,
            "outputs": made.height,
            "lost": lost.height,
            "duplicated": doubled.height,
            "without_input": unfounded.height,
        }
        if lost.is_empty() and surplus.is_empty():
            return held(self, f"Each of {plural(given.height, 'input')} has one output.", counts)
        witnesses = [
            *(self._told(row, self._again(row, made)) for row in _first(doubled)),
            *(self._told(row, "no input of its kind") for row in _first(unfounded)),
            *(self._lost(row) for row in _first(lost)),
        ]
        return broke(
            self,
            f"Of {plural(given.height, 'input')}, {lost.height:,} have no output; {doubled.height:,} outputs are there "
            f"once more than their input, {unfounded.height:,} without one.",
            counts,
            witnesses,
        )

    def _projected(self, table: pl.DataFrame) -> pl.DataFrame:
        if not self.by:
            return table.with_columns(what="value")
        what = [self._fields(value) for value in table["value"].to_list()]
        return table.with_columns(what=pl.Series(what, dtype=pl.String))

    def _fields(self, value: str) -> str:
        """What input and output share; a value that is no JSON object, or has no such field, is only like itself."""
        try:
            found = json.loads(value)
        except ValueError:
            return value
        if not isinstance(found, dict) or not any(name in found for name in self.by):
            return value
        return canonical([found.get(name) for name in self.by])

    def _again(self, row: dict[str, Any], made: pl.DataFrame) -> str:
        first = made.row(by_predicate=(pl.col("what") == row["what"]) & (pl.col("nth") == 0), named=True)
        inputs = plural(row["nth"], "input")
        return f"{inputs} of its kind, and output {first['partition']}/{first['offset']} already"

    def _told(self, row: dict[str, Any], why: str) -> Witness:
        where = f"{self.sink}-{row['partition']} has at offset {row['offset']} {content(row)}"
        return Witness(
            sentence=f"{where}; it has {why}.",
            topic=self.sink,
            partition=row["partition"],
            offset=row["offset"],
        )

    def _lost(self, row: dict[str, Any]) -> Witness:
        where = f"{self.source}-{row['partition']} has at offset {row['offset']} {content(row)}"
        return Witness(
            sentence=f"{where}; {self.sink} has no output of it.",
            topic=self.source,
            partition=row["partition"],
            offset=row["offset"],
        )


def _first(table: pl.DataFrame) -> list[dict[str, Any]]:
    return table.head(WITNESSES_MAX).to_dicts()

"""Matches the model: what a stream application made is what its reference model makes of the same input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Final

import polars as pl

from kafkaos.checks.guarantee import broke, held, not_applicable, unknown
from kafkaos.checks.verdict import WITNESSES_MAX, Verdict, Witness, plural
from kafkaos.history import Recording
from kafkaos.history.bodies import canonical_text

_SHOWN: Final = 200  # characters of a record in a sentence
_CONTENT: Final = ("key", "value")


@dataclass(frozen=True, kw_only=True)
class MatchesModel:
    """Compares `bodies/TOPIC.jsonl` with `models/TOPIC.jsonl` as multisets of (key, canonical JSON value).

    Order and partitions do not count: a topic of several partitions has no order. A scenario writes the model by
    `chaos.expect`; the records are those that readers of committed records were given at the end. Without `topic`,
    every topic that has a model.
    """

    name: ClassVar[str] = "matches_model"
    title: ClassVar[str] = "A stream's committed output is what its reference model says"
    mutations: ClassVar[tuple[str, ...]] = (
        "drop_output",
        "double_output",
        "rewrite_output",
        "rekey_output",
    )

    topic: str | None = None

    def judge(self, recording: Recording) -> Verdict:
        topics = [self.topic] if self.topic else sorted(recording.models)
        lacking = [
            topic for topic in topics if topic not in recording.models or topic not in recording.bodies
        ]
        if not topics and not recording.models:
            return not_applicable(self, "No topic has a model.")
        if not topics or lacking:
            what = f"{lacking[0]} has no model or was not read" if lacking else "no topic has a model"
            return unknown(self, f"Nothing could be compared: {what}.")
        counts: dict[str, int | float] = {"expected": 0, "found": 0, "missing": 0, "unexpected": 0}
        witnesses: list[Witness] = []
        for topic in topics:
            expected, found = recording.models[topic], recording.bodies[topic]
            missing, unexpected = _less(expected, found), _less(found, expected)
            for name, table in zip(counts, (expected, found, missing, unexpected), strict=True):
                counts[name] += table.height
            witnesses += [_unexpected(topic, row) for row in unexpected.head(WITNESSES_MAX).to_dicts()]
            witnesses += [_missing(topic, row) for row in missing.head(WITNESSES_MAX).to_dicts()]
        if not counts["expected"] and not counts["found"]:
            return unknown(
                self, "The model expects nothing and nothing was found, so nothing was compared.", counts
            )
        if witnesses:
            return broke(
                self,
                f"Of {plural(int(counts['expected']), 'record')} that the model expects, {counts['missing']:,} are "
                f"missing, and {counts['unexpected']:,} are there that it does not expect.",
                counts,
                witnesses,
            )
        return held(self, f"The output is the model's {plural(int(counts['expected']), 'record')}.", counts)


def _less(table: pl.DataFrame, other: pl.DataFrame) -> pl.DataFrame:
    """The rows of `table` that `other` has not, each as often as it has it too seldom; the last ones are told."""
    nth = pl.int_range(pl.len()).over(*_CONTENT).alias("nth")
    return table.with_columns(nth).join(
        other.with_columns(nth), on=[*_CONTENT, "nth"], how="anti", nulls_equal=True, maintain_order="left"
    )


def _unexpected(topic: str, row: dict[str, Any]) -> Witness:
    partition, offset = row["partition"], row["offset"]
    again = f", for the {row['nth'] + 1}. time" if row["nth"] else ""
    return Witness(
        sentence=f"{topic}-{partition} has at offset {offset}{again}, what the model does not expect: {content(row)}.",
        topic=topic,
        partition=partition,
        offset=offset,
    )


def _missing(topic: str, row: dict[str, Any]) -> Witness:
    again = f" {row['nth'] + 1} times" if row["nth"] else ""
    return Witness(sentence=f"{topic} lacks what the model expects{again}: {content(row)}.", topic=topic)


def content(row: dict[str, Any]) -> str:
    """Key and value in words, cut to a line."""
    key = "no key" if row["key"] is None else f"key {row['key']}"
    value = row["value"] if row["value"] != canonical_text(None) else "null"
    return f"{key}, {value if len(value) <= _SHOWN else value[:_SHOWN] + '…'}"

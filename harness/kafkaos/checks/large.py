"""Judging a large recording part by part, so that memory holds one partition and not the whole run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import polars as pl

from kafkaos.checks import story
from kafkaos.checks.guarantee import Guarantee, unknown
from kafkaos.checks.seen import ByPartition, Seen, add_up
from kafkaos.checks.verdict import Verdict
from kafkaos.history import Recording
from kafkaos.history.parts import Parts

_OF_TRANSACTIONS = frozenset({"no_aborted_read", "atomic_transactions", "no_dirty_cycle", "fencing"})
_OF_BODIES = frozenset({"exactly_once", "matches_model"})


def look_at_parts(parts: Parts, whole: Recording, guarantees: Sequence[Guarantee]) -> dict[str, Verdict]:
    """The verdicts by the guarantees' `repr`; `whole` is the run without its rows.

    Guarantees that look at several partitions at once get all rows of the topics in which a value, or a key,
    is seen in several; those of transactions get the topics with transactions; any other gets all.
    """
    seeded = _seeded(parts, whole)
    divisible: list[Any] = [one for one in guarantees if isinstance(one, ByPartition)]
    crossing = parts.crossing("value") if any(one.topic_wide for one in divisible) else set()
    keys = crossing | parts.crossing("key") if any(one.name == "key_order" for one in divisible) else crossing
    wide: dict[str, set[str]] = {repr(one): set() for one in divisible}
    wide |= {repr(one): keys if one.name == "key_order" else crossing for one in divisible if one.topic_wide}
    seen: dict[str, list[Seen]] = {repr(one): [] for one in divisible}
    verdicts: dict[str, Verdict] = {}

    def look(guarantee: Any, recording: Recording) -> None:
        name = repr(guarantee)
        try:
            seen[name] = [add_up([*seen[name], guarantee.look(recording)])]
        except Exception as error:
            verdicts[name] = crashed(guarantee, error)

    for topic, rows in parts:
        recording = seeded(rows)
        for guarantee in divisible:
            if topic not in wide[repr(guarantee)] and repr(guarantee) not in verdicts:
                look(guarantee, recording)
    for topic in sorted(set().union(*wide.values())):
        recording = seeded(parts.of_topics([topic]))
        for guarantee in divisible:
            if topic in wide[repr(guarantee)] and repr(guarantee) not in verdicts:
                look(guarantee, recording)
    for guarantee in divisible:
        name = repr(guarantee)
        if name not in verdicts:
            looked = seen[name][0] if seen[name] else guarantee.look(seeded(parts.common))
            verdicts[name] = guarantee.conclude(looked)
    return verdicts | _others(parts, whole, [one for one in guarantees if not isinstance(one, ByPartition)])


def crashed(guarantee: Guarantee, error: Exception) -> Verdict:
    """A check with a mistake of its own is unknown, never a pass."""
    reason = str(error).splitlines()[0] if str(error) else "no message"
    return unknown(
        guarantee, f"The check itself failed ({type(error).__name__}: {reason}), so nothing was judged."
    )


def _others(parts: Parts, whole: Recording, guarantees: Sequence[Guarantee]) -> dict[str, Verdict]:
    verdicts: dict[str, Verdict] = {}
    for guarantee in guarantees:
        if guarantee.name in _OF_TRANSACTIONS:
            rows = parts.of_topics(parts.transactional_topics())
        else:
            rows = parts.common if guarantee.name in _OF_BODIES else parts.of_topics(parts.topics)
        try:
            verdicts[repr(guarantee)] = guarantee.judge(whole.with_rows(rows))
        except Exception as error:
            verdicts[repr(guarantee)] = crashed(guarantee, error)
    return verdicts


def _seeded(parts: Parts, whole: Recording) -> Callable[[pl.DataFrame], Recording]:
    """Makes recordings of parts that know what only the whole run tells."""
    clients = parts.summary
    first = clients["first_ns"].min()
    name, group = pl.col("client"), pl.col("group")
    schema = parts.common.schema
    known = story.faults(whole.with_rows(parts.common))
    owner = clients.group_by("client", "incarnation").agg(pl.col("last_ns").max())
    lifetimes = owner.with_columns(
        name.cast(schema["client"]), pl.col("incarnation").cast(schema["incarnation"])
    )
    spans = clients.group_by(pl.coalesce(group, name).alias("who")).agg(
        pl.col("first_ns").min(), pl.col("last_row_ns").max()
    )
    processing = clients.filter("processes")["group"].drop_nulls().unique().cast(schema["group"])
    told: dict[str, Any] = {
        "faults": known,
        "start": first if isinstance(first, int) else 0,
        "lifetimes": lifetimes,
        "spans": {who: (begin, end) for who, begin, end in spans.iter_rows()},
        "processing groups": processing,
        "sent topics": pl.Series("topic", parts.sent_topics(), dtype=schema["topic"]),
    }

    def recording(rows: pl.DataFrame) -> Recording:
        made = whole.with_rows(rows)
        for key, value in told.items():
            made.derive(key, partial(_same, value))
        return made

    return recording


def _same(value: Any) -> Any:
    return value

"""One number for several columns: equal, ordered and null exactly as the columns themselves."""

from __future__ import annotations

import itertools

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from kafkaos.checks import GUARANTEES, judge_all
from kafkaos.checks.healthy import healthy
from kafkaos.checks.keys import arranged, found, number
from kafkaos.history import Recording

near = st.integers(-3, 3)
anything = st.integers(-(1 << 63), (1 << 63) - 1)
cells = st.one_of(st.none(), near, anything)
tables = st.lists(st.tuples(cells, cells, cells), min_size=1, max_size=40).map(
    lambda rows: pl.DataFrame(rows, schema={"a": pl.Int64, "b": pl.Int64, "c": pl.Int64}, orient="row")
)


@given(tables)
def test_a_number_stands_for_its_columns(table: pl.DataFrame) -> None:
    """However wide the columns' ranges are, numbers compare as the rows do, and what is unknown has none."""
    rows, numbers = table.rows(), number(table, "a", "b", "c").to_list()
    for row, mine in zip(rows, numbers, strict=True):
        assert (mine is None) == (None in row)
    known = sorted((row, mine) for row, mine in zip(rows, numbers, strict=True) if mine is not None)
    for (row, mine), (after, its) in itertools.pairwise(known):
        assert (mine < its) == (row < after), (row, after)


@given(st.lists(near), st.lists(st.one_of(st.none(), near)))
def test_the_first_equal_key_is_found(keys: list[int], wanted: list[int | None]) -> None:
    """The first place of each wanted number among sorted keys; -1 where there is none, and for null."""
    keys = sorted(keys)
    places = found(pl.Series(keys, dtype=pl.Int64), pl.Series(wanted, dtype=pl.Int64))
    assert places.tolist() == [keys.index(one) if one is not None and one in keys else -1 for one in wanted]


@given(st.lists(st.tuples(near, near)))
def test_a_table_is_arranged_by_its_columns_in_order(rows: list[tuple[int, int]]) -> None:
    """Sorted by the first column, then by the second; equal rows stay in the order given."""
    table = pl.DataFrame(rows, schema={"a": pl.Int64, "b": pl.Int64}, orient="row").with_row_index("nth")
    assert arranged(table, "a", "b").rows() == sorted(table.rows(), key=lambda row: row[1:])


def test_values_and_offsets_as_wide_as_can_be_are_judged_the_same() -> None:
    """Values over all 64 bits, and offsets far apart, change no verdict."""
    recording = healthy(records=300, transactions=12)
    value, offset = pl.col("value"), pl.col("offset")
    of_record = pl.col("op").is_in(["send", "read", "process", "final"])
    wide = recording.rows.with_columns(
        value=pl.when(of_record)
        .then(value * pl.when(value % 2 == 0).then(1).otherwise(-1) * (1 << 20))
        .otherwise(value),
        offset=pl.when(pl.col("op").is_in(["replica", "replica_end"]))
        .then(offset)
        .otherwise(offset + (1 << 61)),
    )
    kinds = [
        kind()
        for name, kind in GUARANTEES.items()
        if name not in ("replicas_agree", "exactly_once", "matches_model")
    ]
    before, after = (judge_all(one, kinds) for one in (recording, Recording(rows=wide)))
    assert [(one.guarantee, one.status, one.counts) for one in after] == [
        (one.guarantee, one.status, one.counts) for one in before
    ]

"""Large recordings part by part: a Parquet file is split by partition into a temporary folder, each part fits memory.

Every part has what concerns all of them as well: rows without a partition (faults, transactions' ends) and the
bounds that the final reader told of its topic.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

import polars as pl

from kafkaos.errors import BrokenRecording
from kafkaos.history.columns import OPS, SCHEMA, conform
from kafkaos.history.sound import refuse_contradictions
from kafkaos.history.tables import RUN_KEY

LARGE_ROWS = 3_000_000
"""A table with more rows is judged part by part."""
PART_ROWS = 750_000
"""Small partitions of a topic are put together up to here."""
_BOUNDS = ("log_start", "log_end", "reached")
_COMMON = -1


def is_large(file: Path) -> bool:
    """Whether a Parquet file has so many rows that it is read part by part; False for what cannot be read."""
    try:
        return int(pl.scan_parquet(file).select(pl.len()).collect().item()) > LARGE_ROWS
    except (pl.exceptions.PolarsError, OSError):
        return False  # told when it is loaded whole


class Parts:
    """A Parquet file of rows, split."""

    def __init__(self, file: Path, folder: Path) -> None:
        self._file = file
        self._folder = folder
        scan = pl.scan_parquet(file)
        names = scan.collect_schema().names()
        conform(scan.head(0).collect(), source=str(file))  # names and types, before anything is written
        self._ours = RUN_KEY in pl.read_parquet_metadata(file)
        self._numbered = "row" in names
        scan = scan if "row" in names else scan.with_row_index("row").cast({"row": pl.Int64})
        # Names as numbers: text would be compared, joined and read again for each row.
        self._scan = scan.with_columns(
            pl.col(name).cast(kind)
            for name, kind in SCHEMA.items()
            if kind == pl.Categorical and name in names
        )
        ordinary = scan.collect_schema()["op"] == OPS
        self._op = pl.col("op") if ordinary else pl.col("op").cast(pl.String)
        if "run" in names and (runs := scan.select(pl.col("run").unique()).collect())["run"].len() > 1:
            first, second = runs["run"][:2]
            raise BrokenRecording(
                f"{file} mixes the runs {first} and {second}: keep each run in its own file"
            )
        self._places = self._number_places()
        self._split()
        common = self._read(_COMMON)
        homeless = (pl.col("op") == "send") & pl.col("topic").is_not_null()
        self._homeless = self._find_homes(common.filter(homeless))
        self.common = common.filter(~homeless)
        self._bounds = self._sound(self._scan.filter(self._op.is_in(_BOUNDS)).collect(engine="streaming"))

    @property
    def topics(self) -> list[str]:
        return self._places["topic"].unique(maintain_order=True).to_list()

    def __iter__(self) -> Iterator[tuple[str, pl.DataFrame]]:
        """Each part with its topic."""
        for (topic, number), places in self._places.group_by("topic", "part", maintain_order=True):
            mine = self._homeless.filter(pl.col("part") == number).drop("part")
            inside = pl.col("partition").is_in(places["partition"].implode())
            elsewhere = self._bounds.filter(pl.col("topic").cast(pl.String) == topic).filter(~inside)
            yield str(topic), pl.concat([self._read(int(str(number))), mine, elsewhere, self.common])

    def of_topics(self, topics: list[str]) -> pl.DataFrame:
        """All rows of some topics, and what concerns all."""
        numbers = self._places.filter(pl.col("topic").is_in(topics))["part"].unique().to_list()
        mine = self._homeless.filter(pl.col("part").is_in(numbers)).drop("part")
        return pl.concat([*(self._read(number) for number in numbers), mine, self.common])

    @cached_property
    def summary(self) -> pl.DataFrame:
        """For each client, incarnation and group: first and last time, how many rows, whether it processes, totals."""
        columns = self.common.columns
        scan = self._scan.with_columns(
            pl.lit(default).alias(name)
            for name, default in (("incarnation", 0), ("group", None), ("completed_ns", None))
            if name in columns and name not in self._scan.collect_schema().names()
        )
        at = pl.col("invoked_ns")
        table = scan.group_by(
            pl.col("client").cast(pl.String), "incarnation", pl.col("group").cast(pl.String)
        ).agg(
            first_ns=at.min(),
            last_row_ns=at.max(),
            last_ns=pl.max_horizontal(at.max(), pl.col("completed_ns").max()),
            rows=pl.len(),
            processes=(self._op == "process").any(),
            sent=(self._op == "send").sum(),
            acknowledged=((self._op == "send") & (pl.col("outcome").cast(pl.String) == "ok")).sum(),
            read=(self._op == "read").sum(),
        )
        return table.collect(engine="streaming")

    def sent_topics(self) -> list[str]:
        """Topics to which a recorded client sent."""
        sent = self._scan.filter((self._op == "send") & pl.col("value").is_not_null())
        return (
            sent.select(pl.col("topic").cast(pl.String).unique())
            .collect(engine="streaming")["topic"]
            .to_list()
        )

    def transactional_topics(self) -> list[str]:
        """Topics of which some row is part of a transaction."""
        if "transaction" not in self._scan.collect_schema().names():
            return []
        within = self._scan.filter(pl.col("transaction").is_not_null() & pl.col("topic").is_not_null())
        found = within.select(pl.col("topic").cast(pl.String).unique()).collect(engine="streaming")
        return found["topic"].to_list()

    def crossing(self, name: str) -> set[str]:
        """Topics in which one `value`, or one `key` of the sends, is seen in several partitions."""
        if name not in self._scan.collect_schema().names():
            return set()
        ops = ("send",) if name == "key" else ("send", "read", "process", "final")
        seen = self._scan.filter(
            self._op.is_in(ops) & pl.col(name).is_not_null() & pl.col("partition").is_not_null()
        )
        found: set[str] = set()
        for topic in self.topics:  # one after the other: the table of values is what takes memory
            mine = seen.filter(pl.col("topic").cast(pl.String) == topic)
            spread = mine.group_by(name).agg(low=pl.col("partition").min(), high=pl.col("partition").max())
            if spread.filter(pl.col("low") != pl.col("high")).head(1).collect(engine="streaming").height:
                found.add(topic)
        return found

    def _number_places(self) -> pl.DataFrame:
        """Each partition with the number of its part; parts do not cross topics."""
        place = [pl.col("topic").cast(pl.String), pl.col("partition").cast(pl.Int32)]
        sizes = (
            self._scan.group_by(place)
            .len()
            .drop_nulls()
            .collect(engine="streaming")
            .sort("topic", "partition")
        )
        part, room, last = -1, 0, None
        numbers = []
        for topic, _, rows in sizes.iter_rows():
            if topic != last or rows > room:
                part, room, last = part + 1, PART_ROWS, topic
            room -= rows
            numbers.append(part)
        return sizes.with_columns(part=pl.Series(numbers, dtype=pl.Int64))

    def _split(self) -> None:
        places = self._places.lazy().select("topic", "partition", "part")
        topic, partition = pl.col("topic").cast(pl.String), pl.col("partition").cast(pl.Int32)
        table = self._scan.with_columns(topic, partition).join(places, on=["topic", "partition"], how="left")
        table = table.with_columns(pl.col("part").fill_null(_COMMON))
        target = pl.PartitionBy(self._folder, key="part", include_key=False)
        table.sink_parquet(target, compression="lz4", mkdir=True, engine="streaming")

    def _read(self, part: int) -> pl.DataFrame:
        files = sorted((self._folder / f"part={part}").glob("*.parquet"))
        if not files:
            return conform(self._scan.head(0).collect(), source=str(self._file))
        return self._sound(pl.read_parquet(files, hive_partitioning=False))

    def _sound(self, frame: pl.DataFrame) -> pl.DataFrame:
        rows = conform(frame, source=str(self._file))
        if not self._ours:
            refuse_contradictions(rows, numbered=self._numbered, source=str(self._file))
        return rows

    def _find_homes(self, sends: pl.DataFrame) -> pl.DataFrame:
        """Sends whose partition is not known go to the part in which their value was seen, else to a topic's first."""
        topic = pl.col("topic").cast(pl.String)
        if sends.is_empty():
            return sends.with_columns(part=pl.lit(0, pl.Int64))
        wanted = sends.select(topic.alias("topic"), "value").unique()
        seen = self._scan.filter(self._op.is_in(("final", "read"))).select(
            topic.alias("topic"), pl.col("partition").cast(pl.Int32), pl.col("value").cast(pl.Int64)
        )
        homes = (
            seen.join(wanted.lazy(), on=["topic", "value"], how="semi")
            .unique(["topic", "value"])
            .collect(engine="streaming")
            .join(self._places.select("topic", "partition", "part"), on=["topic", "partition"])
            .select("value", "part", home_topic="topic")
        )
        firsts = (
            self._places.group_by("topic").agg(first=pl.col("part").min()).rename({"topic": "home_topic"})
        )
        return (
            sends.with_columns(home_topic=topic)
            .join(homes, on=["home_topic", "value"], how="left")
            .join(firsts, on="home_topic", how="left")
            .with_columns(part=pl.coalesce("part", "first", pl.lit(0, pl.Int64)))
            .drop("first", "home_topic")
        )


@contextmanager
def split(file: Path) -> Iterator[Parts]:
    """The parts of a Parquet file, while the block runs. BrokenRecording for what cannot be read."""
    with tempfile.TemporaryDirectory(prefix="kafkaos-parts-", ignore_cleanup_errors=True) as folder:
        try:
            yield Parts(file, Path(folder))
        except (pl.exceptions.PolarsError, OSError) as error:
            reason = str(error).splitlines()[0]
            raise BrokenRecording(f"{file} cannot be read ({reason}): copy or record it again") from None

"""The final reader's records, to name by its content what an application told by its place alone."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from kafkaos.history.reading import read_segments

Int64 = npt.NDArray[np.int64]


class Truth:
    """The values of a run's final truth by place. `segments` are the final reader's; none where it did not look."""

    def __init__(self, segments: list[Path]) -> None:
        self._segments = segments

    @cached_property
    def _places(self) -> dict[tuple[str, int], tuple[Int64, Int64]]:
        """Offsets and values of each partition, by offset."""
        if not self._segments:
            return {}
        rows, _ = read_segments(self._segments)
        found = (
            rows.filter((pl.col("op") == "final") & (pl.col("isolation") == "uncommitted"))
            .drop_nulls("value")
            .sort("offset")
        )
        return {
            (str(topic), int(partition)): (mine["offset"].to_numpy(), mine["value"].to_numpy())
            for (topic, partition), mine in found.group_by("topic", "partition", maintain_order=True)
        }

    @cached_property
    def values(self) -> dict[str, frozenset[int]]:
        """All values of each topic."""
        found: dict[str, set[int]] = {}
        for (topic, _), (_, values) in self._places.items():
            found.setdefault(topic, set()).update(values.tolist())
        return {topic: frozenset(values) for topic, values in found.items()}

    def value(self, topic: str, partition: int, offset: int) -> int | None:
        """The record at a place; None where the final reader found none."""
        offsets, values = self._places.get((topic, partition), (_NOTHING, _NOTHING))
        at = int(np.searchsorted(offsets, offset))
        return int(values[at]) if at < len(offsets) and offsets[at] == offset else None

    def between(self, topic: str, partition: int, low: int, high: int) -> list[int]:
        """The offsets of the records from `low` to `high`, both included."""
        offsets, _ = self._places.get((topic, partition), (_NOTHING, _NOTHING))
        found: list[int] = offsets[(offsets >= low) & (offsets <= high)].tolist()
        return found


_NOTHING: Int64 = np.empty(0, dtype=np.int64)

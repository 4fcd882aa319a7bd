"""What `kafkaos bench` measures. A new one is a module with `ABOUT`, `NOTES`, `measure`, `table`, and a line here."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any, NamedTuple, Protocol, cast

from kafkaos.backends.jars import Progress

BENCHES = ("startup", "links", "traffic", "checks")


class Table(NamedTuple):
    """A bench's figures for people."""

    title: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]


class Bench(Protocol):
    """A module that measures."""

    ABOUT: str
    """What is compared with what, in a few words."""
    NOTES: str
    """How it is measured."""

    def measure(self, *, runs: int, java_home: str | None, progress: Progress) -> Any:
        """The figures as JSON values; `runs` of each kind, in alternation."""
        ...

    def table(self, measured: Any) -> Table: ...


def load_bench(name: str) -> Bench:
    """The bench of this name, which must be one of BENCHES."""
    return cast(Bench, import_module(f"kafkaos.bench.{name}"))

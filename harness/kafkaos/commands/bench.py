"""`kafkaos bench`: measure, on this machine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from kafkaos.commands.options import JavaHome, Json
from kafkaos.commands.telling import print_json, progress, stdout
from kafkaos.errors import EXIT_HELD, WrongUse
from kafkaos.shipped import near

BENCHES = ("startup", "links")


def bench(
    name: Annotated[str, typer.Argument(help=f"One of: {', '.join(BENCHES)}.")],
    runs: Annotated[
        int, typer.Option(min=3, max=50, help="Of each kind, in alternation; the median counts.")
    ] = 3,
    java_home: JavaHome = None,
    json: Json = False,
) -> int:
    """Measure: `startup` our starts against plain `java kafka.Kafka`, `links` the network links against none."""
    if name not in BENCHES:
        raise WrongUse(f"There is no bench `{name}`{near(name, list(BENCHES))}")
    from kafkaos.bench import links, startup

    with progress() as tell:
        measured: dict[str, Any]
        if name == "startup":
            measured, notes = (
                startup.measure_startup(runs=runs, java_home=java_home, progress=tell),
                startup.NOTES,
            )
        else:
            measured, notes = links.measure_links(runs=runs, java_home=java_home, progress=tell), links.NOTES
    if json:
        print_json({**measured, "notes": notes})
        return EXIT_HELD
    (_tell_startup if name == "startup" else _tell_links)(measured)
    stdout().print(notes, markup=False)
    return EXIT_HELD


def _tell_startup(measured: dict[str, Any]) -> None:
    rows = [
        (cluster, f"{row['plain_s']:.2f} s", f"{row['ours_s']:.2f} s", f"{row['ratio']:.2f}")
        for cluster, row in measured.items()
    ]
    _print_table("To the first acknowledged acks=all record", ("cluster", "plain", "ours", "ratio"), rows)


def _tell_links(measured: dict[str, Any]) -> None:
    relay = measured["relay"]
    rows = [
        ("Kafka, produced and read", *_rates(measured), f"{measured['throughput_ratio']:.2f}"),
        ("one request", *(f"{measured[f'{k}_latency_ms_median']:.3f} ms" for k in ("direct", "links")),
         f"+ {measured['added_latency_ms_median']:.3f} ms"),
        ("the relay alone", *_rates(relay), f"+ {relay['added_round_trip_ms_median']:.3f} ms"),
    ]  # fmt: skip
    _print_table("Through the links against straight", ("", "direct", "links", "ratio or more"), rows)


def _rates(measured: dict[str, Any]) -> list[str]:
    return [f"{measured[f'{kind}_mb_per_s']:.0f} MB/s" for kind in ("direct", "links")]


def _print_table(title: str, columns: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, title=title, title_justify="left")
    for place, column in enumerate(columns):
        table.add_column(column, justify="right" if place else "left")
    for row in rows:
        table.add_row(*row)
    stdout().print(table)

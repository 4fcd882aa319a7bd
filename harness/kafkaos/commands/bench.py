"""`kafkaos bench`: measure, on this machine."""

from __future__ import annotations

from typing import Annotated

import typer

from kafkaos.commands.options import JavaHome, Json
from kafkaos.commands.telling import print_json, progress, stdout
from kafkaos.errors import EXIT_HELD, WrongUse
from kafkaos.shipped import near

BENCHES = ("startup",)


def bench(
    name: Annotated[str, typer.Argument(help=f"One of: {', '.join(BENCHES)}.")],
    runs: Annotated[
        int, typer.Option(min=3, max=50, help="Of each kind, in alternation; the median counts.")
    ] = 3,
    java_home: JavaHome = None,
    json: Json = False,
) -> int:
    """Measure: `startup` compares our starts with plain `java kafka.Kafka`, to the first acknowledged record."""
    if name not in BENCHES:
        raise WrongUse(f"There is no bench `{name}`{near(name, list(BENCHES))}")
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from kafkaos.bench.startup import NOTES, measure_startup

    with progress() as tell:
        measured = measure_startup(runs=runs, java_home=java_home, progress=tell)
    if json:
        print_json({**measured, "notes": NOTES})
        return EXIT_HELD
    table = Table(box=SIMPLE_HEAD, title="To the first acknowledged acks=all record", title_justify="left")
    for column in ("cluster", "plain", "ours", "ratio"):
        table.add_column(column, justify="left" if column == "cluster" else "right")
    for cluster, row in measured.items():
        table.add_row(cluster, f"{row['plain_s']:.2f} s", f"{row['ours_s']:.2f} s", f"{row['ratio']:.2f}")
    stdout().print(table)
    stdout().print(NOTES, markup=False)
    return EXIT_HELD

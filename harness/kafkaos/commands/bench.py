"""`kafkaos bench`: measure, on this machine."""

from __future__ import annotations

from typing import Annotated

import typer

from kafkaos.bench import BENCHES, load_bench
from kafkaos.commands.options import JavaHome, Json
from kafkaos.commands.telling import print_json, progress, stdout
from kafkaos.errors import EXIT_HELD, WrongUse
from kafkaos.shipped import near


def bench(
    name: Annotated[str, typer.Argument(help=f"One of: {', '.join(BENCHES)}.")],
    runs: Annotated[
        int, typer.Option(min=3, max=50, help="Of each kind, in alternation; the median counts.")
    ] = 3,
    java_home: JavaHome = None,
    json: Json = False,
) -> int:
    """Measure ratios on this machine: starts, network links, recording clients, checks."""
    if name not in BENCHES:
        raise WrongUse(f"There is no bench `{name}`{near(name, list(BENCHES))}")
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    chosen = load_bench(name)
    with progress() as tell:
        measured = chosen.measure(runs=runs, java_home=java_home, progress=tell)
    if json:
        print_json({**measured, "notes": chosen.NOTES} if isinstance(measured, dict) else measured)
        return EXIT_HELD
    title, columns, rows = chosen.table(measured)
    table = Table(box=SIMPLE_HEAD, title=title, title_justify="left")
    for place, column in enumerate(columns):
        table.add_column(column, justify="right" if place else "left")
    for row in rows:
        table.add_row(*row)
    stdout().print(table)
    stdout().print(chosen.NOTES, markup=False)
    return EXIT_HELD

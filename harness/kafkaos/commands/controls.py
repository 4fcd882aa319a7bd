"""`kafkaos controls`: the harness's self-test on real brokers. Every guarantee must break where it is set up weakly."""

from __future__ import annotations

import datetime
import random
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kafkaos.commands.options import JavaHome, Json
from kafkaos.commands.telling import print_json, progress, stdout
from kafkaos.errors import EXIT_HELD, EXIT_UNKNOWN, KafkaosError, WrongUse
from kafkaos.reporting.results import check_folder
from kafkaos.shipped import near

if TYPE_CHECKING:
    from kafkaos.backends.pool import ClusterPool
    from kafkaos.controls import Control, ControlResult


def controls(  # noqa: PLR0917 (typer passes all by keyword)
    name: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME]…", help="A control, or a guarantee; without one all."),
    ] = None,
    times: Annotated[int, typer.Option(min=1, max=100, help="Run each so many times.")] = 1,
    seed: Annotated[int | None, typer.Option(min=0, help="Of every random choice.")] = None,
    java_home: JavaHome = None,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="For recordings and logs (reports/out/TIME-controls).")
    ] = None,
    json: Json = False,
) -> int:
    """Self-test: each guarantee must turn red on a weak setting of real brokers, and stay green on its safe twin."""
    from kafkaos.backends.pool import ClusterPool
    from kafkaos.backends.start import Setup

    chosen = _choose(name or [])
    seed = secrets.randbelow(2**31) if seed is None else seed
    folder = (out or Path("reports/out") / f"{datetime.datetime.now():%Y%m%d-%H%M%S}-controls").absolute()
    check_folder(folder)
    runs = folder / "runs"
    if runs.exists():  # a recording is never gone on with
        raise WrongUse(
            f"{folder} holds runs already: name a folder of its own with --out, or remove that one."
        )
    rows: list[dict[str, Any]] = []
    with progress() as tell:
        pool = ClusterPool(
            folder / "clusters", setup=Setup(java_home=java_home), progress=tell, rng=random.Random(seed)
        )
        try:
            # Of one cluster after each other, so that it is started once.
            for control in sorted(chosen, key=lambda one: (one.cluster, str(sorted(one.properties.items())))):
                for time in range(times):
                    tell(f"{control.name}, run {time + 1} of {times}: {control.weakness}")
                    rows += _played(control, pool, runs / f"{control.name}-{time + 1}", seed + time)
        finally:
            pool.close()
    rows.sort(key=lambda row: (_order().index(row["guarantee"]), row["control"], row["run"]))
    if json:
        print_json(rows)
    else:
        _print(rows, times)
        if runs.exists():
            stdout().print(f"recordings: {folder}", markup=False)
    return EXIT_HELD if all(row["holds"] for row in rows) else EXIT_UNKNOWN


def _choose(names: list[str]) -> list[Control]:
    from kafkaos.controls import CONTROLS

    if not names:
        return list(CONTROLS.values())
    found: dict[str, Control] = {}
    for name in names:
        fitting = [c for c in CONTROLS.values() if name in (c.name, *(g.name for g in c.guarantees))]
        if not fitting:
            raise WrongUse(f"There is no control `{name}`{near(name, sorted({*CONTROLS, *_order()}))}")
        found |= {control.name: control for control in fitting}
    return list(found.values())


def _order() -> list[str]:
    from kafkaos.checks import GUARANTEES

    return list(GUARANTEES)


def _played(control: Control, pool: ClusterPool, folder: Path, seed: int) -> list[dict[str, Any]]:
    """One row a guarantee. A control that could not be played is unknown on both sides, with the reason."""
    run = int(folder.name.rpartition("-")[2])
    try:
        result = _play(control, pool, folder, seed)
    except KafkaosError as error:
        told = f"{type(error).__name__}: {error}"
        return [
            _row(control, run, g.name, weak="unknown", safe="unknown", broke=told, held=told)
            for g in control.guarantees
        ]
    return [
        _row(
            control,
            run,
            weak.guarantee,
            weak=str(weak.status),
            safe=str(twin.status),
            broke=weak.sentence,
            held=twin.sentence,
        )
        for weak, twin in zip(result.weak, result.twin, strict=True)
    ]


def _play(control: Control, pool: ClusterPool, folder: Path, seed: int) -> ControlResult:
    from kafkaos.run import Chaos

    cluster = pool.take(control.spec)
    try:
        chaos = Chaos(
            cluster, spawner=pool.supervisor, folder=folder, run_id=f"{seed}:{control.name}", seed=seed
        )
        try:
            return control.run(chaos)
        finally:
            chaos.close()
    finally:
        pool.give_back(cluster)


def _row(
    control: Control, run: int, guarantee: str, *, weak: str, safe: str, broke: str, held: str
) -> dict[str, Any]:
    return {
        "guarantee": guarantee,
        "weak": weak,
        "safe": safe,
        "holds": weak == "fail" and safe == "pass",
        "control": control.name,
        "run": run,
        "weak_setting": control.weakness,
        "safe_setting": control.safety,
        "broke": broke,
        "held": held,
    }


def _print(rows: list[dict[str, Any]], times: int) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD)
    for column in ("guarantee", "weak setting", "weak", "what it broke", "twin", "safe setting"):
        table.add_column(column)
    by: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in rows:
        by.setdefault((row["guarantee"], row["control"]), []).append(row)
    for (guarantee, _), runs in by.items():
        bad = next((row for row in runs if not row["holds"]), None)
        shown = bad or runs[0]
        red = sum(row["weak"] == "fail" for row in runs)
        green = sum(row["safe"] == "pass" for row in runs)
        table.add_row(
            guarantee,
            shown["weak_setting"],
            f"[{'green' if red == len(runs) else 'red'}]red {red}/{times}",
            shown["broke"] if shown["weak"] == "fail" or bad is None else f"NOT: {shown['broke']}",
            f"[{'green' if green == len(runs) else 'red'}]green {green}/{times}",
            shown["safe_setting"],
        )
    stdout().print(table)

"""`kafkaos import`: other tools' histories as recordings, to be judged by `kafkaos check`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Annotated, Any

import typer

from kafkaos.commands.telling import stdout
from kafkaos.errors import EXIT_HELD, BrokenRecording, WrongUse
from kafkaos.reporting.results import check_folder
from kafkaos.shipped import near

KINDS = ("jepsen", "verifiable")


def import_history(
    kind: Annotated[str, typer.Argument(metavar="KIND", help=f"One of: {', '.join(KINDS)}.")],
    files: Annotated[list[Path], typer.Argument(metavar="FILE…", help="What the other tool wrote.")],
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="The recording's folder; it is made.")],
    group: Annotated[
        str | None, typer.Option(help="verifiable: the consumer group of those that read.")
    ] = None,
    isolation: Annotated[
        str, typer.Option(help="verifiable: at which level they read, committed or uncommitted.")
    ] = "uncommitted",
) -> int:
    """Turn another tool's history into a recording; judge it with `kafkaos check FOLDER`.

    jepsen: one history of its Kafka workload (history.edn, or its op maps as .json or .jsonl).
    verifiable: what Kafka's VerifiableProducer and VerifiableConsumer printed, a file for each client, named for it.
    """
    if kind not in KINDS:
        raise WrongUse(f"There is no kind of history `{kind}`{near(kind, list(KINDS))}")
    for file in files:
        if not file.is_file():
            raise WrongUse(f"There is no file {file}.")
    check_folder(out)
    if out.exists() and any(out.iterdir()):
        raise WrongUse(f"{out} is not empty: name a new folder.")
    if isolation not in ("committed", "uncommitted"):
        raise WrongUse(f"There is no isolation level `{isolation}`: say committed or uncommitted.")
    made = not out.exists()
    out.mkdir(parents=True, exist_ok=True)
    try:
        rows = _jepsen(files, out) if kind == "jepsen" else _verifiable(files, out, group, isolation)
    except BaseException:
        if made:  # what is half there would be in the way of the next try
            shutil.rmtree(out, ignore_errors=True)
        raise
    stdout().print(
        f"{rows:,} rows in {out}; judge them with: kafkaos check {out}", markup=False, soft_wrap=True
    )
    return EXIT_HELD


def _jepsen(files: list[Path], out: Path) -> int:
    from kafkaos.history.jepsen import read_history
    from kafkaos.history.recording import ARCHIVE_FILE, rows_by_client, write_meta

    if len(files) != 1:
        raise WrongUse("A recording is made of one history: name one file.")
    rows = read_history(files[0])
    rows.write_parquet(out / ARCHIVE_FILE)
    write_meta(out, {"rows": rows.height, "clients": rows_by_client(rows), "imported_from": files[0].name})
    return rows.height


def _verifiable(files: list[Path], out: Path, group: str | None, isolation: Any) -> int:
    from kafkaos.apps.clock import Clock
    from kafkaos.apps.output import Output
    from kafkaos.apps.rows import Incarnation
    from kafkaos.apps.truth import Truth
    from kafkaos.history.recording import archive, read_meta, write_meta

    if len({file.stem for file in files}) != len(files):
        raise WrongUse("Two of the files have the same name: each names its client.")
    (out / "segments").mkdir()
    write_meta(out, {"run": out.name, "imported_from": [file.name for file in files]})
    clock = Clock(started_ns=0, wall_ahead_ns=_first_ms(files) * 1_000_000)
    for file in files:
        Incarnation(number=0, output=Output(file, who=file.stem), clock=clock).record(
            out / "segments" / f"{file.stem}.seg", Truth([]), client=file.stem, run=out.name, group=group,
            isolation=isolation,
        )  # fmt: skip
    archive(out)
    rows = int(read_meta(out)["rows"])
    if not rows:
        raise BrokenRecording(
            f"{files[0]} has no line of a verifiable client: name what they printed on stdout"
        )
    return rows


def _first_ms(files: list[Path]) -> int:
    """The earliest timestamp of all lines: the recording's clock begins there."""
    found = []
    for file in files:
        for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                told = json.loads(line)
            except ValueError:
                continue
            if isinstance(told, dict) and isinstance(told.get("timestamp"), int):
                found.append(told["timestamp"])
                break
    return min(found, default=0)

"""`kafkaos check`: judge recordings, with no cluster."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from kafkaos.commands.options import Json
from kafkaos.commands.telling import print_json, stderr, stdout
from kafkaos.errors import EXIT_BROKE, EXIT_HELD, EXIT_UNKNOWN, BrokenRecording, KafkaosError, WrongUse

HELP = """Judge a recording again, with no cluster: which guarantees held, which broke, and the records that show it.

    RUN is a run's folder (every recording below it is judged), or a .parquet or .jsonl file of anybody's making:
    one row for each operation of each client, with at least the columns client, op (send, read, final, …), topic,
    partition, offset, value, invoked_ns and outcome (ok, fail, info). docs/recording.md describes all columns.
    """


def check(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run's folder, a .parquet or a .jsonl file.")],
    guarantee: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Judge this guarantee instead of the recorded ones; repeat it."),
    ] = None,
    json: Json = False,
) -> int:
    from kafkaos.checks import from_json

    named = [from_json(name) for name in guarantee or []]
    answers = [_judge(path, named) for path in _recordings(run)]
    status = _worst([answer["exit_status"] for answer in answers])
    if json:
        for answer in answers:
            answer.pop("told")
        print_json({"exit_status": status, "recordings": answers})
        return status
    for answer in answers:
        if answer["error"]:
            stderr.print(f"kafkaos: {answer['error']}", markup=False)
        for part in answer["told"]:
            stdout().print(part)
    return status


check.__doc__ = HELP


def _recordings(run: Path) -> list[Path]:
    """The recordings at or below a path, as `load` takes them."""
    if not run.is_dir():
        return [run]
    found = {p.parent for name in ("recording.parquet", "recording.json") for p in run.rglob(name)}
    found |= {p.parent.parent for p in run.rglob("segments/*.seg")}
    if not found:
        raise WrongUse(f"There is no recording in {run}: name a run's folder, a .parquet or a .jsonl file.")
    return sorted(found)


def _judge(path: Path, named: list[Any]) -> dict[str, Any]:
    from kafkaos.checks import from_json, judge_all
    from kafkaos.history import load
    from kafkaos.reporting.table import Totals

    try:
        recording = load(path)
        listed = named or [from_json(given) for given in recording.meta.get("guarantees", [])] or _defaults()
    except WrongUse as error:
        if not path.exists():
            raise
        return _unreadable(path, error)
    except BrokenRecording as error:
        return _unreadable(path, error)
    verdicts = judge_all(recording, listed)
    totals = Totals.of(recording, verdicts)
    status = _worst(
        [{"pass": EXIT_HELD, "fail": EXIT_BROKE}.get(v.status.value, EXIT_UNKNOWN) for v in verdicts]
    )
    return {
        "path": str(path),
        "run": recording.meta.get("run"),
        "exit_status": status,
        "error": None,
        "totals": {name: getattr(totals, name) for name in totals.__dataclass_fields__},
        "verdicts": [verdict.to_json() for verdict in verdicts],
        "told": _tables(path, verdicts, totals),
    }


def _unreadable(path: Path, error: KafkaosError) -> dict[str, Any]:
    return {
        "path": str(path), "run": None, "exit_status": error.exit_status, "error": str(error), "totals": None,
        "verdicts": [], "told": [],
    }  # fmt: skip


def _tables(path: Path, verdicts: list[Any], totals: Any) -> list[Any]:
    from rich.text import Text

    from kafkaos.reporting.table import guarantees_table, totals_table

    witnesses = [
        Text(f"  {verdict.guarantee}: {witness.sentence}")
        for verdict in verdicts
        for witness in verdict.witnesses
    ]
    return [guarantees_table(str(path), verdicts), *witnesses, totals_table([(path.name, totals)])]


def _defaults() -> list[Any]:
    """Every guarantee that needs no parameter of the user's."""
    from dataclasses import MISSING, fields

    from kafkaos.checks import GUARANTEES

    def bare(kind: Any) -> bool:
        return all(f.default is not MISSING or f.default_factory is not MISSING for f in fields(kind))

    return [kind() for kind in GUARANTEES.values() if bare(kind)]


def _worst(statuses: list[int]) -> int:
    """A broken guarantee is the news, whatever could not be judged beside it."""
    if EXIT_BROKE in statuses:
        return EXIT_BROKE
    return max(statuses, default=EXIT_UNKNOWN)

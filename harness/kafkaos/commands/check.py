"""`kafkaos check`: judge recordings, with no cluster."""

from __future__ import annotations

from dataclasses import replace
from json import loads
from pathlib import Path
from typing import Annotated, Any

import typer

from kafkaos.commands.options import Json
from kafkaos.commands.telling import print_json, stderr, stdout
from kafkaos.errors import EXIT_BROKE, EXIT_HELD, EXIT_UNKNOWN, BrokenRecording, KafkaosError, WrongUse
from kafkaos.shipped import shipped

RECORDINGS = ("recording.parquet", "recording.jsonl", "recording.json")
HELP = """Judge a recording again, with no cluster: which guarantees held, which broke, and the records that show it.

    RUN is a run's folder (every recording below it is judged), or a .parquet or .jsonl file of anybody's making:
    one row for each operation of each client, with at least the columns client, op (send, read, final, …), topic,
    partition, offset, value, invoked_ns and outcome (ok, fail, info). `kafkaos check --format` prints the whole
    format, with an example: columns, types, units, and which rows each guarantee needs.

    Judged are the guarantees that the recording names; if it names none, all that its rows allow: the others are told
    as not applicable and do not count. Exit status: 0 all held, 1 a guarantee broke, 2 unknown or unreadable, 64 wrong
    use, as with no file at RUN. Jepsen's and Kafka's own histories: see `kafkaos import --help`.
    """


def check(
    run: Annotated[
        Path | None, typer.Argument(metavar="RUN", help="A run's folder, a .parquet or a .jsonl file.")
    ] = None,
    guarantee: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Judge this guarantee instead of the recorded ones; repeat it. With parameters as JSON: "
            '{"guarantee": "recovered", "within_s": 5}.',
        ),
    ] = None,
    show_format: Annotated[bool, typer.Option("--format", help="Print the format of recordings.")] = False,
    json: Json = False,
) -> int:
    if show_format:
        stdout().print(
            (shipped("docs") / "recording.md").read_text(encoding="utf-8"), markup=False, soft_wrap=True
        )
        return EXIT_HELD
    if run is None:
        raise WrongUse("Name a recording: a run's folder, a .parquet or a .jsonl file.")
    named = [_guarantee(given) for given in guarantee or []]
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
    found = {p.parent for name in RECORDINGS for p in run.rglob(name)}
    found |= {p.parent.parent for p in run.rglob("segments/*.seg")}
    if not found:
        raise WrongUse(f"There is no recording in {run}: name a run's folder, a .parquet or a .jsonl file.")
    return sorted(found)


def _guarantee(given: str) -> Any:
    from kafkaos.checks import from_json

    if not given.startswith("{"):
        return from_json(given)
    try:
        return from_json(loads(given))
    except ValueError as error:
        raise WrongUse(
            f"{given} is not JSON ({error}): write the name, or an object with its parameters."
        ) from None


def _judge(path: Path, named: list[Any]) -> dict[str, Any]:
    from kafkaos.checks import judge_all, judge_file
    from kafkaos.history import load
    from kafkaos.history.recording import large_file, read_meta
    from kafkaos.reporting.table import Totals

    try:
        if large_file(path) is None:
            recording = load(path)
            asked = named or _recorded(path, recording.meta)
            verdicts = judge_all(recording, asked or _defaults())
        else:
            asked = named or _recorded(path, read_meta(path) if path.is_dir() else {})
            recording, verdicts = judge_file(path, asked or _defaults())
    except BrokenRecording as error:
        return _unreadable(path, error)
    # A large recording has been judged by parts and has no rows here, but their number.
    totals = replace(Totals.of(recording, verdicts), **recording.derive("totals", dict))
    return {
        "path": str(path),
        "run": recording.meta.get("run"),
        "exit_status": _status(verdicts if asked else [one for one in verdicts if one.applicable]),
        "error": None,
        "totals": {name: getattr(totals, name) for name in totals.__dataclass_fields__},
        "verdicts": [verdict.to_json() for verdict in verdicts],
        "told": _tables(path, verdicts, totals),
    }


def _recorded(path: Path, meta: dict[str, Any]) -> list[Any]:
    """The guarantees that the recording names."""
    from kafkaos.checks import from_json

    given = meta.get("guarantees", [])
    if not isinstance(given, list):
        raise BrokenRecording(f"recording.json of {path} has guarantees that are no list: list them by name")
    try:
        return [from_json(one) for one in given]
    except WrongUse as error:
        raise BrokenRecording(f"recording.json of {path} cannot be followed: {error}") from None


def _status(verdicts: list[Any]) -> int:
    """Of the verdicts that count; with none of them nothing was observed, which is unknown."""
    statuses = {"pass": EXIT_HELD, "fail": EXIT_BROKE}
    return _worst([statuses.get(verdict.status.value, EXIT_UNKNOWN) for verdict in verdicts])


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
    """Every guarantee, with its default parameters."""
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

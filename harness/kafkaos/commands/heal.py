"""`kafkaos heal`: what killed harnesses left behind is taken away."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kafkaos.commands.options import Json
from kafkaos.commands.telling import print_json, stderr, stdout
from kafkaos.errors import EXIT_HELD, EXIT_UNKNOWN, WrongUse

OUT = Path("reports/out")


def heal(
    folder: Annotated[Path, typer.Argument(help="Where runs left their folders.")] = OUT,
    json: Json = False,
) -> int:
    """Undo the faults, and remove the clusters' folders, that a killed run left behind."""
    from kafkaos.backends import docker_engine
    from kafkaos.backends.network import sweep
    from kafkaos.faults.journal import heal_leftovers

    # Where nothing ever ran there is no default folder; one that a person named is there, or it is misspelt.
    if not folder.is_dir() and (folder != OUT or folder.exists()):
        raise WrongUse(f"There is no folder {folder}: name the one where runs left theirs.")
    undone, failed = heal_leftovers(folder) if folder.is_dir() else ([], [])
    # Containers first: they have the folders mounted.
    removed = [*docker_engine.sweep_if_there(), *map(str, sweep())]
    for sentence in failed:
        stderr.print(f"kafkaos: {sentence}", markup=False)
    status = EXIT_UNKNOWN if failed else EXIT_HELD
    if json:
        print_json({"undone": undone, "removed": removed, "failed": failed})
        return status
    console = stdout()
    for sentence in undone:
        console.print(sentence, markup=False)
    for path in removed:
        console.print(f"Removed {path}: its harness is gone.", markup=False)
    if not undone and not removed and not failed:
        console.print("Nothing was left behind.")
    return status

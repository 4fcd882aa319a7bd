"""`kafkaos heal`: what killed harnesses left behind is taken away."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kafkaos.commands.options import Json
from kafkaos.commands.telling import print_json, stdout
from kafkaos.errors import EXIT_HELD


def heal(
    folder: Annotated[Path, typer.Argument(help="Where runs left their folders.")] = Path("reports/out"),
    json: Json = False,
) -> int:
    """Undo the faults, and remove the clusters' folders, that a killed run left behind."""
    from kafkaos.backends import docker_engine
    from kafkaos.backends.network import sweep
    from kafkaos.faults.journal import heal_leftovers

    undone = heal_leftovers(folder) if folder.is_dir() else []
    # Containers first: they have the folders mounted.
    removed = [*docker_engine.sweep_if_there(), *map(str, sweep())]
    if json:
        print_json({"undone": undone, "removed": removed})
        return EXIT_HELD
    console = stdout()
    for sentence in undone:
        console.print(sentence, markup=False)
    for path in removed:
        console.print(f"Removed {path}: its harness is gone.", markup=False)
    if not undone and not removed:
        console.print("Nothing was left behind.")
    return EXIT_HELD

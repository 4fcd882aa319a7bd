"""`kafkaos list`: what there is to name."""

from __future__ import annotations

from json import dumps
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table

from kafkaos.backends.names import DEFAULT_BACKEND
from kafkaos.backends.names import Backend as NamedBackend
from kafkaos.commands.options import Backend, Json, check_backend
from kafkaos.commands.telling import print_json, stdout
from kafkaos.errors import EXIT_HELD, WrongUse
from kafkaos.shipped import near

KINDS = ("clusters", "faults", "guarantees", "scenarios")
OLDER_KAFKA_VERSION = "4.2.1"
"""One from which an upgrade is possible."""
Rows = list[dict[str, Any]]


def list_things(
    kind: Annotated[str, typer.Argument(help=" | ".join(KINDS), metavar="|".join(KINDS))],
    backend: Backend = DEFAULT_BACKEND,
    json: Json = False,
) -> int:
    """List the clusters, faults (with why one cannot be had of a backend here), guarantees or scenarios."""
    named = check_backend(backend)
    makers = {
        "clusters": _clusters,
        "faults": lambda: faults(named),
        "guarantees": _guarantees,
        "scenarios": _scenarios,
    }
    if kind not in makers:
        raise WrongUse(f"There is no list of `{kind}`{near(kind, list(KINDS))}")
    rows = makers[kind]()
    if json:
        print_json(rows)
        return EXIT_HELD
    if kind == "scenarios":
        # Their names are what one copies into `kafkaos run`: no column of a table is wide enough.
        for row in rows:
            stdout().print(_told(row), markup=False, soft_wrap=True)
        return EXIT_HELD
    table = Table(box=SIMPLE_HEAD)
    for name in rows[0] if rows else ():
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*(_cell(value) for value in row.values()))
    stdout().print(table)
    return EXIT_HELD


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if isinstance(value, dict):
        return ", ".join(f"{key}={dumps(one)}" for key, one in value.items())
    return "" if value is None else str(value)


def _clusters() -> Rows:
    from kafkaos.spec import cluster_names, load_spec

    specs = [load_spec(name) for name in cluster_names()]
    return [
        {
            "name": s.name,
            "brokers": s.brokers,
            "controllers": s.controllers,
            "security": f"{s.security}, {s.sasl}" if s.sasl else s.security,
            "kafka": s.kafka,
            "description": s.description,
        }
        for s in specs
    ]


def faults(backend: NamedBackend) -> Rows:
    """Whether a fault is available on this machine: asked of a cluster that has all that a cluster file can ask for."""
    from kafkaos.faults import registry

    cluster = _never_started(backend)
    rows = []
    for fault in registry.values():
        # Availability is a matter of the cluster, never of the fault's target, which is not known here.
        reason = fault.available(object.__new__(fault), cluster)
        rows.append(
            {
                "name": fault.name,
                "family": fault.family,
                "available": reason is None,
                "reason": reason,
                "title": fault.title,
            }
        )
    return rows


def _never_started(backend: NamedBackend = DEFAULT_BACKEND) -> Any:
    """A cluster of this backend that has its nodes and abilities, and nothing that runs."""
    from kafkaos.backends import kraft
    from kafkaos.backends.external import ExternalCluster
    from kafkaos.backends.network import FIRST_SUBNET, PORT_BASES, Subnet
    from kafkaos.backends.process import ProcessCluster
    from kafkaos.spec import load_spec

    port = PORT_BASES[0]
    subnet = Subnet(FIRST_SUBNET, -1, port, port + 1, port + 2)
    nothing: Any = None
    everything = {"log_dirs": 2, "disk_mb": 64, "kafka": OLDER_KAFKA_VERSION}
    spec = load_spec("three-mtls").model_copy(update=everything)
    if backend == "process":
        return ProcessCluster(spec, supervisor=nothing, jvm=nothing, subnet=subnet, log_folder=Path())
    if backend == "docker":
        from kafkaos.backends.docker_cluster import DockerCluster

        return DockerCluster(
            spec, client=nothing, image=nothing, supervisor=nothing, subnet=subnet, log_folder=Path()
        )
    external = object.__new__(ExternalCluster)  # to make one is to reach it
    external._spec, external._nodes = spec, kraft.plan_nodes(spec, subnet)
    return external


def _guarantees() -> Rows:
    from kafkaos.checks import GUARANTEES, to_json

    return [
        {
            "name": kind.name,
            "title": kind.title,
            "parameters": {key: value for key, value in to_json(kind()).items() if key != "guarantee"},
            "mutations": list(kind.mutations),
        }
        for kind in GUARANTEES.values()
    ]


def _scenarios() -> Rows:
    from kafkaos.commands.scenarios import scenarios

    return [
        {
            "name": s.name,
            "file": str(s.file),
            "rows": list(s.rows),
            "clusters": list(s.clusters),
            "brokers": s.brokers,
            "only": s.only,
            "title": s.title,
        }
        for s in scenarios()
    ]


def _told(scenario: dict[str, Any]) -> str:
    """A scenario for people: its name and its rows, what it verifies, and where."""
    brokers, only = scenario["brokers"], scenario["only"]
    needs = f"no other: {only}" if only else "" if brokers == 1 else f"any with {brokers} brokers"
    where = [
        scenario["file"],
        f"on {', '.join(scenario['clusters'])}",
        *([needs] if needs else []),
    ]
    rows = f"  [{', '.join(scenario['rows'])}]" if scenario["rows"] else ""
    return f"{scenario['name']}{rows}\n    {scenario['title']}\n    {'; '.join(where)}"

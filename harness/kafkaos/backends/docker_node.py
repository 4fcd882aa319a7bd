"""The container of one node."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import docker
from testcontainers.core.config import testcontainers_config
from testcontainers.core.container import DockerContainer

from kafkaos.backends.docker_format import RUN_CLASS
from kafkaos.backends.docker_image import KafkaImage
from kafkaos.backends.docker_network import Place
from kafkaos.backends.jvm import FAST_START, heap_options

# Clean-up is by label: see docker_engine.
testcontainers_config.ryuk_disabled = True

ENTRY = 'exec "$0" kafka.Kafka "$1" >> "$2" 2>&1'


@dataclass(frozen=True)
class NodeContainer:
    """All that a container is made of; a node that wants another one of these is given a new container."""

    name: str
    host_name: str
    image: KafkaImage
    place: Place
    ports: Mapping[str, tuple[str, int]]
    """Ports inside, and where they are on this machine."""
    cluster_folder: Path
    mount_mode: str
    properties: Path
    hosts: Path
    log: Path
    log_config: Path
    heap_mb: int
    variables: Mapping[str, str]
    """The node's own; the folders of files that they name are mounted: a file alone would not be seen when another
    takes its place."""
    labels: Mapping[str, str]

    def make(self, client: docker.DockerClient) -> DockerContainer:
        """It, not yet started: same user as ours, same folders in the same places."""
        made = DockerContainer(self.image.id).with_name(self.name)
        made.with_envs(
            KAFKA_HEAP_OPTS=" ".join(heap_options(self.heap_mb)),
            KAFKA_JVM_PERFORMANCE_OPTS=" ".join([*FAST_START, *self.image.cache_options]),
            KAFKA_LOG4J_OPTS=f"-Dlog4j2.configurationFile={self.log_config}",
            KAFKA_OPTS=f"-Djdk.net.hosts.file={self.hosts}",
            KAFKA_JMX_OPTS="-Dkafkaos=1",  # instead of an open JMX port
            LOG_DIR="/tmp",
            **self.variables,
        )
        named = {Path(value).parent for value in self.variables.values() if value.startswith("/")}
        for folder in {*named, self.log.parent}:
            made.with_volume_mapping(folder, str(folder), "rw")
        made.with_volume_mapping(self.cluster_folder, str(self.cluster_folder), self.mount_mode)
        # What testcontainers has no word for: a port at one address of the host, and the user.
        made.ports = dict(self.ports)  # type: ignore[arg-type]
        endpoint = client.api.create_endpoint_config(ipv4_address=self.place.address)
        return made.with_kwargs(
            network=self.place.network,
            networking_config={self.place.network: endpoint},
            entrypoint=["/bin/sh", "-c", ENTRY, RUN_CLASS, str(self.properties), str(self.log)],
            user=f"{os.getuid()}:{os.getgid()}",
            labels=dict(self.labels),
            hostname=self.host_name,
        )

"""The Docker backend: the nodes of a cluster as containers on a network of its own.

Everything but how a node is started is the process backend's: the same properties, keys, addresses and faults.
A node's ports are published at its own loopback address, so that it keeps it however often it is started again, and
its folder is mounted where it lies on the host, so that data, keys and log are in the same places for both.

In the network it has a fixed address too: Docker would give a dead one's to the next that starts, while others still
keep it in mind.
"""

from __future__ import annotations

import os
import random
from pathlib import Path

import docker
from docker.errors import APIError
from docker.types import IPAMConfig, IPAMPool
from testcontainers.core.config import testcontainers_config
from testcontainers.core.container import DockerContainer
from testcontainers.core.network import Network

from kafkaos.backends import docker_engine, kraft, network
from kafkaos.backends.docker_engine import LABEL, STATE_LABEL, ContainerProcess, told
from kafkaos.backends.docker_image import KafkaImage, find_image
from kafkaos.backends.jars import Progress
from kafkaos.backends.jvm import FAST_START, LOG_CONFIG, heap_options
from kafkaos.backends.places import state_folder
from kafkaos.backends.process import ProcessCluster, started
from kafkaos.backends.processes import Supervisor
from kafkaos.cluster import Node
from kafkaos.errors import NotAvailable, SetupFailed
from kafkaos.spec import ClusterSpec

# Clean-up is by label: see docker_engine.
testcontainers_config.ryuk_disabled = True

# Private address ranges, tried in turn; the third number is the cluster's.
NETWORKS = ("10.213", "10.214", "172.29", "192.168")
GATEWAY = 254


class DockerCluster(ProcessCluster):
    """A cluster whose nodes are containers. Use `start_docker_cluster`."""

    backend = "docker"
    # What a container has not, so that faults that need it are told as not available: the host's faketime library, the
    # jars of another version, and links (the relay is a process of the host).
    set_environment = None  # type: ignore[assignment]
    set_version = None  # type: ignore[assignment]
    set_link_rule = None  # type: ignore[assignment]

    def __init__(
        self,
        spec: ClusterSpec,
        *,
        client: docker.DockerClient,
        image: KafkaImage,
        supervisor: Supervisor,
        subnet: network.Subnet,
        log_folder: Path,
    ) -> None:
        super().__init__(spec, supervisor=supervisor, jvm=None, subnet=subnet, log_folder=log_folder)
        self._client = client
        self._image = image
        self._containers: dict[int, DockerContainer] = {}
        self._labels = {LABEL: str(subnet.number), STATE_LABEL: str(state_folder())}
        self._network: Network | None = None
        self._inside = ""

    def prepare(self) -> None:
        self._inside, self._network = self._make_network()
        super().prepare()
        for node in self.nodes:
            lines = [f"{self._inside}.{other.id} {other.name}\n" for other in self.nodes]
            self.files(node.id).hosts.write_text("".join(lines) + "127.0.0.1 localhost\n")
        (self._subnet.folder / "log4j2.properties").write_text(LOG_CONFIG.read_text())

    def _make_network(self) -> tuple[str, Network]:
        """A network whose addresses we give out ourselves, and how they begin."""
        for base in NETWORKS:
            inside = f"{base}.{self._subnet.number}"
            pool = IPAMConfig(pool_configs=[IPAMPool(subnet=f"{inside}.0/24", gateway=f"{inside}.{GATEWAY}")])
            made = Network(docker_network_kw={"labels": self._labels, "ipam": pool})
            made.name = f"kafkaos-{self._subnet.number}"
            try:
                made.create()
            except APIError as error:
                made._docker.client.close()
                if "overlaps" in str(error.explanation):
                    continue
                raise SetupFailed(f"Docker could not make a network: {error.explanation}") from None
            return inside, made
        raise SetupFailed(
            f"Docker has no room for a network in {', '.join(NETWORKS)}: remove some by `docker network prune`"
        )

    def _format(self, node: Node) -> None:
        kraft.format_storage(
            self.log_dirs(node.id),
            cluster_id=self.cluster_id,
            node_id=node.id,
            checkpoint=self._image.checkpoint(),
        )

    def _server_properties(self, node: Node) -> dict[str, str]:
        properties = super()._server_properties(node)
        # In its container a node has addresses of the network's choice; outside it is published at its own.
        own = self._subnet.address(node.id, node.id)
        return {**properties, "listeners": properties["listeners"].replace(f"//{own}:", "//0.0.0.0:")}

    def _spawn(self, node: Node) -> ContainerProcess:
        log = self.log_path(node.id)
        log.parent.mkdir(parents=True, exist_ok=True)
        with told(f"start {node.name}"):
            if node.id in self._containers:
                self._containers[node.id].get_wrapped_container().start()
            else:
                # Kept first: a container that was made and did not start has to be removed as well.
                self._containers[node.id] = self._container(node, log)
                self._containers[node.id].start()
        return ContainerProcess(self._containers[node.id].get_wrapped_container(), node.name, log)

    def _container(self, node: Node, log: Path) -> DockerContainer:
        """A container of the node, not yet started: same user, same folders, fixed ports."""
        made = DockerContainer(self._image.id).with_name(f"kafkaos-{self._subnet.number}-{node.name}")
        made.with_envs(
            KAFKA_HEAP_OPTS=" ".join(heap_options(self.spec.heap_mb)),
            KAFKA_JVM_PERFORMANCE_OPTS=" ".join([*FAST_START, *self._image.cache_options]),
            KAFKA_LOG4J_OPTS=f"-Dlog4j2.configurationFile={self._subnet.folder / 'log4j2.properties'}",
            KAFKA_OPTS=f"-Djdk.net.hosts.file={self.files(node.id).hosts}",
            KAFKA_JMX_OPTS="-Dkafkaos=1",  # instead of an open JMX port
            LOG_DIR="/tmp",
        )
        for folder in (self._subnet.folder, log.parent):
            made.with_volume_mapping(folder, str(folder), "rw")
        ports: dict[str, tuple[str, int]] = {}
        if node.is_broker:
            own = self._subnet.address(node.id, node.id)
            for port in (self._subnet.client_port, self._subnet.broker_port):
                ports[f"{port}/tcp"] = (own, port)
        # What testcontainers has no word for: a port at one address of the host, and the user.
        made.ports = ports  # type: ignore[assignment]
        script = 'exec "$0" kafka.Kafka "$1" >> "$2" 2>&1'
        assert self._network is not None
        place = self._client.api.create_endpoint_config(ipv4_address=f"{self._inside}.{node.id}")
        return made.with_kwargs(
            network=self._network.name,
            networking_config={self._network.name: place},
            entrypoint=[
                "/bin/sh",
                "-c",
                script,
                self._image.run_class,
                str(self.files(node.id).properties),
                str(log),
            ],
            user=f"{os.getuid()}:{os.getgid()}",
            labels=self._labels,
            hostname=node.name,
        )

    def close(self) -> None:
        """Remove every container, the network, and the cluster's files."""
        for container in self._containers.values():
            if container._container is not None:
                docker_engine.remove(container._container)
            container.get_docker_client().client.close()
        self._containers.clear()
        if self._network is not None:
            docker_engine.remove(self._network._unwrap_network)
            self._network._docker.client.close()
            self._network = None
        super().close()
        self._client.close()


def adapted(spec: ClusterSpec) -> ClusterSpec:
    """What the backend makes of a specification; NotAvailable for what it cannot do."""
    if spec.controllers == "zookeeper":
        raise NotAvailable(
            f"cluster {spec.name} has a ZooKeeper, which the backend `docker` does not start: take `process`"
        )
    return spec.model_copy(update={"links": "none"})


def start_docker_cluster(
    spec: ClusterSpec,
    *,
    image: str | None,
    supervisor: Supervisor,
    log_folder: Path,
    progress: Progress = lambda _: None,
    rng: random.Random | None = None,
) -> DockerCluster:
    """As `start_cluster`; SetupFailed without an engine, without the image, with an image that has no Kafka."""
    wanted = adapted(spec)
    client = docker_engine.engine()
    found = find_image(client, spec.kafka, image, progress)
    found.checkpoint()
    subnet = network.reserve(
        kraft.node_ids(wanted), client_port=spec.client_port, rng=rng or random.Random(os.getpid())
    )
    cluster = DockerCluster(
        wanted,
        client=client,
        image=found,
        supervisor=supervisor,
        subnet=subnet,
        log_folder=log_folder.absolute(),
    )
    started(cluster, progress)
    return cluster

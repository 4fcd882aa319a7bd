"""The Docker backend: the nodes of a cluster as containers on networks of its own.

Everything but how a node is started is the process backend's: the same properties, keys, addresses and faults.
A node's ports are published at its own loopback address, so that it keeps it however often it is started again, and
its folder is mounted where it lies on the host, so that data, keys and log are in the same places for both.

What nodes send each other goes over the relay of the process backend: see `docker_network`. It has one address on the
host for each sender, so that it tells the receivers by their ports, and each node listens on ports of its own.
"""

from __future__ import annotations

import os
import random
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import docker
from testcontainers.core.container import DockerContainer

from kafkaos.backends import docker_engine, kraft, mounts, network
from kafkaos.backends.docker_engine import LOCK_LABEL, ContainerProcess, labelled, labels, told, whole
from kafkaos.backends.docker_image import KafkaImage, image_for
from kafkaos.backends.docker_network import NOWHERE, Networks, host_is_in
from kafkaos.backends.docker_node import NodeContainer
from kafkaos.backends.jars import Progress
from kafkaos.backends.jvm import LOG_CONFIG
from kafkaos.backends.process import ProcessCluster, started
from kafkaos.backends.processes import Supervisor
from kafkaos.backends.wires import CLIENTS
from kafkaos.cluster import Node
from kafkaos.errors import NotAvailable
from kafkaos.links.steering import Route
from kafkaos.spec import ClusterSpec

PORT_STEP = 10
"""From one node's ports for other nodes to the next node's."""


class DockerCluster(ProcessCluster):
    """A cluster whose nodes are containers. Use `start_docker_cluster`."""

    backend = "docker"

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
        self._images: dict[int, KafkaImage] = {}
        """Of the nodes that run another version than the rest."""
        self._containers: dict[int, DockerContainer] = {}
        self._made_of: dict[int, NodeContainer] = {}
        self._labels = labels(subnet.lock_path)
        self._networks = Networks(subnet.number, self._labels)
        self._places = dict.fromkeys((node.id for node in self.nodes), NOWHERE)
        self._mount_mode = "rw"

    def prepare(self) -> None:
        if self.spec.links == "none":
            self._places = self._networks.together(self.nodes)
        else:
            self._places = self._networks.apart(self.nodes)
            if not all(map(host_is_in, self._places.values())):
                self._do_without_links()
        if all(map(host_is_in, self._places.values())) and mounts.unable_to_mount() is None:
            mounts.share(self._subnet.folder)
            self._mount_mode = "rw,rslave"
        super().prepare()
        for node in self.nodes:
            lines = [f"{self._reached_at(other, node)} {other.name}\n" for other in self.nodes]
            self.files(node.id).hosts.write_text("".join(lines) + "127.0.0.1 localhost\n")
        self._log_config.write_text(LOG_CONFIG.read_text())

    def _do_without_links(self) -> None:
        """The engine is not on this host, only its published ports are: nothing here can stand between containers."""
        self._networks.remove()
        self._spec = self.spec.model_copy(update={"links": "none"})
        self._nodes = self.plan(self._spec, self._subnet)
        self._places = self._networks.together(self.nodes)

    def _reached_at(self, target: Node, source: Node) -> str:
        """The address by which one node knows another: its own, the other's, or the relay's in its own network."""
        straight = self.spec.links == "none" or target.id == source.id
        return self._places[target.id].address if straight else self._places[source.id].gateway

    def _inner_port(self, node: Node, port: int) -> int:
        """Where a node listens inside, for other nodes, on what is `port` of its address outside."""
        return port + PORT_STEP * self._nodes.index(node)

    def _routes(self) -> Iterator[Route]:
        """As of processes for clients; nodes are heard in their own networks, and reached in the others'."""
        for route in super()._routes():
            if route.source == CLIENTS:
                yield route
            else:
                port = self._inner_port(self.node(route.target), route.to[1])
                listen = (self._places[route.source].gateway, port)
                yield replace(route, listen=listen, to=(self._places[route.target].address, port))

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
        changed = {}
        for name in ("listeners", "advertised.listeners", "controller.quorum.voters"):
            text = properties[name]
            for port in (self._subnet.broker_port, self._subnet.controller_port):
                text = text.replace(f"//{own}:{port}", f"//{own}:{self._inner_port(node, port)}")
                for other in self.nodes:
                    inner = f"{other.name}:{self._inner_port(other, port)}"
                    text = re.sub(rf"\b{other.name}:{port}\b", inner, text)
            changed[name] = text.replace(f"//{own}:", "//0.0.0.0:") if name == "listeners" else text
        return {**properties, **changed}

    def _start_controller(self) -> None:
        """With the brokers: the engine takes its time for each container anyhow."""

    def _spawn(self, node: Node) -> ContainerProcess:
        log = self.log_path(node.id)
        log.parent.mkdir(parents=True, exist_ok=True)
        wanted = self._wanted(node, log)
        with told(f"start {node.name}"):
            if node.id in self._containers and self._made_of[node.id] != wanted:
                self._remove(node.id)
            if node.id in self._containers:
                self._containers[node.id].get_wrapped_container().start()
            else:
                # Kept first: a container that was made and did not start has to be removed as well.
                self._containers[node.id] = wanted.make(self._client)
                self._made_of[node.id] = wanted
                whole(self._containers[node.id].start)
            return ContainerProcess(self._containers[node.id].get_wrapped_container(), node.name, log)

    def _last_error(self, node_id: int) -> str:
        """As of a process, whose log is there at once: a container's shell may not have been let into its folder."""
        log = self.log_path(node_id)
        if log.exists() and log.stat().st_size:
            return super()._last_error(node_id)
        process = self._processes[node_id]
        assert isinstance(process, ContainerProcess)
        return process.printed()

    def _wanted(self, node: Node, log: Path) -> NodeContainer:
        """What the node's container is to be made of now."""
        ports: dict[str, tuple[str, int]] = {}
        if node.is_broker:
            own = self._subnet.address(node.id, node.id)
            inner = self._inner_port(node, self._subnet.broker_port)
            ports[f"{self._subnet.client_port}/tcp"] = (own, self._subnet.client_port)
            ports[f"{inner}/tcp"] = (own, self._subnet.broker_port)
        return NodeContainer(
            name=f"{docker_engine.stem(self._subnet.number)}-{node.name}",
            host_name=node.name,
            image=self._images.get(node.id, self._image),
            place=self._places[node.id],
            ports=ports,
            cluster_folder=self._subnet.folder,
            mount_mode=self._mount_mode,
            properties=self.files(node.id).properties,
            hosts=self.files(node.id).hosts,
            log=log,
            log_config=self._log_config,
            heap_mb=self.spec.heap_mb,
            variables=self._environments.get(node.id, {}),
            labels=self._labels,
        )

    @property
    def _log_config(self) -> Path:
        return self._subnet.folder / "log4j2.properties"

    def set_environment(self, node_id: int, variables: Mapping[str, str]) -> None:
        """As in the process backend; what the values name on this machine is there too, in the same place.

        NotAvailable for a library of this machine's C library, where the image may have another.
        """
        image = self._images.get(node_id, self._image)
        if "LD_PRELOAD" in variables and not image.is_own:
            raise NotAvailable(
                f"a library of this machine may not fit the image {image.name}: take the one that "
                "`kafkaos image build` makes"
            )
        super().set_environment(node_id, variables)

    def version(self, node_id: int) -> str:
        return self._images.get(node_id, self._image).version

    def set_version(self, node_id: int, version: str) -> None:
        """The node's next start is of this version's image; SetupFailed where that cannot be had."""
        self._images[node_id] = image_for(
            self._client, version, None, supervisor=self._supervisor, log_folder=self._log_folder
        )

    def _remove(self, node_id: int) -> None:
        container = self._containers.pop(node_id)
        if container._container is not None:
            docker_engine.remove(container._container)
        container.get_docker_client().client.close()

    def close(self) -> None:
        """Remove every container, the network, and the cluster's files: these also where the engine is gone."""
        try:
            for node_id in list(self._containers):
                self._remove(node_id)
            # A second Ctrl-C, or a refused start, may have left one that is not noted: our own label tells.
            for thing in labelled(self._client, f"{LOCK_LABEL}={self._subnet.lock_path}"):
                docker_engine.remove(thing)
            self._networks.remove()
        finally:
            # Nobody is left to be ended, or nobody who could be asked to.
            self._processes.clear()
            super().close()
            self._client.close()


def adapted(spec: ClusterSpec) -> ClusterSpec:
    """What the backend makes of a specification; NotAvailable for what it cannot do."""
    if spec.controllers == "zookeeper":
        raise NotAvailable(
            f"cluster {spec.name} has a ZooKeeper, which the backend `docker` does not start: take `process`"
        )
    return spec


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
    try:
        found = image_for(
            client, spec.kafka, image, supervisor=supervisor, log_folder=log_folder, progress=progress
        )
        found.checkpoint()
        subnet = network.reserve(
            kraft.node_ids(wanted), client_port=spec.client_port, rng=rng or random.Random(os.getpid())
        )
    except BaseException:
        client.close()
        raise
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

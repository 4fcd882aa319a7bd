"""Where a cluster's containers are: networks whose addresses we give out ourselves.

A cluster whose traffic goes over links has a network for each node: Docker lets nothing pass between two networks, and
on the host each has an address of its own, its gateway. There the relay listens for what that node sends to each
of the others, so that every link can be cut, as with the process backend, by any user and with no rule of the kernel's.
Without links all nodes share one network.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network

from docker.errors import APIError
from docker.types import IPAMConfig, IPAMPool
from testcontainers.core.network import Network

from kafkaos.backends import docker_engine
from kafkaos.cluster import Node
from kafkaos.errors import SetupFailed

# Private address ranges, tried in turn; the third number is the cluster's.
RANGES = ("10.213", "10.214", "172.29", "192.168")
PREFIX_OF_A_NODE = 28
"""A cluster's range has room for sixteen of these."""


@dataclass(frozen=True)
class Place:
    """Where a node is: Docker would give a dead one's address to the next that starts, so each has a fixed one."""

    network: str
    address: str
    gateway: str
    """The host's address in that network."""


NOWHERE = Place("", "", "")
"""Of a node before its network is made."""


class Networks:
    """The networks of one cluster."""

    def __init__(self, number: int, labels: Mapping[str, str]) -> None:
        self._number = number
        self._labels = dict(labels)
        self._made: list[Network] = []

    def together(self, nodes: Sequence[Node]) -> dict[int, Place]:
        """One network for all nodes; SetupFailed where there is no room for it."""
        return self._network(docker_engine.stem(self._number), nodes, 0, prefix=24)

    def apart(self, nodes: Sequence[Node]) -> dict[int, Place]:
        """A network for each node; SetupFailed where there is no room for them."""
        places: dict[int, Place] = {}
        for part, node in enumerate(nodes):
            name = f"{docker_engine.stem(self._number)}-{node.name}"
            places |= self._network(name, [node], part, prefix=PREFIX_OF_A_NODE)
        return places

    def _network(self, name: str, nodes: Sequence[Node], part: int, *, prefix: int) -> dict[int, Place]:
        with docker_engine.told("make a network"):
            return self._in_free_range(name, nodes, part, prefix=prefix)

    def _in_free_range(self, name: str, nodes: Sequence[Node], part: int, *, prefix: int) -> dict[int, Place]:
        for base in RANGES:
            whole = IPv4Network(f"{base}.{self._number}.0/24")
            subnet = list(whole.subnets(new_prefix=prefix))[part]
            *free, gateway = map(str, subnet.hosts())
            pool = IPAMConfig(pool_configs=[IPAMPool(subnet=str(subnet), gateway=gateway)])
            made = Network(docker_network_kw={"labels": self._labels, "ipam": pool})
            made.name = name
            self._made.append(made)
            try:
                docker_engine.whole(made.create)
            except APIError as error:
                self._made.remove(made)
                made._docker.client.close()
                if "overlaps" in str(error.explanation):
                    continue
                raise
            addresses = zip(nodes, free, strict=False)
            return {node.id: Place(name, address, gateway) for node, address in addresses}
        raise SetupFailed(
            f"Docker has no room for a network in {', '.join(RANGES)}: remove some by `docker network prune`"
        )

    def remove(self) -> None:
        """Remove them all; their containers are gone already."""
        for made in self._made:
            if made._network is not None:
                docker_engine.remove(made._network)
            made._docker.client.close()
        self._made.clear()


def host_is_in(place: Place) -> bool:
    """Whether this host has the network's gateway: not where the engine runs in a machine or namespace of its own."""
    with socket.socket() as probe:
        try:
            probe.bind((place.gateway, 0))
        except OSError:
            return False
    return True

"""Addresses: each cluster has a loopback subnet 127.C.S.D of its own (S the reader, 0 a client; D the node).

So every node keeps its address for the cluster's life, several clusters side by side never collide, and each direction
of each pair of nodes has an address at which a relay can listen. Where the system has only 127.0.0.1 (macOS without
aliases) that is used for all with a port a node.
"""

from __future__ import annotations

import contextlib
import os
import random
import socket
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from kafkaos.backends.mounts import remove_folder
from kafkaos.backends.places import state_folder, try_lock
from kafkaos.errors import SetupFailed
from kafkaos.links.firewall import remove_table

FIRST_SUBNET, LAST_SUBNET = 2, 250
# Below Linux's ephemeral range (32768-60999), so that no outgoing connection takes one.
PORT_BASES = (19092, 21092, 23092, 25092, 27092, 29092)
OF_ONE_CLUSTER = 100
"""From a base on: in containers each node listens for others on ports of its own."""


@dataclass(frozen=True)
class Subnet:
    """A reserved subnet: the lock is freed by the kernel when this process ends."""

    number: int
    lock: int
    client_port: int
    broker_port: int
    controller_port: int

    def address(self, reader: int, node: int) -> str:
        return f"127.{self.number}.{reader}.{node}"

    @property
    def lock_path(self) -> Path:
        return lock_path(self.number)

    @property
    def folder(self) -> Path:
        return state_folder() / f"cluster-{self.number}"

    def free(self) -> None:
        """Remove the cluster's folder (keys, data) and give the subnet back."""
        remove_folder(self.folder)
        with contextlib.suppress(OSError):
            os.close(self.lock)


def reserve(node_ids: Iterable[int], *, client_port: int | None, rng: random.Random) -> Subnet:
    """A subnet on which all ports of all nodes are free. SetupFailed names the port and who has it."""
    ids = list(node_ids)
    if sys.platform != "linux":
        raise SetupFailed(
            "the process backend needs the whole loopback range 127.0.0.0/8, which only Linux has: run it on Linux"
        )
    numbers = list(range(FIRST_SUBNET, LAST_SUBNET + 1))
    rng.shuffle(numbers)
    busy: tuple[str, int] | None = None
    for number in numbers:
        lock = try_lock(lock_path(number))
        if lock is None:
            continue
        # Whoever had this number is dead: what is left of it is stale.
        remove_folder(state_folder() / f"cluster-{number}")
        _remove_firewall(firewall_marker(number))
        for base in PORT_BASES:
            if client_port is not None and base < client_port < base + OF_ONE_CLUSTER:
                continue
            ports = (client_port or base, base + 1, base + 2)
            busy = _first_busy(number, ids, ports)
            if busy is None:
                subnet = Subnet(number, lock, *ports)
                subnet.folder.mkdir(mode=0o700)
                return subnet
            if busy[1] == client_port:
                break
        os.close(lock)
        if busy is not None and busy[1] == client_port and _is_wildcard(client_port):
            break
    if busy is None:
        raise SetupFailed("all loopback subnets are in use by clusters of this user: end some of them")
    address, port = busy
    raise SetupFailed(
        f"port {port} is in use at {address}{_owner(port)}: end that program or choose another client_port"
    )


def sweep() -> list[Path]:
    """Remove the folders (and firewall rules) of clusters whose harness is gone; the removed ones."""
    removed = []
    for kind, remove in (("cluster-", remove_folder), ("firewall-", _remove_firewall)):
        for path in sorted(state_folder().glob(f"{kind}*")):
            lock = try_lock(lock_path(path.name.removeprefix(kind)))
            if lock is not None:
                remove(path)
                os.close(lock)
                removed.append(path)
    return removed


def lock_path(number: int | str) -> Path:
    """Held for as long as a cluster has this subnet."""
    return state_folder() / f"subnet-{number}.lock"


def firewall_marker(number: int) -> Path:
    """Is there while the kernel may have rules for this subnet."""
    return state_folder() / f"firewall-{number}"


def firewall_table(number: int) -> str:
    """The nft table of a subnet."""
    return f"kafkaos-{number}"


def _remove_firewall(marker: Path) -> None:
    if marker.exists():
        remove_table(firewall_table(int(marker.name.removeprefix("firewall-"))))
        marker.unlink(missing_ok=True)


def _first_busy(number: int, ids: list[int], ports: Iterable[int]) -> tuple[str, int] | None:
    for node in ids:
        for port in ports:
            address = f"127.{number}.{node}.{node}"
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind((address, port))
                except PermissionError:
                    raise SetupFailed(
                        f"port {port} needs root: choose a client_port of 1024 or higher"
                    ) from None
                except OSError:
                    return address, port
    return None


def _is_wildcard(port: int | None) -> bool:
    return any(c.laddr.port == port and c.laddr.ip in ("0.0.0.0", "::") for c in _listeners())


def _owner(port: int) -> str:
    for connection in _listeners():
        if connection.laddr.port == port and connection.pid:
            with contextlib.suppress(psutil.Error):
                return f" by {psutil.Process(connection.pid).name()} (pid {connection.pid})"
    return ""


def _listeners() -> list[Any]:
    try:
        return [c for c in psutil.net_connections("tcp") if c.status == psutil.CONN_LISTEN]
    except psutil.AccessDenied:
        return []

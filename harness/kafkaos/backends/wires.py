"""The links of a process cluster: one relay, on the cluster's own loopback addresses (`backends.network`)."""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from kafkaos.backends.ask import probe
from kafkaos.backends.network import Subnet, firewall_marker, firewall_table
from kafkaos.backends.processes import KILL_DEADLINE_S, Process, Supervisor
from kafkaos.backends.ready import wait_until
from kafkaos.cluster import LinkProbe, Node
from kafkaos.errors import KafkaosError, NotAvailable, SetupFailed, WrongUse
from kafkaos.links.firewall import Firewall, reason_why_not
from kafkaos.links.rules import Counters, Effect, LinkId
from kafkaos.links.steering import Links, Route, relay_command
from kafkaos.spec import ClusterSpec
from kafkaos.tls.material import TlsMaterial

CLIENTS = 0
START_DEADLINE_S = 30.0
LOOK_EVERY_S = 0.002


class Wired:
    """What `HasLinks` asks for; a mixin of the process cluster, which has the nodes and the addresses."""

    _spec: ClusterSpec
    _nodes: list[Node]
    _subnet: Subnet
    _supervisor: Supervisor
    _log_folder: Path
    _tls: TlsMaterial | None
    _relay: Process | None = None
    _steering: Links | None = None
    _firewall: Firewall | None = None

    def direct_address(self, node_id: int) -> str:
        """`host:port` of a broker past the links, for who has to see it though it is cut off.

        Its client listener; where clients log in, the brokers' own, which takes our certificate.
        """
        port = self._subnet.client_port if self._spec.sasl is None else self._subnet.broker_port
        return f"{self._subnet.address(node_id, node_id)}:{port}"

    @cached_property
    def _observer_tls(self) -> ssl.SSLContext | None:
        if self._tls is None:
            return None
        files = self._tls.client("client")
        context = ssl.create_default_context(cafile=str(files.ca_pem))
        context.load_cert_chain(files.certificate_pem, files.key_pem)
        # It looks at its own brokers, whatever certificate a fault has them show; judging them is for clients.
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context

    def links(self) -> Sequence[LinkId]:
        """Every link, both ways of each pair."""
        if self._spec.links == "none":
            return []
        pairs = {(route.source, route.target) for route in self._routes()}
        return sorted(pairs | {(target, source) for source, target in pairs})

    def set_link_rule(self, name: str, links: Sequence[LinkId], effect: Effect) -> None:
        if self._firewall is not None and effect.holds:
            self._firewall.set(name, links, effect)
            effect = replace(effect, cut=False, silent=False)
        self._steer.set(name, links, effect)

    def remove_link_rule(self, name: str) -> bool:
        if self._firewall is not None:
            self._firewall.remove(name)
        return self._steer.remove(name)

    def clear_link_rules(self) -> None:
        """Take every rule away, where there are links at all."""
        if self._firewall is not None:
            self._firewall.clear()
        if self._steering is not None:
            self._steering.clear()

    def reset_links(self, links: Sequence[LinkId]) -> int:
        return self._steer.reset(links)

    def link_counters(self) -> Mapping[LinkId, Counters]:
        counters = self._steer.counters()
        if self._firewall is not None:
            for link, packets in self._firewall.dropped_packets().items():
                counters[link] = replace(counters[link], dropped_packets=packets)
        return counters

    def tap_links(self, links: Sequence[LinkId], folder: Path) -> AbstractContextManager[dict[LinkId, Path]]:
        """Copy what goes over these links into files of `folder`, one each, while the context is open."""
        return self._steer.tapped(links, folder)

    def probe_link(self, link: LinkId, *, timeout_s: float) -> LinkProbe:
        for route in self._routes():
            if (route.source, route.target) in (link, link[::-1]):
                name = next(node.name for node in self._nodes if node.id == route.target)
                return probe(route.listen, timeout_s=timeout_s, tls=self._observer_tls, host=name)
        raise WrongUse(f"there is no link {link[0]} to {link[1]} in cluster {self._spec.name}")

    def links_pid(self) -> int | None:
        return None if self._relay is None else self._relay.pid

    def links_table(self) -> str | None:
        return None if self._firewall is None else self._firewall.table

    @property
    def _steer(self) -> Links:
        if self._steering is None:
            if self._spec.links == "none":
                raise NotAvailable(
                    f'cluster {self._spec.name} has no network links (links = "none", or a Docker engine that is not '
                    "on this machine itself): nothing can be cut, slowed or overheard"
                )
            raise KafkaosError(f"cluster {self._spec.name} has no network links now: it does not run")
        return self._steering

    def _routes(self) -> Iterator[Route]:
        """Clients reach brokers, nodes reach brokers and controllers (or ZooKeeper), and themselves without a link."""
        for node in self._nodes:
            own = self._subnet.address(node.id, node.id)
            for source in (CLIENTS, *(other.id for other in self._nodes if other.id != node.id)):
                ports = []
                if node.is_broker:
                    ports.append(self._subnet.client_port if source == CLIENTS else self._subnet.broker_port)
                if node.role != "broker" and source != CLIENTS:
                    ports.append(self._subnet.controller_port)
                for port in ports:
                    yield Route(source, node.id, (self._subnet.address(source, node.id), port), (own, port))

    def start_links(self) -> None:
        """Start the relay beside the nodes: it listens long before the first JVM reaches for it."""
        if self._spec.links == "none":
            return
        if self._spec.links == "firewall":
            self._start_firewall()
        command = relay_command(self._subnet.folder, list(self._routes()))
        self._relay = self._supervisor.spawn(
            command, name="links", log_path=self._log_folder / "links.log", cwd=self._subnet.folder
        )
        self._steering = Links(self._subnet.folder)

    def _start_firewall(self) -> None:
        reason = reason_why_not()
        if reason is not None:
            raise SetupFailed(f'cluster {self._spec.name} has links = "firewall", but {reason}')
        number = self._subnet.number
        self._firewall = Firewall(firewall_table(number), firewall_marker(number), self._routes())

    def wait_links(self) -> None:
        """The relay listens everywhere; SetupFailed if it cannot."""
        if self._relay is not None:
            wait_until(
                self._relay_listens, timeout_s=START_DEADLINE_S, what="the network links listen",
                interval_s=LOOK_EVERY_S,
            )  # fmt: skip

    def check_links(self) -> None:
        """SetupFailed, with the relay's own words, if it ended."""
        if self._relay is not None and self._relay.poll() is not None:
            lines = self._relay.log_path.read_text(errors="replace").strip().splitlines() or ["no word"]
            raise SetupFailed(
                f"the process of the network links ended with status {self._relay.poll()}: {lines[-1][:300]}"
            )

    def _relay_listens(self) -> bool:
        self.check_links()
        return self._steer.ready

    def end_links(self) -> None:
        if self._firewall is not None:
            self._firewall.clear()
            self._firewall = None
        if self._steering is not None:
            self._steering.close()
            self._steering = None
        if self._relay is not None:
            self._relay.signal(9)
            self._relay.wait(KILL_DEADLINE_S)
            self._relay = None

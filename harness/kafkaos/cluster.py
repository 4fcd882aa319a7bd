"""What a cluster is to the rest of kafkaos: small protocols, one for each capability.

A backend implements `Cluster` and those capabilities that it has; faults ask with `isinstance`. What a cluster's
state is (leaders, ISR, epochs) is never one broker's word: `observe` asks each and takes the newest epoch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

from kafkaos.links.rules import Counters, Effect, LinkId
from kafkaos.spec import ClusterSpec
from kafkaos.tls.material import TlsMaterial

Role = Literal["broker", "controller", "combined", "zookeeper"]


@dataclass(frozen=True)
class Node:
    """A broker, a controller or a ZooKeeper: its Kafka node id and the address at which clients reach it."""

    id: int
    name: str
    role: Role
    client_address: str
    """`host:port` of the client listener; empty for a node that serves no clients."""

    @property
    def is_broker(self) -> bool:
        return self.role in ("broker", "combined")

    @property
    def is_controller(self) -> bool:
        return self.role in ("controller", "combined")


@dataclass(frozen=True)
class PartitionState:
    """One partition as the newest metadata tells it; leader None while it has none."""

    topic: str
    partition: int
    leader: int | None
    leader_epoch: int
    replicas: tuple[int, ...]
    isr: tuple[int, ...]


@dataclass(frozen=True)
class ClusterState:
    """What the brokers said, merged by leader epoch."""

    partitions: tuple[PartitionState, ...]
    controller: int | None
    alive: tuple[int, ...]
    """Nodes whose process runs and is not paused."""
    answered: tuple[int, ...] = ()
    """Brokers that answered the question."""
    fenced: tuple[int, ...] = field(default=())
    """Brokers that no answer counts as registered and unfenced."""

    def partition(self, topic: str, partition: int) -> PartitionState | None:
        for state in self.partitions:
            if state.topic == topic and state.partition == partition:
                return state
        return None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class LinkProbe:
    """What became of one question over a link."""

    connected: bool
    round_trip_s: float | None
    """From the question to the answer, on a connection made before; None without an answer in time."""


class Cluster(Protocol):
    """A running cluster."""

    @property
    def spec(self) -> ClusterSpec: ...
    @property
    def nodes(self) -> Sequence[Node]: ...
    @property
    def log_folder(self) -> Path: ...
    @property
    def client_folder(self) -> Path:
        """For the files that clients need, secrets among them: its owner's alone, removed with the cluster."""
        ...

    def node(self, node_id: int) -> Node: ...
    def client_config(self, client: str = "client") -> dict[str, str]:
        """librdkafka properties for a client that may do everything; secrets stay in files."""
        ...

    def java_config(self, client: str = "client") -> dict[str, str]:
        """The same for Java clients."""
        ...

    def create_topic(
        self,
        name: str,
        *,
        partitions: int = 1,
        replication_factor: int | None = None,
        replicas: Sequence[int] | None = None,
        config: Mapping[str, str] | None = None,
    ) -> str:
        """Create a topic and wait until every partition has a leader and its full ISR.

        `replicas` puts every partition on these brokers, the first leads; without it Kafka chooses, brokers that are
        down among them, and their replicas are not in sync: WaitExpired after 30 s.
        """
        ...

    def topic_config(self, name: str) -> Mapping[str, str]:
        """Every setting of a topic as it is in force, the cluster's defaults included; WrongUse without it."""
        ...

    def observe(self, topics: Sequence[str] | None = None) -> ClusterState: ...
    def coordinator(self, key: str, *, kind: Literal["group", "transaction"] = "group") -> int:
        """The broker that coordinates a group or a transactional id."""
        ...

    def wait_healthy(self, *, timeout_s: float) -> None:
        """Every node runs, every broker is registered, no partition lacks a leader or a replica; WaitExpired."""
        ...


@runtime_checkable
class Killable(Protocol):
    """Can end a node at once and start it again with its data and its address."""

    def kill(self, node_id: int) -> None: ...
    def start(self, node_id: int) -> None: ...
    def is_running(self, node_id: int) -> bool: ...


@runtime_checkable
class HasProcesses(Protocol):
    """Each node is one process of this machine, so that its end or its frozen state can be seen."""

    def pid(self, node_id: int) -> int:
        """Of the process started last, also after its end."""
        ...

    def exit_status(self, node_id: int) -> int | None:
        """Of the process started last: minus the signal that ended it; None while it runs."""
        ...


@runtime_checkable
class Stoppable(Protocol):
    """Can stop a node in order (controlled shutdown); killed after `grace_s` seconds. True if it ended in order."""

    def stop(self, node_id: int, *, grace_s: float) -> bool: ...


@runtime_checkable
class Pausable(Protocol):
    """Can freeze a node, as a long garbage collection or a stalled host would."""

    def pause(self, node_id: int) -> None: ...
    def resume(self, node_id: int) -> None: ...
    def is_paused(self, node_id: int) -> bool: ...


@runtime_checkable
class HasLogs(Protocol):
    """Keeps the log of each node as a file."""

    def log_path(self, node_id: int) -> Path: ...


@runtime_checkable
class HasFiles(Protocol):
    """What a node keeps can be read and, while the node is down, changed."""

    def partition_folder(self, node_id: int, topic: str, partition: int) -> Path:
        """Where the node keeps its replica, in whichever log directory; not there without a replica."""
        ...


@runtime_checkable
class Administered(Protocol):
    """Takes administrative requests; each is done, or refused with a KafkaosError that has Kafka's reason."""

    def elect_leader(self, topic: str, partition: int, *, unclean: bool = False) -> None:
        """Have the preferred replica lead, or (`unclean`) a living one where no replica in sync lives."""
        ...

    def reassign(self, topic: str, partition: int, replicas: Sequence[int]) -> None:
        """Begin to move a partition to these brokers; the first is the preferred leader."""
        ...

    def alter_topic(self, topic: str, settings: Mapping[str, str | None]) -> None:
        """Set topic settings; None takes one away again."""
        ...

    def alter_broker(self, node_id: int, settings: Mapping[str, str | None]) -> None:
        """Set dynamic settings of one broker; None takes one away again."""
        ...

    def alter_quota(self, client_id: str, limits: Mapping[str, float | None]) -> None:
        """Set quotas of a client id (bytes a second …); None takes one away again."""
        ...


@runtime_checkable
class HasLogDirs(Protocol):
    """The log directories of each broker are folders of this machine."""

    def log_dirs(self, node_id: int) -> Sequence[Path]:
        """In the order of `log.dirs`; the first holds the metadata as well."""
        ...

    def offline_log_dirs(self, node_id: int) -> Sequence[Path]:
        """Those that the broker itself calls offline; OSError when it does not answer."""
        ...


@runtime_checkable
class HasLinks(Protocol):
    """What nodes and clients send each other goes over links, each of which can be cut, slowed and counted.

    A link is a direction: `(1, 2)` is all that node 1 sends to node 2; 0 stands for the clients, all of them.
    """

    def links(self) -> Sequence[LinkId]:
        """Every link that there is."""
        ...

    def set_link_rule(self, name: str, links: Sequence[LinkId], effect: Effect) -> None:
        """Put an effect in force on these links, in place of a rule of the same name; it is when this returns."""
        ...

    def remove_link_rule(self, name: str) -> bool:
        """Take a rule away; whether there was one."""
        ...

    def reset_links(self, links: Sequence[LinkId]) -> int:
        """Reset (RST) every connection that the links' sources opened; how many there were."""
        ...

    def link_counters(self) -> Mapping[LinkId, Counters]:
        """Bytes and connections of every link, since the cluster started."""
        ...

    def probe_link(self, link: LinkId, *, timeout_s: float) -> LinkProbe:
        """Ask as the one end would the other: a question goes over this link and its answer over the opposite one, or
        the other way round where only the target can open a connection."""
        ...

    def links_pid(self) -> int | None:
        """The process through which the links go, if it is one of this machine."""
        ...

    def links_table(self) -> str | None:
        """The table of the kernel's firewall that holds their rules, if that does the cutting."""
        ...


@runtime_checkable
class HasEnvironment(Protocol):
    """A node's process can be started with environment variables of one's choice."""

    def set_environment(self, node_id: int, variables: Mapping[str, str]) -> None:
        """Add these to the node's environment from its next start on, in place of those given before."""
        ...


@runtime_checkable
class TellsTime(Protocol):
    """What a broker takes for the time can be seen."""

    def broker_time_ms(self, node_id: int) -> int:
        """The broker's wall clock, in ms since the epoch, as it stamps a record now; KafkaosError if it does not."""
        ...


@dataclass(frozen=True)
class Offered:
    """What a leader made of a record that it could not take."""

    error: str
    """Kafka's name of the first thing that was wrong with it."""
    throttled_ms: int
    """How long the client was told to wait."""


@runtime_checkable
class Probed(Protocol):
    """Can be offered a record as by a client of any id, to see what its leader makes of it; none is ever appended."""

    def offer(self, topic: str, partition: int, *, client_id: str, size_bytes: int) -> Offered | None:
        """None where no leader answered."""
        ...


@runtime_checkable
class Upgradable(Protocol):
    """Each node can run another version of Kafka from its next start on."""

    def version(self, node_id: int) -> str: ...
    def set_version(self, node_id: int, version: str) -> None: ...
    def metadata_versions(self, node_id: int) -> tuple[int, int]:
        """The level of `metadata.version` that is in force, and the highest that this broker knows."""
        ...

    def finalize_feature(self, feature: str, level: int) -> None:
        """Raise a feature to this level for the whole cluster."""
        ...


@runtime_checkable
class HasTls(Protocol):
    """Its TLS files are of our own making, so that they can be changed."""

    @property
    def tls(self) -> TlsMaterial | None:
        """None for a plaintext cluster, and before it was started."""
        ...


@runtime_checkable
class HasGroups(Protocol):
    """Tells of consumer groups what their coordinator knows."""

    def committed(self, group: str) -> Mapping[tuple[str, int], int]:
        """The committed offset of each (topic, partition) that has one."""
        ...

    def members(self, group: str) -> Sequence[str]:
        """The client ids of the group's members."""
        ...

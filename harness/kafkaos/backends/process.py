"""The process backend: real brokers as child processes, no Docker, no root, no installed Java."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from kafkaos.backends import kraft, mounts, network
from kafkaos.backends.administration import Administration
from kafkaos.backends.ask import log_dirs
from kafkaos.backends.jars import Progress, kafka_jars
from kafkaos.backends.java import find_java
from kafkaos.backends.jvm import Jvm
from kafkaos.backends.observed import ASK_TIMEOUT_S
from kafkaos.backends.places import locked
from kafkaos.backends.probe import append_time_ms, offer
from kafkaos.backends.processes import KILL_DEADLINE_S, NodeProcess, Supervisor
from kafkaos.backends.ready import round_trip, wait_until
from kafkaos.backends.topics import ADMIN_TIMEOUT_S
from kafkaos.backends.users import OWN_CLIENT, Users
from kafkaos.cluster import Node, Offered
from kafkaos.errors import KafkaosError, SetupFailed
from kafkaos.spec import ClusterSpec
from kafkaos.tls.material import TlsMaterial, issue
from kafkaos.tls.profiles import load_profile
from kafkaos.tls.stores import random_password

START_DEADLINE_S = 90.0
STOP_GRACE_S = 20.0
CACHE_DUMP_DEADLINE_S = 120.0
METADATA_LOG = "__cluster_metadata-0"


class ProcessCluster(Users, Administration):
    """A cluster whose nodes are children of the warden. Use `start_cluster`."""

    backend = "process"

    def __init__(
        self,
        spec: ClusterSpec,
        *,
        supervisor: Supervisor,
        jvm: Jvm | None,
        subnet: network.Subnet,
        log_folder: Path,
    ) -> None:
        super().__init__()
        self._spec = spec
        self._supervisor = supervisor
        self._jvm = jvm
        self._subnet = subnet
        self._log_folder = log_folder
        self._nodes = self.plan(spec, subnet)
        self._processes: dict[int, NodeProcess] = {}
        self._paused: set[int] = set()
        self._tls: TlsMaterial | None = None
        self._record_cache: Path | None = None
        self._environments: dict[int, dict[str, str]] = {}
        self._jvms: dict[int, Jvm] = {}
        """Of the nodes that run another version than the rest."""
        self.cluster_id = kraft.new_cluster_id()
        self.dirty = False
        """Set by whoever broke something that a health check does not see."""

    # what it is

    @staticmethod
    def plan(spec: ClusterSpec, subnet: network.Subnet) -> list[Node]:
        """The nodes of such a cluster, with their addresses."""
        return kraft.plan_nodes(spec, subnet)

    @property
    def spec(self) -> ClusterSpec:
        return self._spec

    @property
    def nodes(self) -> Sequence[Node]:
        return self._nodes

    @property
    def brokers(self) -> list[Node]:
        return [node for node in self._nodes if node.is_broker]

    @property
    def log_folder(self) -> Path:
        return self._log_folder

    @property
    def client_folder(self) -> Path:
        return self._subnet.folder / "client"

    @property
    def jvm(self) -> Jvm:
        """What its nodes are started with."""
        assert self._jvm is not None, "containers bring their own"
        return self._jvm

    @property
    def tls(self) -> TlsMaterial | None:
        """The cluster's TLS files; None for plaintext."""
        return self._tls

    @property
    def bootstrap(self) -> str:
        return ",".join(node.client_address for node in self.brokers)

    def files(self, node_id: int) -> kraft.NodeFiles:
        return kraft.NodeFiles(self._subnet.folder / self.node(node_id).name)

    def partition_folder(self, node_id: int, topic: str, partition: int) -> Path:
        places = [folder / f"{topic}-{partition}" for folder in self.log_dirs(node_id)]
        return next((place for place in places if place.is_dir()), places[0])

    def log_dirs(self, node_id: int) -> list[Path]:
        return self.files(node_id).log_dirs(self.spec.log_dirs)

    def offline_log_dirs(self, node_id: int) -> list[Path]:
        answer = log_dirs(self.direct_address(node_id), timeout_s=ASK_TIMEOUT_S, tls=self._observer_tls)
        return [Path(found.log_dir) for found in answer.results if found.error_code]

    def log_path(self, node_id: int) -> Path:
        return self._log_folder / f"{self.node(node_id).name}.log"

    def properties(self, node_id: int) -> dict[str, str]:
        """The node's server.properties as given to it, without passwords."""
        wired = self._server_properties(self.node(node_id))
        return {key: "[hidden]" if "password" in key else value for key, value in wired.items()}

    # starting

    def prepare(self) -> None:
        """Write every node's files: keys, properties, hosts, formatted storage."""
        self._supervisor.guard(self._subnet.folder)
        if self.spec.security != "plain":
            hosts = {
                node.name: [
                    node.name,
                    self._subnet.address(0, node.id),
                    self._subnet.address(node.id, node.id),
                ]
                for node in self._nodes
            }
            profile = load_profile(self.spec.security)
            self._tls = issue(profile, folder=self._subnet.folder / "tls", hosts=hosts, clients=[OWN_CLIENT])
        for node in self._nodes:
            files = self.files(node.id)
            files.folder.mkdir(mode=0o700)
            reader = None if self.spec.links == "none" else node.id
            files.hosts.write_text(kraft.hosts_lines(self._nodes, self._subnet, reader=reader))
            kraft.write_properties(files.properties, self._server_properties(node))
            if self.spec.disk_mb is not None:
                for folder in self.log_dirs(node.id):
                    mounts.small_disk(folder, size_mb=self.spec.disk_mb)
            self._format(node)

    def _format(self, node: Node) -> None:
        kraft.format_storage(
            self.log_dirs(node.id),
            cluster_id=self.cluster_id,
            node_id=node.id,
            checkpoint=kraft.bootstrap_checkpoint(self.jvm),
        )

    def _main_class(self, _node: Node) -> str:
        return "kafka.Kafka"

    def _server_properties(self, node: Node) -> dict[str, str]:
        tls: dict[str, str] = {}
        if self._tls is not None:
            own = self._tls.nodes[node.name]
            tls = {
                **own.internal_properties,
                **own.listener_properties("client"),
                # A certificate for another host may take the place of the right one while the broker runs.
                "ssl.allow.san.changes": "true",
            }
        return kraft.server_properties(
            self.spec, node, self._nodes, subnet=self._subnet, files=self.files(node.id), tls=tls
        )

    def start(self, node_id: int) -> None:
        """Start a node that does not run; it does not wait until the node is ready."""
        if self.is_running(node_id):
            return
        self._paused.discard(node_id)
        self._processes[node_id] = self._spawn(self.node(node_id))

    def _spawn(self, node: Node) -> NodeProcess:
        files = self.files(node.id)
        command = self._jvms.get(node.id, self.jvm).command(
            self._main_class(node),
            str(files.properties),
            heap_mb=self.spec.heap_mb,
            hosts_file=files.hosts,
            record_cache=self._record_cache,
        )
        environment = {
            k: v for k, v in os.environ.items() if k not in ("KAFKA_OPTS", "JAVA_TOOL_OPTIONS", "CLASSPATH")
        }
        return self._supervisor.spawn(
            command,
            name=node.name,
            log_path=self.log_path(node.id),
            cwd=files.folder,
            env={**environment, **self._environments.get(node.id, {})},
        )

    def start_all(self) -> None:
        """The controller a moment before the brokers, then a record produced and read."""
        self.start_links()
        self._start_controller()
        for node in self._nodes:
            self.start(node.id)
        self.wait_links()
        if self.spec.sasl is not None:
            password = random_password()
            self._make_user(OWN_CLIENT, password, self._check_alive)
            self._users[OWN_CLIENT] = password
        round_trip(
            self._own_config(),
            addresses={node.id: self.direct_address(node.id) for node in self.brokers},
            tls=self._observer_tls,
            timeout_s=START_DEADLINE_S,
            still_possible=self._check_alive,
        )

    def _start_controller(self) -> None:
        """One with a JVM of its own, until it has opened its log.

        A broker that does not find it looks again ever more seldom, up to 0.5 s apart, and each look of a cold JVM
        costs the two cores that the controller needs.
        """
        for node in (node for node in self._nodes if node.role == "controller"):
            folder = self.spec.properties.get("metadata.log.dir") or self.log_dirs(node.id)[0]
            log = Path(str(folder)) / METADATA_LOG
            self.start(node.id)

            def opened(log: Path = log) -> bool:
                self._check_alive()
                return log.is_dir()

            wait_until(opened, timeout_s=START_DEADLINE_S, what=f"{node.name} has opened its log")

    def _check_alive(self) -> None:
        self.check_links()
        for node_id, process in self._processes.items():
            if process.poll() is not None:
                raise SetupFailed(
                    f"{self.node(node_id).name} ended with status {process.poll()} while starting: "
                    f"{self._last_error(node_id)}; "
                    f"its log: {self.log_path(node_id)}"
                )

    def _last_error(self, node_id: int) -> str:
        lines = self.log_path(node_id).read_text(errors="replace").splitlines()
        # The exception tells more than the line that says that there was one.
        for sign in ("Exception: ", "ERROR", "FATAL"):
            for line in lines:
                if sign in line:
                    return line.strip()[:300]
        return lines[-1][:300] if lines else "it printed nothing"

    # what faults do

    def is_running(self, node_id: int) -> bool:
        process = self._processes.get(node_id)
        return process is not None and process.poll() is None

    def kill(self, node_id: int) -> None:
        """SIGKILL, and wait until the process is gone."""
        if self.is_running(node_id):
            self._processes[node_id].signal(signal.SIGKILL)
            self._processes[node_id].wait(KILL_DEADLINE_S)
        self._paused.discard(node_id)

    def stop(self, node_id: int, *, grace_s: float = STOP_GRACE_S) -> bool:
        """Controlled shutdown; killed after `grace_s`. True if the broker ended by itself."""
        if not self.is_running(node_id):
            return True
        self._paused.discard(node_id)
        return self._processes[node_id].end(grace_s) != -signal.SIGKILL

    def pause(self, node_id: int) -> None:
        self._processes[node_id].signal(signal.SIGSTOP)
        self._paused.add(node_id)

    def resume(self, node_id: int) -> None:
        self._processes[node_id].signal(signal.SIGCONT)
        self._paused.discard(node_id)

    def is_paused(self, node_id: int) -> bool:
        return node_id in self._paused

    def set_environment(self, node_id: int, variables: Mapping[str, str]) -> None:
        self._environments[node_id] = dict(variables)

    def broker_time_ms(self, node_id: int) -> int:
        topic = f"kafkaos-clock-{node_id}"
        if topic not in self._topics:
            try:
                self.create_topic(
                    topic, replicas=[node_id], config={"message.timestamp.type": "LogAppendTime"}
                )
            except KafkaException as error:  # that broker is starting, and not yet registered
                raise KafkaosError(f"broker {node_id} cannot be asked for the time: {error}") from None
        return append_time_ms(self._own_config(), topic)

    def offer(self, topic: str, partition: int, *, client_id: str, size_bytes: int) -> Offered | None:
        state = self.observe([topic]).partition(topic, partition)
        if state is None or state.leader is None:
            return None
        try:
            return offer(
                self.direct_address(state.leader), topic, partition,
                client_id=client_id, size_bytes=size_bytes, tls=self._observer_tls,
            )  # fmt: skip
        except OSError:
            return None

    def version(self, node_id: int) -> str:
        return self._jvms[node_id].jars.version if node_id in self._jvms else self.jvm.jars.version

    def set_version(self, node_id: int, version: str) -> None:
        self._jvms[node_id] = Jvm(self.jvm.java, kafka_jars(version))

    def pid(self, node_id: int) -> int:
        return self._processes[node_id].pid

    def exit_status(self, node_id: int) -> int | None:
        return self._processes[node_id].poll()

    # what it knows of itself

    @cached_property
    def _admin(self) -> AdminClient:
        return AdminClient({**self._own_config(), "log_level": 0, "socket.connection.setup.timeout.ms": 3000})

    def reset(self) -> None:
        """As of every cluster; every rule of the links ends too."""
        self.clear_link_rules()
        super().reset()

    def admin(self) -> AdminClient:
        """A confluent-kafka admin client with all rights, which knows a living broker to send its requests to.

        WaitExpired if no broker of a cluster that has living ones tells another living one.
        """

        # It waits for the broker that it once learned to send to, also when that one is dead; and brokers name a
        # dead one until its session is over.
        def knows_a_living_one() -> bool:
            with contextlib.suppress(KafkaException):
                return self._admin.list_topics(timeout=ASK_TIMEOUT_S).controller_id in self.alive()
            return False

        if any(broker.id in self.alive() for broker in self.brokers):
            wait_until(
                knows_a_living_one,
                timeout_s=ADMIN_TIMEOUT_S,
                what="the brokers name a living one for administration",
            )
        return self._admin

    def alive(self) -> list[int]:
        return [n.id for n in self._nodes if self.is_running(n.id) and not self.is_paused(n.id)]

    def close(self) -> None:
        """End every node (killed: nothing of it is needed any more) and remove its files."""
        for process in self._processes.values():
            process.signal(signal.SIGKILL)
        for process in self._processes.values():
            process.wait(KILL_DEADLINE_S)
        self.end_links()
        self.__dict__.pop("_admin", None)
        self._subnet.free()
        try:
            self._supervisor.unguard(self._subnet.folder)
        except KafkaosError:
            pass  # the warden is gone, and with it the guard

    def record_start_cache(self, output: Path) -> None:
        """Run once with the JVM's recorder on, and wait until it has written `output`."""
        self._record_cache = output
        self.prepare()
        self.start_all()
        process = self._processes[1]
        process.signal(signal.SIGTERM)
        process.wait(CACHE_DUMP_DEADLINE_S)


def start_cluster(
    spec: ClusterSpec,
    *,
    supervisor: Supervisor,
    log_folder: Path,
    java_home: str | None = None,
    progress: Progress = lambda _: None,
    rng: random.Random | None = None,
) -> ProcessCluster:
    """Provision and start; ready means that a record was produced and read.

    SetupFailed tells what the machine lacks.
    """
    rng = rng or random.Random(os.getpid())
    # A few starts of the old Kafka do not pay for recording its cache.
    if spec.controllers == "zookeeper":
        jvm = Jvm(find_java(java_home), kafka_jars(spec.kafka, progress))
    else:
        jvm = ready_jvm(
            spec.kafka,
            java_home=java_home,
            supervisor=supervisor,
            log_folder=log_folder,
            progress=progress,
            rng=rng,
        )
    cluster = _make(spec, supervisor, jvm, log_folder, rng)
    started(cluster, progress)
    return cluster


def ready_jvm(
    version: str,
    *,
    java_home: str | None,
    supervisor: Supervisor,
    log_folder: Path,
    progress: Progress,
    rng: random.Random | None = None,
) -> Jvm:
    """A Java with this Kafka, its checkpoint and its start-up cache, made where they are not there yet."""
    jvm = Jvm(find_java(java_home), kafka_jars(version, progress))
    kraft.bootstrap_checkpoint(jvm)
    _ensure_start_cache(jvm, supervisor, log_folder, progress, rng or random.Random(os.getpid()))
    return jvm


def started(cluster: ProcessCluster, progress: Progress) -> None:
    """Start a cluster, or leave nothing of it behind."""
    name = cluster.spec.name
    progress(f"starting {name}: {len(cluster.nodes)} JVM(s)")
    began = time.monotonic()
    try:
        cluster.prepare()
        cluster.start_all()
    except BaseException:
        cluster.close()
        raise
    progress(f"{name} is ready after {time.monotonic() - began:.1f} s")


def _make(
    spec: ClusterSpec, supervisor: Supervisor, jvm: Jvm, log_folder: Path, rng: random.Random
) -> ProcessCluster:
    subnet = network.reserve(kraft.node_ids(spec), client_port=spec.client_port, rng=rng)
    from kafkaos.backends.zookeeper import ZooKeeperCluster

    kind = ZooKeeperCluster if spec.controllers == "zookeeper" else ProcessCluster
    return kind(spec, supervisor=supervisor, jvm=jvm, subnet=subnet, log_folder=log_folder)


def _ensure_start_cache(
    jvm: Jvm, supervisor: Supervisor, log_folder: Path, progress: Progress, rng: random.Random
) -> None:
    if not jvm.can_cache or jvm.cache.exists():
        return
    with locked(jvm.jars.folder / "start-cache.lock"):
        if jvm.cache.exists():
            return
        progress("recording the start-up cache (once per Java and Kafka version, about 15 s)")
        pending = jvm.cache.with_suffix(f".{os.getpid()}.aot")
        spec = ClusterSpec(name="start-cache", security="mtls", kafka=jvm.jars.version, links="none")
        cluster = _make(spec, supervisor, jvm, log_folder / "start-cache", rng)
        try:
            cluster.record_start_cache(pending)
        finally:
            cluster.close()
        if pending.exists():
            pending.replace(jvm.cache)
        else:
            progress("this Java wrote no start-up cache; starts will be slower")

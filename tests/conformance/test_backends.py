"""What every backend must do alike: one set of tests that process, docker and external all pass.

Which capability each has is in `CAPABILITIES`; the table of the README is made from it, and a test holds both together.
"""

from __future__ import annotations

import contextlib
import io
import os
import signal
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import pytest
from confluent_kafka import Consumer, KafkaException, Producer
from confluent_kafka.admin import NewTopic  # type: ignore[attr-defined]

from kafkaos import cluster as capabilities
from kafkaos.apps.environment import client_environment
from kafkaos.backends import docker_engine, external
from kafkaos.backends.ask import metadata
from kafkaos.backends.docker_cluster import DockerCluster
from kafkaos.backends.docker_image import CACHE_LABEL, find_image
from kafkaos.backends.external import ExternalCluster, read_client_config
from kafkaos.backends.names import BACKENDS
from kafkaos.backends.process import ProcessCluster
from kafkaos.backends.processes import Supervisor
from kafkaos.backends.ready import wait_until
from kafkaos.backends.start import Running, Setup, start, start_own
from kafkaos.errors import NotAvailable, SetupFailed, WrongUse
from kafkaos.links.rules import Effect
from kafkaos.spec import DEFAULT_KAFKA_VERSION, load_spec

README = Path(__file__).parents[2] / "README.md"
WAIT_S = 60
KAFKAOS = (sys.executable, "-m", "kafkaos")
KINDS: dict[str, type] = {"process": ProcessCluster, "docker": DockerCluster, "external": ExternalCluster}
CAPABILITIES = {
    "Killable": "kill -9 of a node, start with its data and address",
    "Stoppable": "stop in order",
    "Pausable": "pause and resume",
    "HasProcesses": "exit status and state of a node's process",
    "HasLogs": "logs of the nodes",
    "HasFiles": "data of the nodes",
    "HasLogDirs": "full, failing and damaged disks",
    "HasTls": "rotation and defects of certificates",
    "Administered": "elections, reassignments, quotas, dynamic settings",
    "HasGroups": "consumer groups seen by their coordinator",
    "HasLinks": "cut, slow and half-open network links",
    "HasEnvironment": "clock skew",
    "Upgradable": "rolling upgrade",
}
BESIDE = {"TellsTime", "Probed"}
"""By these a fault's effect is seen; what the fault does is a capability of the table."""
SECURITY = ("single", "single-tls", "single-mtls", "single-scram")


class Clusters:
    """Clusters of each backend, by name; the external one is a process cluster that is reached by its address."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.supervisor = Supervisor()
        self._made: dict[tuple[str, str], Running] = {}

    def take(self, backend: str, name: str) -> Running:
        """A running cluster; the same one for the same question."""
        key = (backend, name)
        if key not in self._made:
            self._made[key] = self._start(backend, name)
        return self._made[key]

    def _start(self, backend: str, name: str) -> Running:
        logs = self.folder / f"{backend}-{name}"
        if backend == "external":
            theirs = self.take("process", name)
            told = client_environment(theirs, folder=self.folder / "told")
            setup = Setup(
                "external", bootstrap=theirs.bootstrap, client_config=Path(told["KAFKAOS_CLIENT_CONFIG"])
            )
            return start(load_spec(name), setup=setup, supervisor=self.supervisor, log_folder=logs)
        if backend == "docker":
            _engine()
        setup = Setup("docker" if backend == "docker" else "process")
        return start_own(load_spec(name), setup=setup, supervisor=self.supervisor, log_folder=logs)

    def close(self) -> None:
        for made in reversed(self._made.values()):
            made.close()
        self.supervisor.close()


@pytest.fixture(scope="module")
def clusters(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clusters]:
    made = Clusters(tmp_path_factory.mktemp("backends"))
    yield made
    made.close()


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", SECURITY)
def test_topics_records_groups_and_health_are_the_same_everywhere(
    backend: str, name: str, clusters: Clusters
) -> None:
    """A topic is made, told, written, read and deleted, plain, over TLS and with a login; the cluster is healthy."""
    cluster = clusters.take(backend, name)
    cluster.wait_healthy(timeout_s=WAIT_S)
    topic = cluster.create_topic(f"{backend}-topic", partitions=2, config={"max.message.bytes": "5000"})
    assert cluster.topic_config(topic)["max.message.bytes"] == "5000"
    state = cluster.observe([topic])
    assert [(p.topic, p.partition, p.leader, p.isr) for p in state.partitions] == [
        (topic, 0, 1, (1,)), (topic, 1, 1, (1,)),
    ]  # fmt: skip
    assert state.controller == 1
    assert state.alive == state.answered == (1,)
    assert state.fenced == ()

    _send(cluster.client_config(), topic, b"hello")
    assert _read(cluster.client_config(), topic, group="readers") == b"hello"
    assert cluster.coordinator("readers") == 1
    assert [node.id for node in cluster.nodes if node.is_broker] == [1]
    with pytest.raises(WrongUse):
        cluster.node(77)
    with pytest.raises(WrongUse):
        cluster.topic_config("no-such-topic")
    cluster.reset()
    wait_until(
        lambda: topic not in cluster.admin().list_topics(timeout=WAIT_S).topics,
        timeout_s=WAIT_S, what="the topic is gone",
    )  # fmt: skip


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_plaintext_client_is_refused_where_there_is_tls(backend: str, clusters: Clusters) -> None:
    """Mutual TLS: without it nothing is told; with the settings that the cluster gives, all is."""
    cluster = clusters.take(backend, "single-mtls")
    bare = Consumer({"bootstrap.servers": cluster.bootstrap, "group.id": "bare", "log_level": 0})
    with pytest.raises(KafkaException):
        bare.list_topics(timeout=2)
    bare.close()
    java = cluster.java_config()
    assert java["security.protocol"] == "SSL"
    assert Path(java["ssl.keystore.location"]).stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("backend", ["process", "docker"])
@pytest.mark.parametrize("how", ["kill", "stop"])
def test_a_node_that_ended_starts_again_with_its_data_and_its_address(
    backend: str, how: str, clusters: Clusters
) -> None:
    """Killed, or stopped in order: its end is seen with its status, its log stays, its records are read again."""
    cluster = clusters.take(backend, "single")
    assert isinstance(cluster, ProcessCluster)
    topic = cluster.create_topic(f"{backend}-{how}")
    _send(cluster.client_config(), topic, b"kept")
    address, pid = cluster.node(1).client_address, cluster.pid(1)

    if how == "kill":
        cluster.kill(1)
        assert cluster.exit_status(1) == -9
    else:
        assert cluster.stop(1, grace_s=WAIT_S)
        assert cluster.exit_status(1) == 143  # Java's own, after its shutdown hooks
        assert "shut down completely" in cluster.log_path(1).read_text()
    assert not cluster.is_running(1)
    assert cluster.alive() == []
    before = cluster.log_path(1).stat().st_size
    cluster.start(1)
    cluster.start(1)  # one that runs is left alone
    cluster.wait_healthy(timeout_s=WAIT_S)
    assert cluster.pid(1) != pid
    assert cluster.node(1).client_address == address
    assert cluster.log_path(1).stat().st_size > before
    assert _read(cluster.client_config(), topic, group=f"after-{how}") == b"kept"
    assert list(cluster.partition_folder(1, topic, 0).glob("*.log"))


@pytest.mark.parametrize("backend", ["process", "docker"])
def test_a_paused_node_answers_nothing_until_it_is_resumed(backend: str, clusters: Clusters) -> None:
    """Paused it is alive to nobody, and still runs; resumed it is healthy with the same process."""
    cluster = clusters.take(backend, "single")
    assert isinstance(cluster, ProcessCluster)
    pid = cluster.pid(1)
    cluster.pause(1)
    assert cluster.is_paused(1)
    assert cluster.is_running(1)
    assert cluster.alive() == []
    probe = Consumer({**cluster.client_config(), "group.id": "probe", "log_level": 0})
    with pytest.raises(KafkaException):
        probe.list_topics(timeout=1)
    cluster.resume(1)
    cluster.wait_healthy(timeout_s=WAIT_S)
    assert cluster.pid(1) == pid
    probe.close()


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_group_is_told_as_its_coordinator_knows_it_also_after_a_restart(
    backend: str, clusters: Clusters
) -> None:
    """Committed offsets outlast the coordinator; a member is named while it is one, and a left group is empty."""
    cluster = clusters.take(backend, "single")
    owner = clusters.take("process", "single") if backend == "external" else cluster
    assert isinstance(cluster, capabilities.HasGroups)
    assert isinstance(owner, ProcessCluster)
    topic = cluster.create_topic(f"{backend}-grouped")
    group = f"{backend}-told"
    assert cluster.committed(group) == {}
    _send(cluster.client_config(), topic, b"first")
    own = {
        "group.id": group,
        "client.id": "told",
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
    }
    member = Consumer({**cluster.client_config(), **own, "log_level": 0})
    member.subscribe([topic])
    wait_until(
        lambda: (m := member.poll(1)) is not None and m.error() is None, timeout_s=WAIT_S, what="a record"
    )
    member.commit(asynchronous=False)
    assert cluster.members(group) == ["told"]
    assert cluster.committed(group) == {(topic, 0): 1}
    member.close()
    owner.kill(1)
    owner.start(1)
    owner.wait_healthy(timeout_s=WAIT_S)
    assert cluster.committed(group) == {(topic, 0): 1}
    assert cluster.members(group) == []


def test_an_external_clusters_own_topics_are_left_alone(clusters: Clusters) -> None:
    """Emptied for the next test, or let go of, it loses only what was made through us; theirs is no name for ours."""
    theirs = clusters.take("process", "single")
    theirs.admin().create_topics([NewTopic("theirs", 1, 1)])["theirs"].result(WAIT_S)
    ours = ExternalCluster(theirs.bootstrap, {}, log_folder=clusters.folder)
    with pytest.raises(SetupFailed, match="a topic theirs that this run did not make"):
        ours.create_topic("theirs")
    for end in (ours.reset, ours.close):
        ours.create_topic("ours")
        end()
        wait_until(
            lambda: "ours" not in theirs.admin().list_topics(timeout=WAIT_S).topics,
            timeout_s=WAIT_S, what="our topic is gone",
        )  # fmt: skip
    assert "theirs" in theirs.admin().list_topics(timeout=WAIT_S).topics
    theirs.admin().delete_topics(["theirs"])["theirs"].result(WAIT_S)


def test_what_an_external_cluster_has_not_is_told_as_not_available(clusters: Clusters) -> None:
    """It lacks every capability that the table says, and a test that uses one all the same is skipped, not broken."""
    ours = clusters.take("external", "single")
    for name in CAPABILITIES:
        assert isinstance(ours, getattr(capabilities, name)) == (name == "HasGroups")
    for use in (lambda: ours.kill(1), lambda: ours.tls, lambda: ours.partition_folder(1, "orders", 0)):
        with pytest.raises(NotAvailable, match="needs a cluster of our own"):
            use()
    with pytest.raises(NotAvailable):
        ours.coordinator("payments", kind="transaction")
    with pytest.raises(AttributeError):
        ours.no_such_thing  # noqa: B018


def test_run_bootstrap_runs_what_their_cluster_can_and_tells_why_not_the_rest(
    clusters: Clusters, tmp_path: Path
) -> None:
    """`kafkaos run --bootstrap`: theirs is untouched, ours is gone, and what it cannot have is skipped."""
    theirs = clusters.take("process", "single-mtls")
    told = client_environment(theirs, folder=tmp_path / "told")
    theirs.admin().create_topics([NewTopic("untouched", 1, 1)])["untouched"].result(WAIT_S)
    _send(theirs.client_config(), "untouched", b"theirs")
    before = set(theirs.admin().list_topics(timeout=WAIT_S).topics)
    possible = "records_without_a_key_spread_and_no_order_holds_between_partitions"
    too_few = "main_job"
    no_process = "a_torn_tail_of_the_only_replica_is_a_loss_that_is_told"
    done = subprocess.run(
        [
            *(*KAFKAOS, "run", possible, too_few, no_process),
            *("--bootstrap", theirs.bootstrap, "--client-config", told["KAFKAOS_CLIENT_CONFIG"]),
            *("--out", str(tmp_path / "out")),
        ],
        capture_output=True, text=True, timeout=3 * WAIT_S, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed, 2 skipped" in done.stdout
    assert "it needs 3 brokers, and external has 1" in done.stdout
    assert "is not available on cluster external: this backend cannot" in done.stdout
    assert set(theirs.admin().list_topics(timeout=WAIT_S).topics) - before <= {"__consumer_offsets"}
    assert _read(theirs.client_config(), "untouched", group="they") == b"theirs"


def test_a_run_in_which_all_was_skipped_has_judged_nothing(clusters: Clusters, tmp_path: Path) -> None:
    """The main job needs three brokers: on one of theirs its status is 2, unknown, and not that all held."""
    theirs = clusters.take("process", "single")
    command = [*KAFKAOS, "run", "--bootstrap", theirs.bootstrap, "--out", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=WAIT_S, check=False)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "1 skipped" in done.stdout
    assert "nothing was judged" in done.stderr


def test_an_external_cluster_that_does_not_answer_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody at the address, and a settings file that is none, are told with what to do."""
    # All of the deadline is waited here, however long it is.
    monkeypatch.setattr(external, "REACH_DEADLINE_S", 1.0)
    with pytest.raises(SetupFailed, match=r"no cluster answers at 127\.0\.0\.1:9"):
        ExternalCluster("127.0.0.1:9", {}, log_folder=tmp_path)
    broken = tmp_path / "client.properties"
    broken.write_text("# fine\nsecurity.protocol PLAINTEXT\n")
    with pytest.raises(WrongUse, match="line 2"):
        read_client_config(broken)


HEAL = ("heal",)
NEXT_START = ("up", "--backend", "docker", "single", "--", "true")


@pytest.mark.parametrize(
    ("number", "then"),
    [(signal.SIGINT, None), (signal.SIGKILL, HEAL), (signal.SIGKILL, NEXT_START)],
    ids=["ctrl-c", "kill-9-and-heal", "kill-9-and-the-next-start"],
)
def test_nothing_is_left_in_the_engine(
    number: signal.Signals, then: tuple[str, ...] | None, tmp_path: Path
) -> None:
    """Of `kafkaos up --backend docker`: no container, network, volume or file, after Ctrl-C or the next start's end."""
    _engine()
    state, log = tmp_path / "state", tmp_path / "up.log"
    environment = {**os.environ, "KAFKAOS_STATE": str(state)}
    mine = {"label": f"{docker_engine.STATE_LABEL}={state}"}
    client = docker_engine.engine()
    try:
        volumes = {volume.id for volume in client.volumes.list()}
        with log.open("w") as told:
            up = subprocess.Popen(
                [*KAFKAOS, "up", "--backend", "docker", "single"],
                stdout=told, stderr=told, env=environment,
            )  # fmt: skip
        try:
            wait_until(
                lambda: "is ready at" in log.read_text(), timeout_s=WAIT_S, what=f"the cluster is up: {log}"
            )
        finally:
            up.send_signal(number)
            up.wait(WAIT_S)
        if then is not None:
            assert len(client.containers.list(all=True, filters=mine)) == 1
            assert len(client.networks.list(filters=mine)) == 1
            subprocess.run(
                [*KAFKAOS, *then], env=environment, cwd=tmp_path, check=True,
                capture_output=True, timeout=2 * WAIT_S,
            )  # fmt: skip
        assert client.containers.list(all=True, filters=mine) == client.networks.list(filters=mine) == []
        assert {volume.id for volume in client.volumes.list()} <= volumes
        assert [path for path in state.iterdir() if path.suffix != ".lock"] == []
    finally:
        client.close()


def test_an_image_that_is_missing_or_has_no_kafka_is_one_sentence(tmp_path: Path) -> None:
    """Both are told before a cluster starts, with the command that makes one."""
    _engine()
    client = docker_engine.engine()
    empty = tmp_path / "empty.tar"
    with tarfile.open(empty, "w") as tar:
        tar.add(README, "readme")
    try:
        with pytest.raises(SetupFailed, match="kafkaos image build"):
            find_image(client, "4.3.1", "localhost:1/nothing:1", lambda _: None)
        client.api.import_image_from_file(str(empty), repository="kafkaos/empty", tag="1")
        with pytest.raises(SetupFailed, match="is Kafka in that image"):
            find_image(client, "4.3.1", "kafkaos/empty:1", lambda _: None).checkpoint()
        client.images.remove("kafkaos/empty:1")
    finally:
        client.close()


@dataclass(frozen=True)
class Layout:
    """How somebody else's image with Kafka is made."""

    java: str
    """Where it has its Java."""
    changes: tuple[str, ...]


LAYOUTS = {
    "apache": Layout(
        "/opt/java/openjdk",
        (
            "USER appuser",
            'VOLUME ["/etc/kafka/secrets", "/var/lib/kafka/data", "/mnt/shared/config"]',
            'CMD ["/etc/kafka/docker/run"]',
            "EXPOSE 9092",
        ),
    ),
    "strimzi": Layout(
        "/usr/lib/jvm/jre-21", ("USER 1001", "WORKDIR /opt/kafka", 'ENTRYPOINT ["/no/such/program"]')
    ),
}
# What distributions of Kafka do there: any jar of the folder, and the Java of the environment.
THEIR_RUN_CLASS = """#!/bin/sh
for jar in "${0%/*}"/../libs/*.jar; do class_path="$class_path:$jar"; done
[ -d "$LOG_DIR" ] || exit 3
exec "$JAVA_HOME/bin/java" $KAFKA_HEAP_OPTS $KAFKA_JVM_PERFORMANCE_OPTS $KAFKA_JMX_OPTS $KAFKA_LOG4J_OPTS \\
  -cp "${class_path#:}" $KAFKA_OPTS "$@"
"""


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_broker_runs_on_an_image_laid_out_as_others_do_and_leaves_no_volume(
    layout: str, clusters: Clusters, tmp_path: Path
) -> None:
    """Java, script, user, volumes and entry point as in Apache's and Strimzi's images: none of it is in the way."""
    _engine()
    client = docker_engine.engine()
    name = f"kafkaos/as-{layout}:1"
    try:
        before = {volume.id for volume in client.volumes.list()}
        _lay_out(client, name, LAYOUTS[layout])
        cluster = start_own(
            load_spec("single"), setup=Setup("docker", image=name), supervisor=clusters.supervisor,
            log_folder=tmp_path,
        )  # fmt: skip
        topic = cluster.create_topic("there")
        _send(cluster.client_config(), topic, b"hello")
        assert _read(cluster.client_config(), topic, group="readers") == b"hello"
        cluster.close()
        assert {volume.id for volume in client.volumes.list()} <= before
        log = (tmp_path / "broker-1.log").read_text()
        assert "[error]" not in log
        assert "Kafka Server started" in log
    finally:
        client.images.remove(name, force=True)
        client.close()


def _lay_out(client: docker.DockerClient, name: str, layout: Layout) -> None:
    """An image of the files of our own, with another's script, user and place of Java."""
    files = io.BytesIO()
    with tarfile.open(fileobj=files, mode="w") as tar:
        for path, text in {
            "opt/kafka/bin/kafka-run-class.sh": THEIR_RUN_CLASS,
            "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nappuser:x:1000:1000::/home/appuser:/bin/sh\n",
            "etc/kafka/docker/run": "#!/bin/sh\nexit 1\n",
        }.items():
            member = tarfile.TarInfo(path)
            member.size, member.mode = len(text), 0o755
            tar.addfile(member, io.BytesIO(text.encode()))
        java = tarfile.TarInfo(layout.java.lstrip("/"))
        java.type, java.linkname = tarfile.SYMTYPE, "/opt/java"
        tar.addfile(java)
    origin = client.containers.create(find_image(client, DEFAULT_KAFKA_VERSION, None, print).id)
    try:
        origin.put_archive("/", files.getvalue())
        # Without the label of the start-up cache, which holds for our own class path alone.
        changes = [f"ENV JAVA_HOME={layout.java}", f"LABEL {CACHE_LABEL}=", *layout.changes]
        origin.commit(*name.split(":"), changes="\n".join(changes))
    finally:
        origin.remove(v=True)


def test_one_direction_between_two_containers_is_cut_and_healed(clusters: Clusters) -> None:
    """Cut from leader to follower: the follower leaves the ISR while the third still reaches it, and comes back."""
    _engine()
    cluster = clusters.take("docker", "three")
    assert isinstance(cluster, DockerCluster)
    topic = cluster.create_topic("orders", replicas=[1, 2, 3])
    assert cluster.probe_link((1, 2), timeout_s=WAIT_S).connected
    cluster.set_link_rule("cut", [(1, 2)], Effect(cut=True))
    assert not cluster.probe_link((1, 2), timeout_s=1).connected
    assert cluster.probe_link((3, 2), timeout_s=WAIT_S).round_trip_s is not None
    # A follower that has all there is stays in the ISR, however long it is silent.
    _send(cluster.client_config(), topic, b"hello")
    wait_until(
        lambda: (found := cluster.observe([topic]).partition(topic, 0)) is not None and found.isr == (1, 3),
        timeout_s=WAIT_S, what="broker 2 is out of the ISR",
    )  # fmt: skip
    assert cluster.remove_link_rule("cut")
    cluster.wait_healthy(timeout_s=WAIT_S)


@pytest.mark.parametrize("backend", ["process", "docker"])
def test_a_new_topic_is_known_to_the_last_broker_when_it_is_given_out(
    backend: str, clusters: Clusters
) -> None:
    """One broker hears of everything late: made, deleted and made again, a topic is the same one for all three."""
    cluster = clusters.take(backend, "three")
    assert isinstance(cluster, ProcessCluster)
    controller = next(node.id for node in cluster.nodes if not node.is_broker)
    # Late, but not so late that it misses its session of 3 s: a fenced broker is not waited for.
    cluster.set_link_rule("late", [(controller, 1)], Effect(delay_ms=300))
    try:
        for _ in range(2):
            name = cluster.create_topic("late")
            told = [
                metadata(cluster.direct_address(broker.id), [name], timeout_s=WAIT_S, tls=None).topics[0]
                for broker in cluster.brokers
            ]
            assert [len(topic.partitions) for topic in told] == [1, 1, 1]
            assert len({topic.topic_id for topic in told}) == 1
            cluster.delete_topic(name)
    finally:
        cluster.remove_link_rule("late")
    cluster.wait_healthy(timeout_s=WAIT_S)


def test_a_missing_engine_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody at the socket, and an engine on another machine, are told with what to do."""
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    assert "No such file or directory" in (docker_engine.unavailable() or "")
    monkeypatch.setenv("DOCKER_HOST", "tcp://10.0.0.1:2375")
    assert "on another machine" in (docker_engine.unavailable() or "")


def _engine() -> None:
    reason = docker_engine.unavailable()
    if reason:
        pytest.skip(reason)


def capability_table() -> str:
    """The README's table: what a cluster of each backend is an instance of."""
    lines = ["| capability | " + " | ".join(BACKENDS) + " |", "|---|" + "---|" * len(BACKENDS)]
    for name, words in CAPABILITIES.items():
        protocol = getattr(capabilities, name)
        cells = ["yes" if _is(KINDS[backend], protocol) else "-" for backend in BACKENDS]
        lines.append(f"| {words} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _is(kind: type, protocol: Any) -> bool:
    made = object.__new__(kind)
    # The one member that is no method, and would be asked of a cluster that was never started.
    if issubclass(kind, ProcessCluster):
        made._tls = None  # type: ignore[attr-defined]
    return isinstance(made, protocol)


def test_the_readme_tells_what_each_backend_can_do() -> None:
    """The table in the README is the one that the clusters' own types make, and has every capability that there is."""
    there_are = {
        name for name, kind in vars(capabilities).items() if getattr(kind, "_is_runtime_protocol", False)
    }
    assert there_are == {*CAPABILITIES, *BESIDE}
    assert capability_table() in README.read_text(encoding="utf-8")


def _send(config: dict[str, str], topic: str, value: bytes) -> None:
    errors: list[object] = []
    producer = Producer({**config, "acks": "all", "message.timeout.ms": WAIT_S * 1000, "log_level": 0})
    producer.produce(topic, value, on_delivery=lambda error, _: errors.append(error))
    producer.flush(WAIT_S)
    assert errors == [None]


def _read(config: dict[str, str], topic: str, *, group: str) -> bytes:
    consumer = Consumer({**config, "group.id": group, "auto.offset.reset": "earliest", "log_level": 0})
    found: list[bytes] = []

    def read() -> bool:
        message = consumer.poll(0.2)
        with contextlib.suppress(AttributeError):
            if message.error() is None:
                found.append(message.value())
        return bool(found)

    try:
        consumer.subscribe([topic])
        wait_until(read, timeout_s=WAIT_S, what="the record is read")
    finally:
        consumer.close()
    return found[0]

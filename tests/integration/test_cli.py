"""The command `kafkaos` as people run it: a process of its own, on real brokers and on machines that lack something."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import psutil
import pytest

from alive import alive
from kafkaos.backends.jars import kafka_jars
from kafkaos.backends.ready import wait_until
from kafkaos.commands.tool import CLASSES
from kafkaos.spec import DEFAULT_KAFKA_VERSION

KAFKAOS = [sys.executable, "-m", "kafkaos"]
DEADLINE_S = 120
CLOSED = "http://127.0.0.1:1"
PROXIES = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), CLOSED)

# What somebody writes who knows nothing but the environment that `kafkaos up` gives.
STRANGER = """
import os
from confluent_kafka import Consumer, Producer
config = dict(line.strip().split("=", 1) for line in open(os.environ["KAFKAOS_CLIENT_CONFIG"]))
producer = Producer(config)
# Nobody made the topic.
producer.produce("orders", b"hello")
assert producer.flush(30) == 0
consumer = Consumer({**config, "group.id": "stranger", "auto.offset.reset": "earliest"})
consumer.subscribe(["orders"])
message = consumer.poll(30)
assert message.error() is None, message.error()
print("read", message.value().decode())
consumer.close()
"""


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A folder of its own for running clusters, so that what is left can be told from others' clusters."""
    return tmp_path / "state"


@pytest.fixture
def environment(state: Path) -> dict[str, str]:
    return {**os.environ, "KAFKAOS_STATE": str(state)}


def kafkaos(
    *arguments: str, environment: dict[str, str], cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """One call of the command, its output as text."""
    return subprocess.run(
        [*KAFKAOS, *arguments],
        env=environment,
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=2 * DEADLINE_S,
        check=False,
    )


def one_sentence(done: subprocess.CompletedProcess[str], status: int) -> str:
    """The sentence on stderr, after what was told of progress; no traceback."""
    assert done.returncode == status, done.stderr
    assert "Traceback" not in done.stderr
    *_, last = done.stderr.strip().splitlines()
    assert last.startswith("kafkaos: ")
    return last


def brokers_of(state: Path) -> list[psutil.Process]:
    """Processes whose command line names a file of the state folder."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        words = process.info["cmdline"] or []
        if process.info["status"] != psutil.STATUS_ZOMBIE and any(str(state) in word for word in words[1:]):
            found.append(process)
    return found


def cluster_folders(state: Path) -> list[Path]:
    return list(state.glob("cluster-*"))


@pytest.mark.parametrize("cluster", ["single", "single-mtls"])
def test_a_stranger_s_client_works_with_the_environment_alone(
    cluster: str, state: Path, environment: dict[str, str]
) -> None:
    """A plain client that knows only KAFKAOS_* writes to a topic nobody made, and reads; nothing is left."""
    done = kafkaos("up", cluster, "--", sys.executable, "-c", STRANGER, environment=environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "read hello\n"
    assert cluster_folders(state) == []
    assert brokers_of(state) == []


def test_the_command_s_status_and_input_are_its_own(environment: dict[str, str]) -> None:
    """The command reads our stdin, and its exit status becomes ours."""
    done = subprocess.run(
        [*KAFKAOS, "up", "single", "--", "sh", "-c", "cat; exit 7"],
        input="typed", env=environment, capture_output=True, text=True, timeout=2 * DEADLINE_S, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (7, "typed")


def test_kafka_s_own_tools_take_the_cluster_of_the_environment(environment: dict[str, str]) -> None:
    """Inside `up`, `kafkaos tool` makes a topic over mutual TLS, writes to it and reads it, told nothing."""
    tool = f"{sys.executable} -m kafkaos tool"
    script = f"""set -e
    {tool} topics --create --topic orders
    echo hello | {tool} console-producer --topic orders
    {tool} console-consumer --topic orders --from-beginning --max-messages 1 --timeout-ms 60000
    {tool} metadata-quorum describe --status
    {tool} cluster cluster-id
    """
    done = kafkaos("up", "single-mtls", "--", "sh", "-c", script, environment=environment)
    assert done.returncode == 0, done.stderr
    for told in ("Created topic orders.", "\nhello\n", "LeaderId:", "Cluster ID:"):
        assert told in done.stdout


def test_every_tool_of_the_table_is_in_the_jars() -> None:
    """No name of `kafkaos tool` leads to a class that Kafka's jars do not have."""
    held: set[str] = set()
    for jar in kafka_jars(DEFAULT_KAFKA_VERSION).class_path:
        with zipfile.ZipFile(jar) as names:
            held.update(names.namelist())
    lacking = {tool for tool, name in CLASSES.items() if name.replace(".", "/") + ".class" not in held}
    assert lacking == set()


@pytest.fixture
def staying(environment: dict[str, str], tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """`kafkaos up` that stays, from the moment it has told how to connect."""
    output = tmp_path / "up.txt"
    with output.open("w") as file:
        process = subprocess.Popen(
            [*KAFKAOS, "up", "single-mtls"], env=environment, stdout=file, stderr=subprocess.STDOUT, text=True
        )

    def told() -> bool:
        assert process.poll() is None, output.read_text()
        return "Brokers' logs:" in output.read_text()

    try:
        wait_until(told, timeout_s=DEADLINE_S, what="the cluster is up")
        assert "kcat -F" in output.read_text()
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(DEADLINE_S)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_up_stays_until_it_is_told_to_end(
    number: signal.Signals, staying: subprocess.Popen[str], state: Path
) -> None:
    """Ctrl-C and SIGTERM end the cluster, remove its keys, and are told by the exit status."""
    assert brokers_of(state)
    staying.send_signal(number)
    assert staying.wait(DEADLINE_S) == 128 + number
    assert brokers_of(state) == []
    assert cluster_folders(state) == []


def test_kill_9_of_up_leaves_no_broker_no_port_and_no_key(
    staying: subprocess.Popen[str], state: Path
) -> None:
    """What `kafkaos up` started ends with it, also when it could do nothing any more."""
    ports = {
        c.laddr for p in brokers_of(state) for c in p.net_connections() if c.status == psutil.CONN_LISTEN
    }
    assert ports
    assert list(state.rglob("*.pem"))
    staying.kill()

    def gone() -> bool:
        listening = {c.laddr for c in psutil.net_connections("tcp") if c.status == psutil.CONN_LISTEN}
        return not brokers_of(state) and not cluster_folders(state) and not ports & listening

    wait_until(gone, timeout_s=30, what="nothing of the killed `kafkaos up` is left")
    assert list(state.rglob("*.pem")) == []


def test_kill_9_of_up_ends_its_command_too(environment: dict[str, str], tmp_path: Path) -> None:
    """The command of `up` does not outlive it."""
    mark = tmp_path / "pid"
    command = f"echo $$ > {mark}.new && mv {mark}.new {mark} && exec sleep 600"
    process = subprocess.Popen([*KAFKAOS, "up", "single", "--", "sh", "-c", command], env=environment)
    try:
        wait_until(mark.exists, timeout_s=DEADLINE_S, what="the command runs")
        pid = int(mark.read_text())
        assert alive(pid)
    finally:
        process.kill()
        process.wait(DEADLINE_S)
    wait_until(lambda: not alive(pid), timeout_s=30, what="the command ended")


def test_an_unknown_key_of_a_cluster_file_is_told_with_the_nearest(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    """File, key and the key that was meant are in one sentence; exit 64."""
    path = tmp_path / "mine.toml"
    path.write_text("broker = 3\n")
    told = one_sentence(kafkaos("up", str(path), "--", "true", environment=environment), 64)
    assert str(path) in told
    assert "`broker`; did you mean `brokers`?" in told


def test_a_java_that_does_not_start_is_told(tmp_path: Path, environment: dict[str, str]) -> None:
    """The Java, and what to set, are in one sentence; exit 2."""
    java = tmp_path / "jdk" / "bin" / "java"
    java.parent.mkdir(parents=True)
    java.write_text("#!/bin/sh\necho broken >&2\nexit 1\n")
    java.chmod(0o755)
    arguments = ("up", "single", "--java-home", str(tmp_path / "jdk"), "--", "true")
    told = one_sentence(kafkaos(*arguments, environment=environment), 2)
    assert str(java) in told
    assert "KAFKAOS_JAVA_HOME" in told


def test_a_port_in_use_is_told(tmp_path: Path, environment: dict[str, str]) -> None:
    """The port and the key to change are in one sentence; exit 2."""
    with socket.socket() as taken:
        taken.bind(("0.0.0.0", 0))
        taken.listen()
        port = taken.getsockname()[1]
        path = tmp_path / "mine.toml"
        path.write_text(f"client_port = {port}\n")
        told = one_sentence(kafkaos("up", str(path), "--", "true", environment=environment), 2)
    assert f"port {port} is in use" in told
    assert "client_port" in told


def test_a_first_start_without_a_network_is_told(tmp_path: Path, environment: dict[str, str]) -> None:
    """An empty cache and no way out: one sentence that names the network and the folder; exit 2."""
    cache = tmp_path / "cache"
    alone = {k: v for k, v in environment.items() if k.lower() != "no_proxy"}
    alone |= {**PROXIES, "KAFKAOS_CACHE": str(cache)}
    told = one_sentence(kafkaos("up", "single", "--", "true", environment=alone), 2)
    assert "the first start needs a network" in told
    assert str(cache) in told


def test_doctor_finds_what_is_missing(tmp_path: Path, environment: dict[str, str]) -> None:
    """Exit 0 where brokers can run; with a Java that is not there exit 2 and the reason, as JSON too."""
    done = kafkaos("doctor", "--json", environment=environment)
    assert done.returncode == 0, done.stdout
    process, *others = json.loads(done.stdout)["backends"]
    assert (process["name"], process["available"], process["reason"]) == ("process", True, None)
    assert [backend["name"] for backend in others] == ["docker", "external"]
    external = others[1]["lacking"]
    assert "cannot kill a node" in external["kill"]
    assert "kill-client" not in external
    assert all(backend["available"] or backend["reason"] for backend in others)
    done = kafkaos("doctor", "--json", "--java-home", str(tmp_path), environment=environment)
    assert done.returncode == 2
    process, *_ = json.loads(done.stdout)["backends"]
    assert f"no Java at {tmp_path}" in process["reason"]


def test_heal_removes_what_a_killed_harness_left(state: Path, environment: dict[str, str]) -> None:
    """A cluster's folder whose harness is gone is removed and named; then nothing is left to heal."""
    stale = state / "cluster-7"
    stale.mkdir(parents=True)
    (stale / "key.pem").write_text("secret")
    done = kafkaos("heal", "--json", environment=environment)
    assert done.returncode == 0
    assert json.loads(done.stdout)["removed"] == [str(stale)]
    assert not stale.exists()
    assert kafkaos("heal", environment=environment).stdout == "Nothing was left behind.\n"


def test_certs_makes_stores_that_only_their_owner_reads(tmp_path: Path, environment: dict[str, str]) -> None:
    """Hosts, clients and format are those asked for; keys have mode 0600."""
    folder = tmp_path / "tls"
    arguments = ("--host", "kafka-1,10.0.0.1", "--client", "billing", "--format", "pkcs12", "--json")
    done = kafkaos("certs", str(folder), *arguments, environment=environment)
    assert done.returncode == 0, done.stderr
    made = {file["path"]: file for file in json.loads(done.stdout)["files"]}
    assert {"hosts/kafka-1/keystore.p12", "clients/billing/client.properties"} <= set(made)
    secrets = [folder / path for path, file in made.items() if file["secret"]]
    assert all(path.stat().st_mode & 0o077 == 0 for path in secrets)


def test_a_run_is_judged_again_offline_and_a_removed_record_is_found(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    """`run` holds on a real broker, `check` says the same with no cluster, and one row less is a named loss."""
    scenario = "one_broker_leads_every_partition_and_refuses_a_second_replica"
    arguments = (scenario, "--cluster", "single", "--seed", "5", "--out", str(tmp_path / "out"), "--json")
    done = kafkaos("run", *arguments, environment=environment, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    ran = json.loads(done.stdout)
    assert (ran["seed"], ran["exit_status"]) == (5, 0)
    assert list((tmp_path / "out" / "allure-results").glob("*-result.json"))
    (test,) = ran["scenarios"]
    checked = kafkaos("check", str(tmp_path / "out"), "--json", environment=environment)
    assert checked.returncode == 0, checked.stderr
    (again,) = json.loads(checked.stdout)["recordings"]
    assert again["verdicts"] == test["verdicts"]

    folder = Path(test["folder"])
    rows = pl.read_parquet(folder / "recording.parquet")
    lost = rows.filter(pl.col("op") == "final").row(7, named=True)
    meta = json.loads((folder / "recording.json").read_text())
    rows = rows.filter((pl.col("op") != "final") | (pl.col("value") != lost["value"]))
    rows.write_parquet(folder / "recording.parquet", metadata={"kafkaos.run": meta["run"]})
    (folder / "recording.json").write_text(json.dumps({**meta, "rows": rows.height}))
    broken = kafkaos("check", str(folder), environment=environment)
    assert broken.returncode == 1, broken.stderr
    assert f"{lost['topic']}-{lost['partition']} at offset {lost['offset']}" in broken.stdout


def test_ctrl_c_ends_a_run_and_its_cluster(tmp_path: Path, state: Path, environment: dict[str, str]) -> None:
    """An interrupted run ends with 130 and leaves no broker and no key."""
    arguments = ["run", "A3", "--cluster", "single-mtls", "--out", str(tmp_path / "out")]
    process = subprocess.Popen(
        [*KAFKAOS, *arguments], env=environment, cwd=tmp_path, stdout=subprocess.DEVNULL
    )
    try:
        wait_until(lambda: bool(brokers_of(state)), timeout_s=DEADLINE_S, what="a broker starts")
        process.send_signal(signal.SIGINT)
        assert process.wait(DEADLINE_S) == 130
    finally:
        if process.poll() is None:
            process.kill()
            process.wait(DEADLINE_S)
    assert brokers_of(state) == []
    assert cluster_folders(state) == []

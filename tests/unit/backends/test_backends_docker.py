"""The Docker backend as far as it can be told without an engine: which one is asked, its refusals, what is removed."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import socket
import threading
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
import requests
from docker.errors import APIError, ImageNotFound, NotFound
from docker.models.containers import ContainerCollection
from docker.models.networks import NetworkCollection

from kafkaos.backends import docker_engine, docker_image, docker_network, network
from kafkaos.backends.docker_cluster import DockerCluster
from kafkaos.backends.docker_engine import ContainerProcess, told
from kafkaos.backends.places import try_lock
from kafkaos.backends.start import Setup, sweep
from kafkaos.cluster import Node
from kafkaos.errors import KafkaosError, NotAvailable, SetupFailed
from kafkaos.links.rules import Effect
from kafkaos.spec import load_spec

GONE = requests.exceptions.ConnectionError("('Connection aborted.', FileNotFoundError(2, 'No such file'))")


class FakeClient:
    """What is closed, and nothing else."""

    closed = False

    def close(self) -> None:
        self.closed = True


def test_containers_of_a_dead_harness_go_before_the_folders_that_they_write_into(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The other way round a broker that still runs makes new files in a folder that is just being removed."""
    client, order = FakeClient(), []

    def swept(what: str) -> Any:
        return lambda *_: order.append(what)

    monkeypatch.setattr(docker_engine, "engine", lambda: client)
    monkeypatch.setattr(docker_engine, "sweep", swept("containers"))
    monkeypatch.setattr(network, "sweep", swept("folders"))
    sweep(Setup("docker"))
    assert order == ["containers", "folders"]
    assert client.closed


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.0 500 Oops\r\nContent-Length: 4\r\n\r\nsick"])
def test_an_engine_that_takes_the_connection_and_is_not_well_is_one_sentence(
    answer: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ended without a word, or with an error: no traceback of its client, but what to do."""
    place = tmp_path / "docker.sock"
    monkeypatch.setenv("DOCKER_HOST", f"unix://{place}")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(place))
        server.listen()
        threading.Thread(target=_answer, args=(server, answer), daemon=True).start()
        with pytest.raises(SetupFailed, match=r"is not well \(.*\): start it, or take the backend `process`"):
            docker_engine.engine()


def _answer(server: socket.socket, answer: bytes) -> None:
    """To the first look, which asks nothing, and to the question after it."""
    for _ in range(2):
        connection, _ = server.accept()
        with connection:
            if answer and connection.recv(1 << 16):
                connection.sendall(answer)


def test_an_engine_that_one_may_not_use_is_told_with_the_way_to_be_let_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It runs: to start it would be no help."""

    def refuse(*_: Any) -> None:
        raise PermissionError(13, "Permission denied")

    class Refused(socket.socket):
        connect = refuse

    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/docker.sock")
    monkeypatch.setattr(docker_engine.socket, "socket", Refused)
    assert "join the group that may" in (docker_engine.unavailable() or "")


def test_the_engine_is_the_one_that_testcontainers_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With no DOCKER_HOST, or an empty one, it is that of the current `docker context`; else the default place."""
    config = tmp_path / "config.json"
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setenv("DOCKER_HOST", "")
    config.write_text("{}")
    assert docker_engine._place() == docker_engine.DEFAULT_PLACE

    meta = tmp_path / "contexts" / "meta" / hashlib.sha256(b"mine").hexdigest() / "meta.json"
    meta.parent.mkdir(parents=True)
    there = {"Host": "unix:///mine/docker.sock", "SkipTLSVerify": False}
    meta.write_text(json.dumps({"Name": "mine", "Metadata": {}, "Endpoints": {"docker": there}}))
    config.write_text(json.dumps({"currentContext": "mine"}))
    assert docker_engine._place() == "unix:///mine/docker.sock"
    monkeypatch.setenv("DOCKER_HOST", "unix:///given/docker.sock")
    assert docker_engine._place() == "unix:///given/docker.sock"


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (APIError("500", explanation="Bind for 127.7.1.1:19092 failed: port is already allocated"),
         "Docker could not start broker-1: Bind for 127.7.1.1:19092 failed: port is already allocated; end the"),
        (APIError("500", explanation="write /x: no space left on device"), "free some: `docker system df`"),
        (GONE, "the engine does not answer any more (('Connection aborted.'"),
        (requests.exceptions.ReadTimeout("Read timed out."), "start it again, and have `kafkaos heal` remove"),
    ],
)  # fmt: skip
def test_what_the_engine_refuses_and_that_it_is_gone_is_one_sentence(error: Exception, sentence: str) -> None:
    """Each with what to do."""
    with pytest.raises(SetupFailed) as failed, told("start broker-1"):
        raise error
    assert sentence in str(failed.value)
    assert "\n" not in str(failed.value)


class FakeContainer:
    """One of an engine that dies."""

    name = "broker-1"

    def __init__(self) -> None:
        self.attrs = {"State": {"Running": True, "Pid": 77}}
        self.engine_is_there = True

    def reload(self) -> None:
        if not self.engine_is_there:
            raise GONE

    def kill(self, **_: Any) -> None:
        self.reload()

    def remove(self, **_: Any) -> None:
        self.reload()


def test_an_engine_that_dies_in_the_middle_is_told_by_whoever_looks_at_a_node(tmp_path: Path) -> None:
    """Its state, a signal to it, and its removal: no traceback of a connection."""
    container: Any = FakeContainer()
    process = ContainerProcess(container, "broker-1", tmp_path / "log")
    assert process.poll() is None
    container.engine_is_there = False
    for use in (process.poll, lambda: process.signal(9), lambda: docker_engine.remove(container)):
        with pytest.raises(SetupFailed, match=r"broker-1: the engine does not answer any more"):
            use()


def test_a_node_that_could_not_open_its_log_is_told_with_the_words_of_its_shell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where the engine gives its containers other users: no log, and what the shell said went to the engine."""
    monkeypatch.setenv("KAFKAOS_STATE", str(tmp_path))
    nothing, logs = Mock(), tmp_path / "logs"
    subnet = network.Subnet(7, -1, 19092, 19093, 19094)
    cluster = DockerCluster(
        load_spec("single"), client=nothing, image=nothing, supervisor=nothing, subnet=subnet, log_folder=logs
    )  # fmt: skip
    container: Any = FakeContainer()
    container.attrs["State"] |= {"Running": False, "ExitCode": 2}
    container.logs = lambda **_: b"/bin/sh: 1: cannot create broker-1.log: Permission denied\n"
    cluster._processes[1] = ContainerProcess(container, "broker-1", logs / "broker-1.log")
    with pytest.raises(
        SetupFailed, match=r"ended with status 2 while starting: /bin/sh: .* Permission denied"
    ):
        cluster._check_alive()
    container.logs = Mock(
        side_effect=APIError("501", explanation="this logging driver does not support reading")
    )
    with pytest.raises(SetupFailed, match="it printed nothing"):
        cluster._check_alive()
    logs.mkdir()
    cluster.log_path(1).write_text("ERROR no such disk\n")
    with pytest.raises(SetupFailed, match="no such disk"):
        cluster._check_alive()


def test_a_cluster_whose_engine_died_leaves_no_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told, and the cluster's folder, which has its keys, is gone all the same."""
    monkeypatch.setenv("KAFKAOS_STATE", str(tmp_path))
    subnet = network.reserve([1], client_port=None, rng=random.Random(1))
    container: Any = FakeContainer()
    container.engine_is_there = False
    client, nothing = FakeClient(), Mock()
    cluster = DockerCluster(
        load_spec("single"), client=client, image=nothing, supervisor=nothing, subnet=subnet, log_folder=tmp_path
    )  # fmt: skip
    cluster._containers[1] = Mock(_container=container)
    cluster._processes[1] = Mock(signal=lambda _: container.reload())
    with pytest.raises(SetupFailed, match="the engine does not answer any more"):
        cluster.close()
    assert not subnet.folder.exists()
    assert client.closed


@pytest.mark.parametrize(
    ("links", "error", "told"),
    [
        ("none", NotAvailable, "a Docker engine that is not on this machine itself"),
        ("relay", KafkaosError, "does not run"),
    ],
)
def test_links_that_cannot_be_had_are_not_available_and_those_of_no_run_are_an_error(
    links: str, error: type[KafkaosError], told: str, tmp_path: Path
) -> None:
    """A scenario that cuts by itself is skipped with the reason where the engine is out of reach for the relay."""
    nothing: Any = None
    spec = load_spec("three").model_copy(update={"links": links})
    subnet = network.Subnet(7, -1, 19092, 19093, 19094)
    cluster = DockerCluster(
        spec, client=nothing, image=nothing, supervisor=nothing, subnet=subnet, log_folder=tmp_path
    )  # fmt: skip
    with pytest.raises(KafkaosError, match=told) as failed:
        cluster.set_link_rule("cut", [(1, 2)], Effect(cut=True))
    assert type(failed.value) is error


@pytest.mark.parametrize("client_port", [19093, 19103])
def test_no_node_has_two_listeners_on_the_port_that_clients_were_promised(
    client_port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ports of the nodes among themselves keep away from it, those inside of containers too."""
    monkeypatch.setenv("KAFKAOS_STATE", str(tmp_path))
    spec = load_spec("three-combined").model_copy(update={"client_port": client_port})
    subnet = network.reserve([1, 2, 3], client_port=client_port, rng=random.Random(1))
    nothing: Any = None
    cluster = DockerCluster(
        spec, client=nothing, image=nothing, supervisor=nothing, subnet=subnet, log_folder=tmp_path
    )  # fmt: skip
    for node in cluster.nodes:
        listeners = cluster._server_properties(node)["listeners"]
        assert len({one.rpartition(":")[2] for one in listeners.split(",")}) == 3, listeners
    subnet.free()


def test_a_container_that_another_run_removes_while_they_are_listed_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Runs side by side: the one ends its cluster just when the other one looks for what the dead left."""
    monkeypatch.setenv("KAFKAOS_STATE", str(tmp_path))
    api = Mock()
    api.containers.return_value = [{"Id": "gone"}]
    api.inspect_container.side_effect = NotFound("no such container")
    api.networks.return_value = []
    client: Any = Mock(api=api)
    client.containers, client.networks = ContainerCollection(client), NetworkCollection(client)
    assert docker_engine.sweep(client) == []
    assert api.inspect_container.called


def test_a_ctrl_c_waits_until_the_engine_has_made_what_it_was_asked_for() -> None:
    """Else a container would be there that nobody knows of. Who presses it twice is not kept waiting."""
    made = []

    def make(ctrl_c: int = 1) -> None:
        for _ in range(ctrl_c):
            signal.raise_signal(signal.SIGINT)
        made.append("a container")

    usual = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt):
        docker_engine.whole(make)
    assert made == ["a container"]
    with pytest.raises(KeyboardInterrupt):
        docker_engine.whole(lambda: make(ctrl_c=2))
    assert made == ["a container"]
    with pytest.raises(SetupFailed, match="refused"), told("make it"):
        docker_engine.whole(Mock(side_effect=APIError("409", explanation="refused")))
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == usual
    other = threading.Thread(target=docker_engine.whole, args=[lambda: made.append("another")])
    other.start()
    other.join()
    assert made == ["a container", "another"]


def test_networks_that_were_not_made_are_not_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine that refuses has nothing to remove; one range that is taken leaves the next."""
    answers = iter(
        [APIError("403", explanation="Pool overlaps with other one"), None, APIError("500", explanation="no")]
    )
    made: list[Any] = []

    class FakeNetwork:
        def __init__(self, **_: Any) -> None:
            self._network: Any = None
            self._docker = Mock()
            self.name = ""
            made.append(self)

        def create(self) -> None:
            if (refusal := next(answers)) is not None:
                raise refusal
            self._network = Mock()

    monkeypatch.setattr(docker_network, "Network", FakeNetwork)
    networks = docker_network.Networks(7, {})
    first, second = (Node(i, f"broker-{i}", "combined", "") for i in (1, 2))
    (place,) = networks.together([first]).values()
    assert place == docker_network.Place(docker_engine.stem(7), "10.214.7.1", "10.214.7.254")
    with pytest.raises(SetupFailed, match="Docker could not make a network: no"):
        networks.together([second])
    networks.remove()
    refused, taken, _ = made
    assert taken._network.remove.called
    assert refused._network is None
    assert all(network._docker.client.close.called for network in made)


def _jvm() -> Any:
    """Enough of one for an image whose files are none."""
    return Mock(jars=Mock(version="4.3.1"), cache=Path("/nowhere/start.aot"))


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        ('{"status":"sha256:1"}\n{"error":"write /x: no space left on device"}', "free some: `docker system df`"),
        ('{"errorDetail":{"message":"bad"},"error":"bad"}', "could not make the image kafkaos/kafka:4.3.1: bad"),
    ],
)  # fmt: skip
def test_an_image_that_the_engine_could_not_make_is_not_said_to_be_ready(
    answer: str, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It tells so in an answer that began well; an older image of that name is not taken for the new one."""
    monkeypatch.setattr(docker_image, "write_rootfs", lambda root, _: root.touch())
    client = Mock()
    client.api.import_image_from_file.return_value = answer
    with pytest.raises(SetupFailed) as failed:
        docker_image.build_image(client, _jvm(), lambda _: None)
    assert sentence in str(failed.value)
    client.api.import_image_from_file.return_value = '{"status":"sha256:1"}\n'
    assert docker_image.build_image(client, _jvm(), lambda _: None).name == "kafkaos/kafka:4.3.1"


def test_no_room_for_the_files_of_an_image_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """On the disk with temporary files, of which there is another one as a rule."""
    full = Mock(side_effect=OSError(28, "No space left on device"))
    monkeypatch.setattr(docker_image, "write_rootfs", full)
    with pytest.raises(SetupFailed, match=r"No space left on device.*TMPDIR"):
        docker_image.build_image(Mock(), _jvm(), lambda _: None)


def test_an_image_by_its_digest_is_pulled_by_it_and_what_is_no_name_is_one_sentence() -> None:
    """The digest has a colon of its own, which separates no tag."""
    for name, parts in {
        "apache/kafka": ("apache/kafka", "latest"),
        "localhost:5000/kafka": ("localhost:5000/kafka", "latest"),
        "localhost:5000/kafka:4.3.1": ("localhost:5000/kafka", "4.3.1"),
        "apache/kafka@sha256:12ab": ("apache/kafka", "sha256:12ab"),
    }.items():
        assert docker_image._split(name) == parts
    client = Mock()
    client.images.get.side_effect = APIError("400", explanation="invalid reference format")
    with pytest.raises(SetupFailed, match="could not look for the image NO NAME: invalid reference format"):
        docker_image.find_image(client, "4.3.1", "NO NAME", lambda _: None)
    client.images.get.side_effect = ImageNotFound("none")
    client.images.pull.side_effect = requests.exceptions.ReadTimeout("Read timed out.")
    with pytest.raises(SetupFailed, match=r"could not be pulled \(Read timed out\.\): make one by"):
        docker_image.find_image(client, "4.3.1", "my/kafka:1", lambda _: None)


@pytest.mark.parametrize(
    ("before", "tags", "gone"),
    [(None, [], []), ("new", [], []), ("old", [], ["old"]), ("old", ["mine:1"], [])],
)
def test_the_image_that_a_new_one_replaces_is_removed_unless_it_has_another_name(
    before: str | None, tags: list[str], gone: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else each `image build` would leave one with no name; the same one again is kept."""
    monkeypatch.setattr(docker_image, "write_rootfs", lambda root, _: root.touch())
    client = Mock()
    client.api.import_image_from_file.return_value = "{}"
    old = ImageNotFound("none") if before is None else Mock(id=before)
    client.images.get.side_effect = [old, Mock(id="new"), Mock(tags=tags)]
    assert docker_image.build_image(client, _jvm(), lambda _: None).id == "new"
    assert [call.args[0] for call in client.images.remove.call_args_list] == gone
    client.images.get.side_effect = [Mock(id="old"), Mock(id="new"), Mock(tags=[])]
    client.images.remove.side_effect = APIError("409", explanation="a running container uses it")
    docker_image.build_image(client, _jvm(), lambda _: None)


def test_only_what_a_dead_harness_left_is_told_and_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two runs side by side the one that lives keeps all: it holds its lock."""
    monkeypatch.setenv("KAFKAOS_STATE", str(tmp_path))
    alive, dead = (tmp_path / f"subnet-{number}.lock" for number in (7, 8))
    held = try_lock(alive)
    assert held is not None
    things = {
        name: Mock(attrs={"Labels": docker_engine.labels(lock)}) for name, lock in (("a", alive), ("d", dead))
    }
    for name, thing in things.items():
        thing.name = name
    client = Mock()
    client.containers.list.return_value = []
    client.networks.list.return_value = list(things.values())
    monkeypatch.setattr(docker_engine, "unavailable", lambda: None)
    monkeypatch.setattr(docker_engine, "engine", lambda: client)
    try:
        assert docker_engine.left_if_there() == ["network d"]
        assert not things["d"].remove.called
        assert docker_engine.sweep_if_there() == ["network d"]
        assert things["d"].remove.called
        assert not things["a"].remove.called
        free = try_lock(dead)
        assert free is not None
        os.close(free)
    finally:
        os.close(held)

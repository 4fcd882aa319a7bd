"""The Docker backend as far as it can be told without an engine: which one is asked, its refusals, what is removed."""

from __future__ import annotations

import hashlib
import json
import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from kafkaos.backends import docker_engine, network
from kafkaos.backends.start import Setup, sweep
from kafkaos.errors import SetupFailed


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

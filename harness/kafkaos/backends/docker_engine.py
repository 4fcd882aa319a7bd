"""The Docker engine: reached or told why not, one container as a process, and what a dead harness left swept away.

Clean-up is by label: each container and network names a lock of its harness; where the lock is free, that harness is no
more. So testcontainers' own reaper, an image of its own, is not needed.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import docker
from docker.errors import APIError, DockerException, NotFound
from docker.models.containers import Container

from kafkaos.backends.places import state_folder, try_lock
from kafkaos.backends.ready import wait_until
from kafkaos.errors import SetupFailed, WaitExpired

LOCK_LABEL = "kafkaos.lock"
STATE_LABEL = "kafkaos.state"
DEFAULT_PLACE = "unix:///var/run/docker.sock"
KILL_DEADLINE_S = 30.0
ENGINE_TIMEOUT_S = 120
KILLED = 128 + signal.SIGKILL


def engine() -> docker.DockerClient:
    """A client of the engine that answers; SetupFailed, with the way out, where none does."""
    where = _place()
    if not where.startswith("unix://"):
        raise SetupFailed(
            f"the Docker engine at {where} is on another machine, with which no folders can be shared: unset "
            "DOCKER_HOST (or choose another `docker context`), or test a cluster that is there already by "
            "--kafka-bootstrap"
        )
    advice = "start it, or take the backend `process`, which needs none"
    try:
        # By ourselves first: the engine's client leaves its socket open where nobody answers.
        with socket.socket(socket.AF_UNIX) as probe:
            probe.connect(where.removeprefix("unix://"))
    except PermissionError as error:
        raise SetupFailed(
            f"you may not use the Docker engine at {where} ({error.strerror}): join the group that may (`docker`, as "
            "a rule) and log in anew, or take the backend `process`, which needs none"
        ) from None
    except OSError as error:
        raise SetupFailed(f"no Docker engine answers at {where} ({error.strerror}): {advice}") from None
    try:
        # To make a client is to ask the engine for its version.
        client = docker.DockerClient(base_url=where, timeout=ENGINE_TIMEOUT_S)
    except DockerException as error:
        raise SetupFailed(
            f"the Docker engine at {where} is not well ({_first_line(error)}): {advice}"
        ) from None
    return client


def _place() -> str:
    """Where testcontainers finds the engine: containers and what we ask ourselves are to be of the same one."""
    from testcontainers.core.docker_client import get_docker_host

    return get_docker_host() or DEFAULT_PLACE


def unavailable() -> str | None:
    """Why there is no Docker here, in one sentence; None where there is."""
    try:
        engine().close()
    except SetupFailed as failed:
        return str(failed)
    return None


@contextlib.contextmanager
def told(what: str) -> Iterator[None]:
    """The engine's refusals, and that it answers no more, as one sentence, SetupFailed."""
    try:
        yield
    except APIError as error:
        text = str(error.explanation or error)
        if "port is already allocated" in text or "address already in use" in text:
            text = f"{text}; end the program that has the port, or choose another client_port"
        if "no space left on device" in text:
            text = f"{text}; free some: `docker system df` tells what takes it"
        raise SetupFailed(f"Docker could not {what}: {text}") from None
    except DockerException as error:
        raise SetupFailed(f"Docker could not {what}: {_first_line(error)}") from None
    except OSError as error:  # of the connection: requests' own errors are of this kind
        raise SetupFailed(
            f"Docker could not {what}: the engine does not answer any more ({_first_line(error)}); start it again, and "
            "have `kafkaos heal` remove what is left there"
        ) from None


def whole(make: Callable[[], object]) -> None:
    """Have the engine make something; a first Ctrl-C that comes meanwhile waits until it has answered.

    It makes what it was asked for whether anybody waits or not, and what nobody noted nobody removes.
    """
    if threading.current_thread() is not threading.main_thread():  # signals do not come here
        make()
        return
    came: list[int] = []

    def note(number: int, _: FrameType | None) -> None:
        if came:
            raise KeyboardInterrupt
        came.append(number)

    before: dict[int, Any] = {}
    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            before[number] = signal.signal(number, note)
        make()
    finally:
        for noted, handler in before.items():
            signal.signal(noted, handler)
        if came:
            signal.raise_signal(came[0])


class ContainerProcess:
    """One run of a container, with what a process of the process backend can do."""

    def __init__(self, container: Container, name: str, log_path: Path) -> None:
        self._container = container
        self.name = name
        self.log_path = log_path
        self.returncode: int | None = None
        container.reload()
        self.pid: int = container.attrs["State"]["Pid"]
        """Of the node's process, as the host numbers it."""

    def poll(self) -> int | None:
        """The exit status (negative: minus the signal), or None while it runs."""
        if self.returncode is None:
            with told(f"look at {self.name}"):
                try:
                    self._container.reload()
                except NotFound:
                    self.returncode = -signal.SIGKILL
                    return self.returncode
            state: dict[str, Any] = self._container.attrs["State"]
            if not state["Running"]:
                code = int(state["ExitCode"])
                self.returncode = -signal.SIGKILL if code == KILLED else code
        return self.returncode

    def signal(self, number: int) -> bool:
        """Send a signal to the node; False if it had already ended."""
        if self.poll() is not None:
            return False
        with told(f"signal {self.name}"):
            try:
                self._container.kill(signal=signal.Signals(number).name)
            except APIError:
                if self.poll() is not None:
                    return False
                raise
        return True

    def wait(self, timeout_s: float) -> int:
        """Wait for the end; WaitExpired after `timeout_s` seconds."""
        wait_until(lambda: self.poll() is not None, timeout_s=timeout_s, what=f"{self.name} has ended")
        assert self.returncode is not None
        return self.returncode

    def end(self, grace_s: float) -> int:
        """SIGTERM, then SIGKILL after `grace_s` seconds."""
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGTERM)
        try:
            return self.wait(grace_s)
        except WaitExpired:
            self.signal(signal.SIGKILL)
            return self.wait(KILL_DEADLINE_S)

    def printed(self) -> str:
        """The last line that went past its log: what the shell said when it could not open that, or run Kafka."""
        try:
            said = self._container.logs(tail=5).decode(errors="replace").split("\n")
        except (DockerException, OSError):  # where the engine keeps none, and where it is gone
            said = []
        return next((line.strip()[:300] for line in reversed(said) if line.strip()), "it printed nothing")


def labels(lock: Path) -> dict[str, str]:
    """By these `sweep` knows a container or network, once nobody holds this lock any more."""
    return {LOCK_LABEL: str(lock), STATE_LABEL: str(state_folder())}


def stem(number: int) -> str:
    """How the names of a cluster's containers and networks begin.

    The engine is the machine's, the numbers of clusters are of a state folder: two users may have the same one.
    """
    return f"kafkaos-{number}-{hashlib.sha256(str(state_folder()).encode()).hexdigest()[:6]}"


def sweep(client: docker.DockerClient) -> list[str]:
    """Remove containers and networks whose harness is gone; their kinds and names."""
    removed = []
    for thing in _left(client):
        remove(thing)
        removed.append(_called(thing))
    return removed


def _called(thing: Any) -> str:
    """A node's network has the name of its container."""
    return f"{'container' if isinstance(thing, Container) else 'network'} {thing.name}"


def _left(client: docker.DockerClient) -> Iterator[Any]:
    """Containers and networks whose harness is gone; while one is looked at nobody takes its lock."""
    for thing in labelled(client, f"{STATE_LABEL}={state_folder()}"):
        own = thing.labels if isinstance(thing, Container) else thing.attrs["Labels"]
        lock = try_lock(Path(own[LOCK_LABEL]))
        if lock is None:
            continue
        try:
            yield thing
        finally:
            os.close(lock)


def labelled(client: docker.DockerClient, label: str) -> list[Any]:
    """Containers and networks that have it, the containers first."""
    mine: dict[str, Any] = {"label": label}
    with told("list what it has of kafkaos"):
        # Each is looked at after it was listed: another run may have removed its own in between.
        containers = client.containers.list(all=True, ignore_removed=True, filters=mine)
        return [*containers, *client.networks.list(filters=mine)]


def sweep_if_there() -> list[str]:
    """As `sweep`; nothing where no engine answers."""
    return _if_there(sweep)


def left_if_there() -> list[str]:
    """What `sweep` would remove; nothing where no engine answers."""
    return _if_there(lambda client: [_called(thing) for thing in _left(client)])


def _if_there(ask: Callable[[docker.DockerClient], list[str]]) -> list[str]:
    if unavailable():
        return []
    client = engine()
    try:
        return ask(client)
    finally:
        client.close()


def remove(thing: Any) -> None:
    """Remove a container, running or not, or a network; one that is gone is fine."""
    deadline_s = time.monotonic() + KILL_DEADLINE_S
    with told(f"remove {thing.name}"):
        while True:
            try:
                thing.remove(**({"force": True, "v": True} if isinstance(thing, Container) else {}))
            except NotFound:
                return
            except APIError as error:
                # Another remover is at it, or a container of the network is just ending.
                if error.status_code not in (403, 409) or time.monotonic() > deadline_s:
                    raise
                time.sleep(0.05)
            else:
                return


def _first_line(error: BaseException) -> str:
    text = str(error)
    return text.splitlines()[0][:200] if text else type(error).__name__

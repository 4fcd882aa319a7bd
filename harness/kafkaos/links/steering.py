"""The harness's side of the relay: start it, set and take away rules, read its counters."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kafkaos.errors import KafkaosError
from kafkaos.links.rules import Counters, Effect, LinkId

CONTROL = "links.sock"
ANSWER_DEADLINE_S = 30.0


@dataclass(frozen=True)
class Route:
    """Where a source reaches for a target, and where the target really listens."""

    source: int
    target: int
    listen: tuple[str, int]
    to: tuple[str, int]


def relay_command(folder: Path, routes: Sequence[Route]) -> list[str]:
    """Write the plan into `folder` (the relay's working folder too); the command that serves it."""
    plan = folder / "links.json"
    plan.write_text(json.dumps({"control": CONTROL, "routes": [vars(route) for route in routes]}))
    return [sys.executable, "-m", "kafkaos.links.relay", str(plan)]


class Links:
    """One relay's rules and counters; safe to use from several threads. KafkaosError when the relay is gone."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._connection: socket.socket | None = None

    @property
    def ready(self) -> bool:
        """Whether the relay listens, everywhere."""
        return (self._folder / CONTROL).exists()

    def set(self, name: str, links: Sequence[LinkId], effect: Effect) -> None:
        """Put a rule in force, in place of one of the same name. It is when this returns."""
        self._ask(do="set", name=name, links=list(links), effect=effect.to_json())

    def remove(self, name: str) -> bool:
        """Take a rule away; whether there was one. What was held goes on."""
        return bool(self._ask(do="remove", name=name))

    def clear(self) -> None:
        """Take all rules away."""
        self._ask(do="clear")

    def reset(self, links: Sequence[LinkId]) -> int:
        """Reset (RST) the connections that the links' sources opened; how many there were."""
        return int(self._ask(do="reset", links=list(links)))

    def counters(self) -> dict[LinkId, Counters]:
        """Of every link, since the cluster started."""
        return {(source, target): Counters(**given) for source, target, given in self._ask(do="counters")}

    @contextlib.contextmanager
    def tapped(self, links: Sequence[LinkId], folder: Path) -> Iterator[dict[LinkId, Path]]:
        """Copy what goes over each link to a file of `folder` while the body runs; the files."""
        files = {link: folder / f"{link[0]}-{link[1]}" for link in links}
        self._ask(do="tap", links=list(links), folder=str(folder.absolute()))
        try:
            yield files
        finally:
            self._ask(do="untap")

    def close(self) -> None:
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _ask(self, **order: Any) -> Any:
        with self._lock:
            try:
                if self._connection is None:
                    self._connection = _connect(self._folder)
                self._connection.sendall(json.dumps(order).encode() + b"\n")
                answer = _line(self._connection)
            except OSError as error:
                self._connection = None
                raise KafkaosError(
                    f"the process of the network links did not answer ({error}): see links.log beside the brokers' logs"
                ) from None
        if "error" in answer:
            raise KafkaosError(f"the network links refused to {order['do']}: {answer['error']}")
        return answer["result"]


def _connect(folder: Path) -> socket.socket:
    """By the folder's descriptor: the path of a Unix socket has room for 107 bytes only."""
    descriptor = os.open(folder, os.O_PATH | os.O_DIRECTORY)
    try:
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(ANSWER_DEADLINE_S)
        connection.connect(f"/proc/self/fd/{descriptor}/{CONTROL}")
        return connection
    finally:
        os.close(descriptor)


def _line(connection: socket.socket) -> Any:
    received = bytearray()
    while not received.endswith(b"\n"):
        data = connection.recv(1 << 16)
        if not data:
            raise ConnectionError("it closed the connection")
        received += data
    return json.loads(received)

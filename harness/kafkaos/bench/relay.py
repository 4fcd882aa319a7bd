"""The relay of the network links alone, between two plain sockets: bytes a second, and what it adds to a round trip."""

from __future__ import annotations

import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kafkaos.backends.ready import wait_until
from kafkaos.links.steering import Links, Route, relay_command

PINGS = 2000
BULK_BYTES = 400_000_000
PIECE_BYTES = 1 << 18
DEADLINE_S = 60.0
Kind = str
DIRECT, LINKED = "direct", "links"

# In a process of its own, as a broker is. The first byte says what to do: send back, or swallow and then say so.
PEER = """
import socket, sys
server, bulk = socket.socket(fileno=int(sys.argv[1])), int(sys.argv[2])
room = memoryview(bytearray(1 << 18))
while True:
    connection, _ = server.accept()
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    echo, size = connection.recv(1) == b"e", 0
    while count := connection.recv_into(room):
        size += count
        if echo:
            connection.sendall(room[:count])
        elif size == bulk:
            connection.sendall(b"!")
    connection.close()
"""


def measure_relay(folder: Path, *, runs: int) -> dict[str, float]:
    """Megabytes a second of one connection, and milliseconds of a round trip, with a link and without, in turns."""
    rates: dict[Kind, list[float]] = {DIRECT: [], LINKED: []}
    trips_s: dict[Kind, list[float]] = {DIRECT: [], LINKED: []}
    with _peer_and_link(folder) as addresses:
        for _ in range(runs):
            for kind, address in addresses.items():
                with connect(address) as connection:
                    rates[kind].append(BULK_BYTES / _swallowed_s(connection) / 1e6)
                with connect(address) as connection:
                    trips_s[kind].append(_round_trip_s(connection))
    added_s = statistics.median(trips_s[LINKED]) - statistics.median(trips_s[DIRECT])
    return {
        **{f"{kind}_mb_per_s": round(statistics.median(rate)) for kind, rate in rates.items()},
        "added_round_trip_ms_median": round(added_s * 1000, 4),
    }


def connect(address: str) -> socket.socket:
    """A connection to `host:port` that sends at once."""
    host, _, port = address.rpartition(":")
    connection = socket.create_connection((host, int(port)), DEADLINE_S)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def _swallowed_s(connection: socket.socket) -> float:
    piece = bytes(PIECE_BYTES)
    connection.sendall(b"b")
    began_s = time.monotonic()
    for at in range(0, BULK_BYTES, PIECE_BYTES):
        connection.sendall(piece[: BULK_BYTES - at])
    connection.recv(1)
    return time.monotonic() - began_s


def _round_trip_s(connection: socket.socket) -> float:
    """The median of many."""
    connection.sendall(b"e")
    took_s = []
    for _ in range(PINGS):
        began_s = time.monotonic()
        connection.sendall(b"ping")
        connection.recv(4)
        took_s.append(time.monotonic() - began_s)
    return statistics.median(took_s)


@contextmanager
def _peer_and_link(folder: Path) -> Iterator[dict[Kind, str]]:
    """The address of a peer, and that of a link to it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        direct = server.getsockname()
        with socket.create_server(("127.0.0.1", 0)) as free:
            listen = free.getsockname()
        peer = subprocess.Popen(
            [sys.executable, "-c", PEER, str(server.fileno()), str(BULK_BYTES)], pass_fds=[server.fileno()]
        )
        relay = subprocess.Popen(relay_command(folder, [Route(0, 1, listen, direct)]), cwd=folder)
        try:
            links = Links(folder)
            wait_until(lambda: links.ready, timeout_s=DEADLINE_S, what="the relay listens")
            yield {DIRECT: f"{direct[0]}:{direct[1]}", LINKED: f"{listen[0]}:{listen[1]}"}
        finally:
            for process in (relay, peer):
                process.kill()
                process.wait()

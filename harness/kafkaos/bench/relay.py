"""The relay of the network links alone, between two plain sockets: bytes a second, and what it adds to a round trip.

Beside it Toxiproxy does the same work, where its server is on the path.
"""

from __future__ import annotations

import json
import shutil
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from kafkaos.backends.ready import listens, wait_until
from kafkaos.links.steering import Links, Route, relay_command

PINGS = 2000
BULK_BYTES = 400_000_000
PIECE_BYTES = 1 << 18
DEADLINE_S = 60.0
Kind = str
DIRECT, LINKED, TOXIPROXY = "direct", "links", "toxiproxy"
TOXIPROXY_SERVER = "toxiproxy-server"

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


def measure_relay(folder: Path, *, runs: int) -> dict[str, Any]:
    """Megabytes a second of one connection, and milliseconds of a round trip, with a link and without, in turns.

    `toxiproxy` has the same of Toxiproxy, and how many times its throughput the link's is; None where it is not here.
    """
    with _peer_and_proxies(folder) as addresses:
        rates: dict[Kind, list[float]] = {kind: [] for kind in addresses}
        trips_s: dict[Kind, list[float]] = {kind: [] for kind in addresses}
        for _ in range(runs):
            for kind, address in addresses.items():
                with connect(address) as connection:
                    rates[kind].append(BULK_BYTES / _swallowed_s(connection) / 1e6)
                with connect(address) as connection:
                    trips_s[kind].append(_round_trip_s(connection))
    rate = {kind: statistics.median(some) for kind, some in rates.items()}
    trip_ms = {kind: statistics.median(some) * 1000 for kind, some in trips_s.items()}
    added_ms = {kind: round(trip - trip_ms[DIRECT], 4) for kind, trip in trip_ms.items()}
    return {
        **{f"{kind}_mb_per_s": round(rate[kind]) for kind in (DIRECT, LINKED)},
        "added_round_trip_ms_median": added_ms[LINKED],
        "toxiproxy": {
            "mb_per_s": round(rate[TOXIPROXY]),
            "added_round_trip_ms_median": added_ms[TOXIPROXY],
            "links_times_its_throughput": round(rate[LINKED] / rate[TOXIPROXY], 2),
        }
        if TOXIPROXY in rate
        else None,
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
def _peer_and_proxies(folder: Path) -> Iterator[dict[Kind, str]]:
    """The address of a peer, that of a link to it and, where there is one, that of a Toxiproxy to it."""
    with ExitStack() as stack:
        server = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        direct = server.getsockname()
        _run(
            stack,
            [sys.executable, "-c", PEER, str(server.fileno()), str(BULK_BYTES)],
            pass_fds=[server.fileno()],
        )
        listen = _free()
        _run(stack, relay_command(folder, [Route(0, 1, listen, direct)]), cwd=folder)
        links = Links(folder)
        wait_until(lambda: links.ready, timeout_s=DEADLINE_S, what="the relay listens")
        addresses = {DIRECT: _told(direct), LINKED: _told(listen)}
        if command := shutil.which(TOXIPROXY_SERVER):
            addresses[TOXIPROXY] = _toxiproxy(stack, command, folder, _told(direct))
        yield addresses


def _toxiproxy(stack: ExitStack, command: str, folder: Path, upstream: str) -> str:
    """The address at which a Toxiproxy without toxics stands before `upstream`."""
    (host, port), listen = _free(), _told(_free())
    proxies = folder / "toxiproxy.json"
    proxies.write_text(
        json.dumps([{"name": "bench", "listen": listen, "upstream": upstream, "enabled": True}])
    )
    quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    _run(stack, [command, "-host", host, "-port", str(port), "-config", str(proxies)], **quiet)
    wait_until(lambda: listens(listen), timeout_s=DEADLINE_S, what=f"{command} listens")
    return listen


def _run(stack: ExitStack, command: list[str], **how: Any) -> None:
    process = subprocess.Popen(command, **how)
    stack.callback(process.wait)
    stack.callback(process.kill)


def _free() -> tuple[str, int]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        host, port = free.getsockname()
        return host, port


def _told(address: tuple[str, int]) -> str:
    return f"{address[0]}:{address[1]}"

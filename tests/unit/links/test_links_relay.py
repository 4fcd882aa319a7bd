"""The relay on real sockets: what passes, what is held, and what comes of it when a link is whole again."""

from __future__ import annotations

import hashlib
import os
import random
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from kafkaos.backends.ready import wait_until
from kafkaos.errors import KafkaosError
from kafkaos.links.rules import Effect
from kafkaos.links.steering import Links, Route, relay_command

DEADLINE_S = 30.0
THERE, BACK = (1, 2), (2, 1)


QUICK_S = 0.2
"""Long enough for what passes to come, and what a test waits to see that nothing does."""


@dataclass
class Wire:
    """Node 1 reaches node 2 at `address`; the server is node 2."""

    links: Links
    address: tuple[str, int]
    server: socket.socket
    ends: list[socket.socket] = field(default_factory=list)

    def pair(self) -> tuple[socket.socket, socket.socket]:
        """A connection through the relay: the end of node 1, and that of node 2."""
        near = socket.create_connection(self.address, DEADLINE_S)
        far, _ = self.server.accept()
        far.settimeout(DEADLINE_S)
        self.ends += [near, far]
        return near, far


@pytest.fixture
def wire(tmp_path: Path) -> Iterator[Wire]:
    # Away from the subnets of clusters, and another for each process that runs tests.
    host = f"127.{251 + os.getpid() % 4}.{random.randrange(1, 250)}.{random.randrange(1, 250)}"
    with socket.create_server((host, 0)) as server:
        server.settimeout(DEADLINE_S)
        to = server.getsockname()
        with socket.create_server((host, 0)) as free:
            listen = free.getsockname()
        command = relay_command(tmp_path, [Route(1, 2, listen, to)])
        relay = subprocess.Popen(command, cwd=tmp_path)
        links = Links(tmp_path)
        wait_until(lambda: links.ready, timeout_s=DEADLINE_S, what="the relay listens")
        wire = Wire(links, listen, server)
        yield wire
        for end in wire.ends:
            end.close()
        assert relay.poll() is None
        links.close()
        relay.kill()
        relay.wait(DEADLINE_S)


def receive(connection: socket.socket, count: int) -> bytes:
    """So many bytes, or fewer at the end of the stream."""
    data = bytearray()
    while len(data) < count and (piece := connection.recv(count - len(data))):
        data += piece
    return bytes(data)


def is_silent(connection: socket.socket) -> bool:
    """Whether nothing comes."""
    connection.settimeout(QUICK_S)
    try:
        connection.recv(1, socket.MSG_PEEK)
    except TimeoutError:
        return True
    finally:
        connection.settimeout(DEADLINE_S)
    return False


@pytest.mark.parametrize(
    "effect",
    [
        Effect(),
        Effect(delay_ms=5, jitter_ms=5),
        Effect(rate_kbit=400_000),
        Effect(delay_ms=3, rate_kbit=400_000),
    ],
    ids=["untouched", "jitter", "rate", "both"],
)
def test_every_byte_arrives_once_and_in_order_both_ways(wire: Wire, effect: Effect) -> None:
    """8 MB each way at the same time, in odd pieces, are the same bytes at the other end."""
    wire.links.set("x", [THERE, BACK], effect)
    near, far = wire.pair()
    sent = random.Random(1).randbytes(8_000_000)
    digests: dict[str, str] = {}

    def send(connection: socket.socket) -> None:
        rng, view, at = random.Random(2), memoryview(sent), 0
        while at < len(view):
            size = rng.randrange(1, 200_000)
            connection.sendall(view[at : at + size])
            at += size
        connection.shutdown(socket.SHUT_WR)

    def take(name: str, connection: socket.socket) -> None:
        digests[name] = hashlib.sha256(receive(connection, len(sent) + 1)).hexdigest()

    threads = [threading.Thread(target=send, args=(end,)) for end in (near, far)]
    threads += [threading.Thread(target=take, args=given) for given in (("near", near), ("far", far))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE_S * 2)
    whole = hashlib.sha256(sent).hexdigest()
    assert digests == {"near": whole, "far": whole}
    counters = wire.links.counters()
    assert counters[THERE].bytes == counters[BACK].bytes == len(sent)
    near.close()
    far.close()
    wait_until(lambda: wire.links.counters()[THERE].open == 0, timeout_s=DEADLINE_S, what="it is closed")


def test_a_cut_one_way_holds_that_way_alone_and_delivers_it_afterwards(wire: Wire) -> None:
    """Bytes of the cut direction wait and are counted; those of the other pass; whole again, all arrives in order."""
    near, far = wire.pair()
    near.sendall(b"before")
    assert receive(far, 6) == b"before"
    wire.links.set("cut", [THERE], Effect(cut=True))
    near.sendall(b"held")
    far.sendall(b"passes")
    assert receive(near, 6) == b"passes"
    assert is_silent(far)
    assert wire.links.counters()[THERE].waiting_bytes == 4
    assert wire.links.remove("cut")
    near.sendall(b" and later")
    assert receive(far, 14) == b"held and later"
    assert not wire.links.remove("cut")


@pytest.mark.parametrize("cut", [THERE, BACK], ids=["there", "back"])
def test_while_one_way_is_cut_no_connection_comes_about(wire: Wire, cut: tuple[int, int]) -> None:
    """A connection that is begun meanwhile times out, as its packets are lost; after it, connections pass again."""
    wire.links.set("cut", [cut], Effect(cut=True))
    for _ in range(3):
        with pytest.raises(TimeoutError):
            socket.create_connection(wire.address, QUICK_S)
    wire.links.clear()
    near, far = wire.pair()
    near.sendall(b"x")
    assert receive(far, 1) == b"x"


def test_what_a_client_sent_before_it_gave_up_arrives_after_a_cut(wire: Wire) -> None:
    """Closed by the source while cut: the bytes and then the end of the stream come through when it is whole."""
    near, far = wire.pair()
    wire.links.set("cut", [THERE, BACK], Effect(cut=True))
    near.sendall(b"last words")
    near.close()
    assert is_silent(far)
    wire.links.clear()
    assert receive(far, 100) == b"last words"


def test_half_open_accepts_and_says_nothing(wire: Wire) -> None:
    """New connections are taken, no byte passes either way; whole again, they go on."""
    wire.links.set("mute", [THERE, BACK], Effect(silent=True))
    near, far = wire.pair()
    near.sendall(b"hello")
    far.sendall(b"welcome")
    assert is_silent(far)
    assert is_silent(near)
    wire.links.clear()
    assert receive(far, 5) == b"hello"
    assert receive(near, 7) == b"welcome"


def test_delays_of_two_rules_add_up_and_each_goes_by_its_name(wire: Wire) -> None:
    """A round trip takes the sum of both; without the one it takes the other's delay, without both none."""
    near, far = wire.pair()

    def round_trip_s() -> float:
        began = time.monotonic()
        near.sendall(b"ping")
        receive(far, 4)
        far.sendall(b"pong")
        receive(near, 4)
        return time.monotonic() - began

    wire.links.set("there", [THERE], Effect(delay_ms=300))
    wire.links.set("back", [BACK], Effect(delay_ms=200))
    assert round_trip_s() >= 0.5
    wire.links.remove("there")
    assert 0.2 <= min(round_trip_s() for _ in range(3)) < 0.5
    wire.links.remove("back")
    assert min(round_trip_s() for _ in range(3)) < 0.2


def test_a_rate_is_kept_over_all_connections_together(wire: Wire) -> None:
    """At 8,000 kbit/s two connections that send as much as they can bring a million bytes a second between them."""
    ends = [wire.pair() for _ in range(2)]
    wire.links.set("narrow", [THERE], Effect(rate_kbit=8_000))
    began = time.monotonic()
    senders = [threading.Thread(target=near.sendall, args=(bytes(250_000),)) for near, _ in ends]
    for sender in senders:
        sender.start()
    for _, far in ends:
        assert len(receive(far, 250_000)) == 250_000
    took_s = time.monotonic() - began
    for sender in senders:
        sender.join(DEADLINE_S)
    assert took_s > 0.45  # no upper bound: the machine may be busy
    assert wire.links.counters()[THERE].delayed_bytes == 500_000


def test_reset_ends_the_connections_of_one_opener(wire: Wire) -> None:
    """Both ends see a reset; who opened nothing has nothing reset; the next connection is well."""
    near, far = wire.pair()
    assert wire.links.reset([BACK]) == 0
    assert wire.links.reset([THERE]) == 1
    for end in (near, far):
        with pytest.raises(ConnectionResetError):
            end.recv(1)
    near, far = wire.pair()
    near.sendall(b"x")
    assert receive(far, 1) == b"x"
    assert wire.links.counters()[THERE].resets == 1
    assert wire.links.counters()[THERE].connections == 2


def test_a_target_that_does_not_listen_is_seen_as_a_reset(wire: Wire) -> None:
    """The source's connection ends at once, and is counted as refused."""
    wire.server.close()
    # On a busy machine the reset is there before `connect` has looked at its result.
    with pytest.raises(ConnectionResetError), socket.create_connection(wire.address, DEADLINE_S) as near:
        near.recv(1)
    wait_until(
        lambda: wire.links.counters()[THERE].refused == 1, timeout_s=DEADLINE_S, what="the refusal is counted"
    )


def test_a_tap_has_what_went_over_each_link(wire: Wire, tmp_path: Path) -> None:
    """Each direction's bytes are in its own file, those before and after the tap are not."""
    near, far = wire.pair()
    near.sendall(b"before")
    assert receive(far, 6) == b"before"
    with wire.links.tapped([THERE, BACK], tmp_path) as files:
        near.sendall(b"question")
        assert receive(far, 8) == b"question"
        far.sendall(b"answer")
        assert receive(near, 6) == b"answer"
    near.sendall(b"after")
    assert receive(far, 5) == b"after"
    assert files[THERE].read_bytes() == b"question"
    assert files[BACK].read_bytes() == b"answer"


def test_a_link_that_there_is_not_is_refused_and_changes_nothing(wire: Wire) -> None:
    """The relay goes on, and no rule is left in force."""
    with pytest.raises(KafkaosError, match="refused to set"):
        wire.links.set("wrong", [THERE, (1, 9)], Effect(cut=True))
    near, far = wire.pair()
    near.sendall(b"x")
    assert receive(far, 1) == b"x"

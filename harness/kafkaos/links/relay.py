"""The relay: it listens wherever a node or a client reaches for another node, and passes the bytes on.

A process of its own (`python -m kafkaos.links.relay PLAN`), a child of the warden, with one thread around epoll: less
work for each piece than asyncio's transports do, which is what keeps it out of the brokers' way. TLS passes through
untouched. The harness steers it through a Unix socket (`links.steering`).
"""

from __future__ import annotations

import errno
import fcntl
import json
import resource
import signal
import socket
import sys
import termios
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

from kafkaos.links.flows import Link, Pipe, both
from kafkaos.links.listener import RESET_ON_CLOSE, Listener
from kafkaos.links.orders import Orders
from kafkaos.links.rules import LinkId
from kafkaos.links.streams import OUT, Streams

# Not in every Python's socket module; without it each bound connection keeps a port of its own for a minute.
IP_BIND_ADDRESS_NO_PORT = 24


class Relay(Streams):
    """All links of one cluster: their listeners and connections, and what is in force on them."""

    def __init__(self, routes: Iterable[dict[str, Any]]) -> None:
        super().__init__()
        self.links: dict[LinkId, Link] = {}
        self.listeners: list[Listener] = []
        for route in routes:
            for pair in both((route["source"], route["target"])):
                self.links.setdefault(pair, Link(pair))
            link = self.links[route["source"], route["target"]]
            listener = Listener(link, tuple(route["listen"]), tuple(route["to"]))
            self.listeners.append(listener)
            self.call(listener.socket.fileno(), partial(self.accept, listener))

    # connections

    def accept(self, listener: Listener) -> None:
        """A connection from the source; the one to the target is opened in the source's name."""
        try:
            near, peer = listener.socket.accept()
        except OSError:
            return
        if peer in listener.ghosts:
            listener.ghosts.discard(peer)
            near.close()
            return
        link = listener.link
        link.connections += 1
        try:
            far = socket.socket()
        except OSError:  # no descriptor left
            self.refuse(link, near)
            return
        for end in (near, far):
            end.setblocking(False)
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        far.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
        far.bind((listener.address[0], 0))
        error = far.connect_ex(listener.to)
        if error == errno.EINPROGRESS:
            self.call(far.fileno(), partial(self.connected, link, near, far), OUT)
        elif error == 0:
            self.join(link, near, far)
        else:
            self.refuse(link, near, far)

    def connected(self, link: Link, near: socket.socket, far: socket.socket) -> None:
        self.uncall(far.fileno())
        if far.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            self.refuse(link, near, far)
        else:
            self.join(link, near, far)

    def refuse(self, link: Link, near: socket.socket, far: socket.socket | None = None) -> None:
        """The target does not listen: the source sees its connection reset."""
        link.refused += 1
        if far is not None:
            far.close()
        near.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        near.close()

    def join(self, link: Link, near: socket.socket, far: socket.socket) -> None:
        a, b = near.fileno(), far.fileno()
        source, target = link.id
        there, back = Pipe(link, a, b, opened=link), Pipe(self.links[target, source], b, a, opened=link)
        self.sockets[a], self.sockets[b] = near, far
        self.reads[a], self.writes[b] = there, there
        self.reads[b], self.writes[a] = back, back
        self.watch(a)
        self.watch(b)

    # what the harness asks for

    def changed(self, link: Link) -> None:
        """Its effect is another one: open or shut its listeners, and go on with what was held."""
        for listener in self.listeners:
            source, target = listener.link.id
            shut = self.links[source, target].effect.cut or self.links[target, source].effect.cut
            fd = listener.socket.fileno()
            if shut and fd in self.calls:
                self.uncall(fd)
                listener.shut()
            elif not shut and fd not in self.calls:
                self.call(fd, partial(self.accept, listener))
                listener.open()
        for pipe in list(link.pipes):
            if self.reads.get(pipe.source) is pipe:
                self.pump(pipe)

    def reset(self, link: Link) -> int:
        """Reset every connection that the link's source opened; how many there were."""
        pipes = [pipe for pipe in link.pipes if pipe.opened is link]
        for pipe in pipes:
            self.close(pipe, reset=True)
        link.resets += len(pipes)
        return len(pipes)

    def counters(self, link: Link) -> dict[str, int]:
        return {
            "bytes": link.bytes,
            "waiting_bytes": sum(self._waiting_bytes(pipe) for pipe in link.pipes),
            "delayed_bytes": link.delayed_bytes,
            "connections": link.connections,
            "open": sum(pipe.opened is link for pipe in link.pipes),
            "resets": link.resets,
            "refused": link.refused,
        }

    def _waiting_bytes(self, pipe: Pipe) -> int:
        size = bytearray(4)
        fcntl.ioctl(self.sockets[pipe.source], termios.FIONREAD, size)
        return pipe.queued_bytes + int.from_bytes(size, sys.byteorder)


def main() -> None:
    """Serve the plan's routes until killed."""
    # Ctrl-C is for the harness, which ends this process when all else has ended.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Two descriptors a connection; the usual 1,024 would end a fault of too many connections here.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    plan = json.loads(Path(sys.argv[1]).read_text())
    relay = Relay(plan["routes"])
    Orders(relay, plan["control"])
    relay.serve()


if __name__ == "__main__":
    main()

"""The relay: it listens wherever a node or a client reaches for another node, and passes the bytes on.

A process of its own (`python -m kafkaos.links.relay PLAN`), a child of the warden, with one thread around epoll: less
work for each piece than asyncio's transports do, which is what keeps it out of the brokers' way. TLS passes through
untouched. The harness steers it through a Unix socket (`links.steering`).
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import heapq
import itertools
import json
import random
import select
import signal
import socket
import struct
import sys
import termios
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

from kafkaos.links.flows import READ_BYTES, Link, Pipe, both, pieces
from kafkaos.links.orders import Orders
from kafkaos.links.rules import LinkId

IN, OUT = select.EPOLLIN, select.EPOLLOUT
BACKLOG = 1024
RESET_ON_CLOSE = struct.pack("ii", 1, 0)
# Not in every Python's socket module; without it each bound connection keeps a port of its own for a minute.
IP_BIND_ADDRESS_NO_PORT = 24


class Listener:
    """Where a source reaches for a target."""

    def __init__(self, link: Link, listen: tuple[str, int], to: tuple[str, int]) -> None:
        self.link, self.address, self.to = link, listen, to
        self.fillers: list[socket.socket] = []
        self.ghosts: set[Any] = set()
        """Addresses of closed fillers that are still to be accepted."""
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.setblocking(False)
        self.socket.bind(listen)
        self.socket.listen(BACKLOG)

    def shut(self) -> None:
        """Lose the packets that open a connection: Linux drops them while the queue of a listener is full."""
        self.socket.listen(0)
        filler = socket.socket()
        filler.setblocking(False)
        filler.connect_ex(self.address)
        self.fillers.append(filler)

    def open(self) -> None:
        self.socket.listen(BACKLOG)
        for filler in self.fillers:
            self.ghosts.add(filler.getsockname())
            filler.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
            filler.close()
        self.fillers.clear()


class Relay:
    """All connections of one cluster, and the loop that serves them."""

    def __init__(self, routes: Iterable[dict[str, Any]]) -> None:
        self.epoll = select.epoll()
        self.links: dict[LinkId, Link] = {}
        self.listeners: list[Listener] = []
        self.sockets: dict[int, socket.socket] = {}
        self.reads: dict[int, Pipe] = {}
        self.writes: dict[int, Pipe] = {}
        self.blocked: set[int] = set()
        self.masks: dict[int, int] = {}
        self.opened: dict[int, Link] = {}
        """Of each end the link in whose direction its connection was opened."""
        self.calls: dict[int, Callable[[], None]] = {}
        """What else is waited for: listeners, connections under way, the control socket."""
        self.timers: list[tuple[float, int, Pipe]] = []
        self.numbers = itertools.count()
        self.rng = random.Random(0)
        self.buffer = memoryview(bytearray(READ_BYTES))
        for route in routes:
            for pair in both((route["source"], route["target"])):
                self.links.setdefault(pair, Link(pair))
            link = self.links[route["source"], route["target"]]
            listener = Listener(link, tuple(route["listen"]), tuple(route["to"]))
            self.listeners.append(listener)
            self.call(listener.socket.fileno(), partial(self.accept, listener))

    # the loop

    def call(self, fd: int, what: Callable[[], None], mask: int = IN) -> None:
        """Have `what` called whenever `fd` is ready."""
        self.calls[fd] = what
        self.epoll.register(fd, mask)

    def uncall(self, fd: int) -> None:
        if self.calls.pop(fd, None) is not None:
            self.epoll.unregister(fd)

    def serve(self) -> None:
        while True:
            wait_s = -1.0 if not self.timers else max(self.timers[0][0] - time.monotonic(), 0.0)
            for fd, mask in self.epoll.poll(wait_s):
                call = self.calls.get(fd)
                if call is not None:
                    call()
                    continue
                pipe = self.reads.get(fd)
                if pipe is not None and mask & ~OUT:
                    self.read(pipe)
                if mask & OUT and fd in self.writes:
                    self.blocked.discard(fd)
                    self.pump(self.writes[fd])
            self.fire()

    def fire(self) -> None:
        while self.timers and self.timers[0][0] <= time.monotonic():
            _, _, pipe = heapq.heappop(self.timers)
            pipe.timer_s = 0.0
            if self.reads.get(pipe.source) is pipe:
                self.pump(pipe)

    def later(self, pipe: Pipe, at_s: float) -> None:
        if not pipe.timer_s or at_s < pipe.timer_s:
            pipe.timer_s = at_s
            heapq.heappush(self.timers, (at_s, next(self.numbers), pipe))

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
        far = socket.socket()
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

    def refuse(self, link: Link, near: socket.socket, far: socket.socket) -> None:
        """The target does not listen: the source sees its connection reset."""
        link.refused += 1
        far.close()
        near.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        near.close()

    def join(self, link: Link, near: socket.socket, far: socket.socket) -> None:
        a, b = near.fileno(), far.fileno()
        source, target = link.id
        there, back = Pipe(link, a, b), Pipe(self.links[target, source], b, a)
        self.sockets[a], self.sockets[b] = near, far
        self.reads[a], self.writes[b] = there, there
        self.reads[b], self.writes[a] = back, back
        self.opened[a] = self.opened[b] = link
        self.watch(a)
        self.watch(b)

    def watch(self, fd: int) -> None:
        """Wait for what can be gone on with; for nothing at all while the link holds everything back."""
        mask = (IN if self.reads[fd].wants_more else 0) | (OUT if fd in self.blocked else 0)
        old = self.masks.get(fd, 0)
        if mask == old:
            return
        if not old:
            self.epoll.register(fd, mask)
        elif mask:
            self.epoll.modify(fd, mask)
        else:
            self.epoll.unregister(fd)
        self.masks[fd] = mask

    def close(self, pipe: Pipe, *, reset: bool) -> None:
        """End a connection, both ways."""
        for fd in (pipe.source, pipe.sink):
            if self.masks.pop(fd, 0):
                self.epoll.unregister(fd)
            self.blocked.discard(fd)
            for piped in (self.reads.pop(fd, None), self.writes.pop(fd, None)):
                if piped is not None:
                    piped.link.pipes.discard(piped)
            self.opened.pop(fd, None)
            end = self.sockets.pop(fd, None)
            if end is not None:
                if reset:
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
                end.close()

    # bytes

    def read(self, pipe: Pipe) -> None:
        """Take what the source sent, and pass it on at once if nothing speaks against it."""
        link = pipe.link
        if link.effect.holds:
            return
        try:
            count = self.sockets[pipe.source].recv_into(self.buffer)
        except BlockingIOError:
            return
        except OSError:
            self.close(pipe, reset=True)
            return
        if count == 0:
            pipe.eof = True
            self.watch(pipe.source)
            self.pump(pipe)
            return
        data = self.buffer[:count]
        if link.tap is not None:
            link.tap.write(data)
        if link.effect.shapes:
            link.delayed_bytes += count
            pipe.put(memoryview(bytes(data)), link.due_s(time.monotonic(), self.rng))
        elif pipe.queue:
            pipe.put(memoryview(bytes(data)), 0.0)
        else:
            sent = self.send(pipe, data)
            if sent < 0 or sent == count:
                return
            pipe.put(memoryview(bytes(data[sent:])), 0.0)
        self.pump(pipe)

    def send(self, pipe: Pipe, data: memoryview) -> int:
        """How much the sink took; less than none if the connection is over."""
        try:
            sent = self.sockets[pipe.sink].send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            self.lost(pipe)
            return -1
        pipe.link.bytes += sent
        if sent < len(data):
            self.blocked.add(pipe.sink)
            self.watch(pipe.sink)
        return sent

    def lost(self, pipe: Pipe) -> None:
        """The sink is gone. What it sent before that and is held may still arrive, as in a network."""
        back = self.reads[pipe.sink]
        if not back.link.effect.holds:
            self.close(pipe, reset=True)
            return
        pipe.queue.clear()
        pipe.queued_bytes = 0
        pipe.eof = True
        self.watch(pipe.source)

    def pump(self, pipe: Pipe) -> None:
        """Pass on what is due."""
        link = pipe.link
        while pipe.queue and not link.effect.holds and pipe.sink not in self.blocked:
            due_s, data = pipe.queue[0]
            now_s = time.monotonic()
            if link.effect.rate_kbit:
                due_s = max(due_s, link.free_s)
            if due_s > now_s:
                self.later(pipe, due_s)
                break
            sent = self.send(pipe, data[: pieces(link)])
            if sent < 0:
                return
            if sent:
                pipe.took(sent)
            if link.effect.rate_kbit:
                link.free_s = max(link.free_s, now_s) + sent / link.bytes_per_s
        self.watch(pipe.source)
        self.watch(pipe.sink)
        if pipe.eof and not pipe.queue:
            self.finish(pipe)

    def finish(self, pipe: Pipe) -> None:
        """The source has ended its stream, and all of it was passed on."""
        back = self.reads[pipe.sink]
        if back.eof and not back.queue:
            self.close(pipe, reset=False)
            return
        with contextlib.suppress(OSError):
            self.sockets[pipe.sink].shutdown(socket.SHUT_WR)

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
        pipes = [pipe for pipe in link.pipes if self.opened.get(pipe.source) is link]
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
            "open": sum(self.opened[pipe.source] is link for pipe in link.pipes),
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
    plan = json.loads(Path(sys.argv[1]).read_text())
    relay = Relay(plan["routes"])
    Orders(relay, plan["control"])
    relay.serve()


if __name__ == "__main__":
    main()

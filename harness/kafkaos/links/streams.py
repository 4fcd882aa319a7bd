"""The relay's loop: sockets that wait for bytes, room or a time, and the streams between them."""

from __future__ import annotations

import contextlib
import heapq
import itertools
import random
import select
import socket
import time
from collections.abc import Callable

from kafkaos.links.flows import READ_BYTES, Pipe, pieces
from kafkaos.links.listener import RESET_ON_CLOSE

IN, OUT = select.EPOLLIN, select.EPOLLOUT


class Streams:
    """Pipes between sockets; each socket is the source of one and the sink of another."""

    def __init__(self) -> None:
        self.epoll = select.epoll()
        self.sockets: dict[int, socket.socket] = {}
        self.reads: dict[int, Pipe] = {}
        self.writes: dict[int, Pipe] = {}
        self.blocked: set[int] = set()
        """Sinks that have no room now."""
        self.masks: dict[int, int] = {}
        self.calls: dict[int, Callable[[], None]] = {}
        """What else is waited for: listeners, connections under way, the control socket."""
        self.timers: list[tuple[float, int, Pipe]] = []
        self.numbers = itertools.count()
        self.rng = random.Random(0)
        self.buffer = memoryview(bytearray(READ_BYTES))

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

    # streams

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
            end = self.sockets.pop(fd, None)
            if end is not None:
                if reset:
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
                end.close()

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

"""Where a source reaches for a target: an address that can be shut, so that who knocks hears nothing."""

from __future__ import annotations

import os
import socket
import struct
import time
from typing import Any

from kafkaos.links.flows import Link

BACKLOG = 1024
FILL_DEADLINE_S = 0.5
"""The filler is in the queue within microseconds; a moment later on a busy machine."""
TCP_INFO_BYTES, UNACKED_OFFSET = 104, 24
RESET_ON_CLOSE = struct.pack("ii", 1, 0)
"""For SO_LINGER: closing sends RST."""


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
        deadline_s = time.monotonic() + FILL_DEADLINE_S
        while not self.queued and time.monotonic() < deadline_s:
            os.sched_yield()

    @property
    def queued(self) -> int:
        """How many connections wait to be accepted (of a listening socket `tcpi_unacked` says that)."""
        info = self.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, TCP_INFO_BYTES)
        return int(struct.unpack_from("I", info, UNACKED_OFFSET)[0])

    def open(self) -> None:
        self.socket.listen(BACKLOG)
        for filler in self.fillers:
            self.ghosts.add(filler.getsockname())
            filler.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
            filler.close()
        self.fillers.clear()

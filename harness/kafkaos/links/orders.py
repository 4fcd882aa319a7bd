"""The relay's side of the control socket: one JSON object a line, one answer each."""

from __future__ import annotations

import contextlib
import json
import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kafkaos.links.rules import Effect, LinkId, Rule, combined

if TYPE_CHECKING:
    from kafkaos.links.relay import Relay

ANSWER_DEADLINE_S = 5.0


class Orders:
    """Takes rules and questions; it listens when all of the relay's own addresses do."""

    def __init__(self, relay: Relay, path: str) -> None:
        self.relay = relay
        self.rules: dict[str, Rule] = {}
        self.listener = socket.socket(socket.AF_UNIX)
        # Bound under another name first: whoever finds the file can connect.
        self.listener.bind(path + ".new")
        self.listener.listen()
        self.listener.setblocking(False)
        relay.call(self.listener.fileno(), self.accept)
        os.rename(path + ".new", path)  # noqa: PTH104 - both relative to the working folder, as bind takes them

    def accept(self) -> None:
        with contextlib.suppress(BlockingIOError):
            connection, _ = self.listener.accept()
            connection.settimeout(ANSWER_DEADLINE_S)
            pending = bytearray()
            self.relay.call(connection.fileno(), lambda: self.ready(connection, pending))

    def ready(self, connection: socket.socket, pending: bytearray) -> None:
        try:
            data = connection.recv(1 << 16)
            pending += data
            while b"\n" in pending:
                line, _, rest = bytes(pending).partition(b"\n")
                pending[:] = rest
                connection.sendall(json.dumps(self.answer(json.loads(line))).encode() + b"\n")
        except OSError:
            data = b""
        if not data:
            self.relay.uncall(connection.fileno())
            connection.close()

    def answer(self, order: dict[str, Any]) -> dict[str, Any]:
        try:
            return {"result": getattr(self, "do_" + order["do"])(order)}
        except (KeyError, OSError) as error:
            return {"error": f"{type(error).__name__}: {error}"}

    def do_set(self, order: dict[str, Any]) -> None:
        rule = Rule(order["name"], _links(order), Effect(**order["effect"]))
        for link in rule.links:
            self.relay.links[link]  # what there is not is an error before anything is changed
        self.rules[rule.name] = rule
        self._apply()

    def do_remove(self, order: dict[str, Any]) -> bool:
        there = self.rules.pop(order["name"], None) is not None
        self._apply()
        return there

    def do_clear(self, _order: dict[str, Any]) -> None:
        self.rules.clear()
        self._apply()

    def do_reset(self, order: dict[str, Any]) -> int:
        return sum(self.relay.reset(self.relay.links[link]) for link in _links(order))

    def do_counters(self, _order: dict[str, Any]) -> list[Any]:
        return [[*link.id, self.relay.counters(link)] for link in self.relay.links.values()]

    def do_tap(self, order: dict[str, Any]) -> None:
        """Copy what goes over each link to the file SOURCE-TARGET of the folder, until `untap`."""
        for link in _links(order):
            path = Path(order["folder"]) / f"{link[0]}-{link[1]}"
            self.relay.links[link].tap = path.open("ab", buffering=0)

    def do_untap(self, _order: dict[str, Any]) -> None:
        for link in self.relay.links.values():
            if link.tap is not None:
                link.tap.close()
                link.tap = None

    def _apply(self) -> None:
        changed = []
        for link in self.relay.links.values():
            effect = combined(rule.effect for rule in self.rules.values() if link.id in rule.links)
            if effect != link.effect:
                link.effect = effect
                changed.append(link)
        # All at once, so that no link is told of a rule that its opposite does not know yet.
        for link in changed:
            self.relay.changed(link)


def _links(order: dict[str, Any]) -> tuple[LinkId, ...]:
    return tuple((source, target) for source, target in order["links"])

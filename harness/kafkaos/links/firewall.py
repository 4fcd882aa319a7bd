"""The same cuts by the kernel (nftables), where root is there: packets are really lost, and TCP sends them again.

One table a cluster, replaced as a whole whenever a rule comes or goes. A packet is dropped before the relay sees it: at
the source's way out, by the addresses and ports that each link has for itself. A table outlives the harness, so
there is a marker file by which the next start, or `kafkaos heal`, removes it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from kafkaos.errors import KafkaosError
from kafkaos.links.rules import Effect, LinkId, Rule, combined
from kafkaos.links.steering import Route

NFT_DEADLINE_S = 20.0
LARGEST_EMPTY_BYTES = 60
"""An IP packet without payload is at most this long: IP and TCP headers with the options of Linux."""


def reason_why_not() -> str | None:
    """None where packets can be dropped, else why not."""
    if os.geteuid() != 0:
        return "only root may drop packets: leave `links` at `relay`"
    if shutil.which("nft") is None:
        return "there is no `nft`: install nftables, or leave `links` at `relay`"
    try:
        _nft("list", "tables")
    except KafkaosError as error:
        return f"this kernel takes no nftables ({error}): leave `links` at `relay`"
    return None


class Firewall:
    """The rules of one cluster that are in the kernel."""

    def __init__(self, table: str, marker: Path, routes: Iterable[Route]) -> None:
        self.table = table
        self._marker = marker
        self._routes = list(routes)
        self._rules: dict[str, Rule] = {}

    def set(self, name: str, links: Sequence[LinkId], effect: Effect) -> None:
        """Put a rule in force; it is when this returns."""
        self._marker.touch()
        self._rules[name] = Rule(name, tuple(links), effect)
        self._replace()

    def remove(self, name: str) -> bool:
        """Take a rule away; whether there was one."""
        there = self._rules.pop(name, None) is not None
        if there:
            self._replace()
        return there

    def clear(self) -> None:
        """Take all rules away, and with them the table."""
        if self._rules:
            self._rules.clear()
            self._replace()

    def dropped_packets(self) -> dict[LinkId, int]:
        """Of each link that a rule holds back, since the rules changed last."""
        if not self._rules:
            return {}
        found: dict[LinkId, int] = {}
        for item in json.loads(_nft("-j", "list", "table", "inet", self.table))["nftables"]:
            rule = item.get("rule")
            if rule is not None:
                source, target = map(int, rule["comment"].split(" to "))
                counter = next(part["counter"] for part in rule["expr"] if "counter" in part)
                found[source, target] = found.get((source, target), 0) + counter["packets"]
        return found

    def _replace(self) -> None:
        lines = list(self._lines()) if self._rules else []
        body = ["chain input {", "type filter hook input priority 0;", *lines, "}"] if lines else []
        empty = [f"table inet {self.table} {{}}", f"delete table inet {self.table}"]
        whole = [f"table inet {self.table} {{", *body, "}"] if body else []
        _nft("-f", "-", script="\n".join([*empty, *whole, ""]))
        if not body:
            self._marker.unlink(missing_ok=True)

    def _lines(self) -> Iterator[str]:
        for link in sorted({link for rule in self._rules.values() for link in rule.links}):
            effect = combined(rule.effect for rule in self._rules.values() if link in rule.links)
            if effect.holds:
                yield from self._of_link(link, cut=effect.cut)

    def _of_link(self, link: LinkId, *, cut: bool) -> Iterator[str]:
        """What the source sends on connections that it opened, and on those that were opened to it."""
        end = f'counter drop comment "{link[0]} to {link[1]}"'
        which = "" if cut else f"ip length > {LARGEST_EMPTY_BYTES} "
        for route in self._routes:
            host, port = route.listen
            if (route.source, route.target) == link:
                yield f"ip daddr {host} tcp dport {port} {which}{end}"
            elif (route.target, route.source) == link:
                yield f"ip saddr {route.to[0]} ip daddr {host} tcp sport {port} {which}{end}"
                if cut:  # its answer would be lost, so that no connection comes about
                    yield f"ip daddr {host} tcp dport {port} tcp flags syn / syn,ack {end}"


def remove_table(table: str) -> bool:
    """Remove what a killed harness left in the kernel; whether there was something."""
    if f"table inet {table}" not in _nft("list", "tables").splitlines():
        return False
    _nft("delete", "table", "inet", table)
    return True


def _nft(*arguments: str, script: str | None = None) -> str:
    try:
        done = subprocess.run(
            ["nft", *arguments],
            input=script,
            capture_output=True,
            text=True,
            timeout=NFT_DEADLINE_S,
            check=False,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise KafkaosError(f"nft could not be run: {error}") from None
    if done.returncode != 0:
        words = done.stderr.strip().splitlines() or [f"status {done.returncode}"]
        raise KafkaosError(f"nft refused: {words[0]}")
    return done.stdout

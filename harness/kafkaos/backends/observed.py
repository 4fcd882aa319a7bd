"""What a cluster's brokers say of it: each is asked by itself, and the newest epoch counts."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal, TypeVar
from uuid import UUID

from kafkaos.backends.ask import (
    find_coordinator,
    merge,
    metadata,
    metadata_and_quorum_leader,
    quorum_leader,
)
from kafkaos.backends.ready import wait_until
from kafkaos.backends.topics import ADMIN_TIMEOUT_S, Topics, has_full_isr
from kafkaos.backends.wires import Wired
from kafkaos.cluster import ClusterState, Node

T = TypeVar("T")

ASK_TIMEOUT_S = 2.0


class Observed(Topics, Wired):
    """A cluster whose brokers are asked past its links, so that one that is cut off is seen too."""

    @abstractmethod
    def alive(self) -> list[int]:
        """Nodes whose process runs and is not paused."""

    def observe(self, topics: Sequence[str] | None = None) -> ClusterState:
        """Ask each living broker, side by side; of each partition the newest leader epoch counts."""
        alive = self.alive()
        answers = self._metadata(topics)
        return merge(answers, alive=alive, controller=self.controller(), brokers=[b.id for b in self.brokers])

    def _completeness(self, name: str, partitions: int, copies: int) -> Callable[[], bool]:
        """As of every cluster, and every broker in service knows the topic, by the same new id.

        A consumer that asks one that does not yet is assigned nothing, and asks again after minutes (seen: a broker
        that had been cut off was 0.9 s behind the others). An earlier topic of this name had another id.
        """
        brokers = [b.id for b in self.brokers]

        def look() -> tuple[ClusterState, set[UUID | None]]:
            answers = self._metadata([name])
            state = merge(answers, alive=[], controller=None, brokers=brokers)
            return state, {
                next((t.topic_id for t in answer.topics if not t.error_code and t.partitions), None)
                for broker, answer in answers.items()
                if broker not in state.fenced
            }

        _, before = look()

        def complete() -> bool:
            state, ids = look()
            known = len(ids) == 1 and None not in ids and ids.isdisjoint(before)
            return known and has_full_isr(state, partitions, copies)

        return complete

    def _metadata(self, topics: Sequence[str] | None) -> dict[int, Any]:
        wanted = None if topics is None else list(topics)
        return self._ask_all(
            lambda node: metadata(
                self.direct_address(node.id), wanted, timeout_s=ASK_TIMEOUT_S, tls=self._observer_tls
            )
        )

    def controller(self) -> int | None:
        """The quorum's leader: the one with the highest epoch of all that the brokers know."""
        voters = [n.id for n in self._nodes if n.is_controller]
        if len(voters) == 1:
            return voters[0] if voters[0] in self.alive() else None
        answers = self._ask_all(
            lambda node: quorum_leader(
                self.direct_address(node.id), timeout_s=ASK_TIMEOUT_S, tls=self._observer_tls
            )
        )
        return self._newest_leader(answers.values())

    def _newest_leader(self, told: Collection[tuple[int, int]]) -> int | None:
        if not told:
            return None
        leader, _ = max(told, key=lambda answer: answer[1])
        return leader if leader in self.alive() else None

    def _ask_all(self, question: Callable[[Node], T]) -> dict[int, T]:
        targets = [node for node in self.brokers if node.id in self.alive()]
        if not targets:
            return {}

        def one(node: Node) -> T | None:
            try:
                return question(node)
            except OSError:
                return None

        with ThreadPoolExecutor(len(targets)) as pool:
            answers = zip(targets, pool.map(one, targets), strict=True)
            return {node.id: answer for node, answer in answers if answer is not None}

    def coordinator(self, key: str, *, kind: Literal["group", "transaction"] = "group") -> int:
        found: list[int] = []

        def known() -> bool:
            answers = self._ask_all(
                lambda node: find_coordinator(
                    self.direct_address(node.id), key, kind, timeout_s=ASK_TIMEOUT_S, tls=self._observer_tls
                )
            )
            found[:] = [c for c in answers.values() if c is not None and c in self.alive()]
            return bool(found)

        wait_until(known, timeout_s=ADMIN_TIMEOUT_S, what=f"{kind} {key} has a coordinator")
        return max(set(found), key=found.count)

    def wait_healthy(self, *, timeout_s: float = 60.0) -> None:
        def healthy() -> bool:
            state = self._observe_with_quorum()
            return (
                len(state.alive) == len(self._nodes)
                and len(state.answered) == len(self.brokers)
                and not state.fenced
                and state.controller is not None
                and all(p.leader is not None and set(p.isr) == set(p.replicas) for p in state.partitions)
            )

        self._wait_until_it_is(healthy, timeout_s)

    def _observe_with_quorum(self) -> ClusterState:
        """`observe`, by one connection to each broker; a single voter, too, counts as the controller once it leads."""
        answers = self._ask_all(
            lambda node: metadata_and_quorum_leader(
                self.direct_address(node.id), timeout_s=ASK_TIMEOUT_S, tls=self._observer_tls
            )
        )
        return merge(
            {broker: told for broker, (told, _) in answers.items()},
            alive=self.alive(),
            controller=self._newest_leader([leader for _, leader in answers.values() if leader is not None]),
            brokers=[b.id for b in self.brokers],
        )

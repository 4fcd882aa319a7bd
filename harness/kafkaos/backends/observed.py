"""What a cluster's brokers say of it: each is asked by itself, and the newest epoch counts."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal, TypeVar
from uuid import UUID

from kafkaos.backends.ask import find_coordinator, merge, metadata, quorum_leader
from kafkaos.backends.ready import wait_until
from kafkaos.backends.topics import ADMIN_TIMEOUT_S, OBSERVE_EVERY_S, Topics
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

    def create_topic(self, name: str, **wanted: Any) -> str:
        """As of every cluster; when it returns every broker in service knows the topic.

        A consumer that asks one that does not yet is assigned nothing, and asks again after minutes (seen: a broker
        that had been cut off was 0.9 s behind the others).
        """
        before = set(self._topic_ids(name).values())
        super().create_topic(name, **wanted)

        def known() -> bool:
            ids = set(self._topic_ids(name).values())
            return len(ids) == 1 and None not in ids and ids.isdisjoint(before)

        wait_until(
            known,
            interval_s=OBSERVE_EVERY_S,
            timeout_s=ADMIN_TIMEOUT_S,
            what=f"every broker knows topic {name}",
        )
        return name

    def _topic_ids(self, name: str) -> dict[int, UUID | None]:
        """Under which id each broker in service knows a topic: an earlier one of this name had another."""
        answers = self._metadata([name])
        state = merge(answers, alive=[], controller=None, brokers=[b.id for b in self.brokers])
        return {
            broker: next((t.topic_id for t in answer.topics if not t.error_code and t.partitions), None)
            for broker, answer in answers.items()
            if broker not in state.fenced
        }

    def _metadata(self, topics: Sequence[str] | None) -> dict[int, Any]:
        wanted = None if topics is None else list(topics)
        return self._ask_all(
            lambda node: metadata(
                self.direct_address(node.id), wanted, timeout_s=ASK_TIMEOUT_S, tls=self._observer_tls
            )
        )

    def controller(self) -> int | None:
        """The quorum's leader: the one with the highest epoch of all that the brokers know."""
        voters = self._voters()
        if len(voters) == 1:
            return voters[0] if voters[0] in self.alive() else None
        answers = self._quorum_leaders()
        if not answers:
            return None
        leader, _ = max(answers.values(), key=lambda answer: answer[1])
        return leader if leader in self.alive() else None

    def _voters(self) -> list[int]:
        return [n.id for n in self._nodes if n.is_controller]

    def _quorum_leaders(self) -> dict[int, tuple[int, int]]:
        return self._ask_all(
            lambda node: quorum_leader(
                self.direct_address(node.id), timeout_s=ASK_TIMEOUT_S, tls=self._observer_tls
            )
        )

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
            state = self.observe()
            return (
                len(state.alive) == len(self._nodes)
                and len(state.answered) == len(self.brokers)
                and not state.fenced
                and state.controller is not None
                and all(p.leader is not None and set(p.isr) == set(p.replicas) for p in state.partitions)
                # A single voter counts as the controller once its process runs; brokers hand this question on to it.
                and (len(self._voters()) != 1 or bool(self._quorum_leaders()))
            )

        self._wait_until_it_is(healthy, timeout_s)

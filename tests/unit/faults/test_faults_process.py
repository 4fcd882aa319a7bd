# ruff: noqa: ARG005 - hooks get what they may not need
"""The rules of process and replication faults, told on paper where a real cluster would take minutes."""

from __future__ import annotations

from typing import Any

import pytest

from kafkaos.errors import SetupFailed, WrongUse
from kafkaos.faults import Kill, Restart, Stop, ViolateMinIsr, World, heal_pending, pending, roles

SHORT_S = 0.1


def test_the_undo_is_on_disk_before_the_kill(world: World, paper: Any) -> None:
    """At the moment of the kill the journal on disk tells how to undo it."""
    seen: list[str] = []
    paper.on_kill = lambda node_id: seen.extend(undo.kind for undo in pending(world.journal.path))
    Kill(roles.leader("orders")).inject(world)
    assert seen == ["start-node"]


def test_an_ended_process_alone_does_not_prove_that_a_leader_was_killed(world: World, paper: Any) -> None:
    """Evidence needs another leader with a higher epoch."""
    fault = Kill(roles.leader("orders"))
    injection = fault.inject(world)
    assert fault.evidence(world, injection, timeout_s=SHORT_S) is None
    paper.state = paper.made(leader=2, epoch=4, isr=(2, 3))
    assert fault.evidence(world, injection, timeout_s=SHORT_S) is None
    paper.state = paper.made(leader=2, epoch=5, isr=(2, 3))
    evidence = fault.evidence(world, injection, timeout_s=SHORT_S)
    assert evidence is not None
    assert "from 1 to 2 (epoch 4 to 5)" in evidence.told


def test_a_partition_without_leader_proves_it_only_if_nobody_else_was_in_sync(
    world: World, paper: Any
) -> None:
    """No leader is the consequence of this kill only where the killed one was the whole ISR."""
    fault = Kill(roles.leader("orders"))
    injection = fault.inject(world)
    paper.state = paper.made(leader=None, epoch=5, isr=())
    assert fault.evidence(world, injection, timeout_s=SHORT_S) is None
    fault.heal(world, injection)
    paper.state = paper.made(leader=1, epoch=6, isr=(1,))
    injection = fault.inject(world)
    paper.state = paper.made(leader=None, epoch=7, isr=(1,))
    assert fault.evidence(world, injection, timeout_s=SHORT_S) is not None


def test_a_process_that_ended_otherwise_is_no_proof_of_a_kill(world: World, paper: Any) -> None:
    """Neither an own end nor a process that was started since proves a SIGKILL."""
    fault = Kill(roles.follower("orders"))
    injection = fault.inject(world)
    hit = injection.target
    paper.state = paper.made(leader=1, epoch=4, isr=tuple({1, 2, 3} - {hit}), fenced=(hit,))
    assert fault.evidence(world, injection, timeout_s=SHORT_S) is not None
    paper.down[hit] = 1
    assert fault.evidence(world, injection, timeout_s=SHORT_S) is None
    paper.down[hit] = -9
    paper.pids[hit] += 1
    assert fault.evidence(world, injection, timeout_s=SHORT_S) is None


def test_a_stop_that_had_to_be_killed_is_no_proof(world: World, paper: Any) -> None:
    """A controlled shutdown must end by itself."""
    fault = Stop(roles.broker(2))
    injection = fault.inject(world)
    paper.state = paper.made(leader=1, epoch=4, isr=(1, 3), fenced=(2,))
    assert fault.evidence(world, injection, timeout_s=SHORT_S) is not None
    paper.down[2] = -9
    assert fault.evidence(world, injection, timeout_s=SHORT_S) is None


def test_a_restart_that_nobody_noticed_is_no_proof(world: World, paper: Any) -> None:
    """A restart comes up again in any case, and has no evidence if the other brokers saw nothing."""
    fault = Restart(roles.broker(2), hard=True, notice_s=SHORT_S)
    injection = fault.inject(world)
    assert paper.log == ["kill 2", "start 2"]
    assert fault.evidence(world, injection, timeout_s=SHORT_S) is None


def test_a_node_that_is_down_already_is_not_killed_again(world: World, paper: Any) -> None:
    """Its old exit status must not pass for the proof of a new fault."""
    Kill(roles.broker(2)).inject(world)
    with pytest.raises(SetupFailed, match="down already"):
        Kill(roles.broker(2)).inject(world)
    assert paper.log == ["kill 2"]


def test_an_injection_broken_off_half_way_is_undone(world: World, paper: Any) -> None:
    """Ctrl-C after the first of two kills starts both again."""

    def interrupted(node_id: int) -> None:
        if len(paper.down) == 2:
            raise KeyboardInterrupt

    paper.on_kill = interrupted
    with pytest.raises(KeyboardInterrupt):
        ViolateMinIsr("orders").inject(world)
    assert paper.down == {}
    assert pending(world.journal.path) == []


def test_the_leader_survives_a_violated_min_isr(world: World, paper: Any) -> None:
    """All other replicas are killed, and the ISR told by the survivors is the proof."""
    fault = ViolateMinIsr("orders")
    injection = fault.inject(world)
    assert sorted(paper.down) == [2, 3]
    assert fault.evidence(world, injection, timeout_s=SHORT_S) is None
    paper.state = paper.made(leader=1, epoch=4, isr=(1,))
    evidence = fault.evidence(world, injection, timeout_s=SHORT_S)
    assert evidence is not None
    assert evidence.facts["isr"] == [1]


def test_survivors_that_satisfy_min_isr_are_wrong_use(world: World, paper: Any) -> None:
    """Two survivors do not violate min.insync.replicas=2, and nothing is killed for it."""
    with pytest.raises(WrongUse, match=r"min\.insync\.replicas=3"):
        ViolateMinIsr("orders", survivors=2).inject(world)
    assert paper.log == []


def test_an_isr_that_is_too_small_already_is_not_violated_again(world: World, paper: Any) -> None:
    """The state before must not pass for the fault's proof."""
    paper.state = paper.made(leader=1, epoch=4, isr=(1,))
    with pytest.raises(SetupFailed, match="already"):
        ViolateMinIsr("orders").inject(world)
    assert paper.log == []


def test_a_backend_that_cannot_kill_says_so() -> None:
    """A cluster without the capability gives a reason in words."""
    nothing: Any = object()
    assert "cannot kill a node" in str(Kill(roles.broker(1)).available(nothing))
    assert "cannot stop a node" in str(Stop(roles.broker(1)).available(nothing))


def test_whatever_is_pending_is_healed_the_newest_first(world: World, paper: Any) -> None:
    """The last net of a run undoes all injections that nobody healed."""
    Kill(roles.broker(2)).inject(world)
    Kill(roles.broker(3)).inject(world)
    heal_pending(world)
    assert paper.log == ["kill 2", "kill 3", "start 3", "start 2"]
    assert heal_pending(world) == []

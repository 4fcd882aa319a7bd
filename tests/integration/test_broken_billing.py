"""The billing scenario sees what it is there for: broken on purpose, the application fails it with a witness."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from kafkaos.checks import Status, no_aborted_read
from kafkaos.faults import KillClient

SCENARIOS = Path(__file__).parents[2] / "scenarios"
WAIT_S = 60
BESIDE_THE_TRANSACTION = (
    "producer.commit(offsets, consumer.consumer_group_metadata())",
    "producer.commit()\n"
    "        time.sleep(0 if self._settings.incarnation else 10)  # the kill falls into it\n"
    "        consumer.commit(offsets=offsets, asynchronous=False)",
)

pytestmark = pytest.mark.kafka_cluster("single")


@pytest.fixture
def scenarios(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Any]:
    """The scenarios' own modules by name."""
    monkeypatch.syspath_prepend(str(SCENARIOS))
    return import_module


def test_billing_what_was_read_uncommitted_is_caught(
    scenarios: Callable[[str], Any], kafka_cluster: Any, chaos: Any, tmp_path: Path
) -> None:
    """Cancelled orders are billed: witnesses are an invoice without an order, and an aborted order that was read."""
    words = scenarios("billing.office")
    changed = scenarios("streaming.world").copied(
        tmp_path, "billing", billing_app=('"read_committed"', '"read_uncommitted"')
    )
    office = words.Office(kafka_cluster, chaos, changed)
    office.go_on()
    office.close()
    once, aborted = chaos.judge(words.ONCE, no_aborted_read)
    assert (once.status, aborted.status) == (Status.FAIL, Status.FAIL)
    assert once.counts["without_input"] > 0
    assert once.counts["lost"] == once.counts["duplicated"] == 0
    assert "it has no input of its kind" in once.witnesses[0].sentence
    assert aborted.witnesses[0].sentence.startswith("billing was given record")
    assert "which desk wrote in transaction" in aborted.witnesses[0].sentence


@pytest.mark.parametrize("broken", [False, True], ids=["in-the-transaction", "beside-the-transaction"])
def test_offsets_committed_beside_the_transaction_are_caught(
    scenarios: Callable[[str], Any], kafka_cluster: Any, chaos: Any, tmp_path: Path, broken: bool
) -> None:
    """Killed between a transaction and a commit of its own it bills those orders twice; the safe twin holds."""
    words, world = scenarios("billing.office"), scenarios("streaming.world")
    changes = {"billing_app": BESIDE_THE_TRANSACTION} if broken else {}
    office = words.Office(kafka_cluster, chaos, world.copied(tmp_path, "billing", **changes))
    office.billing.wait_event("end", timeout_s=WAIT_S)
    with chaos.fault(KillClient("billing")):
        pass
    office.billing.wait_ready(timeout_s=WAIT_S)
    office.go_on()
    office.close()
    if not broken:
        chaos.verify(*words.SAFE)
        return
    (verdict,) = chaos.judge(words.ONCE)
    assert verdict.status is Status.FAIL
    assert verdict.counts["duplicated"] > 0
    assert verdict.counts["lost"] == verdict.counts["without_input"] == 0
    assert "it has 1 input of its kind, and output" in verdict.witnesses[0].sentence

"""The stream scenarios see what they are there for: broken on purpose, the applications fail them with a witness."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from kafkaos.apps.venv import environment
from kafkaos.checks import Status, matches_model

SCENARIOS = Path(__file__).parents[2] / "scenarios"

pytestmark = pytest.mark.kafka_cluster("single")


@pytest.fixture
def scenarios(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Any]:
    """The scenarios' own modules by name."""
    monkeypatch.syspath_prepend(str(SCENARIOS))
    return import_module


@pytest.fixture
def broken(
    scenarios: Callable[[str], Any], kafka_cluster: Any, chaos: Any, kafkaos_session: Any, tmp_path: Path
) -> Callable[..., Any]:
    """A world whose applications are copies with one text replaced."""
    world = scenarios("streaming.world")

    def make(folder: str, **changes: tuple[str, str]) -> Any:
        python = environment(world.REQUIREMENTS, progress=kafkaos_session.progress)
        return world.World(kafka_cluster, chaos, python, world.copied(tmp_path, folder, **changes))

    return make


def test_a_join_that_drops_purchases_of_unknown_products_is_caught(scenarios, chaos, broken):
    """An inner join instead of a left one: both guarantees break and name the lost purchase."""
    shop, sent = scenarios("purchases.shop"), scenarios("streaming.world").Sent
    world = broken("purchases", purchases_app=('how="left"', 'how="inner"'))
    shop.create_topics(world.cluster)
    app = shop.start(world)
    world.write(shop.PRODUCTS, [shop.product(number) for number in (1, 2, 3)])
    world.wait_processed(app, shop.PRODUCTS, 3)
    world.write(shop.PURCHASES, [sent(one, timestamp_ms=shop.BEGIN_MS + 1) for one in shop.NOTES])
    chaos.drain()
    shop.expect_of_the_log(chaos)
    model, once = chaos.judge(matches_model(topic=shop.ENRICHED), shop.ONCE)
    assert (model.status, once.status) == (Status.FAIL, Status.FAIL)
    assert '{"id":30,"name":"REF INCONNUE","price":1.05}' in model.witnesses[0].sentence
    assert f"{shop.ENRICHED} has no output of it" in once.witnesses[0].sentence


def test_state_without_a_changelog_is_caught_once_the_local_copy_is_deleted(scenarios, chaos, broken):
    """No changelog topics: with its local state the application forgets the table; the wrong name is the witness."""
    shop, words = scenarios("purchases.shop"), scenarios("streaming.world")
    without = ("consumer_poll_timeout=", "use_changelog_topics=False, consumer_poll_timeout=")
    world = broken("purchases", streaming_application=without)
    shop.create_topics(world.cluster)
    app = shop.start(world)
    world.write(shop.PRODUCTS, [shop.product(1)])
    world.wait_committed(app, shop.PRODUCTS)
    app.kill()
    world.forget_state()
    world.write(shop.PURCHASES, [shop.purchase(1, 3.4, at_ms=1)])
    app.restart()
    app.wait_ready(timeout_s=words.WAIT_S)
    chaos.drain()
    shop.expect_of_the_log(chaos)
    (verdict,) = chaos.judge(matches_model(topic=shop.ENRICHED))
    assert verdict.status is Status.FAIL
    assert '{"id":1,"name":"REF INCONNUE","price":3.4}' in verdict.witnesses[0].sentence


def test_windows_that_are_trusted_to_remember_are_caught(scenarios, chaos, broken):
    """quixstreams' grace no longer than ours: a visit near its edge counts from 0, and the wrong sum is the witness."""
    pages = scenarios("visits.pages")
    world = broken("visits", visits_app=("grace_ms=GRACE_MS + length_ms", "grace_ms=GRACE_MS"))
    pages.create_topics(world.cluster, partitions=1)
    pages.start(world)
    times_s = [
        100,
        110,
        120,
        130,
        200,
        210,
        220,
        160,
    ]  # the last one is in time and has that of 130 in its 30 s
    world.write(pages.VISITS, [pages.visit(number, "/home", at_s) for number, at_s in enumerate(times_s)])
    chaos.drain()
    pages.expect_of_the_log(chaos)
    (verdict,) = chaos.judge(matches_model(topic="visits_30s"))
    assert verdict.status is Status.FAIL, verdict.sentence
    assert '"visits":1}' in verdict.witnesses[0].sentence

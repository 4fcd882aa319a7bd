"""Settings survive the way through their file, and mistakes are told before a process starts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer

from kafkaos.errors import WrongUse
from kafkaos.traffic.settings import ConsumerSettings, FinalSettings, ProducerSettings, TransactionalSettings

EXAMPLES = [
    ProducerSettings(topics=("a", "b"), client="p", keys=(3, 5), partition="round_robin", rate=2.5, count=9),
    ProducerSettings(topics=("a",), client="p", acks="1", idempotence=False, config={"linger.ms": 0}),
    ConsumerSettings(topics=("a",), client="c", commit="never", assignment=(("a", 0, -2), ("a", 1, 7))),
    ConsumerSettings(topics=("a",), client="c", group="g", commit="auto", commit_interval_ms=50),
    TransactionalSettings(topics=("a",), client="t", transactional_id="tx", abort_ratio=0.25),
    FinalSettings(topics=("a",), client="f", deadline_s=3.5),
]


@pytest.mark.parametrize("settings", EXAMPLES, ids=lambda s: type(s).__name__)
def test_settings_are_the_same_after_dump_and_load(settings: Any, tmp_path: Path) -> None:
    """What the harness dumps is what the process loads."""
    settings.dump(tmp_path / "s.json")
    assert type(settings).load(tmp_path / "s.json") == settings


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{", '{"topics": ["a"], "client": "p", "rat": 1}', '{"client": "p"}'],
    ids=["empty", "list", "cut", "unknown key", "missing key"],
)
def test_a_settings_file_that_does_not_fit_is_wrong_use(text: str, tmp_path: Path) -> None:
    """Broken JSON, unknown and missing keys are named errors, never a client with defaults."""
    path = tmp_path / "s.json"
    path.write_text(text)
    with pytest.raises(WrongUse, match=r"s\.json"):
        ProducerSettings.load(path)


@pytest.mark.parametrize(
    ("kind", "given", "words"),
    [
        (ProducerSettings, {"rate": 0}, "rate"),
        (ProducerSettings, {"size_bytes": 31}, "size_bytes"),
        (ProducerSettings, {"acks": "1"}, "idempotence=False"),
        (ProducerSettings, {"keys": ()}, "keys"),
        (ProducerSettings, {"topics": ()}, "topic"),
        (ConsumerSettings, {}, "neither group nor assignment"),
        (ConsumerSettings, {"assignment": ()}, "commits for no group"),
        (TransactionalSettings, {"transactional_id": "t", "abort_ratio": 2}, "abort_ratio"),
        (
            TransactionalSettings,
            {"transactional_id": "t", "delivery_timeout_ms": 90_000},
            "transaction_timeout_ms",
        ),
    ],
)
def test_contradictions_are_wrong_use(kind: Any, given: dict[str, Any], words: str) -> None:
    """Each mistake is told in words that name the key to change."""
    with pytest.raises(WrongUse, match=words):
        kind(**({"topics": ("a",), "client": "p"} | given))


def test_own_properties_have_the_last_word() -> None:
    """`config` overrides what the other fields ask of librdkafka."""
    settings = ProducerSettings(topics=("a",), client="p", config={"linger.ms": 77})
    assert settings.librdkafka()["linger.ms"] == 77


def test_consumers_do_not_stall_on_a_full_fetch_queue() -> None:
    """librdkafka's default back-off of a second would make a fast consumer several times slower."""
    made = ConsumerSettings(topics=("a",), client="c", group="g").librdkafka()
    assert made["fetch.queue.backoff.ms"] == 10


def test_the_settings_file_is_plain_json_with_no_secrets_of_its_own(tmp_path: Path) -> None:
    """The file holds the fields and nothing else."""
    EXAMPLES[0].dump(tmp_path / "s.json")
    assert json.loads((tmp_path / "s.json").read_text())["keys"] == [3, 5]


def test_a_password_goes_by_the_environment_and_is_in_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file that a process is started with lacks the password; with the environment beside it, it is whole again."""
    given = ProducerSettings(
        topics=("a",), client="p", config={"sasl.username": "u", "sasl.password": "geheim"}
    )
    given.dump(tmp_path / "s.json")
    assert "geheim" not in (tmp_path / "s.json").read_text()
    for name, value in given.secrets().items():
        monkeypatch.setenv(name, value)
    assert ProducerSettings.load(tmp_path / "s.json") == given


@pytest.mark.parametrize("settings", EXAMPLES, ids=lambda s: type(s).__name__)
def test_librdkafka_takes_what_the_settings_make_of_themselves(settings: Any) -> None:
    """Values that contradict each other are refused by the client only when it is made."""
    if isinstance(settings, ProducerSettings):
        Producer(settings.librdkafka())
    elif isinstance(settings, ConsumerSettings):
        Consumer(settings.librdkafka()).close()
    else:
        Consumer(settings.librdkafka("committed")).close()

"""Only what was surely never appended is a failed send."""

from __future__ import annotations

import pytest
from confluent_kafka import KafkaError

from kafkaos.history.rows import Outcome
from kafkaos.traffic.outcomes import (
    BEFORE_APPEND,
    IN_DOUBT,
    of_acknowledgement,
    of_delivery_error,
    of_local_error,
)


@pytest.mark.parametrize("code", sorted(BEFORE_APPEND))
def test_a_quick_rejection_before_the_append_is_fail(code: int) -> None:
    """An answer that came before any second attempt could go out proves the rejection."""
    assert of_delivery_error(code, latency_s=0.01, retry_backoff_ms=100) is Outcome.FAIL


@pytest.mark.parametrize("code", sorted(BEFORE_APPEND))
@pytest.mark.parametrize("latency_s", [0.05, 0.08, 30.0, None, -1.0])
def test_a_late_rejection_is_info(code: int, latency_s: float | None) -> None:
    """After the retry back-off an earlier attempt may have been appended, whatever the last one says."""
    assert of_delivery_error(code, latency_s=latency_s, retry_backoff_ms=100) is Outcome.INFO


@pytest.mark.parametrize("code", sorted(IN_DOUBT))
def test_a_doubtful_error_is_info_however_quick(code: int) -> None:
    """Time-outs, lost connections, NOT_LEADER and their like prove nothing."""
    assert of_delivery_error(code, latency_s=0.0, retry_backoff_ms=100) is Outcome.INFO


def test_an_unheard_of_error_is_info() -> None:
    """A code that the table does not know is a doubt."""
    assert of_delivery_error(29_999, latency_s=0.0, retry_backoff_ms=100) is Outcome.INFO


def test_the_two_tables_share_no_code() -> None:
    """An error is either proof or doubt."""
    assert not set(BEFORE_APPEND) & set(IN_DOUBT)


def test_a_shorter_retry_back_off_makes_proof_harder() -> None:
    """A client that retries after 10 ms proves nothing with an answer after 6."""
    code = KafkaError.NOT_ENOUGH_REPLICAS
    assert of_delivery_error(code, latency_s=0.006, retry_backoff_ms=10) is Outcome.INFO


@pytest.mark.parametrize(("acks", "outcome"), [("all", Outcome.OK), ("1", Outcome.OK), ("0", Outcome.INFO)])
def test_nobody_acknowledges_a_send_with_acks_0(acks: str, outcome: Outcome) -> None:
    """The report of an acks=0 send only says that it went to the socket."""
    assert of_acknowledgement(acks) is outcome


def test_what_never_entered_the_client_is_fail() -> None:
    """An exception of produce() is proof."""
    assert of_local_error() is Outcome.FAIL

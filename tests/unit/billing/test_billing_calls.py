"""Billing's calls end: by an answer, by another try, or by leaving behind what does not answer."""

import threading

import pytest
from confluent_kafka import KafkaError, KafkaException

from billing.app import Billing, is_record
from billing.calls import Standstill, StartOver, Stopping, through, within
from billing.model import invoice_of
from billing.settings import Settings
from billing.transactions import Told

TIMED_OUT = KafkaError(KafkaError._TIMED_OUT, "no answer", retriable=True)
SOON_S, LATER_S = 0.05, 60


def failing(*errors):
    """A call that fails with these one after the other, and then is through."""
    left = list(errors)

    def call():
        if left:
            raise KafkaException(left.pop(0))
        return "through"

    return call


def test_a_call_that_answers_returns_or_raises_what_it_does():
    """Its value, or its own exception."""
    assert within(LATER_S, "call", lambda: 7) == 7
    with pytest.raises(KafkaException, match="no answer"):
        within(LATER_S, "call", failing(TIMED_OUT))


def test_a_call_that_never_comes_back_is_left_behind():
    """The caller goes on at the deadline, while the call still hangs."""
    back = threading.Event()
    with pytest.raises(Standstill, match=r"send_offsets did not come back within 0.05 s"):
        within(SOON_S, "send_offsets", back.wait)
    (hanging,) = [thread for thread in threading.enumerate() if thread.name == "send_offsets"]
    assert hanging.daemon, "it would keep the process from ending"
    back.set()
    hanging.join(LATER_S)
    assert not hanging.is_alive()


def test_a_timed_out_call_is_repeated_until_it_is_through():
    """A cluster may take its time: no number of tries is too many."""
    assert through("commit", failing(*[TIMED_OUT] * 20), Stopping()) == "through"


@pytest.mark.parametrize(
    "error",
    [
        KafkaError(KafkaError.UNKNOWN_MEMBER_ID, "rejoined", txn_requires_abort=True),
        KafkaError(KafkaError._FATAL, "out of order", fatal=True),
        KafkaError(KafkaError._STATE, "in the wrong state"),
    ],
    ids=["abort", "fatal", "state"],
)
def test_what_no_repetition_mends_calls_for_new_clients(error):
    """An abort, a fatal error and a wrong state have one remedy."""
    with pytest.raises(StartOver, match="commit: "):
        through("commit", failing(TIMED_OUT, error), Stopping())


def test_a_fenced_producer_is_not_replaced():
    """Its successor lives: a new producer would fence that one."""
    with pytest.raises(KafkaException, match="fenced"):
        through("commit", failing(KafkaError(KafkaError._FENCED, "fenced", fatal=True)), Stopping())


def test_nothing_is_repeated_when_the_end_was_asked_for():
    """SIGTERM during an outage ends it."""
    stopping = Stopping()
    stopping.ask()
    with pytest.raises(StartOver):
        through("commit", failing(TIMED_OUT), stopping)


def test_a_transaction_left_open_is_told_as_what_the_next_producer_makes_of_it(capsys):
    """Aborted, unless its commit was asked for: that nobody knows."""
    told = Told(incarnation=2)
    assert told.begin() == 2_000_000
    told.end()
    told.begin()
    told.commit_asked()
    told.end()
    told.end()
    lines = capsys.readouterr().out.splitlines()
    ends = [line for line in lines if '"end"' in line]
    assert len(ends) == 2
    assert '"transaction": 2000000, "outcome": "aborted"' in ends[0]
    assert '"transaction": 2000001, "outcome": "unknown"' in ends[1]


def test_billing_starts_over_with_new_clients_until_the_end_is_asked_for(monkeypatch, capsys):
    """A standstill leads to another attempt, and what no clients could do to the end."""
    stopping = Stopping()
    attempts = []

    def work(self):
        attempts.append(self)
        if len(attempts) == 1:
            raise Standstill("send_offsets did not come back within 10 s")
        raise KafkaException(KafkaError(KafkaError._FENCED, "fenced", fatal=True))

    monkeypatch.setattr(Billing, "_work", work)
    monkeypatch.setattr("billing.app.PAUSE_S", 0)
    settings = Settings({}, "orders", "invoices", "billing", "0", 0)
    with pytest.raises(KafkaException, match="fenced"):
        Billing(settings, stopping).run()
    assert len(attempts) == 2
    assert '"started_over", "reason": "send_offsets did not come back' in capsys.readouterr().out


def test_an_invoice_has_its_order_and_the_sum():
    """Quantity times price, and a number of its own."""
    order = {"order": 7, "customer": "customer 3", "quantity": 4, "price_cents": 250}
    assert invoice_of(order, "0-12") == {
        "invoice": "0-12",
        "order": 7,
        "customer": "customer 3",
        "total_cents": 1000,
    }


class Event:
    """What a poll returns."""

    def __init__(self, error):
        self._error = error

    def error(self):
        return self._error


def test_an_event_that_ends_reading_is_raised_and_any_other_passed_over():
    """A lost connection passes; a fatal error calls for new clients; records that are gone for an operator."""
    assert is_record(Event(None))
    assert not is_record(Event(KafkaError(KafkaError._TRANSPORT, "gone for now")))
    with pytest.raises(StartOver):
        is_record(Event(KafkaError(KafkaError._FATAL, "no more", fatal=True)))
    with pytest.raises(KafkaException):
        is_record(Event(KafkaError(KafkaError._AUTO_OFFSET_RESET, "out of range")))

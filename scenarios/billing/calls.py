"""Calls of Kafka clients that end: by an answer, or by leaving behind what does not answer."""

import logging
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from confluent_kafka import KafkaError, KafkaException

from streaming.lines import say

log = logging.getLogger(__name__)
CALL_S = 5.0
"""The time-out given to each call: after it librdkafka says so, and the call may be repeated."""
GRACE_S = 5.0
"""One that does not come back so long after its own time-out is not slow, it is lost."""
AGAIN_S = 0.05

HOPELESS = frozenset(
    {
        KafkaError._FENCED,  # another process has this transactional id by now
        KafkaError._AUTO_OFFSET_RESET,  # records that were not read yet are gone: nobody may pass over that
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
    }
)
T = TypeVar("T")


class StartOver(Exception):
    """These clients are of no more use: new ones have to go on from what is committed."""


class Standstill(StartOver):
    """A call did not come back. Its client is still in it: nothing more may be asked of it, not even to close."""


class Stopping:
    """Whether somebody asked for the end."""

    def __init__(self) -> None:
        self._asked = False

    def __bool__(self) -> bool:
        return self._asked

    def ask(self, *_: object) -> None:
        """A signal handler."""
        self._asked = True


def until_asked(work: Callable[[Stopping], None]) -> int:
    """Work until SIGTERM; the exit status, 1 where nobody but an operator can help."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s %(message)s")
    stopping = Stopping()
    signal.signal(signal.SIGTERM, stopping.ask)
    try:
        work(stopping)
    except KafkaException as failure:
        log.critical("no client can go on: %s", failure.args[0].str())
        return 1
    say("shutdown_complete")
    return 0


def within(deadline_s: float, what: str, call: Callable[[], T]) -> T:
    """What a call returns or raises; Standstill at the deadline, and then its thread is left behind.

    librdkafka's `send_offsets_to_transaction` heeds no time-out (its issue 5456), and never comes back if the group's
    coordinator left the cluster until some connection comes or goes (5511). No other way leads out of such a call.
    """
    answer: Future[T] = Future()

    def run() -> None:
        try:
            answer.set_result(call())
        except BaseException as error:
            answer.set_exception(error)

    threading.Thread(target=run, name=what, daemon=True).start()
    try:
        return answer.result(deadline_s)
    except TimeoutError:
        raise Standstill(f"{what} did not come back within {deadline_s:g} s") from None


def through(what: str, call: Callable[[], T], stopping: Stopping) -> T:
    """Repeat a transactional call with the time-out CALL_S until it is through.

    StartOver where these clients cannot go on, or the end was asked for; KafkaException where no others could either.
    """
    while True:
        try:
            return within(CALL_S + GRACE_S, what, call)
        except KafkaException as failure:
            error = failure.args[0]
            if error.code() in HOPELESS:
                raise
            if stopping or error.fatal() or error.txn_requires_abort() or not error.retriable():
                raise StartOver(f"{what}: {error.str()}") from failure
            log.warning("%s: %s; again", what, error.str())
            time.sleep(AGAIN_S)  # some answers, such as that of a coordinator that is loading, come at once

"""What the teller needs of its surroundings: settings, lines, and patience with leaders that come and go."""

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

from confluent_kafka import KafkaException

CALL_S = 5.0


class Stopping:
    """Whether SIGTERM came."""

    def __init__(self) -> None:
        self._came = False
        signal.signal(signal.SIGTERM, self._come)

    def __bool__(self) -> bool:
        return self._came

    def _come(self, *_: object) -> None:
        self._came = True


def config() -> dict[str, str]:
    """How the cluster is reached, as librdkafka's properties."""
    lines = Path(os.environ["KAFKAOS_CLIENT_CONFIG"]).read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line.strip())


def incarnation() -> int:
    """How often this application was restarted."""
    return int(os.environ["KAFKAOS_INCARNATION"])


def tell(name: str, **more: object) -> None:
    """Print one line of the contract of applications (docs/applications.md)."""
    print(json.dumps({"timestamp": round(time.time() * 1000), "name": name, **more}), flush=True)


def patiently(call: Callable[[], None]) -> bool:
    """Repeat a transactional call until it is through; False if only an abort is left.

    KafkaException for what cannot be mended: a producer that is fenced, or a call in the wrong state.
    """
    while True:
        try:
            call()
        except KafkaException as failure:
            error = failure.args[0]
            if error.fatal() or not (error.retriable() or error.txn_requires_abort()):
                raise
            if error.txn_requires_abort():
                return False
        else:
            return True

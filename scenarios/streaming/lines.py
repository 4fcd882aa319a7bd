"""What the application says on stdout: one JSON object a line, in the words of Kafka's verifiable clients."""

import json
import sys
import time
from typing import Any


def say(name: str, **fields: Any) -> None:
    """Print one line; flushed, so that it is there when the application is killed right after.

    Its end is part of what is written: threads' lines are not mixed.
    """
    sys.stdout.write(json.dumps({"timestamp": int(time.time() * 1000), "name": name, **fields}) + "\n")
    sys.stdout.flush()


def processed(topic: str, partition: int, offset: int) -> None:
    """The work on one record is done; its results are in the checkpoint that is committed next."""
    say("process", topic=topic, partition=partition, offset=offset)

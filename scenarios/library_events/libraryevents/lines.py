"""What an application says: Kafka's verifiable-client lines on stdout, structured logs on stderr."""

from __future__ import annotations

import json
import logging
import sys
import threading
import time
from typing import Any

_lock = threading.Lock()
_EXTRA = frozenset(vars(logging.makeLogRecord({}))) | {"message", "taskName"}


def say(name: str, **fields: Any) -> None:
    """One JSON object, one line, with the kernel before this returns: a `kill -9` right after loses nothing."""
    line = json.dumps({"timestamp": time.time_ns() / 1_000_000, "name": name, **fields}, ensure_ascii=False)
    with _lock:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


def text(data: bytes | None) -> str | None:
    """Key and value as a line tells them."""
    return None if data is None else data.decode(errors="backslashreplace")


class JsonFormatter(logging.Formatter):
    """One JSON object a log record; whatever was given as `extra` is part of it."""

    def format(self, record: logging.LogRecord) -> str:
        told = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S") + f".{int(record.msecs):03d}",
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        told |= {key: value for key, value in vars(record).items() if key not in _EXTRA}
        if record.exc_info:
            told["exception"] = self.formatException(record.exc_info)
        return json.dumps(told, default=str, ensure_ascii=False)


def configure_logging(level: str) -> None:
    """Structured logs of everything, libraries included, on stderr."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)

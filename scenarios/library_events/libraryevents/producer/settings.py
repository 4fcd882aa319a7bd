"""What the producer service can be told."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from libraryevents.settings import ServiceSettings


class ProducerSettings(ServiceSettings):
    """By `LIBRARY_<NAME>`; see also ServiceSettings."""

    topic_wait_s: float = Field(default=5.0, ge=0)
    """How long the start waits for the topic; after that it is made in the background."""
    send_attempts: int = Field(default=2, ge=1)
    send_timeout_ms: int = Field(default=3000, ge=100)
    """Of one attempt (librdkafka's message.timeout.ms; it retries within that by itself)."""
    send_backoff_s: float = Field(default=0.1, ge=0)
    send_backoff_max_s: float = Field(default=2.0, ge=0)
    recovery: Literal["database", "topic"] = "database"
    """Where an event goes whose send failed."""
    recovery_topic: str = "library-events.RECOVERY"
    recovery_group: str = "library-events-recovery"
    recovery_instance_id: str | None = None
    """Names this process for ever (static membership): restarted, it reads on at once, not after a session time-out."""
    stop_grace_s: int = Field(default=15, ge=1)
    """How long a stop waits for requests that are being answered."""

"""What the consumer service can be told."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Literal

from pydantic import Field, model_validator

from libraryevents.settings import ServiceSettings


class AckMode(StrEnum):
    """When the group's offset is committed."""

    RECORD = "record"
    """After each record."""
    BATCH = "batch"
    """After all records of one poll."""
    MANUAL = "manual"
    """When the listener acknowledges: here, once it has finished `ack_every` records, or has nothing left to do."""


class ConsumerServiceSettings(ServiceSettings):
    """By `LIBRARY_<NAME>`; see also ServiceSettings."""

    group: str = "library-events-listener-group"
    ack_mode: AckMode = AckMode.RECORD
    batch_max: int = Field(default=100, ge=1)
    """Of one poll, in mode BATCH."""
    ack_every: int = Field(default=10, ge=1)
    """In mode MANUAL."""
    concurrency: int = Field(default=1, ge=1)
    """Listeners in this process; more than the topic has partitions idle."""
    instance_id: str | None = None
    """Names this process for ever (static membership): restarted, it has its partitions back with no rebalance."""
    consumer_config: dict[str, Any] = Field(default_factory=dict)
    """librdkafka properties of the consumers, as JSON."""

    backoff: Literal["fixed", "exponential"] = "fixed"
    backoff_retries: int = Field(default=2, ge=0)
    """Attempts after the first one."""
    backoff_interval_s: float = Field(default=1.0, ge=0)
    """Of the fixed back-off."""
    backoff_initial_s: float = Field(default=1.0, gt=0)
    backoff_multiplier: float = Field(default=2.0, ge=1)
    backoff_max_s: float = Field(default=2.0, gt=0)
    """Of the exponential back-off."""
    retryable: frozenset[str] = frozenset({"OperationalError", "InterfaceError", "TimeoutError"})
    """Exceptions worth another try, by class name; base classes count."""
    not_retryable: frozenset[str] = frozenset({"InvalidEvent"})
    """Exceptions that are not, whatever the list before says. One that neither list names is not retried."""

    recovery: Literal["topic", "database"] = "topic"
    """What becomes of a record that failed in the end."""
    retry_topic: str = "library-events.RETRY"
    dead_letter_topic: str = "library-events.DLT"
    retry_listener: bool = True
    """Whether the listener of the retry topic is on from the start."""
    retry_group: str = "retry-listener-group"
    retry_rounds: int = Field(default=3, ge=1)
    """How often a record may go through the retry topic before it is dead: no record circles for ever."""

    max_poll_interval_s: float = Field(default=300.0, gt=0)

    @model_validator(mode="after")
    def _back_off_within_the_poll_interval(self) -> ConsumerServiceSettings:
        """A listener that backs off for longer is taken for dead, and its partitions go to another."""
        longest_s = sum(self.delays_s())
        if longest_s >= self.max_poll_interval_s / 2:
            raise ValueError(
                f"the back-off of one record may last {longest_s:g} s, more than half of max_poll_interval_s "
                f"({self.max_poll_interval_s:g} s): fewer retries, or a longer poll interval"
            )
        return self

    def delays_s(self) -> list[float]:
        """The pauses between the attempts at one record."""
        if self.backoff == "fixed":
            return [self.backoff_interval_s] * self.backoff_retries
        return [
            min(self.backoff_initial_s * self.backoff_multiplier**retry, self.backoff_max_s)
            for retry in range(self.backoff_retries)
        ]

"""What one client process needs to know: one JSON file each, written by the harness, read by the process.

The names follow Kafka's own. `config` holds librdkafka properties (connection, TLS, anything else) and has
the last word over what the other fields ask for.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, Self

from kafkaos.errors import WrongUse
from kafkaos.history.payload import SIZE_MIN_BYTES
from kafkaos.history.recorder import Isolation

Acks = Literal["all", "1", "0"]
CommitMode = Literal["batch", "record", "before", "auto", "never"]
Config = dict[str, str | int | float | bool]

# Of `config`, what no file of a run may hold: it goes to the process by its environment.
SECRETS = ("sasl.password", "ssl.key.password", "ssl.keystore.password", "sasl.oauthbearer.client.secret")
SECRETS_VARIABLE = "KAFKAOS_CLIENT_SECRETS"
END_WAIT_MS = 10
"""Of readers that read to an end that is known already: how long a broker waits for more before it says that they are
there. Where a log ends in markers it is asked for, and librdkafka's own 500 ms is waited in full for each partition."""
_ACKS: dict[str, int] = {"all": -1, "1": 1, "0": 0}


@dataclass(frozen=True, kw_only=True)
class ClientSettings:
    """Common to all clients. `number` is unique in the run for each incarnation: value ids carry it."""

    topics: tuple[str, ...]
    client: str
    segment: str = ""  # path of the recording's segment file
    number: int = 0
    incarnation: int = 0
    run: str = ""
    status: str | None = None  # path of the status page; None puts it beside the segment
    config: Config = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.topics:
            raise WrongUse(f"client {self.client!r} has no topic: name at least one")

    @property
    def segment_path(self) -> Path:
        """Where the recording of this incarnation goes."""
        return Path(self.segment)

    @property
    def status_path(self) -> Path:
        """Where the status page lies."""
        return self.segment_path.with_suffix(".status") if self.status is None else Path(self.status)

    def dump(self, path: Path) -> None:
        """Write the JSON file that the process is started with, without the secrets."""
        given = asdict(self)
        given["config"] = {name: value for name, value in self.config.items() if name not in SECRETS}
        path.write_text(json.dumps(given, indent=1, sort_keys=True) + "\n", encoding="utf-8")

    def secrets(self) -> dict[str, str]:
        """The environment variable that `load` reads beside the file; empty where there is no secret."""
        found = {name: value for name, value in self.config.items() if name in SECRETS}
        return {SECRETS_VARIABLE: json.dumps(found)} if found else {}

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a settings file, and the secrets of the environment.

        Raises WrongUse on a missing file, broken JSON, an unknown or missing key.
        """
        try:
            given = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise WrongUse(f"{path} is not a settings file that can be read: {error}") from error
        known = {f.name for f in fields(cls)}
        if not isinstance(given, dict) or not set(given) <= known:
            extra = sorted(set(given) - known) if isinstance(given, dict) else "no object"
            raise WrongUse(f"{path} has keys that {cls.__name__} does not know: {extra}; remove them")
        secrets = json.loads(os.environ.get(SECRETS_VARIABLE, "{}"))
        given["config"] = given.get("config", {}) | secrets
        for name in ("topics", "keys", "assignment"):  # JSON has no tuples
            if isinstance(given.get(name), list):
                given[name] = tuple(tuple(x) if isinstance(x, list) else x for x in given[name])
        try:
            return cls(**given)
        except TypeError as error:
            raise WrongUse(f"{path} lacks a key: {error}; write it with dump()") from error


@dataclass(frozen=True, kw_only=True)
class ProducerSettings(ClientSettings):
    """A recording producer. Units end the names.

    `delivery_timeout_ms` covers all retries, and is the default of the Java client. When it is over for a record of an
    idempotent producer of librdkafka, records behind it may be sent twice under another epoch (seen: duplicates).

    `keys`: None for no key, a number of distinct keys, or the key numbers to go through in turn.
    `partition`: None leaves it to librdkafka's partitioner, a number fixes it.
    """

    rate: float | None = None  # records per second; None as fast as possible
    count: int | None = None  # stop by itself after so many records
    keys: int | tuple[int, ...] | None = None
    partition: int | Literal["round_robin"] | None = None
    size_bytes: int = 128
    acks: Acks = "all"
    idempotence: bool = True
    retries: int | None = None
    in_flight: int | None = None  # requests per connection
    delivery_timeout_ms: int = 120_000
    linger_ms: float = 5.0
    batch_size_bytes: int | None = None
    window_records: int = 100_000  # sent and not yet answered, at most
    flush_timeout_s: float = 10.0  # how long a graceful stop waits for answers

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.rate is not None and self.rate <= 0:
            raise WrongUse(f"rate={self.rate} sends nothing: give records per second, or None for no limit")
        if self.size_bytes < SIZE_MIN_BYTES:
            raise WrongUse(f"size_bytes={self.size_bytes} is too small: give {SIZE_MIN_BYTES} or more")
        if self.idempotence and self.acks != "all":
            raise WrongUse(f"acks={self.acks!r} cannot be idempotent: set idempotence=False with it")
        if self.keys in (0, ()):
            raise WrongUse("keys names no key: give a number above 0, key numbers, or None")

    def librdkafka(self) -> dict[str, Any]:
        """The configuration of the Producer object."""
        made: dict[str, Any] = {
            "client.id": self.client,
            "request.required.acks": _ACKS[self.acks],
            "enable.idempotence": self.idempotence,
            "message.timeout.ms": self.delivery_timeout_ms,
            "linger.ms": self.linger_ms,
            "queue.buffering.max.messages": max(self.window_records * 2, 1_000),
        }
        optional = {
            "retries": self.retries,
            "max.in.flight.requests.per.connection": self.in_flight,
            "batch.size": self.batch_size_bytes,
        }
        return made | {name: value for name, value in optional.items() if value is not None} | self.config


@dataclass(frozen=True, kw_only=True)
class TransactionalSettings(ProducerSettings):
    """A transactional producer: `records_per_transaction` sends, then commit, or abort for `abort_ratio`.

    With `transactions=False` it only believes so (a mistake on purpose): it has no transactional.id, its commits wait
    for the acknowledgements, and its aborts take nothing back.
    """

    transactional_id: str
    records_per_transaction: int = 10
    abort_ratio: float = 0.0
    seed: int = 0
    delivery_timeout_ms: int = 30_000  # at most the transaction's
    transaction_timeout_ms: int = 60_000
    transactions: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.transactions and self.delivery_timeout_ms > self.transaction_timeout_ms:
            raise WrongUse(
                f"delivery_timeout_ms={self.delivery_timeout_ms} outlasts the transaction: give no more than "
                f"transaction_timeout_ms={self.transaction_timeout_ms}"
            )
        if not 0 <= self.abort_ratio <= 1 or self.records_per_transaction < 1:
            raise WrongUse(
                "a transaction needs an abort_ratio from 0 to 1 and records_per_transaction of 1 or more"
            )

    def librdkafka(self) -> dict[str, Any]:
        """The configuration of the Producer object."""
        if not self.transactions:
            return super().librdkafka()
        return {
            "transactional.id": self.transactional_id,
            "transaction.timeout.ms": self.transaction_timeout_ms,
        } | super().librdkafka()


@dataclass(frozen=True, kw_only=True)
class ConsumerSettings(ClientSettings):
    """A recording consumer: a member of `group`, or a reader of fixed partitions if `assignment` is given.

    `assignment` has rows of topic, partition and offset: -2 the beginning, -1 the end, -1001 the stored one.
    `commit`: `batch` after each batch was processed, `record` after each record (synchronous), `before`
    processing (a mistake on purpose), `auto` by librdkafka, or `never`.
    """

    group: str | None = None
    auto_offset_reset: Literal["earliest", "latest", "error"] = "earliest"
    isolation: Isolation = "uncommitted"
    commit: CommitMode = "batch"
    commit_interval_ms: int = 0  # least time between commits of `batch`; the interval of `auto`
    assignment: tuple[tuple[str, int, int], ...] | None = None
    assignor: str | None = None  # partition.assignment.strategy, e.g. cooperative-sticky
    group_protocol: Literal["classic", "consumer"] | None = None
    group_instance_id: str | None = None
    processing_ms: float = 0.0  # work per record
    record_processing: bool = False  # write PROCESS rows; always done if processing_ms > 0 or commit="before"
    batch_records: int = 5_000

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.group is None and self.assignment is None:
            raise WrongUse(f"consumer {self.client!r} has neither group nor assignment: give one of them")
        if self.group is None and self.commit != "never":
            raise WrongUse(f"consumer {self.client!r} commits for no group: name one, or set commit='never'")

    @property
    def processes(self) -> bool:
        """Whether the end of the work on each record is recorded."""
        return self.record_processing or self.processing_ms > 0 or self.commit == "before"

    def librdkafka(self) -> dict[str, Any]:
        """The configuration of the Consumer object."""
        made: dict[str, Any] = {
            "client.id": self.client,
            "group.id": self.group or f"kafkaos-no-group-{self.client}",
            "auto.offset.reset": self.auto_offset_reset,
            "isolation.level": f"read_{self.isolation}",
            "enable.auto.commit": self.commit == "auto",
            "fetch.queue.backoff.ms": 10,  # the default of 1 s stalls a fast consumer for a second at a time
        }
        if self.commit == "auto" and self.commit_interval_ms:
            made["auto.commit.interval.ms"] = self.commit_interval_ms
        optional = {
            "partition.assignment.strategy": self.assignor,
            "group.protocol": self.group_protocol,
            "group.instance.id": self.group_instance_id,
        }
        return made | {name: value for name, value in optional.items() if value is not None} | self.config


@dataclass(frozen=True, kw_only=True)
class FinalSettings(ClientSettings):
    """The final reader: reads each partition of `topics` to its high watermark, for `deadline_s` at most."""

    deadline_s: float = 60.0

    def librdkafka(self, isolation: Isolation) -> dict[str, Any]:
        """The configuration of the Consumer object for one isolation level."""
        made: dict[str, Any] = {
            "client.id": self.client,
            "group.id": f"kafkaos-no-group-{self.client}",  # required by the client, never used
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "enable.partition.eof": True,
            "auto.offset.reset": "earliest",
            "isolation.level": f"read_{isolation}",
            "fetch.queue.backoff.ms": 10,
            "fetch.wait.max.ms": END_WAIT_MS,
            "queued.min.messages": 1_000_000,
        }
        return made | self.config

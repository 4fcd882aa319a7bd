"""What a fault may touch: the cluster, the clients, the run's random numbers and its heal journal."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

from kafkaos.cluster import Cluster
from kafkaos.faults.journal import HealJournal


class ClientProcess(Protocol):
    """A client or an application under test, as faults hurt it."""

    @property
    def name(self) -> str: ...
    @property
    def is_running(self) -> bool:
        """Whether the process is there; one that is stopped by SIGSTOP is."""
        ...

    @property
    def pid(self) -> int | None:
        """Of the present incarnation, also after its end; None before the first start."""
        ...

    @property
    def exit_status(self) -> int | None:
        """Of the present incarnation: minus the signal that ended it; None while it runs."""
        ...

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        ...

    def restart(self) -> None:
        """Start a new incarnation."""
        ...

    def pause(self) -> None: ...
    def resume(self) -> None: ...


@runtime_checkable
class Sender(ClientProcess, Protocol):
    """A recording producer."""

    @property
    def outstanding(self) -> int:
        """Records handed to the client and not answered, as far as it has told."""
        ...


@runtime_checkable
class TransactionalSender(Sender, Protocol):
    """A recording transactional producer."""

    @property
    def transactional_id(self) -> str: ...
    @property
    def transactions_committed(self) -> int: ...


@runtime_checkable
class Member(ClientProcess, Protocol):
    """A recording consumer, a member of a group."""

    @property
    def group(self) -> str | None: ...
    @property
    def group_instance_id(self) -> str | None: ...
    @property
    def segment_path(self) -> Path:
        """What the present incarnation records, to be read at any time."""
        ...

    @property
    def read(self) -> int: ...
    @property
    def assigned(self) -> int:
        """Partitions that it owns now."""
        ...

    def stall(self) -> None:
        """Poll no more, as an application that is busy with one record; heartbeats go on."""
        ...

    def go_on(self) -> None: ...
    def slow_down(self, per_record_ms: float) -> None:
        """Take so much longer for each record; 0 ends it."""
        ...

    def stop(self) -> int:
        """Leave the group in order and end."""
        ...


@runtime_checkable
class Reconfigurable(ClientProcess, Protocol):
    """A client whose properties can be changed for its next incarnation."""

    def reconfigure(self, changes: Mapping[str, str | None]) -> dict[str, str | None]:
        """Set properties, or take them away (None); returns what undoes it."""
        ...

    @property
    def last_error(self) -> str: ...


@dataclass
class World:
    """The surroundings of one run, given to every fault. `rng` is the run's own: a seed repeats it."""

    cluster: Cluster
    journal: HealJournal
    clients: Mapping[str, ClientProcess] = field(default_factory=dict)
    rng: random.Random = field(default_factory=random.Random)
    topics: list[str] = field(default_factory=list)

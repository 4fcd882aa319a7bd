"""What a fault may touch: the cluster, the clients, the run's random numbers and its heal journal."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

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


@dataclass
class World:
    """The surroundings of one run, given to every fault. `rng` is the run's own: a seed repeats it."""

    cluster: Cluster
    journal: HealJournal
    clients: Mapping[str, ClientProcess] = field(default_factory=dict)
    rng: random.Random = field(default_factory=random.Random)
    topics: list[str] = field(default_factory=list)

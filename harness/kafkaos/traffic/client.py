"""The harness's side of the recording clients: start, hurt, steer and watch them.

A handle outlives its process: each restart is a new incarnation with a fresh client number, a recording
segment and a status page of its own, and the counters of the handle are summed over all of them. Waits are
for a condition with a deadline, and an expired one tells the counters and the client's last error.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import ClassVar, Generic, TypeVar

from kafkaos.backends.processes import KILL_DEADLINE_S
from kafkaos.errors import SetupFailed, WaitExpired, WrongUse
from kafkaos.traffic.child import Child, Seen, Surroundings
from kafkaos.traffic.process import EXIT_FATAL
from kafkaos.traffic.settings import ClientSettings
from kafkaos.traffic.status import Control, Counters, State, StatusPage, Word

START_DEADLINE_S = 30.0
STOP_DEADLINE_S = 30.0

S = TypeVar("S", bound=ClientSettings)


class ClientHandle(Child, Generic[S]):
    """One named client over all its incarnations. Not thread-safe: one harness thread steers it."""

    module: ClassVar[str]
    kind = "client"
    look_every_s = 0.002

    def __init__(self, settings: S, around: Surroundings) -> None:
        super().__init__()
        self._given = settings
        self._around = around
        self._page: StatusPage | None = None
        self._mark = 0
        self._incarnation = -1
        self._killed = False
        self._earlier: dict[Word, int] = {}
        self.settings = settings

    @property
    def name(self) -> str:
        """The client's name in the recording."""
        return self._given.client

    @property
    def incarnation(self) -> int:
        """How many times it was restarted."""
        return max(self._incarnation, 0)

    @property
    def state(self) -> State:
        """What the present incarnation says that it is doing."""
        return State(self.page[Word.STATE])

    @property
    def page(self) -> StatusPage:
        """The status page of the present incarnation; raises WrongUse before the first start."""
        if self._page is None:
            raise WrongUse(f"{self._who} was never started: call start() first")
        return self._page

    @property
    def counters(self) -> Counters:
        """All counters of the present incarnation."""
        return self.page.counters()

    @property
    def last_error(self) -> str:
        """Code and text of the last error; empty if there was none."""
        return "" if self._page is None else self._page.last_error_text()

    @property
    def log_path(self) -> Path:
        """What the process printed."""
        return self._around.folder / "logs" / f"{self._stem}.log"

    def start(self, *, paused: bool = False, timeout_s: float = START_DEADLINE_S) -> None:
        """Start the process and wait until it runs; `paused` has it not send yet."""
        if self.is_running:
            raise WrongUse(f"{self._who} runs already: use restart() or a second client")
        self._keep_counters()
        self._killed = False
        self._incarnation += 1
        folder = self._around.folder
        self.settings = replace(
            self._given,
            number=next(self._around.numbers),
            incarnation=self._incarnation,
            run=self._around.run,
            segment=str(folder / "segments" / f"{self._stem}.seg"),
            status=str(folder / "clients" / f"{self._stem}.status"),
        )
        settings_path = folder / "clients" / f"{self._stem}.json"
        self.settings.dump(settings_path)
        self._page = StatusPage(self.settings.status_path)
        self._page[Word.MARK] = self._mark
        self._page[Word.CONTROL] = Control.PAUSE if paused else Control.RUN
        self._process = self._around.spawner.spawn(
            [sys.executable, "-m", self.module, str(settings_path)],
            name=self._stem,
            log_path=self.log_path,
            env={**os.environ, **self.settings.secrets()},
        )
        self.wait_until(lambda: self.state is not State.STARTING, "started", timeout_s=timeout_s)

    def stop(self, *, timeout_s: float = STOP_DEADLINE_S) -> int:
        """Ask for a graceful stop and wait; one that does not end in time is killed and WaitExpired raised.

        Returns the exit status: 0, or 3 if the Kafka client had died before (fatal), or that of `kill`.
        Raises SetupFailed if the process crashed by itself: its recording then lacks what it did not see.
        """
        if self._process is None:
            return 0
        self._process.signal(signal.SIGCONT)
        self._process.signal(signal.SIGTERM)
        try:
            status = self._process.wait(timeout_s)
        except WaitExpired:
            self.kill()
            raise WaitExpired(self._told(f"did not stop within {timeout_s:g} s and was killed")) from None
        if status not in (0, EXIT_FATAL) and not self._killed:
            raise SetupFailed(self._told(f"crashed with status {status}; see {self.log_path}"))
        return status

    def kill(self) -> None:
        """kill -9; what the client knew and had not done is lost, its recording is not."""
        if self._process is not None and self.is_running:
            self._killed = True
            self._process.signal(signal.SIGKILL)
            self._process.wait(KILL_DEADLINE_S)

    def restart(self, *, timeout_s: float = START_DEADLINE_S) -> None:
        """Start a new incarnation; one that still runs is killed first."""
        self.kill()
        self.start(timeout_s=timeout_s)

    def reconfigure(self, changes: Mapping[str, str | None]) -> dict[str, str | None]:
        """Set librdkafka properties (None: leave out) from the next incarnation on; returns what undoes it."""
        config = self._given.config
        undone = {name: None if (was := config.get(name)) is None else str(was) for name in changes}
        merged = {**config, **changes}
        kept = {name: value for name, value in merged.items() if value is not None}
        self._given = replace(self._given, config=kept)
        return undone

    def mark(self) -> int:
        """Have the client count afresh what it begins from now on; give the result to `after=` of a wait.

        Only the last mark counts: setting a new one ends the count of the one before.
        """
        self._mark += 1
        self._earlier = {
            word: count
            for word, count in self._earlier.items()
            if word not in (Word.MARKED_ACKNOWLEDGED, Word.MARKED_READ)
        }
        if self._page is not None:
            self._page[Word.MARK] = self._mark
        return self._mark

    def wait_until(self, condition: Callable[[], bool], what: str, *, timeout_s: float) -> None:
        """Wait for a condition; WaitExpired at the deadline, or at once if the process ends without it."""
        seen = self._look(condition, timeout_s=timeout_s)
        if seen is Seen.ENDED:
            raise WaitExpired(self._told(f"ended before it was {what}; see {self.log_path}"))
        if seen is Seen.LATE:
            raise WaitExpired(self._told(f"was not {what} within {timeout_s:g} s"))

    def _count(self, word: Word) -> int:
        return self._earlier.get(word, 0) + (0 if self._page is None else self._page[word])

    def _count_after(self, word: Word, *, after: int) -> int:
        """What the client counts since mark `after`; nothing until it has seen the mark."""
        if after != self._mark:
            raise WrongUse(
                f"mark {after} of client {self.name!r} is over: wait for mark {self._mark}, the last"
            )
        seen = self._page is not None and self._page[Word.MARK_SEEN] == after
        return self._earlier.get(word, 0) + (self.page[word] if seen else 0)

    def _keep_counters(self) -> None:
        if self._page is None:
            return
        seen = self._page[Word.MARK_SEEN] == self._mark
        for word in _SUMMED if seen else _SUMMED - {Word.MARKED_ACKNOWLEDGED, Word.MARKED_READ}:
            self._earlier[word] = self._count(word)

    def _told(self, what: str) -> str:
        error = self.last_error
        return f"{self._who} {what} ({self.counters}{f'; last error: {error}' if error else ''})"


_SUMMED = frozenset(
    {
        Word.SENT, Word.ACKNOWLEDGED, Word.FAILED, Word.UNKNOWN, Word.READ, Word.PROCESSED, Word.COMMITTED,
        Word.TRANSACTIONS_COMMITTED, Word.TRANSACTIONS_ABORTED, Word.MARKED_ACKNOWLEDGED, Word.MARKED_READ,
    }
)  # fmt: skip

"""The status page: 8-byte words in a small mapped file that a client and the harness share; no pipe between.

The client writes its counters and state, the harness writes the control word and the mark. Each word has
one writer and is stored whole, so a reader may look at any time, also after a `kill -9` of the client. The
text of errors goes to a sibling file (`.errors`), one line each.
"""

from __future__ import annotations

import mmap
import time
from enum import IntEnum
from pathlib import Path
from typing import Final, NamedTuple

from kafkaos.errors import BrokenRecording

MAGIC: Final = 0x6B616F735F737431  # "kaos_st1"
ERROR_LINES_MAX: Final = 1_000


class State(IntEnum):
    """What the client is doing."""

    STARTING = 0
    RUNNING = 1
    PAUSED = 2  # told not to send; answers are still taken
    DRAINED = 3  # told to drain: all sends are answered
    STOPPING = 4
    STOPPED = 5
    FATAL = 6  # it cannot go on; the errors file says why


class Control(IntEnum):
    """What the harness asks for."""

    RUN = 0
    PAUSE = 1  # a producer sends no more; a consumer does not poll
    DRAIN = 2  # send no more, wait for all answers
    STOP = 3  # as SIGTERM


class Word(IntEnum):
    """Where each number lies, in words of 8 bytes."""

    MAGIC = 0
    CONTROL = 1
    MARK = 2  # written by the harness; the client counts again from 0 what it begins from then on
    REWIND = 3  # written by the harness: seek to the beginning once for each new number
    PID = 4
    STATE = 5
    MARK_SEEN = 6
    SENT = 7
    ACKNOWLEDGED = 8
    FAILED = 9
    UNKNOWN = 10
    READ = 11
    PROCESSED = 12
    COMMITTED = 13  # offset commits that the coordinator confirmed, one a partition
    CORRUPT = 14
    ASSIGNED = 15  # partitions
    REBALANCES = 16
    TRANSACTIONS_COMMITTED = 17
    TRANSACTIONS_ABORTED = 18
    LAST_OK_NS = 19  # monotonic time of the last acknowledged send or delivered record
    LAST_ERROR = 20  # Kafka's code
    ERRORS = 21
    MARKED_ACKNOWLEDGED = 22  # acknowledged, of those sent after the mark was seen
    MARKED_READ = 23
    SLOWER_US = 24  # written by the harness: extra work of a consumer on each record


WORDS: Final = 32


class Counters(NamedTuple):
    """One look at a page."""

    state: State
    sent: int
    acknowledged: int
    failed: int
    unknown: int
    read: int
    processed: int
    committed: int
    corrupt: int
    assigned: int
    rebalances: int
    transactions_committed: int
    transactions_aborted: int
    last_ok_ns: int
    last_error: int
    errors: int

    def __str__(self) -> str:
        numbers = {name: value for name, value in self._asdict().items() if name != "state" and value}
        return ", ".join([self.state.name.lower(), *(f"{name} {value}" for name, value in numbers.items())])


class StatusPage:
    """A mapped page; made by whichever side comes first. Raises BrokenRecording if the file is no page."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.errors_path = path.with_suffix(".errors")
        with path.open("a+b") as file:
            fresh = file.seek(0, 2) == 0
            if fresh:
                file.truncate(WORDS * 8)
            self._map = mmap.mmap(file.fileno(), WORDS * 8)
        self._words = memoryview(self._map).cast("q")
        if fresh:
            self._words[Word.MAGIC] = MAGIC
        elif self._words[Word.MAGIC] != MAGIC:
            raise BrokenRecording(f"{path} is no status page: give each client incarnation a file of its own")
        self._lines = 0
        self._last: tuple[int, str] | None = None

    def __getitem__(self, word: Word) -> int:
        return self._words[word]

    def __setitem__(self, word: Word, value: int) -> None:
        self._words[word] = value

    def add(self, word: Word, count: int) -> None:
        """Count up a word that this side owns."""
        self._words[word] += count

    def counters(self) -> Counters:
        """All counters at about this moment (each is whole; together they may be a few records apart)."""
        names = (name.upper() for name in Counters._fields if name != "state")
        return Counters(State(self[Word.STATE]), *(self[Word[name]] for name in names))

    def note_error(self, code: int, text: str) -> None:
        """Count an error; write its text unless it only repeats the last one, at most 1000 lines a client."""
        self[Word.LAST_ERROR] = code
        self.add(Word.ERRORS, 1)
        if (code, text) == self._last or self._lines >= ERROR_LINES_MAX:
            return
        self._last = (code, text)
        self._lines += 1
        with self.errors_path.open("a", encoding="utf-8") as file:
            file.write(f"{time.monotonic_ns()} {code} {' '.join(text.split())}\n")

    def last_error_text(self) -> str:
        """The last line of the errors file without its time; empty if there was no error."""
        try:
            lines = self.errors_path.read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return ""
        return lines[-1].partition(" ")[2] if lines else ""

    def close(self) -> None:
        """Let go of the file; the page stays for others to read."""
        self._words.release()
        self._map.close()

"""What all client processes have in common: settings from one file, a status page, signals, an exit status.

Exit status: 0 stopped as told, 1 a mistake of ours (traceback on stderr), 3 the Kafka client is dead (fatal).
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import TypeVar

from confluent_kafka import KafkaError, KafkaException

from kafkaos.errors import EXIT_WRONG_USE, KafkaosError
from kafkaos.history.recorder import Isolation, Recorder
from kafkaos.traffic.settings import ClientSettings
from kafkaos.traffic.status import Control, State, StatusPage, Word

EXIT_FATAL = 3
S = TypeVar("S", bound=ClientSettings)


class FatalClient(KafkaosError):
    """The Kafka client cannot go on: fenced, or out of sequence."""

    exit_status = EXIT_FATAL


class ClientProcess:
    """The process's side of the status page, and what it was told by signal or control word."""

    def __init__(self, page: StatusPage) -> None:
        self.page = page
        self.fatal: str | None = None
        self._terminated = False
        page[Word.PID] = os.getpid()

    def listen(self) -> None:
        """SIGTERM asks for a graceful stop. SIGINT is for the harness alone: it decides who stops when."""
        signal.signal(signal.SIGTERM, self._on_terminate)
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    @property
    def command(self) -> Control:
        """What the harness wants now."""
        if self._terminated:
            return Control.STOP
        return Control(self.page[Word.CONTROL])

    def state(self, state: State) -> None:
        """Tell the harness."""
        self.page[Word.STATE] = state

    def see_mark(self) -> bool:
        """Whether the harness set a new mark: the caller then counts from here on."""
        mark = self.page[Word.MARK]
        if mark == self.page[Word.MARK_SEEN]:
            return False
        self.page[Word.MARKED_ACKNOWLEDGED] = 0
        self.page[Word.MARKED_READ] = 0
        self.page[Word.MARK_SEEN] = mark
        return True

    def on_error(self, error: KafkaError) -> None:
        """librdkafka's `error_cb`: noted, and survived unless it is fatal."""
        self.page.note_error(error.code(), str(error))
        if error.fatal() or error.code() == KafkaError._FATAL:  # a consumer's event has the code alone
            self.fatal = str(error)

    def raise_if_fatal(self) -> None:
        """Raise FatalClient once librdkafka has said that the client is dead."""
        if self.fatal is not None:
            raise FatalClient(f"fatal: {self.fatal}")

    def _on_terminate(self, _number: int, _frame: FrameType | None) -> None:
        self._terminated = True


def recorder_of(
    settings: ClientSettings,
    role: str,
    *,
    group: str | None = None,
    isolation: Isolation | None = None,
    transactional_id: str | None = None,
) -> Recorder:
    """The recorder of this incarnation; WrongUse if its segment is there already."""
    return Recorder(
        settings.segment_path,
        client=settings.client,
        incarnation=settings.incarnation,
        role=role,
        run=settings.run,
        group=group,
        isolation=isolation,
        transactional_id=transactional_id,
    )


def run_client(kind: type[S], body: Callable[[S, ClientProcess], None]) -> int:
    """Run a client's main with the settings file named on the command line; returns the exit status."""
    if len(sys.argv) != 2:
        print("give one argument: the client's settings file (JSON)", file=sys.stderr)
        return EXIT_WRONG_USE
    try:
        settings = kind.load(Path(sys.argv[1]))
    except KafkaosError as error:
        print(error, file=sys.stderr)
        return error.exit_status
    page = StatusPage(settings.status_path)
    client = ClientProcess(page)
    client.listen()
    try:
        body(settings, client)
    except KafkaosError as error:
        return _ended(client, code=page[Word.LAST_ERROR], text=str(error), status=error.exit_status)
    except Exception as error:
        if is_fatal(error):  # confluent-kafka raises fatal errors out of poll(), past the error_cb
            return _ended(client, code=error.args[0].code(), text=str(error), status=EXIT_FATAL)
        traceback.print_exc()
        return _ended(client, code=0, text=f"{type(error).__name__}: {error}", status=1)
    finally:
        # While Python exits it would give our handler back, and a late SIGTERM look like a crash.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    client.state(State.STOPPED)
    return 0


def is_fatal(error: Exception) -> bool:
    """Whether an exception says that the Kafka client is dead."""
    return isinstance(error, KafkaException) and bool(error.args[0].fatal())


def _ended(client: ClientProcess, *, code: int, text: str, status: int) -> int:
    print(text, file=sys.stderr)
    client.page.note_error(code, text)
    client.state(State.FATAL)
    return status

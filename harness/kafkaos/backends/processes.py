"""Starting processes that die with the harness: the harness's side of the warden."""

from __future__ import annotations

import atexit
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from kafkaos.errors import KafkaosError, SetupFailed, WaitExpired

ANSWER_DEADLINE_S = 30.0
WARDEN_EXIT_DEADLINE_S = 15.0
KILL_DEADLINE_S = 60.0
"""A killed process ends at once, unless the machine stands still."""


class Process:
    """A supervised child: its exit is seen, its pid is never signalled after it was reaped."""

    def __init__(self, supervisor: Supervisor, pid: int, name: str, log_path: Path) -> None:
        self.pid = pid
        self.name = name
        self.log_path = log_path
        self.returncode: int | None = None
        self._supervisor = supervisor
        self._exited = threading.Event()

    def poll(self) -> int | None:
        """The exit status (negative: minus the signal), or None while it runs."""
        return self.returncode

    def signal(self, number: int, *, group: bool = False) -> bool:
        """Send a signal to the process, or to its whole group; False if it had already ended."""
        return bool(
            self._supervisor.ask(do="signal", pid=self.pid, signal=int(number), group=group)
            if self.returncode is None
            else False
        )

    def wait(self, timeout_s: float) -> int:
        """Wait for the end; WaitExpired after `timeout_s` seconds."""
        if not self._exited.wait(timeout_s):
            raise WaitExpired(
                f"{self.name} (pid {self.pid}) did not end within {timeout_s:g} s; its log: {self.log_path}"
            )
        assert self.returncode is not None
        return self.returncode

    def end(self, grace_s: float) -> int:
        """SIGTERM, then SIGKILL after `grace_s` seconds: a broker without a quorum would hang for minutes."""
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGTERM)
        if not self._exited.wait(grace_s):
            self.signal(signal.SIGKILL, group=True)
        return self.wait(WARDEN_EXIT_DEADLINE_S)

    def _set_exited(self, code: int) -> None:
        self.returncode = code
        self._exited.set()


class NodeProcess(Protocol):
    """What a cluster does with the process of a node, wherever it runs."""

    pid: int

    def poll(self) -> int | None: ...
    def signal(self, number: int) -> bool: ...
    def wait(self, timeout_s: float) -> int: ...
    def end(self, grace_s: float) -> int: ...


class Supervisor:
    """One warden and what it started. Safe to use from several threads."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        self._socket = ours
        with theirs:
            self._warden = subprocess.Popen(
                [
                    sys.executable,
                    "-I",
                    "-S",
                    str(Path(__file__).with_name("warden.py")),
                    str(theirs.fileno()),
                    str(os.getpid()),
                ],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        self._ids = itertools.count()
        self._lock = threading.Lock()
        self._answers: dict[int, dict[str, Any]] = {}
        self._answered = threading.Condition(self._lock)
        self._processes: dict[int, Process] = {}
        # Exits that arrive before `spawn` has stored its Process.
        self._early_exits: dict[int, int] = {}
        self._closed = False
        self._reader = threading.Thread(target=self._read, name="kafkaos-warden", daemon=True)
        self._reader.start()
        atexit.register(self.close)

    @property
    def warden_pid(self) -> int:
        """The process id of the warden."""
        return self._warden.pid

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
        """Start a command whose output goes to `log_path`; SetupFailed if it cannot be executed.

        With `errors_path` what it prints on stderr goes there, so that it never falls into a line of stdout.
        """
        log_path.parent.mkdir(parents=True, exist_ok=True)
        try:
            pid = self.ask(
                do="spawn",
                argv=list(argv),
                env=dict(os.environ if env is None else env),
                cwd=None if cwd is None else str(cwd),
                log=str(log_path),
                errors=None if errors_path is None else str(errors_path),
            )
        except KafkaosError as error:
            raise SetupFailed(f"{name} could not be started ({argv[0]}): {error}") from None
        process = Process(self, pid, name, log_path)
        with self._lock:
            self._processes[pid] = process
            early = self._early_exits.pop(pid, None)
        if early is not None:
            process._set_exited(early)
        return process

    def guard(self, path: Path) -> None:
        """Have `path` removed should the harness die before it unguards it."""
        self.ask(do="guard", path=str(path))

    def unguard(self, path: Path) -> None:
        """The harness removed `path` itself."""
        self.ask(do="unguard", path=str(path))

    def ask(self, **request: Any) -> Any:
        """One request to the warden; KafkaosError with its words when it could not be done."""
        number = next(self._ids)
        with self._lock:
            self._socket.sendall(json.dumps({"id": number, **request}).encode() + b"\n")
            if not self._answered.wait_for(
                lambda: number in self._answers or self._closed, ANSWER_DEADLINE_S
            ):
                raise KafkaosError(
                    f"the warden did not answer {request['do']} within {ANSWER_DEADLINE_S:g} s"
                )
            answer = self._answers.pop(number, None)
        if answer is None:
            raise KafkaosError("the warden process ended; everything that it had started was killed with it")
        if "error" in answer:
            raise KafkaosError(answer["error"])
        return answer["result"]

    def _read(self) -> None:
        with self._socket.makefile("rb") as lines:
            for line in lines:
                message = json.loads(line)
                with self._lock:
                    if "answer" in message:
                        self._answers[message["answer"]] = message
                        self._answered.notify_all()
                        continue
                    process = self._processes.pop(message["exited"], None)
                    if process is None:
                        self._early_exits[message["exited"]] = message["code"]
                        continue
                process._set_exited(message["code"])
        with self._lock:
            self._closed = True
            orphans, self._processes = self._processes, {}
            self._answered.notify_all()
        for process in orphans.values():
            process._set_exited(-signal.SIGKILL)

    def close(self) -> None:
        """End everything that is still running, now; called at interpreter exit too."""
        if self._warden.returncode is not None:
            return
        atexit.unregister(self.close)
        self._socket.shutdown(socket.SHUT_WR)
        self._warden.wait(WARDEN_EXIT_DEADLINE_S)
        self._reader.join(WARDEN_EXIT_DEADLINE_S)
        self._socket.close()

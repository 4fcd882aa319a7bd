"""The warden: parent of every broker and client, so that none outlives the harness, however it dies.

It runs as a process of its own (`python -I -S warden.py FD`, standard library only, so that it starts in
milliseconds) in its own session, and talks JSON lines over a socket pair. When the harness's end of the socket
closes, or the harness is no longer its parent, it kills all it started and removes the folders that it was
told to guard (they hold private keys). Should the warden itself be killed, the kernel kills its children
(PR_SET_PDEATHSIG, Linux); their folders are then swept at the next start.
"""

import contextlib
import ctypes
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from typing import Any

PR_SET_PDEATHSIG = 1
ORPHAN_CHECK_INTERVAL_S = 0.5
KILL_DEADLINE_S = 10.0
MNT_DETACH = 2


class Warden:
    def __init__(self, connection: socket.socket, harness_pid: int) -> None:
        self.connection = connection
        self.harness_pid = harness_pid
        self.children: dict[int, subprocess.Popen[bytes]] = {}
        self.guarded: list[str] = []
        self.buffer = b""
        self.wake_read, wake_write = os.pipe()
        os.set_blocking(wake_write, False)
        os.set_blocking(self.wake_read, False)
        signal.set_wakeup_fd(wake_write)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(ignored, signal.SIG_IGN)
        self.libc = ctypes.CDLL(None) if sys.platform == "linux" else None

    def serve(self) -> None:
        while os.getppid() == self.harness_pid:
            watched: list[Any] = [self.connection, self.wake_read]
            ready, _, _ = select.select(watched, [], [], ORPHAN_CHECK_INTERVAL_S)
            if self.wake_read in ready:
                with contextlib.suppress(BlockingIOError):
                    os.read(self.wake_read, 4096)
            self.report_exits()
            if self.connection in ready:
                data = self.connection.recv(1 << 16)
                if not data:
                    return
                self.buffer += data
                while b"\n" in self.buffer:
                    line, self.buffer = self.buffer.split(b"\n", 1)
                    self.answer(json.loads(line))

    def send(self, message: dict[str, Any]) -> None:
        self.connection.sendall(json.dumps(message).encode() + b"\n")

    def answer(self, request: dict[str, Any]) -> None:
        try:
            result = getattr(self, "do_" + request["do"])(request)
        except OSError as error:
            self.send({"answer": request["id"], "error": str(error)})
        else:
            self.send({"answer": request["id"], "result": result})

    def do_spawn(self, request: dict[str, Any]) -> int:
        with contextlib.ExitStack() as files:
            log = files.enter_context(open(request["log"], "ab"))  # noqa: PTH123 (pathlib costs start-up time)
            errors: Any = subprocess.STDOUT
            if request["errors"] is not None:
                errors = files.enter_context(open(request["errors"], "ab"))  # noqa: PTH123
            child = subprocess.Popen(
                request["argv"],
                env=request["env"],
                cwd=request["cwd"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=errors,
                start_new_session=True,
                preexec_fn=self.die_with_warden,  # noqa: PLW1509 (the warden has one thread)
            )
        self.children[child.pid] = child
        return child.pid

    def die_with_warden(self) -> None:
        """In the child: ask the kernel to kill it when the warden dies."""
        for default in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(default, signal.SIG_DFL)
        if self.libc is not None:
            self.libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)

    def do_signal(self, request: dict[str, Any]) -> bool:
        """Signal a child, or its whole group; only what the warden started and has not yet reaped."""
        child = self.children.get(request["pid"])
        if child is None or child.returncode is not None:
            return False
        with contextlib.suppress(ProcessLookupError):
            if request["group"]:
                os.killpg(child.pid, request["signal"])
            else:
                os.kill(child.pid, request["signal"])
        return True

    def do_guard(self, request: dict[str, Any]) -> None:
        self.guarded.append(request["path"])

    def do_unguard(self, request: dict[str, Any]) -> None:
        if request["path"] in self.guarded:
            self.guarded.remove(request["path"])

    def report_exits(self) -> None:
        for pid, child in list(self.children.items()):
            code = child.poll()
            if code is not None:
                del self.children[pid]
                # What a shell command left behind in its group dies with it.
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(pid, signal.SIGKILL)
                with contextlib.suppress(OSError):
                    self.send({"exited": pid, "code": code})

    def clean(self) -> None:
        for pid in self.children:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, signal.SIGKILL)
        deadline = time.monotonic() + KILL_DEADLINE_S
        while self.children and time.monotonic() < deadline:
            self.report_exits()
            select.select([self.wake_read], [], [], 0.05)
        for path in self.guarded:
            detach_below(path)
            shutil.rmtree(path, ignore_errors=True)


def mount_table() -> list[tuple[str, list[str]]]:
    """Each mount of this machine: where, with which options; empty where the kernel does not tell."""
    try:
        with open("/proc/self/mountinfo", "rb") as table:  # noqa: PTH123
            rows = [line.split() for line in table]
    except OSError:
        return []
    # The kernel writes a space in a path as an octal number.
    return [
        (os.fsdecode(row[4].decode("unicode_escape").encode("latin-1")), row[5].decode().split(","))
        for row in rows
    ]


def mounts_below(folder: str) -> list[str]:
    """What is mounted at or below a folder, the innermost first."""
    paths = [path for path, _ in mount_table()]
    return [path for path in reversed(paths) if path == folder or path.startswith(folder + os.sep)]


def detach_below(folder: str) -> list[str]:
    """Unmount all that is mounted at or below a folder; what was unmounted."""
    found = mounts_below(folder)
    done = []
    if found:
        libc = ctypes.CDLL(None, use_errno=True)
        done = [path for path in found if libc.umount2(os.fsencode(path), MNT_DETACH) == 0]
    return done


def main() -> None:
    connection = socket.socket(fileno=int(sys.argv[1]))
    warden = Warden(connection, int(sys.argv[2]))
    try:
        warden.serve()
    finally:
        warden.clean()


if __name__ == "__main__":
    main()

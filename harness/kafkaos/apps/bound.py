"""Runs a command that dies with us: `python -I -S bound.py PARENT COMMAND…`, standard library only.

The command keeps the terminal, so it cannot be a child of the warden; the kernel ends it when its parent is gone
(PR_SET_PDEATHSIG survives the exec, and is asked for here because a fork with threads must not run Python).
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    parent, command = int(sys.argv[1]), sys.argv[2:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it died before the kernel was asked
        sys.exit(128 + signal.SIGKILL)
    os.execvp(command[0], command)


if __name__ == "__main__":
    main()

"""The command `kafkaos`, which `python -m kafkaos` is too."""

import sys


def main() -> None:
    """The entry point; ends the process."""
    # Ctrl-C in the part of a second that the imports take is no traceback either.
    try:
        from kafkaos.cli import execute
    except KeyboardInterrupt:
        sys.exit(130)  # as a shell tells of a process that SIGINT ended
    sys.exit(execute(sys.argv[1:]))


if __name__ == "__main__":
    main()

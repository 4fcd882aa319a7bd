"""The errors that a person may see, each one sentence with the next step, and their exit status.

Exit status: 0 all held, 1 a guarantee broke, 2 unknown or the harness failed, 64 wrong use.
"""

from __future__ import annotations

EXIT_HELD = 0
EXIT_BROKE = 1
EXIT_UNKNOWN = 2
EXIT_WRONG_USE = 64


class KafkaosError(Exception):
    """What is wrong, where, and what to do next; shown without a traceback."""

    exit_status = EXIT_UNKNOWN


class WrongUse(KafkaosError):
    """The person asked for something that does not exist or does not fit: an unknown name, key or option."""

    exit_status = EXIT_WRONG_USE


class NotAvailable(WrongUse):
    """The cluster cannot do this at all, whatever is done about it: a test that needs it has nothing to say there."""


class SetupFailed(KafkaosError):
    """The machine could not give what was asked: no Java, no network, a port in use, no permission."""


class BrokenRecording(KafkaosError):
    """A recording that cannot be read whole; it is never judged as a pass."""


class WaitExpired(KafkaosError):
    """A condition did not hold before its deadline."""

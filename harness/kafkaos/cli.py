"""The command `kafkaos`. Exit status: 0 all held, 1 a guarantee broke, 2 unknown or the harness failed, 64 wrong use.

Whatever a person did wrong, or the machine lacks, is one sentence on stderr, never a traceback.
"""

from __future__ import annotations

import signal
import traceback
from collections.abc import Callable, Sequence
from importlib.metadata import version
from types import FrameType
from typing import Annotated

import typer

from kafkaos.commands import image
from kafkaos.commands.bench import bench
from kafkaos.commands.certs import certs
from kafkaos.commands.check import check
from kafkaos.commands.controls import controls
from kafkaos.commands.doctor import doctor
from kafkaos.commands.heal import heal
from kafkaos.commands.importing import import_history
from kafkaos.commands.listing import list_things
from kafkaos.commands.nightly import nightly
from kafkaos.commands.replay import replay
from kafkaos.commands.report import report
from kafkaos.commands.run import run
from kafkaos.commands.telling import stderr
from kafkaos.commands.tool import tool
from kafkaos.commands.up import up
from kafkaos.errors import EXIT_UNKNOWN, EXIT_WRONG_USE, KafkaosError

app = typer.Typer(
    name="kafkaos",
    help="Chaos for Apache Kafka: real brokers, real faults, honest verdicts.",
    epilog="Exit status: 0 all held, 1 a guarantee broke, 2 unknown or the harness failed, 64 wrong use.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _tell_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"kafkaos {version('kafkaos')}")
        raise typer.Exit


@app.callback()
def _options(
    _: Annotated[
        bool,
        typer.Option("--version", callback=_tell_version, is_eager=True, help="Show the version and exit."),
    ] = False,
) -> None:
    """What is asked of the command itself."""


app.command()(run)
app.command()(up)
app.command()(check)
app.command()(controls)
app.command("import")(import_history)
app.command()(report)
app.command()(nightly)
app.command()(replay)
app.command()(doctor)
app.command()(heal)
app.command()(certs)
# What follows the tool's name is the tool's, `--help` as well.
app.command(context_settings={"allow_interspersed_args": False})(tool)
app.command()(bench)
app.add_typer(image.app, name="image")
app.command("list")(list_things)


def execute(arguments: Sequence[str]) -> int:
    """Run one command line; its exit status."""
    stopped_by = [signal.SIGINT]
    previous = signal.signal(signal.SIGTERM, _interrupt_for(stopped_by))
    own, command = _split(list(arguments))
    try:
        status = app(args=own or ["--help"], prog_name="kafkaos", standalone_mode=False, obj=command)
    except typer.TyperException as error:
        context = getattr(error, "ctx", None)
        path = context.command_path if context is not None else "kafkaos"
        stderr.print(f"kafkaos: {error.format_message().rstrip('.')}; see `{path} --help`.", markup=False)
        return EXIT_WRONG_USE
    except KafkaosError as error:
        stderr.print(f"kafkaos: {error}", markup=False)
        return error.exit_status
    except (KeyboardInterrupt, typer.Abort):
        return 128 + stopped_by[-1]
    except Exception as error:
        # Python's own status would be 1, which says that a guarantee broke.
        if isinstance(error, OSError) and error.filename is not None:
            told = f"{error.filename}: {error.strerror}; name another one, or put this one right"
        else:
            traceback.print_exc()
            told = f"a mistake of kafkaos itself ({error!r}): please report the lines above"
        stderr.print(f"kafkaos: {told}", markup=False)
        return EXIT_UNKNOWN
    finally:
        signal.signal(signal.SIGTERM, previous)
    if not own:
        return EXIT_WRONG_USE
    # typer itself turns a KeyboardInterrupt into 130.
    return 128 + stopped_by[-1] if status == 128 + signal.SIGINT else int(status or 0)


def _split(arguments: list[str]) -> tuple[list[str], list[str] | None]:
    """Our own arguments, and the command after `--` of `kafkaos up`; None where there is none."""
    if arguments[:1] == ["up"] and "--" in arguments:
        at = arguments.index("--")
        return arguments[:at], arguments[at + 1 :]
    return arguments, None


def _interrupt_for(stopped_by: list[signal.Signals]) -> Callable[[int, FrameType | None], None]:
    """SIGTERM cleans up on the same way as Ctrl-C."""

    def interrupt(number: int, _: FrameType | None) -> None:
        stopped_by.append(signal.Signals(number))
        raise KeyboardInterrupt

    return interrupt

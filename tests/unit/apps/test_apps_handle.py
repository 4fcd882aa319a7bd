"""Applications as processes: started, heard, hurt, and never left behind."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from alive import alive
from kafkaos.apps.handle import AppHandle, AppSettings
from kafkaos.errors import BrokenRecording, SetupFailed, WaitExpired, WrongUse
from kafkaos.faults.node import is_frozen
from kafkaos.faults.waiting import until

WAIT_S = 60.0
READY = "say('startup_complete')\n"
Make = Callable[..., AppHandle]


def test_it_gets_its_environment_and_each_start_is_an_incarnation(app: Make, tmp_path: Path) -> None:
    """The cluster, its own variables, its folder and the number of restarts are told to it."""
    told = (
        "say('told', where=os.getcwd(), cluster=os.environ['KAFKAOS_BOOTSTRAP'], mine=os.environ['MINE'], "
        "restarts=os.environ['KAFKAOS_INCARNATION'])\nwait()"
    )
    shop = app(told, env={"MINE": "x"}, cwd=tmp_path, ready="told")
    shop.start()
    shop.wait_ready(timeout_s=WAIT_S)
    shop.restart()
    shop.wait_ready(timeout_s=WAIT_S)
    assert shop.incarnation == 1
    events = shop.events("told")
    assert [event["incarnation"] for event in events] == [0, 1]
    assert [event["restarts"] for event in events] == ["0", "1"]
    assert {(event["where"], event["cluster"], event["mine"]) for event in events} == {
        (str(tmp_path), "127.0.0.1:9", "x")
    }


def test_one_that_ends_before_it_is_ready_is_told_with_its_last_lines(app: Make) -> None:
    """SetupFailed has the exit status and what it printed on stderr."""
    shop = app("print('no database', file=sys.stderr); sys.exit(3)")
    shop.start()
    with pytest.raises(SetupFailed, match=r"(?s)'app' ended with status 3 before it was ready.*no database"):
        shop.wait_ready(timeout_s=WAIT_S)


def test_not_ready_in_time_is_an_error(app: Make) -> None:
    """The wait has a deadline, and a condition may be what is waited for."""
    shop = app(READY + "wait()", ready=lambda: False)
    shop.start()
    with pytest.raises(WaitExpired, match="was not ready within"):
        shop.wait_ready(timeout_s=0.2)


def test_what_was_said_before_a_kill_is_kept(app: Make) -> None:
    """All lines that were flushed survive kill -9; what was cut off in the middle is counted, not read."""
    shop = app(
        READY + "for n in range(5000): say('n', n=n)\n"
        "sys.stdout.write('{\"name\": \"cut'); sys.stdout.flush()\nprint('here', file=sys.stderr, flush=True)\nwait()"
    )
    shop.start()
    shop.wait_until(lambda: "here" in shop.log_path.read_text(), "done with printing", timeout_s=WAIT_S)
    shop.kill()
    assert shop.exit_status == -signal.SIGKILL
    assert [event["n"] for event in shop.events("n")] == list(range(5000))
    assert shop.broken_lines == 1
    assert not shop.crashed


def test_waiting_for_an_event_counts_over_incarnations_and_heeds_the_condition(app: Make) -> None:
    """`count` and `where` choose; an application that ended without it is told at once."""
    shop = app(READY + "say('step', n=int(os.environ['KAFKAOS_INCARNATION']))\nwait()")
    shop.start()
    shop.wait_event("step", timeout_s=WAIT_S)
    shop.restart()
    assert [event["n"] for event in shop.wait_event("step", count=2, timeout_s=WAIT_S)] == [0, 1]
    assert len(shop.wait_event("step", timeout_s=WAIT_S, where=lambda event: event["n"] == 1)) == 1
    with pytest.raises(WaitExpired, match=r"heard saying step 3 time\(s\), but 2"):
        shop.wait_event("step", count=3, timeout_s=0.1)
    shop.kill()
    with pytest.raises(WaitExpired, match=r"ended \(status -9\) before"):
        shop.wait_event("step", count=3, timeout_s=WAIT_S)


def test_broken_lines_are_counted_and_wrong_fields_are_an_error(app: Make) -> None:
    """Text is text, half an object is counted, and a known name with wrong fields names line and field."""
    shop = app(
        "print('hello')\nprint('{broken')\n"
        + READY
        + "say('process', topic='t', partition='zero', offset=1)\nwait()"
    )
    shop.start()
    with pytest.raises(BrokenRecording, match=r"line 4 of application 'app' .*process line.*partition"):
        shop.wait_event("process", timeout_s=WAIT_S)
    assert shop.broken_lines == 1


def test_stop_is_graceful_and_one_that_will_not_is_killed(app: Make) -> None:
    """SIGTERM first, also to one that is frozen; after the grace period SIGKILL and an error."""
    polite = app(
        "import signal\nsignal.signal(signal.SIGTERM, lambda *_: (say('shutdown_complete'), sys.exit(0)))\n"
        + READY
        + "wait()",
        name="polite",
    )
    deaf = app(
        "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + READY + "wait()", name="deaf"
    )
    for handle in (polite, deaf):
        handle.start()
        handle.wait_ready(timeout_s=WAIT_S)
    polite.pause()
    assert until(lambda: is_frozen(polite.pid or 0) or None, timeout_s=WAIT_S)
    assert polite.stop(grace_s=WAIT_S) == 0
    assert polite.events("shutdown_complete")
    with pytest.raises(WaitExpired, match=r"did not stop within 0.2 s and was killed"):
        deaf.stop(grace_s=0.2)
    assert deaf.exit_status == -signal.SIGKILL


def test_pause_and_kill_reach_what_it_started(app: Make) -> None:
    """A shell's children are frozen, go on and die with it."""
    shop = app(
        READY
        + "import subprocess\nchild = subprocess.Popen(['sleep', '60'])\nsay('child', pid=child.pid)\nwait()"
    )
    shop.start()
    child = shop.wait_event("child", timeout_s=WAIT_S)[0]["pid"]
    shop.pause()
    assert until(lambda: is_frozen(child) or None, timeout_s=WAIT_S)
    shop.resume()
    assert until(lambda: not is_frozen(child) or None, timeout_s=WAIT_S)
    shop.kill()
    assert until(lambda: not alive(child) or None, timeout_s=WAIT_S)


def test_a_crash_is_told_unless_it_was_waited_for(app: Make) -> None:
    """An end by itself with another status than 0 is a crash, but not one that the scenario looked at."""
    shop = app(READY + "sys.exit(4)")
    shop.start()
    assert until(lambda: shop.exit_status, timeout_s=WAIT_S) == 4
    assert shop.crashed
    assert shop.wait_ended(timeout_s=WAIT_S) == 4
    assert not shop.crashed


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"name": "../x", "command": ("true",)}, "cannot be called"),
        ({"name": "x", "command": ()}, "has no command"),
        ({"name": "x", "command": ("true",), "reads": ("t",)}, "name the group"),
    ],
)
def test_wrong_settings_are_refused(given: dict[str, object], told: str) -> None:
    """Each mistake is told in a sentence before anything is started."""
    with pytest.raises(WrongUse, match=told):
        AppSettings(**given)  # type: ignore[arg-type]

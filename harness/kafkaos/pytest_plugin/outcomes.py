"""What each test with a cluster came to: noted phase by phase, told in its report, in Allure and by the exit status."""

from __future__ import annotations

import json
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from kafkaos.errors import EXIT_BROKE, EXIT_HELD, EXIT_UNKNOWN, KafkaosError
from kafkaos.pytest_plugin.reproduce import own_name, reproduce
from kafkaos.pytest_plugin.selection import params
from kafkaos.pytest_plugin.session import SETTINGS
from kafkaos.reporting.terminal import OUTCOME_PROPERTY, RESULT_PROPERTY

if TYPE_CHECKING:
    from kafkaos.reporting.course import Course
    from kafkaos.run import Chaos

COURSE = pytest.StashKey["Course"]()
_last: list[int] = []
_failed: dict[str, int] = {}


def last_exit_status() -> int:
    """The exit status of the last session in this process, in kafkaos's own terms (1 broke, 2 unknown or failed)."""
    return _last[-1] if _last else EXIT_UNKNOWN


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Any:
    """What a test with a cluster comes to is noted from here on."""
    if "kafka_cluster" in getattr(item, "fixturenames", ()):
        from kafkaos.reporting.course import Course

        session = item.config.stash[SETTINGS]
        marks = item.iter_markers("scenario")
        item.stash[COURSE] = Course(
            test=item.nodeid,
            title=_title(item),
            cluster=Path(str(params(item).get("kafka_cluster", ""))).stem,
            seed=session.seed,
            reproduce=reproduce(item, session),
            rows=tuple(str(row) for mark in marks for row in mark.args),
        )
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Any:
    """With --alluredir the run is told while the call is open: later attachments would be its fixtures'."""
    try:
        return (yield)
    except KeyboardInterrupt:
        if listener := item.config.pluginmanager.get_plugin("allure_listener"):
            from kafkaos.reporting.allure_story import tell_cut

            tell_cut(listener)
        raise
    finally:
        course = item.stash.get(COURSE, None)
        run = getattr(item, "funcargs", {}).get("chaos")
        if course is not None and run is not None and item.config.getoption("allure_report_dir", None):
            _tell_allure(item, course, run)


def _tell_allure(item: pytest.Item, course: Course, run: Chaos) -> None:
    import allure

    from kafkaos.reporting.allure_story import severity_of, tell_allure

    marked = any(mark.kwargs.get("label_type") == "severity" for mark in item.iter_markers("allure_label"))
    try:
        tell_allure(
            run.folder,
            title=f"{course.title or item.name} [{course.cluster}]",
            scenario=own_name(item),
            rows=course.rows,
            severity=None if marked else severity_of(run.folder),
        )
    except Exception:
        # The verdict is the news; that it could not be told well must not replace it.
        allure.attach(traceback.format_exc(), name="kafkaos could not tell this run")


def _title(item: pytest.Item) -> str:
    doc = getattr(getattr(item, "function", None), "__doc__", None) or ""
    return doc.strip().split("\n\n", 1)[0].replace("\n", " ")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    report: pytest.TestReport = yield
    course = item.stash.get(COURSE, None)
    if course is None:
        return report
    error = None if call.excinfo is None else call.excinfo.value
    course.phase(report.when or "", duration_s=report.duration, skipped=report.skipped, error=error)
    # Copies, so that a property of one phase is not in the next one's report: they travel with pytest-xdist.
    report.user_properties = list(report.user_properties)
    if report.failed:
        broke = isinstance(error, AssertionError)
        report.sections.append(("kafkaos: show it again with", course.reproduce))
        report.user_properties.append(
            ("kafkaos_status", EXIT_BROKE if broke and report.when == "call" else EXIT_UNKNOWN)
        )
        if isinstance(error, KafkaosError):
            # One sentence tells it; our own frames would only hide it.
            report.longrepr = f"{type(error).__name__}: {error}"
    if report.when == "call":
        run = getattr(item, "funcargs", {}).get("chaos")
        if run is not None:
            course.verdicts, course.without_evidence = run.verdicts, bool(run.without_evidence)
        report.user_properties.append((OUTCOME_PROPERTY, course.outcome))
    if report.when == "teardown":
        line = json.dumps(course.result(item.config.stash[SETTINGS].out).to_json(), ensure_ascii=False)
        report.user_properties.append((RESULT_PROPERTY, line))
    return report


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.failed:
        status = dict(report.user_properties).get("kafkaos_status", EXIT_BROKE)
        _failed[report.nodeid] = EXIT_BROKE if status == EXIT_BROKE else EXIT_UNKNOWN


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    settings = session.config.stash[SETTINGS]
    if exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        _last.append(max(_failed.values(), key=_severity, default=EXIT_HELD) if exitstatus else EXIT_HELD)
    elif (exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED and settings.resume) or (
        exitstatus == pytest.ExitCode.INTERRUPTED and settings.time_is_up
    ):
        _last.append(max(_failed.values(), key=_severity, default=EXIT_HELD))
    else:
        _last.append(EXIT_UNKNOWN)
    _failed.clear()
    settings.close()
    results = session.config.getoption("allure_report_dir", None)
    terminal = session.config.pluginmanager.get_plugin("kafkaos_terminal")
    if results and terminal is not None and terminal.results:
        from kafkaos.reporting.allure_story import write_surroundings
        from kafkaos.reporting.story import PLACES

        facts = {name: value for name, value in settings.settings().items() if name not in PLACES}
        write_surroundings(Path(results), facts)


def _severity(status: int) -> int:
    # A broken guarantee is the news, whatever else failed beside it.
    return {EXIT_HELD: 0, EXIT_UNKNOWN: 1, EXIT_BROKE: 2}.get(status, 1)

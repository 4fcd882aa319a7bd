"""What of the machine and of its reader stays out of published reports."""

from __future__ import annotations

from pathlib import Path

import pytest
from allure_commons import model2

from kafkaos.errors import SetupFailed
from kafkaos.reporting.allure3 import silence
from kafkaos.reporting.allure_privacy import AllurePrivacy
from kafkaos.reporting.secrets import clean_text, without_home

TRACE = f"{Path.home()}/project/client.py:3: ssl.key.password=hunter2"
TELLS_GOOGLE = """
    <script async src="https://www.googletagmanager.com/gtag/js?id=G-1"></script>
    <script>
        window.dataLayer = window.dataLayer || [];
        gtag('js', new Date());
    </script>"""


def result(*parameters: str) -> model2.TestResult:
    """As allure-pytest hands it over to be written."""
    return model2.TestResult(
        labels=[
            model2.Label("host", "my-laptop"),
            model2.Label("thread", "4711-MainThread"),
            model2.Label("epic", "loss"),
        ],
        parameters=[model2.Parameter(name, "single") for name in parameters],
        statusDetails=model2.StatusDetails(message=TRACE, trace=TRACE),
        steps=[model2.TestStepResult(statusDetails=model2.StatusDetails(message=TRACE))],
    )


@pytest.mark.parametrize(
    ("everything", "parameters", "kept"),
    [(False, ("kafka_cluster",), False), (True, (), False), (False, ("browser",), True)],
    ids=["a test with a cluster", "a session of kafkaos", "somebody else's test"],
)
def test_a_result_of_ours_tells_neither_machine_nor_home_nor_secret(
    everything: bool, parameters: tuple[str, ...], kept: bool
) -> None:
    """Labels, message, traceback and steps; what is not ours is written as it is."""
    told = result(*parameters)
    AllurePrivacy(everything=everything).report_result(told)
    if kept:
        assert told == result(*parameters)
        return
    assert told.labels == [model2.Label("epic", "loss")]
    cleaned = "~/project/client.py:3: ssl.key.password=(hidden)"
    details = (told.statusDetails.message, told.statusDetails.trace, told.steps[0].statusDetails.message)
    assert details == (cleaned, cleaned, cleaned)


def test_only_the_home_folder_itself_becomes_a_tilde() -> None:
    """Not a folder whose path only ends or begins like it."""
    home = Path.home()
    assert (
        without_home(f"in {home}/a and /srv{home}/b and {home}x/c")
        == f"in ~/a and /srv{home}/b and {home}x/c"
    )


def test_the_page_of_allure_tells_nobody_of_its_reader(tmp_path: Path) -> None:
    """Google's script goes, and nothing else; a page that has it in a form that is not known is refused."""
    page = tmp_path / "index.html"
    page.write_text(f"<body><div id=app></div>{TELLS_GOOGLE}<script>report()</script></body>")
    silence(page)
    assert page.read_text() == "<body><div id=app></div><script>report()</script></body>"
    page.write_text(page.read_text().replace("report()", "load('https://www.googletagmanager.com/other.js')"))
    with pytest.raises(SetupFailed, match="an unknown form"):
        silence(page)


@pytest.mark.parametrize("told", [r'password="a\"b\\c d" (X)', r'{"sasl.password": "a\"b\\c d"} (X)'])
def test_a_quote_within_a_password_does_not_end_it(told: str) -> None:
    """Escaped, as JAAS and JSON have it: what is behind it is as secret, and what is behind the password stays."""
    cleaned = clean_text(told)
    assert "b" not in cleaned.partition("(hidden)")[2]
    assert cleaned.endswith("(X)")

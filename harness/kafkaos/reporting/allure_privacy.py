"""Keeps what Allure's listener notes of the machine out of its results: they are published, the machine is not."""

from __future__ import annotations

from typing import Any

import allure_commons
from allure_commons.types import LabelType

from kafkaos.reporting.secrets import clean_text, without_home

_OF_THE_MACHINE = frozenset({LabelType.HOST, LabelType.THREAD})
"""Its name; and a process id that is new each time."""
OURS = "kafka_cluster"


class AllurePrivacy:
    """A plugin of allure_commons, not of pytest. Results of tests that are not ours are left as they are, unless
    `everything` that runs is ours."""

    def __init__(self, *, everything: bool) -> None:
        self._everything = everything

    @allure_commons.hookimpl(tryfirst=True)
    def report_result(self, result: Any) -> None:
        """Before it is written: no label of the machine; no secret and no home folder in its traceback."""
        if self._everything or any(parameter.name == OURS for parameter in result.parameters):
            result.labels[:] = [label for label in result.labels if label.name not in _OF_THE_MACHINE]
            _clean(result)


def _clean(item: Any) -> None:
    """Of a result or a step, with the steps in it."""
    details = item.statusDetails
    if details is not None:
        details.message = None if details.message is None else without_home(clean_text(details.message))
        details.trace = None if details.trace is None else without_home(clean_text(details.trace))
    for step in item.steps:
        _clean(step)

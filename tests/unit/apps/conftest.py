"""Small applications under a real warden, with no Kafka."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from kafkaos.apps.handle import AppHandle, AppSettings
from kafkaos.traffic.child import Surroundings

PRELUDE = """
import json, os, sys, time
def say(name, **fields):
    print(json.dumps({"timestamp": time.time() * 1000, "name": name, **fields}), flush=True)
def wait():
    while True:
        time.sleep(60)
"""


@pytest.fixture
def app(around: Surroundings) -> Iterator[Callable[..., AppHandle]]:
    """Makes an application of a few lines of Python."""
    made: list[AppHandle] = []

    def make(program: str, *, name: str = "app", **given: Any) -> AppHandle:
        settings = AppSettings(name=name, command=(sys.executable, "-c", PRELUDE + program), **given)
        made.append(AppHandle(settings, around, {"KAFKAOS_BOOTSTRAP": "127.0.0.1:9"}))
        return made[-1]

    yield make
    for handle in made:
        handle.kill()

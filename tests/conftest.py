"""What all tests share."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from playwright.sync_api import Browser

BROWSER_DEADLINE_MS = 60_000

# What a script starts in the background has Ctrl-C ignored, and so would have the commands that tests send one to.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Hypothesis's own limit of 200 ms an example measures the machine, which may be busy.
settings.register_profile("kafkaos", deadline=None)
settings.load_profile("kafkaos")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The machine's own Chromium; `make machine` installs one. Of a module: playwright keeps an event loop running."""
    from playwright.sync_api import expect, sync_playwright

    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    assert found, "no Chromium: run `make machine`"
    expect.set_options(timeout=BROWSER_DEADLINE_MS)
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(
            executable_path=found, args=["--no-sandbox"], timeout=BROWSER_DEADLINE_MS
        )
        yield launched
        launched.close()

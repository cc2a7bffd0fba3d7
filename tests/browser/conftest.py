"""One Chromium for each module: playwright keeps an event loop in this thread, which async tests must not meet."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from support.browser import QUIET_ARGUMENTS, opened
from support.chromium import LAUNCH_ARGUMENTS
from support.servers import ServerProcess, running_hub

expect.set_options(timeout=15_000)  # a condition is met at once or not at all; the rest is for slow machines


@pytest.fixture(scope="module")
def browser(chromium_path: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium_path, args=[*LAUNCH_ARGUMENTS, *QUIET_ARGUMENTS])
        try:
            yield started
        finally:
            started.close()


@pytest.fixture(scope="module")
def shared_hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A hub for tests that leave it as they found it, apart from their own topics."""
    with running_hub(tmp_path_factory.mktemp("shared")) as hub:
        yield hub


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[ServerProcess]:
    """A hub of the test's own, to be killed."""
    with running_hub(tmp_path) as started:
        yield started


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page that must have no error in the end: nothing thrown, logged or against its content security policy."""
    with opened(browser, viewport={"width": 1280, "height": 800}) as new:
        yield new

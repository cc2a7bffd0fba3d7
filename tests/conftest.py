"""Rules for every test: both event loops, and nothing skipped in CI."""

from __future__ import annotations

import os
from collections.abc import Generator
from typing import Any

import pytest

# Before anything imports them: an `assert` in a helper or in the suite for logs explains itself like one in a test.
pytest.register_assert_rewrite("support", "echostream.testing")

from support.chromium import find_chromium  # noqa: E402

IN_CI = os.environ.get("CI", "").lower() in {"1", "true", "yes"}


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(("asyncio", {"use_uvloop": False}), id="asyncio"),
        pytest.param(("asyncio", {"use_uvloop": True}), id="uvloop"),
    ],
)
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    """Every async test runs twice. A module may override this fixture when its loop is in another process."""
    return request.param


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--soak", action="store_true", help="run the long form of the tests marked `soak`")


@pytest.fixture(scope="session")
def soak(request: pytest.FixtureRequest) -> bool:
    """Whether to run the long form: `rounds = 50 if soak else 10`."""
    return bool(request.config.getoption("--soak"))


@pytest.fixture(scope="session")
def chromium_path() -> str:
    """The path of a Chromium that runs here; without one the test is skipped, and says what was looked for."""
    found = find_chromium()
    if found is None:
        pytest.skip("no Chromium: set $CHROMIUM, put chromium on PATH, or run `.venv/bin/playwright install chromium`")
    return found


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The long forms take their own time; the limit of 60 s is for the short ones."""
    if config.getoption("--soak"):
        for item in items:
            item.add_marker(pytest.mark.timeout(3600), append=False)


def _skip_is_failure(report: Any) -> None:
    """In CI a skip would be a test that silently stopped testing, so there it fails."""
    if not IN_CI or not report.skipped or hasattr(report, "wasxfail"):
        return
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
    report.outcome = "failed"
    report.longrepr = f"in CI nothing may skip: {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    _skip_is_failure(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    _skip_is_failure(report)
    return report

"""Both logs pass the suite that ships with the package."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from echostream.log import MemoryLog
from echostream.log.sqlite import SqliteLog
from echostream.testing import LogSuite
from echostream.testing.log_tools import MakeLog


def _given(**settings: Any) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if value is not None}


class TestMemoryLog(LogSuite):
    @pytest.fixture
    def make_log(self) -> MakeLog:
        def make(name: str = "log", *, max_bytes: int | None = None, now: Any = None) -> MemoryLog:
            return MemoryLog(**_given(max_bytes=max_bytes, now=now))

        return make


class TestSqliteLog(LogSuite):
    persistent = True

    @pytest.fixture(params=["full", "normal"])
    def make_log(self, tmp_path: Path, request: pytest.FixtureRequest) -> MakeLog:
        def make(name: str = "log", *, max_bytes: int | None = None, now: Any = None) -> SqliteLog:
            settings = _given(max_bytes=max_bytes, now=now)
            return SqliteLog(tmp_path / f"{name}.db", durability=request.param, **settings)

        return make

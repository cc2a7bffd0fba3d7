"""LogSuite: what every log promises, as tests. Ships with the package, for logs of others too.

    import pytest
    from echostream.testing.log_suite import LogSuite

    class TestMyLog(LogSuite):
        persistent = True

        @pytest.fixture
        def make_log(self, tmp_path):
            def make(name="log", *, max_bytes=None, now=None):
                return MyLog(tmp_path / name, max_bytes=max_bytes, now=now)
            return make

`make_log(name, max_bytes=, now=)` answers a log that is not open yet. The same name means the
same storage (for logs where `persistent` is true); `max_bytes` about what it keeps (None: all
that the suite appends); `now` a clock in milliseconds since 1970 (None: the real one), used
only where `has_clock` is true. Async tests need a plugin that runs them, such as anyio's with
`anyio_mode = auto`; call `pytest.register_assert_rewrite("echostream.testing")`
before importing it to see values in failures. No test sleeps to win a race.
"""

# ruff: noqa: S101 - assert is how a test says what it expects

from __future__ import annotations

from ..event import Event
from ..exceptions import IdempotencyConflict, PositionGone, TopicFinished
from ..log import IdempotencyKey
from ..topic import TopicSet
from .log_reading import LogReading
from .log_tools import SMALL, MakeLog, collect, data_of, events, fill, opened, read_all, refused
from .log_writing import LogWriting

__all__ = ["LogSuite"]


class LogSuite(LogWriting, LogReading):
    """Subclass it, give it a fixture `make_log`, and each of its tests is a test of your log."""

    async def test_opens_again_with_what_it_had(self, make_log: MakeLog) -> None:
        key = IdempotencyKey.checked("word")
        async with opened(make_log("again")) as log:
            first = await log.bounds()
            await log.append(events("a", "1", "2"), key)
            await log.append([Event(data="bye", topic="b", end=True)])
        if not self.persistent:
            return
        async with opened(make_log("again")) as log:
            assert await log.bounds() == (first.epoch, 1, 3)
            assert data_of(await read_all(log)) == ["1", "2", "bye"]
            assert await log.append(events("a", "1", "2"), key) == [1, 2]
            await refused(IdempotencyConflict, log.append(events("a", "1"), key))
            await refused(TopicFinished, log.append(events("b", "2")))
            assert await log.append(events("a", "3")) == [4]
            assert data_of(await collect(log.follow(3), 4)) == ["3"]

    async def test_opens_again_after_trimming(self, make_log: MakeLog) -> None:
        if not self.persistent:
            return
        async with opened(make_log("again", max_bytes=SMALL)) as log:
            await log.append(events("quiet", "1"))
            await fill(log, "a", 20)
            bounds = await log.bounds()
        async with opened(make_log("again", max_bytes=SMALL)) as log:
            assert await log.bounds() == bounds
            await refused(PositionGone, log.read(0, 1, TopicSet(["quiet"])))
            assert await read_all(log, 1, TopicSet(["quiet"])) == []
            assert await log.append(events("a", "x")) == [bounds.newest + 1]

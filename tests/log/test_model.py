"""Both logs against a model that is a list: whatever is done, in whatever order, they agree."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Coroutine
from contextlib import aclosing
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import uvloop
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from echostream.event import Event
from echostream.exceptions import IdempotencyConflict, PositionGone, TopicFinished
from echostream.log import IdempotencyKey, MemoryLog, TopicInfo
from echostream.log.sqlite import SqliteLog
from echostream.topic import TopicSet
from support.crashdisk import Unsynced

NAMES = ["a", "b", "a/1", "a/2", "b/1", "b/1/x", "hub/own"]
PATTERNS = ["*", "**", "a/*", "*/1", "b/**", "hub/*"]
PATIENCE = 20.0

topics = st.sampled_from(NAMES)
event = st.tuples(topics, st.text(max_size=30), st.just(False))
topic_sets = st.none() | st.lists(st.sampled_from(NAMES + PATTERNS), min_size=1, max_size=4).map(TopicSet)


class Kept(NamedTuple):
    offset: int
    topic: str
    data: str | None
    time: int


class Follower:
    """A `follow` that collects what it is given."""

    def __init__(self, log: Any, after: int) -> None:
        self.after = after
        self.got: list[int] = []
        self.task = asyncio.get_running_loop().create_task(self._run(log))

    async def _run(self, log: Any) -> None:
        async with aclosing(log.follow(self.after)) as pages:
            async for page in pages:
                self.got += [entry.offset for entry in page.entries]


class LogMachine(RuleBasedStateMachine):
    """Appends, ends, reads, follows, seeks, repeats, time passes. `oldest` is the log's word, and may only grow."""

    new_loop: ClassVar[Callable[[], asyncio.AbstractEventLoop]] = staticmethod(asyncio.new_event_loop)

    def __init__(self) -> None:
        super().__init__()
        self.loop = self.new_loop()
        self.clock = 1_700_000_000_000
        self.kept: list[Kept] = []
        self.oldest = 1
        self.finished: dict[str, int] = {}
        self.keys: dict[tuple[str, ...], tuple[tuple[Any, ...], list[int], int]] = {}
        self.followers: list[Follower] = []
        self.epoch = ""

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        async def bounded() -> Any:
            async with asyncio.timeout(PATIENCE):
                return await work

        return self.loop.run_until_complete(bounded())

    make: Callable[[], Any]
    """The log under test; each subclass has its own."""

    @initialize()
    def begin(self) -> None:
        self.log = self.make()
        self.run(self.log.open())
        self.epoch = self.run(self.log.bounds()).epoch

    @property
    def newest(self) -> int:
        return self.kept[-1].offset if self.kept else 0

    def matching(self, wanted: TopicSet | None, after: int) -> list[Kept]:
        return [kept for kept in self.kept if kept.offset > after and (wanted is None or wanted.matches(kept.topic))]

    def expect_append(self, batch: list[tuple[str, str | None, bool]]) -> str | None:
        """The topic that refuses, or None."""
        ended = dict(self.finished)
        for topic, _, end in batch:
            if topic in ended:
                return topic
            if end:
                ended[topic] = 0
        return None

    def keep(self, batch: list[tuple[str, str | None, bool]], offsets: list[int]) -> None:
        assert offsets == list(range(self.newest + 1, self.newest + 1 + len(batch)))
        for offset, (topic, data, end) in zip(offsets, batch, strict=True):
            self.kept.append(Kept(offset, topic, data, self.clock))
            if end:
                self.finished[topic] = offset

    @rule(batch=st.lists(event, min_size=1, max_size=6))
    def append(self, batch: list[tuple[str, str | None, bool]]) -> None:
        self._append(batch)

    @rule(topic=topics, more=st.lists(event, max_size=2))
    def end(self, topic: str, more: list[tuple[str, str | None, bool]]) -> None:
        if len(self.finished) < len(NAMES) - 2:  # leave topics to go on with
            self._append([(topic, None, True), *more])

    def _append(self, batch: list[tuple[str, str | None, bool]]) -> None:
        refusing = self.expect_append(batch)
        events = [Event(data=data, topic=topic, end=end) for topic, data, end in batch]
        try:
            offsets = self.run(self.log.append(events))
        except TopicFinished as error:
            assert (refusing,) == (error.topic,)  # noqa: PT017 - which of many it is
        else:
            assert refusing is None
            self.keep(batch, offsets)

    @rule(
        batch=st.lists(
            st.tuples(st.sampled_from(["a", "b"]), st.sampled_from("xy"), st.just(False)), min_size=1, max_size=2
        ),
        word=st.sampled_from(["k1", "k2"]),
        publisher=st.sampled_from(["", "ann"]),
    )
    def append_keyed(self, batch: list[tuple[str, str | None, bool]], word: str, publisher: str) -> None:
        scope = (word, publisher, *sorted({topic for topic, _, _ in batch}))
        known = self.keys.get(scope)
        if known is not None and self.clock - known[2] >= 600_000:
            known = None
        refusing = self.expect_append(batch)
        events = [Event(data=data, topic=topic, end=end) for topic, data, end in batch]
        try:
            offsets = self.run(self.log.append(events, IdempotencyKey(word, publisher)))
        except IdempotencyConflict:
            assert known is not None
            assert known[0] != tuple(batch)
        except TopicFinished:
            assert known is None
            assert refusing is not None
        else:
            if known is not None:
                assert (known[0], known[1]) == (tuple(batch), offsets)
            else:
                self.keep(batch, offsets)
                self.keys[scope] = (tuple(batch), offsets, self.clock)

    @rule(count=st.integers(5, 15), size=st.integers(100, 400))
    def fill(self, count: int, size: int) -> None:
        """Enough to trim something."""
        self._append([("b", "x" * size, False)] * count)

    @rule(back=st.integers(0, 60), limit=st.integers(0, 12), wanted=topic_sets)
    def read(self, back: int, limit: int, wanted: TopicSet | None) -> None:
        self._read(max(0, self.newest + 2 - back), limit, wanted)

    @precondition(lambda self: self.oldest > 1)
    @rule(name=topics, pattern=st.sampled_from(["", "*", "**", "a/*"]), step=st.sampled_from([-1, 0, 1]))
    def read_at_the_edge(self, name: str, pattern: str, step: int) -> None:
        """Just before, at and just after the last entry of a topic that was trimmed."""
        wanted = TopicSet([name, pattern] if pattern else [name])
        gone = [kept.offset for kept in self.matching(wanted, 0) if kept.offset < self.oldest]
        self._read(max(0, (gone[-1] if gone else self.oldest) + step), 5, wanted)

    def _read(self, after: int, limit: int, wanted: TopicSet | None) -> None:
        gone = [kept for kept in self.matching(wanted, after) if kept.offset < self.oldest]
        if wanted is None and after < self.oldest - 1:
            assert gone
        try:
            page = self.run(self.log.read(after, limit, wanted))
        except PositionGone as error:
            assert gone
            assert error.oldest == self.oldest  # noqa: PT017
            return
        assert not gone
        expected = self.matching(wanted, after)
        got = [(entry.offset, entry.event.topic, entry.event.data, entry.event.time) for entry in page.entries]
        assert got == expected[: len(got)]
        assert len(got) == min(limit, len(expected))
        assert page.epoch == self.epoch
        assert page.scanned_to >= after
        assert [kept for kept in expected if kept.offset <= page.scanned_to] == got
        if len(got) < limit:
            assert page.scanned_to == max(after, self.newest)

    @rule(n=st.integers(0, 20), wanted=topic_sets.filter(lambda wanted: wanted is not None))
    def last(self, n: int, wanted: TopicSet) -> None:
        after = self.run(self.log.last(n, wanted))
        expected = self.matching(wanted, self.oldest - 1)
        assert self.matching(wanted, after) == (expected[-n:] if n else [])

    @rule(back=st.integers(-10, 900_000))
    def at_time(self, back: int) -> None:
        time = self.clock - back
        after = self.run(self.log.at_time(time))
        found = [kept.offset for kept in self.matching(None, self.oldest - 1) if kept.time >= time]
        assert after == (found[0] - 1 if found else self.newest)

    @rule(milliseconds=st.sampled_from([1, 1000, 100_000, 400_000]))
    def time_passes(self, milliseconds: int) -> None:
        self.clock += milliseconds

    @rule()
    def topics(self) -> None:
        newest = {kept.topic: kept.offset for kept in self.kept}
        infos = [TopicInfo(name, newest[name], self.finished.get(name)) for name in sorted(newest)]
        assert self.run(self.log.topics(100)) == infos
        for name in NAMES:
            assert self.run(self.log.topic(name)) == next((info for info in infos if info.name == name), None)

    @precondition(lambda self: len(self.followers) < 4)
    @rule(back=st.integers(0, 10))
    def follow(self, back: int) -> None:
        async def start() -> Follower:
            return Follower(self.log, max(self.oldest - 1, self.newest - back))

        self.followers.append(self.run(start()))
        self.settle()

    def settle(self) -> None:
        """Each follower has everything after where it began."""
        expected = {f: [kept.offset for kept in self.kept if kept.offset > f.after] for f in self.followers}

        async def settled() -> None:
            while any(follower.got != expected[follower] for follower in self.followers):
                for follower in self.followers:
                    assert follower.got == expected[follower][: len(follower.got)]
                    assert not follower.task.done(), "a follower ended by itself"
                await asyncio.sleep(0)

        self.run(settled())

    @invariant()
    def bounds(self) -> None:
        if not self.epoch:
            return
        bounds = self.run(self.log.bounds())
        assert (bounds.epoch, bounds.newest) == (self.epoch, self.newest)
        assert self.oldest <= bounds.oldest <= max(bounds.newest, 1)
        self.oldest = bounds.oldest
        self.settle()

    def end_followers(self) -> None:
        async def ended() -> None:
            for follower in self.followers:
                await follower.task

        self.run(ended())
        self.followers.clear()

    def teardown(self) -> None:
        if self.epoch:
            self.run(self.log.aclose())
            self.end_followers()
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        self.loop.close()


class MemoryMachine(LogMachine):
    def make(self) -> MemoryLog:
        return MemoryLog(max_bytes=16_000, now=lambda: self.clock)


class SqliteMachine(LogMachine):
    """The same, closed and opened again at any time."""

    new_loop = staticmethod(uvloop.new_event_loop)

    def __init__(self) -> None:
        super().__init__()
        self.directory = tempfile.TemporaryDirectory()
        self.vfs = Unsynced(f"model-{id(self)}")  # syncs are the power test's matter

    def make(self) -> SqliteLog:
        path = Path(self.directory.name) / "log.db"
        return SqliteLog(path, max_bytes=8_000, max_age=1_500, now=lambda: self.clock, _vfs=self.vfs.name)

    @rule()
    def reopen(self) -> None:
        self.run(self.log.aclose())
        self.end_followers()
        self.log = self.make()
        self.run(self.log.open())

    def teardown(self) -> None:
        super().teardown()
        self.vfs.unregister()
        self.directory.cleanup()


_settings = settings(max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck))

TestMemoryModel = MemoryMachine.TestCase
TestMemoryModel.settings = _settings
TestSqliteModel = SqliteMachine.TestCase
TestSqliteModel.settings = _settings

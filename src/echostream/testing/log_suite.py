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
`anyio_mode = auto`; call `pytest.register_assert_rewrite("echostream.testing.log_suite")`
before importing it to see values in failures. No test sleeps to win a race.
"""

# ruff: noqa: S101 - assert is how a test says what it expects

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Any, ClassVar

from ..event import Event
from ..exceptions import (
    EchostreamError,
    IdempotencyConflict,
    InvalidTopic,
    LogFull,
    LogUnavailable,
    PositionGone,
    TopicFinished,
)
from ..log import Entry, IdempotencyKey, Log, Page, Readiness, Seek, TopicInfo, Topics
from ..position import Position
from ..topic import TopicSet

__all__ = ["LogSuite", "MakeLog", "collect", "opened", "read_all"]

MakeLog = Callable[..., Any]
PATIENCE = 20.0
SMALL = 30_000
"""Bytes that hold tens of the suite's events in any log: enough to trim with a few hundred appends."""


@asynccontextmanager
async def opened(log: Any) -> AsyncGenerator[Any, None]:
    """`log`, open in the block, closed after it."""
    await log.open()
    try:
        yield log
    finally:
        await log.aclose()


async def read_all(log: Log, after: int = 0, topics: TopicSet | None = None, limit: int = 7) -> list[Entry]:
    """Read as a reader does, page by page, to the newest. Checks what holds for each page."""
    entries: list[Entry] = []
    newest = (await log.bounds()).newest
    while after < newest:
        page = await log.read(after, limit, topics)
        assert len(page.entries) <= limit
        assert page.scanned_to > after, "a page that does not move would hold its reader for ever"
        assert all(after < entry.offset <= page.scanned_to for entry in page.entries)
        entries += page.entries
        after = page.scanned_to
    offsets = [entry.offset for entry in entries]
    assert offsets == sorted(set(offsets))
    return entries


async def collect(pages: AsyncGenerator[Page, None], until: int) -> list[Entry]:
    """What `follow` gives, up to the entry at offset `until`."""
    entries: list[Entry] = []
    async with asyncio.timeout(PATIENCE), aclosing(pages):
        async for page in pages:
            entries += page.entries
            if page.scanned_to >= until:
                break
    return entries


async def refused(kind: type[EchostreamError], awaitable: Any) -> Any:
    """The error of that kind that awaiting raises."""
    try:
        await awaitable
    except kind as error:
        return error
    raise AssertionError(f"{kind.__name__} was not raised")


def events(topic: str, *data: str) -> list[Event]:
    return [Event(data=text, topic=topic) for text in data]


def data_of(entries: Sequence[Entry]) -> list[str | None]:
    return [entry.event.data for entry in entries]


async def fill(log: Log, topic: str, until_oldest: int) -> None:
    """Append to `topic` until everything before `until_oldest` is trimmed."""
    async with asyncio.timeout(PATIENCE):
        while (await log.bounds()).oldest < until_oldest:
            await log.append(events(topic, *["x" * 500] * 10))


class LogSuite:
    """Subclass it, give it a fixture `make_log`, and each of these is a test of your log."""

    persistent: ClassVar[bool] = False
    """Whether a log of the same name, closed and made again, has what it had."""
    has_clock: ClassVar[bool] = True
    """Whether `now` is used."""

    # --- open and close

    async def test_has_every_power(self, make_log: MakeLog) -> None:
        async with opened(make_log()) as log:
            assert all(isinstance(log, power) for power in (Log, Seek, Topics, Readiness))
            assert log.durability in ("full", "normal", "memory")
            await log.ready()

    async def test_begins_empty(self, make_log: MakeLog) -> None:
        async with opened(make_log()) as log:
            bounds = await log.bounds()
            assert (bounds.oldest, bounds.newest) == (1, 0)
            assert Position.parse(f"{bounds.epoch}.0").epoch == bounds.epoch
            page = await log.read(0, 10)
            assert (list(page.entries), page.scanned_to, page.epoch) == ([], 0, bounds.epoch)
            assert await log.at_time(0) == 0
            assert await log.last(5, TopicSet(["**"])) == 0

    async def test_needs_to_be_open(self, make_log: MakeLog) -> None:
        log = make_log()
        await refused(LogUnavailable, log.append(events("a", "1")))
        await log.open()
        await log.aclose()
        for call in (log.append(events("a", "1")), log.read(0, 1), log.bounds(), log.ready(), log.topics(1)):
            await refused(LogUnavailable, call)

    async def test_closes_as_often_as_asked(self, make_log: MakeLog) -> None:
        log = make_log()
        await log.open()
        await asyncio.gather(log.aclose(), log.aclose())
        await log.aclose()
        await make_log("never-opened").aclose()

    async def test_closing_finishes_what_is_under_way(self, make_log: MakeLog) -> None:
        log = make_log()
        await log.open()
        appends = [asyncio.ensure_future(log.append(events("a", str(i)))) for i in range(20)]
        await asyncio.sleep(0)  # each append has begun
        await log.aclose()
        answers = await asyncio.gather(*appends)
        assert sorted(offset for answer in answers for offset in answer) == list(range(1, 21))

    async def test_each_log_has_its_own_epoch(self, make_log: MakeLog) -> None:
        async with opened(make_log("one")) as one, opened(make_log("two")) as two:
            assert (await one.bounds()).epoch != (await two.bounds()).epoch

    # --- append

    async def test_offsets_are_consecutive(self, make_log: MakeLog) -> None:
        async with opened(make_log()) as log:
            assert await log.append(events("a", "1")) == [1]
            assert await log.append(events("a", "2", "3", "4")) == [2, 3, 4]
            assert await log.append([]) == []
            assert await log.append(events("b", "5")) == [5]
            assert (await log.bounds()).newest == 5

    async def test_every_field_comes_back(self, make_log: MakeLog) -> None:
        given = [
            Event(data="plain", topic="a/b"),
            Event(data="two\r\nlines\nand \0 NUL, \u2028, é, 🦉", topic="ü/🦉", event="näme", key="kéy", retry=0),
            Event.from_json('{"b": 1.10, "a": 12345678901234567890, "b": "\\u0000"}', topic="a/b", retry=2**31 - 1),
            Event(data="", topic="a/b"),
            Event(data='[1,"],[', topic="quote'\"]"),
            Event(data="x" * 300_000, topic="big"),
            Event(data=None, topic="ended", end=True),
        ]
        async with opened(make_log()) as log:
            assert await log.append(given) == list(range(1, 8))
            epoch = (await log.bounds()).epoch
            entries = await read_all(log)
            assert [entry.event.id for entry in entries] == [f"{epoch}.{offset}" for offset in range(1, 8)]
            times = [entry.event.time or 0 for entry in entries]
            assert times == sorted(times)
            assert times[0] > 0
            for entry, event in zip(entries, given, strict=True):
                got = entry.event
                assert (got.data, got.json, got.event, got.topic) == (event.data, event.json, event.event, event.topic)
                assert (got.retry, got.key, got.end) == (event.retry, event.key, event.end)

    async def test_many_at_once(self, make_log: MakeLog) -> None:
        async with opened(make_log()) as log:
            sizes = [1 + i % 5 for i in range(60)]
            answers = await asyncio.gather(
                *(log.append(events(f"t/{i}", *[f"{i}.{j}" for j in range(size)])) for i, size in enumerate(sizes))
            )
            assert sorted(offset for answer in answers for offset in answer) == list(range(1, sum(sizes) + 1))
            kept = {entry.offset: entry.event.data for entry in await read_all(log)}
            for i, answer in enumerate(answers):
                assert answer == list(range(answer[0], answer[0] + sizes[i]))
                assert [kept[offset] for offset in answer] == [f"{i}.{j}" for j in range(sizes[i])]

    async def test_an_event_needs_a_topic(self, make_log: MakeLog) -> None:
        async with opened(make_log()) as log:
            await refused(InvalidTopic, log.append([Event(data="1", topic="a"), Event(data="2")]))
            await refused(InvalidTopic, log.append([Event(data="1", topic="a/*")]))
            await refused(InvalidTopic, log.append([Event(data="1", topic="\ud800")]))
            assert (await log.bounds()).newest == 0

    async def test_cancelling_an_append_breaks_nothing(self, make_log: MakeLog) -> None:
        async with opened(make_log()) as log:
            append = asyncio.ensure_future(log.append(events("a", "perhaps")))
            await asyncio.sleep(0)
            append.cancel()
            [offset] = await log.append(events("a", "surely"))
            assert data_of(await read_all(log))[-1] == "surely"
            assert (await log.bounds()).newest == offset

    async def test_too_big_is_refused_and_costs_nothing(self, make_log: MakeLog) -> None:
        async with opened(make_log(max_bytes=SMALL)) as log:
            await log.append(events("a", "1"))
            await refused(LogFull, log.append(events("b", "small", "x" * SMALL)))
            assert await log.append(events("a", "2")) == [2]
            assert data_of(await read_all(log)) == ["1", "2"]
            assert await log.topic("b") is None

    # --- finished topics

    async def test_nothing_follows_an_end(self, make_log: MakeLog) -> None:
        async with opened(make_log()) as log:
            await log.append([*events("a", "1"), Event(data="bye", topic="a", end=True)])
            assert (await refused(TopicFinished, log.append(events("a", "2")))).topic == "a"
            await refused(TopicFinished, log.append([*events("b", "1"), *events("a", "2")]))
            await refused(TopicFinished, log.append([Event(data=None, topic="c", end=True), *events("c", "1")]))
            assert await log.append(events("b", "1")) == [3]
            assert await log.topic("a") == TopicInfo("a", 2, 2)
            assert await log.topic("c") is None

    async def test_a_finished_topic_stays_so_when_trimmed(self, make_log: MakeLog) -> None:
        async with opened(make_log(max_bytes=SMALL)) as log:
            await log.append([Event(data="bye", topic="a", end=True)])
            await fill(log, "b", 2)
            await refused(TopicFinished, log.append(events("a", "2")))
            assert await log.topic("a") == TopicInfo("a", 1, 1)

    # --- idempotency

    async def test_a_repeat_is_answered_not_appended(self, make_log: MakeLog) -> None:
        key = IdempotencyKey.checked("word")
        async with opened(make_log()) as log:
            assert await log.append(events("a", "1", "2"), key) == [1, 2]
            assert await log.append(events("a", "3")) == [3]
            assert await log.append(events("a", "1", "2"), key) == [1, 2]
            assert data_of(await read_all(log)) == ["1", "2", "3"]

    async def test_repeats_at_once_are_one(self, make_log: MakeLog) -> None:
        key = IdempotencyKey.checked("word")
        async with opened(make_log()) as log:
            answers = await asyncio.gather(*(log.append(events("a", "1"), key) for _ in range(10)))
            assert answers == [[1]] * 10
            assert (await log.bounds()).newest == 1

    async def test_a_key_with_another_body_is_a_conflict(self, make_log: MakeLog) -> None:
        key = IdempotencyKey.checked("word")
        async with opened(make_log()) as log:
            await log.append(events("a", "1"), key)
            await refused(IdempotencyConflict, log.append(events("a", "2"), key))
            await refused(IdempotencyConflict, log.append(events("a", "1", "1"), key))
            assert (await log.bounds()).newest == 1

    async def test_a_key_belongs_to_topic_and_publisher(self, make_log: MakeLog) -> None:
        async with opened(make_log()) as log:
            assert await log.append(events("a", "1"), IdempotencyKey("word", "ann")) == [1]
            assert await log.append(events("a", "1"), IdempotencyKey("word", "bob")) == [2]
            assert await log.append(events("b", "1"), IdempotencyKey("word", "ann")) == [3]
            assert await log.append(events("a", "1"), IdempotencyKey("word", "ann")) == [1]

    async def test_a_repeat_of_an_end_is_no_error(self, make_log: MakeLog) -> None:
        key = IdempotencyKey.checked("word")
        async with opened(make_log()) as log:
            assert await log.append([Event(data=None, topic="a", end=True)], key) == [1]
            assert await log.append([Event(data=None, topic="a", end=True)], key) == [1]

    async def test_keys_are_forgotten_after_ten_minutes(self, make_log: MakeLog) -> None:
        if not self.has_clock:
            return
        clock = [1_700_000_000_000]
        key = IdempotencyKey.checked("word")
        async with opened(make_log(now=lambda: clock[0])) as log:
            assert await log.append(events("a", "1"), key) == [1]
            clock[0] += 599_000
            assert await log.append(events("a", "1"), key) == [1]
            clock[0] += 1_000
            assert await log.append(events("a", "other"), key) == [2]
            assert await log.append(events("a", "other"), key) == [2]

    # --- read

    async def test_reads_by_name(self, make_log: MakeLog) -> None:
        async with opened(make_log()) as log:
            for i in range(30):
                await log.append(events("ab"[i % 2], str(i)))
            assert data_of(await read_all(log, 0, TopicSet(["a"]))) == [str(i) for i in range(0, 30, 2)]
            assert data_of(await read_all(log, 10, TopicSet(["a", "b", "c"]))) == [str(i) for i in range(10, 30)]
            assert await read_all(log, 0, TopicSet(["c"])) == []

    async def test_reads_by_pattern(self, make_log: MakeLog) -> None:
        names = ["a", "a/1", "a/2", "a/1/x", "b/1", "hub/own"]
        async with opened(make_log()) as log:
            for name in names * 3:
                await log.append(events(name, name))
            for pattern in ("*", "a/*", "*/1", "a/**", "**", "hub/*", "a/*/x", "c/**"):
                topics = TopicSet([pattern])
                assert data_of(await read_all(log, 0, topics)) == [name for name in names * 3 if topics.matches(name)]
            both = TopicSet(["a/*", "a/1", "b/1"])
            assert data_of(await read_all(log, 0, both)) == ["a/1", "a/2", "b/1"] * 3

    async def test_a_pattern_sees_topics_that_come_later(self, make_log: MakeLog) -> None:
        topics = TopicSet(["a/*"])
        async with opened(make_log()) as log:
            for i in range(300):  # also past what a log may treat as few
                await log.append(events(f"a/{i}", str(i)))
                if i % 50 == 0:
                    assert len(await read_all(log, 0, topics, 500)) == i + 1
            assert len(await read_all(log, 0, topics)) == 300

    async def test_scanned_to_tells_how_far(self, make_log: MakeLog) -> None:
        async with opened(make_log()) as log:
            await log.append([*events("a", "1"), *events("b", *"23456")])
            page = await log.read(0, 1, TopicSet(["b"]))
            assert (data_of(page.entries), page.scanned_to) == (["2"], 2)
            assert (await log.read(1, 10, TopicSet(["a"]))).scanned_to == 6
            for after in (6, 7, 100):
                page = await log.read(after, 10)
                assert (list(page.entries), page.scanned_to) == ([], after)
            assert list((await log.read(0, 0)).entries) == []

    async def test_big_entries_are_read_whole(self, make_log: MakeLog) -> None:
        async with opened(make_log()) as log:
            for i in range(24):
                await log.append(events("ab"[i % 2], str(i) + "x" * 250_000))
            for topics, count in ((None, 24), (TopicSet(["a"]), 12), (TopicSet(["**"]), 24)):
                assert len(await read_all(log, 0, topics, 100)) == count

    # --- what was trimmed

    async def test_a_trimmed_position_is_gone(self, make_log: MakeLog) -> None:
        async with opened(make_log(max_bytes=SMALL)) as log:
            await fill(log, "a", 20)
            bounds = await log.bounds()
            for topics in (None, TopicSet(["a"]), TopicSet(["*"]), TopicSet(["a", "b"])):
                assert (await refused(PositionGone, log.read(3, 10, topics))).oldest == bounds.oldest
                entries = await read_all(log, bounds.oldest - 1, topics)
                assert [e.offset for e in entries] == list(range(bounds.oldest, bounds.newest + 1))

    async def test_a_quiet_topic_has_no_false_gap(self, make_log: MakeLog) -> None:
        async with opened(make_log(max_bytes=SMALL)) as log:
            await log.append(events("quiet/1", "1"))
            await fill(log, "noisy", 20)
            for quiet in (["quiet/1"], ["quiet/*"], ["quiet/**", "other"]):
                topics = TopicSet(quiet)
                await refused(PositionGone, log.read(0, 10, topics))
                assert await read_all(log, 1, topics) == []
            assert await read_all(log, 0, TopicSet(["never"])) == []
            [offset] = await log.append(events("quiet/1", "2"))
            assert [e.offset for e in await read_all(log, 1, TopicSet(["quiet/*"]))] == [offset]

    # --- follow

    async def test_follow_gives_what_is_kept_and_what_comes(self, make_log: MakeLog) -> None:
        async with opened(make_log()) as log:
            await log.append(events("a", "1", "2"))
            following = asyncio.ensure_future(collect(log.follow(1), 40))
            for i in range(3, 41):
                await log.append(events("ab"[i % 2], str(i)))
            assert data_of(await following) == [str(i) for i in range(2, 41)]

    async def test_followers_do_not_disturb_each_other(self, make_log: MakeLog) -> None:
        async with opened(make_log()) as log:
            slow = log.follow(0)
            await log.append(events("a", "1"))
            assert data_of((await anext(slow)).entries) == ["1"]
            others = [asyncio.ensure_future(collect(log.follow(0), 3000)) for _ in range(3)]
            for i in range(2, 3001):  # more than any follower's queue should hold
                await log.append(events("a", str(i)))
            expected = [str(i) for i in range(1, 3001)]
            for other in others:
                assert data_of(await other) == expected
            assert data_of(await collect(slow, 3000)) == expected[1:]

    async def test_a_follower_that_was_overtaken_is_told(self, make_log: MakeLog) -> None:
        async with opened(make_log(max_bytes=SMALL)) as log:
            await fill(log, "a", 20)
            async with aclosing(log.follow(5)) as pages:
                assert (await refused(PositionGone, anext(pages))).oldest == (await log.bounds()).oldest

    async def test_closing_ends_follow(self, make_log: MakeLog) -> None:
        log = make_log()
        await log.open()
        await log.append(events("a", "1"))
        pages = log.follow(0)
        assert data_of((await anext(pages)).entries) == ["1"]
        waiting = asyncio.ensure_future(anext(pages, None))
        await asyncio.sleep(0)
        await log.aclose()
        async with asyncio.timeout(PATIENCE):
            assert await waiting is None

    # --- seek

    async def test_at_time(self, make_log: MakeLog) -> None:
        if not self.has_clock:
            return
        clock = [1_000_000]
        async with opened(make_log(now=lambda: clock[0])) as log:
            for time in (1_000_000, 1_000_000, 2_000_000, 1_500_000, 3_000_000):  # the clock is set back once
                clock[0] = time
                await log.append(events("a", str(time)))
            wanted = {0: 0, 1_000_000: 0, 1_000_001: 2, 2_000_000: 2, 2_000_001: 4, 3_000_000: 4, 3_000_001: 5}
            assert {time: await log.at_time(time) for time in wanted} == wanted

    async def test_at_time_after_trimming(self, make_log: MakeLog) -> None:
        async with opened(make_log(max_bytes=SMALL)) as log:
            await fill(log, "a", 20)
            assert await log.at_time(0) == (await log.bounds()).oldest - 1

    async def test_last(self, make_log: MakeLog) -> None:
        async with opened(make_log()) as log:
            for i in range(30):
                await log.append(events(("a", "b/1", "b/2")[i % 3], str(i)))
            for names in (["a"], ["a", "b/1"], ["b/*"], ["**"], ["a", "none"]):
                topics = TopicSet(names)
                matching = [entry.offset for entry in await read_all(log, 0, topics)]
                for n in (1, 2, 5, len(matching)):
                    assert await log.last(n, topics) == matching[-n] - 1
                assert await log.last(1000, topics) == matching[0] - 1
            after = await log.last(3, TopicSet(["none"]))
            assert await read_all(log, after, TopicSet(["none"])) == []
            assert await log.last(0, TopicSet(["a"])) == 30

    async def test_last_after_trimming_is_readable(self, make_log: MakeLog) -> None:
        async with opened(make_log(max_bytes=SMALL)) as log:
            await log.append(events("b", "1"))
            await fill(log, "a", 20)
            for names in (["a"], ["b"], ["a", "b"], ["*"]):
                topics = TopicSet(names)
                await read_all(log, await log.last(10_000, topics), topics)  # not PositionGone

    # --- topics

    async def test_topics_by_name(self, make_log: MakeLog) -> None:
        async with opened(make_log()) as log:
            for name in ("b", "a/2", "a/1", "c", "b"):
                await log.append(events(name, "1"))
            await log.append([Event(data=None, topic="c", end=True)])
            infos = [
                TopicInfo("a/1", 3, None),
                TopicInfo("a/2", 2, None),
                TopicInfo("b", 5, None),
                TopicInfo("c", 6, 6),
            ]
            assert await log.topics(10) == infos
            assert await log.topics(2) == infos[:2]
            assert await log.topics(10, after="a/2") == infos[2:]
            assert await log.topics(10, after="z") == []
            assert await log.topic("b") == infos[2]
            assert await log.topic("a") is None

    # --- again

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

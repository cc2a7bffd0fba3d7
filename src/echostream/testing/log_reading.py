"""The suite's part on reading, following and seeking. See `log_suite`."""

# ruff: noqa: S101 - assert is how a test says what it expects

from __future__ import annotations

import asyncio
from contextlib import aclosing

from ..event import Event
from ..exceptions import PositionGone
from ..log import TopicInfo
from ..topic import TopicSet
from .log_tools import PATIENCE, SMALL, LogFacts, MakeLog, collect, data_of, events, fill, opened, read_all, refused

__all__ = ["LogReading"]


class LogReading(LogFacts):
    """What `read`, `follow`, `at_time`, `last` and `topics` promise."""

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

    async def test_a_clock_beyond_all_dates_spoils_nothing(self, make_log: MakeLog) -> None:
        if not self.has_clock:
            return
        clock = [0]
        async with opened(make_log(now=lambda: clock[0])) as log:
            for time in (-5_000, 2**60, 1_000_000):  # before 1970, and after the year 9999
                clock[0] = time
                await log.append(events("a", str(time)))
            entries = await read_all(log, (await log.bounds()).oldest - 1)  # the first may be too old by now
            latest = 253_402_300_799_999  # the last that an event can have
            assert [entry.event.time for entry in entries][-2:] == [latest, latest]

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

"""The suite's part on opening, appending and closing. See `log_suite`."""

# ruff: noqa: S101 - assert is how a test says what it expects

from __future__ import annotations

import asyncio

from ..event import Event
from ..exceptions import IdempotencyConflict, InvalidTopic, LogFull, LogUnavailable, TopicFinished
from ..log import IdempotencyKey, Log, Readiness, Seek, TopicInfo, Topics
from ..position import Position
from ..topic import TopicSet
from .log_tools import SMALL, LogFacts, MakeLog, data_of, events, fill, opened, read_all, refused

__all__ = ["LogWriting"]


class LogWriting(LogFacts):
    """What `open`, `append` and `aclose` promise."""

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

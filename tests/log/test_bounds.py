"""Every bound of the two logs: what is past it, and that nothing else is lost by it."""

from __future__ import annotations

import asyncio
import random
import threading
from pathlib import Path
from typing import Any

import pytest

from echostream.event import Event
from echostream.exceptions import LogUnavailable, PositionGone, TopicFinished
from echostream.log import IdempotencyKey, MemoryLog, idempotency, memory
from echostream.log.idempotency import Keys, Remembered
from echostream.log.memory_topics import KnownTopics
from echostream.log.sqlite import SqliteLog
from echostream.log.sqlite import append as sqlite_append
from echostream.log.sqlite import log as sqlite_log
from echostream.log.sqlite import match as sqlite_match
from echostream.log.sqlite import seek as sqlite_seek
from echostream.log.sqlite import select as sqlite_select
from echostream.testing.log_tools import opened, read_all
from echostream.topic import TopicSet


def events(topic: str, *data: str) -> list[Event]:
    return [Event(data=text, topic=topic) for text in data]


# --- reading many topics


@pytest.mark.parametrize("few", [256, 5])
async def test_any_number_of_topics_is_read_in_order(tmp_path: Path, few: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Topics of very different sizes, asked for in shares: no entry is passed over."""
    monkeypatch.setattr(sqlite_match, "FEW", few)
    dice = random.Random(1)
    topics = [f"t/{int(40 * dice.random() ** 4)}" for _ in range(3_000)]
    async with opened(SqliteLog(tmp_path / "log.db", durability="normal")) as log:
        for first in range(0, 3_000, 100):
            await log.append([Event(data="x", topic=topic) for topic in topics[first : first + 100]])
        for wanted in (["t/*"], ["t/0", "t/1"], ["t/7", "t/30", "t/39"], [f"t/{i}" for i in range(40)], ["t/39"]):
            expected = [offset for offset, topic in enumerate(topics, 1) if TopicSet(wanted).matches(topic)]
            for limit in (30, 100, 500):
                entries = await read_all(log, 0, TopicSet(wanted), limit)
                assert [entry.offset for entry in entries] == expected


async def test_a_walk_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "SCAN", 50)
    monkeypatch.setattr(sqlite_select, "SCAN", 50)
    monkeypatch.setattr(sqlite_seek, "SCAN", 50)
    monkeypatch.setattr(sqlite_match, "FEW", -1)  # so that a pattern is never few topics
    for log in (MemoryLog(), SqliteLog(tmp_path / "log.db")):
        async with opened(log):
            await log.append([Event(data="x", topic=f"t/{i}") for i in range(200)])
            page = await log.read(0, 10, TopicSet(["none/*"]))
            assert (list(page.entries), page.scanned_to) == ([], 50)
            assert len(await read_all(log, 0, TopicSet(["t/*"]))) == 200
            assert await log.last(150, TopicSet(["t/*"])) == 50


async def test_a_pattern_close_to_the_end_costs_no_look_at_all_topics(tmp_path: Path) -> None:
    """After a restart each reader comes back with a pattern of its own and a few entries to catch up."""
    async with opened(SqliteLog(tmp_path / "log.db", durability="normal")) as log:
        await log.append([Event(data="x", topic=f"users/{i}/inbox") for i in range(300)])
        for user in range(280, 300):
            entries = await read_all(log, 270, TopicSet([f"users/{user}/*", "users/0/*"]))
            assert [entry.offset for entry in entries] == [user + 1]
        assert len(log._matches._known) == 0
        assert [e.offset for e in await read_all(log, 0, TopicSet(["users/7/*", "users/299/*"]))] == [8, 300]
        assert len(log._matches._known) == 1


async def test_the_last_of_many_entries_are_not_all_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten topics of forty entries: what the index would give at once is over the bound, so it is walked."""
    monkeypatch.setattr(sqlite_seek, "MERGED", 50)
    monkeypatch.setattr(sqlite_seek, "SCAN", 20)
    async with opened(SqliteLog(tmp_path / "log.db")) as log:
        await log.append([Event(data="x", topic=f"t/{i % 10}" if i % 100 else "quiet") for i in range(400)])
        assert await log.last(10**6, TopicSet(["quiet", "t/1"])) == 0
        assert await log.last(2**70, TopicSet(["quiet"])) == 0
        monkeypatch.setattr(sqlite_seek, "_LAST_OFFSETS", "not used")
        assert await log.last(40, TopicSet(["t/*"])) == 360
        assert await log.last(390, TopicSet(["t/*", "quiet"])) == 10


async def test_a_page_is_bounded_in_bytes(tmp_path: Path) -> None:
    async with opened(SqliteLog(tmp_path / "log.db")) as log:
        for _ in range(3):
            await log.append(events("a", *["x" * 250_000] * 20))
        page = await log.read(0, 500)
        assert 0 < len(page.entries) < 20
        assert page.scanned_to == page.entries[-1].offset
        assert len(await read_all(log, 0, TopicSet(["a"]), 500)) == 60


# --- retention


async def test_age_trims_oldest_first(tmp_path: Path) -> None:
    clock = [1_000_000]
    path = tmp_path / "log.db"
    async with opened(SqliteLog(path, max_age=10, now=lambda: clock[0])) as log:
        await log.append(events("a", "1", "2"))
        clock[0] += 9_000
        await log.append(events("a", "3"))
        clock[0] += 2_000
        await log.append(events("a", "4"))
        assert (await log.bounds()).oldest == 3
        clock[0] += 60_000
        await log.append(events("b", "5"))
        assert (await log.bounds()).oldest == 5
        with pytest.raises(PositionGone):
            await log.read(3, 1, TopicSet(["a"]))


async def test_trimming_is_bounded_and_keeps_up(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    async with opened(SqliteLog(path, max_bytes=0)) as log:
        for _ in range(10):
            await log.append(events("a", *["x"] * 1_000))
    async with opened(SqliteLog(path, max_bytes=50_000)) as log:
        await log.append(events("a", "x"))
        assert (await log.bounds()).oldest == 1 + sqlite_append.TRIM_ROWS + 1
        while (await log.bounds()).oldest < 9_000:
            await log.append(events("a", "x"))
        await log.append(events("a", *["x"] * 300))
        assert len(await read_all(log, (await log.bounds()).oldest - 1)) < 700


# --- topics that keep nothing


async def fill(log: Any, count: int) -> None:
    for _ in range(count):
        await log.append(events("noisy", "x" * 300))


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
async def test_forgotten_topics_merge_into_a_floor(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten topics are trimmed empty, three may be remembered: the others may have lost what they lost, and no more."""
    monkeypatch.setattr(sqlite_append, "FORGET_EVERY", 1)
    if kind == "memory":
        log: Any = MemoryLog(max_bytes=4_000)
        log._topics = KnownTopics(3)
    else:
        log = SqliteLog(tmp_path / "log.db", max_bytes=4_000)
        log._writer._writing.empty_topics = 3
    async with opened(log):
        for i in range(1, 11):
            await log.append(events(f"t/{i}", str(i)))
        await fill(log, 40)
        assert [info.name for info in await log.topics(20)] == ["noisy", "t/10", "t/8", "t/9"]
        assert await log.topic("t/1") is None
        for after, name, gone in (
            (7, "t/8", True),
            (8, "t/8", False),
            (7, "t/1", False),
            (6, "t/1", True),  # forgotten: lost something up to 7, for all that is known
            (6, "never", True),
            (7, "never", False),
            (6, "x/*", True),
            (7, "x/*", False),
        ):
            if gone:
                with pytest.raises(PositionGone):
                    await log.read(after, 5, TopicSet([name]))
            else:
                await log.read(after, 5, TopicSet([name]))
        [offset] = await log.append(events("t/1", "again"))
        assert [e.offset for e in await read_all(log, 7, TopicSet(["t/1"]))] == [offset]


async def test_ever_new_topics_do_not_fill_the_writer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_append, "TOPICS_CACHED", 20)
    async with opened(SqliteLog(tmp_path / "log.db", durability="normal")) as log:
        for _ in range(2):
            for i in range(0, 60, 3):
                await log.append([Event(data="x", topic=f"t/{j}") for j in range(i, i + 3)])
                assert len(log._writer._writing.topics) <= 20
        assert len(await log.topics(100)) == 60


async def test_a_finished_topic_is_remembered_among_the_others(tmp_path: Path) -> None:
    for log in (MemoryLog(max_bytes=4_000), SqliteLog(tmp_path / "log.db", max_bytes=4_000)):
        async with opened(log):
            await log.append([Event(data=None, topic="done", end=True)])
            await fill(log, 40)
            with pytest.raises(TopicFinished):
                await log.append(events("done", "more"))


# --- keys


def test_keys_are_bounded_in_number_and_age() -> None:
    keys = Keys(limit=3, seconds=10)
    for i in range(5):
        keys.put(bytes([i]), Remembered(b"d", i, 1, i * 1000))
    assert [keys.get(bytes([i]), 4_000) is not None for i in range(5)] == [False, False, True, True, True]
    assert keys.get(b"\2", 11_999) is not None
    assert keys.get(b"\2", 12_000) is None
    assert len(keys) == 2


async def test_keys_in_the_file_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_append, "IDEMPOTENCY_KEYS", 5)
    clock = [1_000_000]

    async def publish(log: Any, i: int) -> int:
        [offset] = await log.append(events("a", str(i)), IdempotencyKey(f"k{i}"))
        return offset

    for _ in range(2):  # the count survives a reopening
        async with opened(SqliteLog(tmp_path / "log.db", now=lambda: clock[0])) as log:
            first = (await log.bounds()).newest
            for i in range(first, first + 8):
                assert await publish(log, i) == i + 1
            for i in range(first + 3, first + 8):
                assert await publish(log, i) == i + 1
            assert await publish(log, first) == first + 9
            assert log._writer._writing.keys == 5
    clock[0] += 600_000
    async with opened(SqliteLog(tmp_path / "log.db", now=lambda: clock[0])) as log:
        await publish(log, 100)
        assert log._writer._writing.keys == 1


async def test_a_key_that_is_used_again_is_counted_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A count that drifts up would in the end forget keys that are young, at last the newest."""
    monkeypatch.setattr(sqlite_append, "IDEMPOTENCY_KEYS", 5)
    monkeypatch.setattr(sqlite_append, "TRIM_ROWS", 0)
    clock = [1_000_000]
    async with opened(SqliteLog(tmp_path / "log.db", now=lambda: clock[0])) as log:
        for day in range(6):
            clock[0] += 86_400_000
            batch = [log.append(events("a", f"{day} {i}"), IdempotencyKey(f"k{i}")) for i in range(3)]
            offsets = await asyncio.gather(*batch)
            assert log._writer._writing.keys == 3
        assert await log.append(events("a", "5 0"), IdempotencyKey("k0")) == offsets[0]


async def test_keys_of_a_clock_that_was_set_back_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_append, "IDEMPOTENCY_KEYS", 5)
    year = 365 * 86_400_000
    clock = [2_000_000 + year]
    async with opened(SqliteLog(tmp_path / "log.db", now=lambda: clock[0])) as log:
        for i in range(12):
            await log.append(events("a", str(i)), IdempotencyKey(f"k{i}"))
            clock[0] -= year * (i == 4)
        assert log._writer._writing.keys == 5
        assert await log.append(events("a", "11"), IdempotencyKey("k11")) == [12]


def test_a_scope_is_its_parts() -> None:
    """No two different keys meet by how their parts are joined."""
    of = idempotency.scope_of
    scopes = [
        of(IdempotencyKey("ab", "c"), events("t", "1")),
        of(IdempotencyKey("a", "bc"), events("t", "1")),
        of(IdempotencyKey("ab", "c"), events("tt", "1")),
        of(IdempotencyKey("ab", "c"), events("t", "1") + events("tt", "1")),
    ]
    assert len(set(scopes)) == 4
    assert of(IdempotencyKey("ab", "c"), events("t", "2", "3")) == scopes[0]


# --- resources


async def test_a_stalled_disk_does_not_fill_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_log, "WAITING_BYTES", 1_000)
    async with opened(SqliteLog(tmp_path / "log.db")) as log:
        answers = await asyncio.gather(*(log.append(events("a", "x" * 300)) for _ in range(10)), return_exceptions=True)
        refused = [answer for answer in answers if isinstance(answer, LogUnavailable)]
        assert 0 < len(refused) < 10
        assert await log.append(events("a", "x" * 5_000)) == [10 - len(refused) + 1]


async def test_many_small_appends_do_not_fill_memory_either(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits is counted as it costs memory, not as two letters."""
    monkeypatch.setattr(sqlite_log, "WAITING_BYTES", 50_000)
    async with opened(SqliteLog(tmp_path / "log.db")) as log:
        answers = await asyncio.gather(*(log.append(events("a", "x")) for _ in range(100)), return_exceptions=True)
        kept = [answer for answer in answers if isinstance(answer, list)]
        assert 30 < len(kept) < 60
        assert all(isinstance(answer, list | LogUnavailable) for answer in answers)


async def test_opening_and_closing_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "log.db"

    async def once() -> None:
        async with opened(SqliteLog(path)) as log:
            await log.append(events("a", "1"))
            await asyncio.gather(*(log.read(0, 10) for _ in range(10)))
            pages = log.follow(0)
            await anext(pages)
            await pages.aclose()

    threads = threading.active_count()
    await once()  # the first time may open things for good, such as the source of random bytes
    descriptors = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(20):
        await once()
    deadline = asyncio.get_running_loop().time() + 5
    while threading.active_count() > threads and asyncio.get_running_loop().time() < deadline:
        await asyncio.sleep(0.01)  # a thread ends just after it said that it closed
    assert threading.active_count() <= threads
    assert len(list(Path("/proc/self/fd").iterdir())) == descriptors


async def test_nothing_is_bound_to_the_loop_that_made_it(tmp_path: Path) -> None:
    """Made in one thread, used in the loop of another."""
    log = SqliteLog(tmp_path / "log.db")

    async def use() -> list[int]:
        async with opened(log):
            return await log.append(events("a", "1"))

    assert await asyncio.to_thread(lambda: asyncio.run(use())) == [1]

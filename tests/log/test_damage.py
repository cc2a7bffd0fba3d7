"""A damaged file: said, never served, never deleted or changed by opening and reading it."""

from __future__ import annotations

import random
import sqlite3
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from echostream.event import Event
from echostream.exceptions import LogCorrupt, LogError, LogForeign, LogUnavailable, TopicFinished
from echostream.log import Entry, IdempotencyKey
from echostream.log.sqlite import SqliteLog
from echostream.log.sqlite import match as sqlite_match
from echostream.testing.log_tools import data_of, opened, read_all
from echostream.topic import TopicSet

COUNT = 400
PAGE = 4096


def text(offset: int) -> str:
    return f"entry number {offset:04d} " + "abcdefgh" * (offset % 30)


@pytest.fixture
async def path(tmp_path: Path) -> Path:
    """A log of 400 entries on 8 topics, closed: all of it is in the one file."""
    path = tmp_path / "log.db"
    async with opened(SqliteLog(path)) as log:
        for first in range(1, COUNT, 4):
            await log.append([Event(data=text(o), topic=f"t/{o % 8}") for o in range(first, first + 4)])
        await log.append([], IdempotencyKey("word"))
    return path


async def read_through(log: Any, topics: TopicSet | None = None) -> tuple[list[Entry], list[int]]:
    """What a reader gets that goes on after each damage, and the damaged offsets it was told."""
    entries: list[Entry] = []
    damaged: list[int] = []
    after, newest = 0, (await log.bounds()).newest
    while after < newest:
        try:
            page = await log.read(after, 50, topics)
        except LogCorrupt as error:
            if error.offset is None:  # not of an entry: nothing to go on after
                break
            assert error.offset > after  # noqa: PT017 - one of many
            damaged += range(after + 1, error.offset + 1)
            after = error.offset
            continue
        assert page.scanned_to > after
        entries += page.entries
        after = page.scanned_to
    return entries, damaged


def flip(path: Path, offset: int) -> None:
    """Change one letter in the body of an entry."""
    content = path.read_bytes()
    at = content.index(f"entry number {offset:04d}".encode()) + 3
    path.write_bytes(content[:at] + b"X" + content[at + 1 :])


@pytest.mark.parametrize("few", [256, 0])
async def test_a_changed_letter_is_found(path: Path, few: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_match, "FEW", few)
    flip(path, 123)
    before = path.read_bytes()
    async with opened(SqliteLog(path)) as log:
        for topics in (None, TopicSet(["t/3"]), TopicSet(["t/*"]), TopicSet(["**"]), TopicSet(["t/3", "t/4"])):
            entries, damaged = await read_through(log, topics)
            assert damaged[-1] == 123
            expected = [o for o in range(1, COUNT + 1) if (topics is None or topics.matches(f"t/{o % 8}")) and o != 123]
            assert [entry.offset for entry in entries] == expected
            assert data_of(entries) == [text(offset) for offset in expected]
        page = await log.read(120, 50)
        assert [entry.offset for entry in page.entries] == [121, 122]
        assert page.scanned_to == 122
        with pytest.raises(LogCorrupt, match="123") as caught:
            await log.read(122, 50)
        assert caught.value.offset == 123
        assert len(await read_all(log, 123)) == COUNT - 123
    assert path.read_bytes() == before


async def test_follow_names_the_damage_and_goes_on_after_it(path: Path) -> None:
    flip(path, 123)
    async with opened(SqliteLog(path)) as log:
        seen: list[int] = []
        async with aclosing(log.follow(100)) as pages:
            with pytest.raises(LogCorrupt) as caught:  # noqa: PT012 - some pages come first
                while True:
                    seen += [entry.offset for entry in (await anext(pages)).entries]
        assert seen == list(range(101, 123))
        assert caught.value.offset == 123
        async with aclosing(log.follow(123)) as pages:
            assert (await anext(pages)).entries[0].offset == 124


async def test_an_entry_in_another_ones_place_is_damage(path: Path) -> None:
    """A body that is whole, but stands under another offset."""
    with sqlite3.connect(path) as database:
        database.execute("UPDATE entries SET body = (SELECT body FROM entries WHERE offset = 8) WHERE offset = 16")
        database.execute("DELETE FROM entries WHERE offset BETWEEN 200 AND 209")
    database.close()
    async with opened(SqliteLog(path)) as log:
        entries, damaged = await read_through(log)
        assert damaged == [16, *range(200, 210)]
        assert data_of(entries) == [text(o) for o in range(1, COUNT + 1) if o not in damaged]


async def test_lost_pages_are_passed_in_one_step(path: Path) -> None:
    """A leaf of the table, then every page: what is left is given, what is not is named."""
    content = path.read_bytes()
    at = content.index(b"entry number 0200") // PAGE * PAGE
    path.write_bytes(content[:at] + b"\xff" * PAGE + content[at + PAGE :])
    async with opened(SqliteLog(path)) as log:
        for topics in (None, TopicSet(["**"])):
            entries, damaged = await read_through(log, topics)
            assert 200 in damaged
            assert len(damaged) < 60
            assert sorted(damaged + [entry.offset for entry in entries]) == list(range(1, COUNT + 1))
        with pytest.raises(LogCorrupt) as caught:
            await log.read(damaged[0] - 1, 10)
        assert caught.value.offset == damaged[-1]


@pytest.mark.parametrize("seed", range(40))
async def test_no_damage_makes_up_an_entry(path: Path, seed: int) -> None:
    """Anywhere but in the first bytes: refused at open, or read with the damage named; never wrong, never endless."""
    dice = random.Random(seed)
    content = bytearray(path.read_bytes())
    kind = seed % 3
    for _ in range(1 + seed % 4):
        if kind == 0:  # bits here and there
            for _ in range(20):
                content[dice.randrange(100, len(content))] ^= 1 << dice.randrange(8)
        elif kind == 1:  # a sector of nonsense
            at = dice.randrange(1, len(content) // 512) * 512
            content[at : at + 512] = dice.randbytes(512)
        else:  # a page that went elsewhere
            to, of = (dice.randrange(1, len(content) // PAGE) * PAGE for _ in range(2))
            content[to : to + PAGE] = content[of : of + PAGE]
    path.write_bytes(content)
    log = SqliteLog(path)
    try:
        await log.open()
    except LogCorrupt:
        assert path.read_bytes() == content
        return
    try:
        for topics in (None, TopicSet(["t/3"]), TopicSet(["t/*"])):
            entries, _ = await read_through(log, topics)
            for entry in entries:
                assert entry.event.data == text(entry.offset)
                assert entry.event.topic == f"t/{entry.offset % 8}"
        for call in (log.at_time(0), log.last(3, TopicSet(["t/*"])), log.topics(10)):
            try:
                await call
            except LogCorrupt:
                pass
        try:
            await log.append([Event(data="new", topic="t/1")])
        except (LogError, TopicFinished):  # what is noted of a topic has no CRC of its own
            pass
    finally:
        await log.aclose()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE log SET newest = 7",
        "UPDATE log SET oldest = 3",
        "UPDATE log SET epoch = ''",
        "UPDATE log SET epoch = 'A.1'",
        "UPDATE log SET bytes = -1",
        "DELETE FROM log",
        "DROP TABLE log",
        "DROP TABLE entries",
        "DROP TABLE topics",
    ],
)
async def test_a_state_that_cannot_be_is_refused(path: Path, statement: str) -> None:
    with sqlite3.connect(path) as database:
        database.execute(statement)
    database.close()
    before = path.read_bytes()
    for _ in range(2):  # the lock is let go, too
        with pytest.raises(LogCorrupt):
            await SqliteLog(path).open()
    assert path.read_bytes() == before


async def test_a_smashed_header_is_refused(path: Path) -> None:
    content = path.read_bytes()
    for smashed, kind in (
        (b"\0" * 100 + content[100:], LogForeign),
        (content[:16] + b"\xff" * 12 + content[28:], LogCorrupt),
        (content[:100] + b"\xff" * 200 + content[300:], LogCorrupt),
        (content[: 2 * PAGE], LogCorrupt),
        (content[:50], LogForeign),
    ):
        path.write_bytes(smashed)
        with pytest.raises(kind):
            await SqliteLog(path).open()
        assert path.read_bytes() == smashed
    path.write_bytes(content)
    async with opened(SqliteLog(path)) as log:
        assert len(await read_all(log)) == COUNT


async def test_writing_into_damage_is_refused(path: Path) -> None:
    content = bytearray(path.read_bytes())
    at = content.index(b"entry number 0400") // PAGE * PAGE
    content[at : at + 8] = b"\xff" * 8
    path.write_bytes(content)
    with pytest.raises((LogCorrupt, LogUnavailable)):
        await SqliteLog(path).open()

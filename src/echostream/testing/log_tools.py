"""What the suite of logs is made of: a reader, a follower, and the facts of the log under test."""

# ruff: noqa: S101 - assert is how a test says what it expects

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Any, ClassVar

from ..event import Event
from ..exceptions import EchostreamError
from ..log import Entry, Log, Page
from ..topic import TopicSet

__all__ = [
    "PATIENCE",
    "SMALL",
    "LogFacts",
    "MakeLog",
    "collect",
    "data_of",
    "events",
    "fill",
    "opened",
    "read_all",
    "refused",
]

MakeLog = Callable[..., Any]
PATIENCE = 20.0
SMALL = 30_000
"""Bytes that hold tens of the suite's events in any log: enough to trim with a few hundred appends."""


class LogFacts:
    """What a log can do that not all can. Set in the class that makes it."""

    persistent: ClassVar[bool] = False
    """Whether a log of the same name, closed and made again, has what it had."""
    has_clock: ClassVar[bool] = True
    """Whether `now` is used."""


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
    """Events of text on one topic."""
    return [Event(data=text, topic=topic) for text in data]


def data_of(entries: Sequence[Entry]) -> list[str | None]:
    """What the entries say."""
    return [entry.event.data for entry in entries]


async def fill(log: Log, topic: str, until_oldest: int) -> None:
    """Append to `topic` until everything before `until_oldest` is trimmed."""
    async with asyncio.timeout(PATIENCE):
        while (await log.bounds()).oldest < until_oldest:
            await log.append(events(topic, *["x" * 500] * 10))

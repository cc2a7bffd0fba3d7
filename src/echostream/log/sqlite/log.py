"""SqliteLog: the log in one file, the hub's default.

This is the face towards the event loop. Behind it: `writer` (one thread, group commit,
what a failure means), `append` (one transaction), `reader` and `select`
(a pool of two, short snapshots), `rows` (an entry's bytes), `schema`,
`file` (the lock, and whether the file is ours). Nothing blocks the loop, and nothing
is bound to a loop before `open`.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import TypeVar

from ...event import Event
from ...exceptions import InvalidSetting, LogError, LogUnavailable
from ...topic import TopicSet, check_topic
from ..base import Bounds, IdempotencyKey, Page, TopicInfo, digest
from ..feed import Feed
from ..idempotency import scope_of
from .append import ROW_OVERHEAD, Append, Retention
from .database import Database
from .file import path_of
from .match import Matches
from .reader import Reader
from .seek import Step, at_time, last, topic, topics_after
from .select import read
from .writer import Committed, Writer

__all__ = ["SqliteLog"]

MAX_BYTES = 1024**3
MAX_AGE = 7 * 86400.0
WAITING_BYTES = 64 * 1024 * 1024
"""What may wait for the disk; more is refused, since a stalled disk must not fill memory."""
APPEND_OVERHEAD = 1_000
"""What an append that waits costs beside its text: its event, its future, its caller's task (measured: 1,500)."""

T = TypeVar("T")


def _now() -> int:
    return time.time_ns() // 1_000_000


class SqliteLog:
    """A log in the SQLite file `path`, made when it is missing.

    `durability` is "full" (an append returns when it is on disk) or "normal" (a power cut may
    lose the last appends, which a new epoch then tells). `max_bytes` and `max_age` (seconds)
    bound what is kept, 0 is no bound; both are applied by the appends. `max_bytes` counts entries as they are
    written: indexes and at most some 16 MiB of WAL come on top. `now` gives milliseconds since 1970.
    Raises `InvalidSetting`.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        durability: str = "full",
        max_bytes: int = MAX_BYTES,
        max_age: float = MAX_AGE,
        now: Callable[[], int] = _now,
        _vfs: str | None = None,
    ) -> None:
        if durability not in ("full", "normal"):
            raise InvalidSetting("durability", f"must be full or normal, not {durability!r}")
        for name, value in (("max_bytes", max_bytes), ("max_age", max_age)):
            if not 0 <= value < 2**53:
                raise InvalidSetting(name, f"must be 0 (no bound) or more, not {value}")
        retention = Retention(max_bytes, int(max_age * 1000))
        self._durability = durability
        self._writer = Writer(path_of(path), full=durability == "full", retention=retention, now=now, vfs=_vfs)
        self._matches = Matches()
        self._feed = Feed()
        self._bounds = Bounds("", 1, 0)
        self._waiting = 0
        self._failure: LogError | None = None
        self._state = "new"  # new, opening, open, closing, closed
        self._reader: Reader | None = None
        self._opened: asyncio.Future[None] | None = None
        self._closed: asyncio.Future[None] | None = None

    @property
    def durability(self) -> str:
        return self._durability

    async def open(self) -> None:
        if self._state != "new":
            raise LogUnavailable("a log object opens once; make a new one")
        self._state = "opening"
        loop = asyncio.get_running_loop()
        self._opened, self._closed = loop.create_future(), loop.create_future()

        def in_loop(function: Callable[..., None], *arguments: object) -> None:
            try:
                loop.call_soon_threadsafe(function, *arguments)
            except RuntimeError:
                pass  # the loop was closed without aclose(); what is committed is on disk

        self._writer.start(
            lambda reader, bounds: in_loop(self._on_opened, reader, bounds),
            lambda error: in_loop(self._on_failed, error),
            lambda committed: in_loop(self._on_committed, committed),
            lambda: in_loop(self._on_closed),
        )
        try:
            await asyncio.shield(self._opened)
        except asyncio.CancelledError:
            self._begin_close()
            raise

    def _on_opened(self, reader: Reader, bounds: Bounds) -> None:
        self._reader = reader
        self._bounds = bounds
        self._feed.newest = bounds.newest
        if self._state == "opening":
            self._state = "open"
        if self._opened is not None:
            self._opened.set_result(None)

    def _on_failed(self, error: Exception) -> None:
        if self._opened is not None:
            self._opened.set_exception(error)
            self._opened.exception()  # seen, also when open() was cancelled
        self._on_closed()

    def _on_committed(self, committed: Committed) -> None:
        self._bounds = committed.bounds
        if committed.failure is not None or committed.wrote:
            self._failure = committed.failure
        if committed.page is not None:
            self._feed.push(committed.page, committed.size)
        for append, answer in committed.answers:
            self._waiting -= append.size
            if append.future.done():
                continue  # cancelled meanwhile
            if isinstance(answer, Exception):
                append.future.set_exception(answer)
            else:
                append.future.set_result(answer)

    def _on_closed(self) -> None:
        self._state = "closed"
        self._feed.close()
        if self._closed is not None:
            self._closed.set_result(None)

    async def append(self, events: Sequence[Event], key: IdempotencyKey | None = None) -> list[int]:
        self._check_open()
        if not events:
            return []
        for name in {event.topic for event in events}:
            check_topic(name or "")
        size = APPEND_OVERHEAD + sum(event.size + ROW_OVERHEAD for event in events)
        if self._waiting and self._waiting + size > WAITING_BYTES:
            raise LogUnavailable("too much waits to be written; try again in a moment")
        append = Append(tuple(events), size, asyncio.get_running_loop().create_future())
        if key is not None:
            append.key, append.scope, append.digest = key, scope_of(key, events).hex(), digest(events)
        return await self._put(append)

    async def _put(self, append: Append) -> list[int]:
        self._waiting += append.size
        self._writer.put(append)
        return await append.future

    async def read(self, after: int, limit: int, topics: TopicSet | None = None) -> Page:
        return await self._ask(lambda database: read(database, self._matches, after, limit, topics))

    def follow(self, after: int) -> AsyncGenerator[Page, None]:
        return self._feed.follow(after, self.read)

    async def bounds(self) -> Bounds:
        self._check_open()
        return self._bounds

    async def at_time(self, time: int) -> int:
        return await self._ask(lambda database: at_time(database, time))

    async def last(self, n: int, topics: TopicSet) -> int:
        self._check_open()
        if n <= 0:
            return self._bounds.newest
        first, step = 0, Step(0, n, 0)
        before = None
        while True:  # each step is a question of its own, so that others are not kept waiting
            step = await self._look_back(step.wanted, topics, before)
            first, before = step.first or first, step.before
            if step.wanted == 0 or before == 0:
                return first - 1 if first else self._bounds.newest

    async def _look_back(self, n: int, topics: TopicSet, before: int | None) -> Step:
        return await self._ask(lambda database: last(database, self._matches, n, topics, before))

    async def topic(self, name: str) -> TopicInfo | None:
        return await self._ask(lambda database: topic(database, name))

    async def topics(self, limit: int, after: str = "") -> list[TopicInfo]:
        return await self._ask(lambda database: topics_after(database, after, limit))

    async def ready(self) -> None:
        self._check_open()
        if self._failure is not None:
            # Write something, or a log that nobody publishes to, since it is not ready, would never be ready again.
            await self._put(Append((), 0, asyncio.get_running_loop().create_future()))

    async def _ask(self, ask: Callable[[Database], T]) -> T:
        self._check_open()
        if self._reader is None:  # open, so there is one
            raise LogUnavailable("the log is closed")
        try:
            future = self._reader.submit(ask)
        except RuntimeError:
            raise LogUnavailable("the log is closed") from None
        return await asyncio.wrap_future(future)

    async def aclose(self) -> None:
        if self._state == "new":
            self._state = "closed"
            self._feed.close()
            return
        self._begin_close()
        if self._closed is not None:
            await asyncio.shield(self._closed)

    def _begin_close(self) -> None:
        if self._state in ("opening", "open"):
            self._state = "closing"
            self._writer.stop()

    def _check_open(self) -> None:
        if self._state != "open":
            what = "not open; await open() first" if self._state in ("new", "opening") else "closed"
            raise LogUnavailable(f"the log is {what}")

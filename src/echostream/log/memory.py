"""MemoryLog: the ring is the log.

Everything happens in the event loop, so every method is one step: an append is kept and
handed to the followers before it returns. The log lives as long as its process; a new
process is a new log with a new epoch, and readers that come back are told `reset`.
"""

from __future__ import annotations

import asyncio
import time
from bisect import bisect_left
from collections.abc import AsyncGenerator, Callable, Sequence

from ..event import MAX_TIME, Event
from ..exceptions import InvalidSetting, LogFull, LogUnavailable, PositionGone
from ..position import new_epoch
from ..topic import TopicSet
from .base import Bounds, Entry, IdempotencyKey, Page, TopicInfo, digest
from .feed import Feed
from .idempotency import Keys, Remembered, scope_of
from .memory_topics import KnownTopics

__all__ = ["MemoryLog"]

MAX_BYTES = 16 * 1024 * 1024
ENTRY_OVERHEAD = 320
"""What an entry costs beside its text: Entry, Event, id and time with their headers (measured on CPython 3.11)."""
SCAN = 5_000
"""How many entries one step looks at (about 1 ms), so that a reader of a quiet topic does not hold the loop."""


def _now() -> int:
    return time.time_ns() // 1_000_000


class MemoryLog:
    """A log in memory: the newest `max_bytes` bytes of entries, trimmed oldest first.

    `now` gives milliseconds since 1970. Raises `InvalidSetting` for a `max_bytes` under 1:
    a ring without a bound would be a leak.
    """

    def __init__(self, *, max_bytes: int = MAX_BYTES, now: Callable[[], int] = _now) -> None:
        if max_bytes < 1:
            raise InvalidSetting("max_bytes", f"must be 1 or more, not {max_bytes}")
        self._max_bytes = max_bytes
        self._now = now
        self._epoch = ""
        self._open = False
        self._entries: list[Entry] = []  # a list with a head, since a deque is slow to index
        self._head = 0
        self._oldest = 1
        self._newest = 0
        self._bytes = 0
        self._time = 0
        self._topics = KnownTopics()
        self._keys = Keys()
        self._feed = Feed()

    @property
    def durability(self) -> str:
        return "memory"

    async def open(self) -> None:
        """Begin. Raises `LogUnavailable` for a log that was open before: memory cannot come back."""
        if self._epoch:
            raise LogUnavailable("a memory log opens once; make a new one")
        self._epoch = new_epoch()
        self._open = True

    async def aclose(self) -> None:
        self._open = False
        self._feed.close()

    async def ready(self) -> None:
        self._check_open()

    async def append(self, events: Sequence[Event], key: IdempotencyKey | None = None) -> list[int]:
        self._check_open()
        if not events:
            return []
        now = min(self._now(), MAX_TIME)  # a clock gone wild must not make entries that no event can be
        scope = fingerprint = b""
        if key is not None:
            scope, fingerprint = scope_of(key, events), digest(events)
            remembered = self._keys.get(scope, now)
            if remembered is not None:
                return remembered.offsets(key, fingerprint)
        self._topics.check_unfinished(events)
        size = sum(event.size + ENTRY_OVERHEAD for event in events)
        if size > self._max_bytes:
            raise LogFull(f"this append takes {size} bytes and the log keeps {self._max_bytes}; raise max_bytes")
        page = self._keep(events, now)
        if key is not None:
            self._keys.put(scope, Remembered(fingerprint, page.entries[0].offset, len(events), now))
        self._bytes += size
        self._trim()
        self._feed.push(page, size)
        return [entry.offset for entry in page.entries]

    def _keep(self, events: Sequence[Event], now: int) -> Page:
        self._time = max(self._time, now)  # never back, so that at_time can search
        entries: list[Entry] = []
        for offset, event in enumerate(events, self._newest + 1):
            name = self._topics.appended(event, offset)
            kept = event.stamped(id=f"{self._epoch}.{offset}", topic=name, time=self._time)
            entries.append(Entry(offset, kept))
        self._entries.extend(entries)
        self._newest += len(entries)
        return Page(entries, self._newest, self._epoch)

    def _trim(self) -> None:
        while self._bytes > self._max_bytes:
            event = self._entries[self._head].event
            self._bytes -= event.size + ENTRY_OVERHEAD
            self._topics.trimmed(event.topic or "", self._oldest)
            self._head += 1
            self._oldest += 1
        if self._head > 1024 and self._head * 2 > len(self._entries):
            del self._entries[: self._head]
            self._head = 0

    async def read(self, after: int, limit: int, topics: TopicSet | None = None) -> Page:
        self._check_open()
        if after < self._oldest - 1:
            if topics is None or self._topics.trimmed_after(topics, after):
                raise PositionGone(self._oldest)
            after = self._oldest - 1
        begin = self._head + after - self._oldest + 1
        if topics is None:
            found = self._entries[begin : begin + max(limit, 0)]
            return Page(found, found[-1].offset if found else after, self._epoch)
        return self._scan(begin, after, limit, topics)

    def _scan(self, begin: int, after: int, limit: int, topics: TopicSet) -> Page:
        found: list[Entry] = []
        known: dict[str, bool] = {}
        scanned_to = after
        for entry in self._entries[begin : begin + SCAN]:
            if len(found) >= limit:
                break
            scanned_to = entry.offset
            name = entry.event.topic or ""
            matches = known.get(name)
            if matches is None:
                matches = known[name] = topics.matches(name)
            if matches:
                found.append(entry)
        return Page(found, scanned_to, self._epoch)

    def follow(self, after: int) -> AsyncGenerator[Page, None]:
        return self._feed.follow(after, self.read)

    async def bounds(self) -> Bounds:
        self._check_open()
        return Bounds(self._epoch, self._oldest, self._newest)

    async def at_time(self, time: int) -> int:
        self._check_open()
        index = bisect_left(self._entries, time, lo=self._head, key=lambda entry: entry.event.time or 0)
        return self._oldest + index - self._head - 1

    async def last(self, n: int, topics: TopicSet) -> int:
        self._check_open()
        newest = before = self._newest
        offset = newest
        while n > 0 and offset >= self._oldest:
            if (newest - offset) % SCAN == SCAN - 1:
                await asyncio.sleep(0)
                if offset < self._oldest:
                    break  # trimmed while others ran
            entry = self._entries[self._head + offset - self._oldest]
            if topics.matches(entry.event.topic or ""):
                n -= 1
                before = offset - 1
            offset -= 1
        return before

    async def topic(self, name: str) -> TopicInfo | None:
        self._check_open()
        return self._topics.get(name)

    async def topics(self, limit: int, after: str = "") -> list[TopicInfo]:
        self._check_open()
        return self._topics.after(after, limit)

    def _check_open(self) -> None:
        if not self._open:
            raise LogUnavailable("the log is closed" if self._epoch else "the log is not open; await open() first")

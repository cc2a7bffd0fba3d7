"""Log: the ordered storage that makes resume possible.

One log is one total order; topics are labels on its entries. So one position resumes any
set of topics, wildcards included, and replay and live are one sequence.

A log implements `Log` and nothing more to be a log. What only some can do is a small
protocol of its own: `Seek` (where to begin), `Topics` (what there is), `Readiness`.
`echostream.testing.log_suite` is the suite that each of them passes.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

import msgspec

from ..event import Event
from ..exceptions import InvalidInput
from ..topic import TopicSet

__all__ = [
    "IDEMPOTENCY_KEYS",
    "IDEMPOTENCY_SECONDS",
    "MAX_IDEMPOTENCY_BYTES",
    "Bounds",
    "Entry",
    "IdempotencyKey",
    "Log",
    "Page",
    "Readiness",
    "Seek",
    "TopicInfo",
    "Topics",
    "digest",
]

MAX_IDEMPOTENCY_BYTES = 256
IDEMPOTENCY_SECONDS = 600
IDEMPOTENCY_KEYS = 100_000


class Entry(msgspec.Struct, frozen=True, gc=False):
    """An event as the log keeps it: its `offset`, and the event with `id`, `topic` and `time` set."""

    offset: int
    event: Event


class Page(NamedTuple):
    """A run of entries in order. Everything up to `scanned_to` was looked at."""

    entries: Sequence[Entry]
    scanned_to: int
    epoch: str


class Bounds(NamedTuple):
    """What a log keeps now: `oldest` is the offset of the oldest entry kept, `newest + 1` when none is.

    `newest` is the last offset ever given, 0 before the first.
    """

    epoch: str
    oldest: int
    newest: int


class TopicInfo(NamedTuple):
    """One topic of a log. `newest` is its last entry's offset; `finished` the offset of its end entry, or None."""

    name: str
    newest: int
    finished: int | None


class IdempotencyKey(NamedTuple):
    """What makes a repeated append harmless: the publisher's word, within topic and publisher."""

    text: str
    publisher: str = ""

    @classmethod
    def checked(cls, text: str, publisher: str = "") -> IdempotencyKey:
        """A key of valid length and characters. Raises `InvalidInput`."""
        if not text:
            raise InvalidInput("Idempotency-Key", "is empty")
        if not text.isprintable():
            raise InvalidInput("Idempotency-Key", "has a character that is not printable")
        if len(text.encode(errors="surrogatepass")) > MAX_IDEMPOTENCY_BYTES:
            raise InvalidInput("Idempotency-Key", f"is longer than {MAX_IDEMPOTENCY_BYTES} bytes")
        return cls(text, publisher)


def digest(events: Sequence[Event]) -> bytes:
    """16 bytes that tell whether two appends are the same publication."""
    parts = [(e.topic, e.data, e.json, e.event, e.key, e.retry, e.end) for e in events]
    return hashlib.blake2b(msgspec.msgpack.encode(parts), digest_size=16).digest()


@runtime_checkable
class Log(Protocol):
    """Ordered storage. All methods are safe to call from many tasks of one event loop.

    `durability` is the word told to publishers: "full" (on disk when append returns),
    "normal" (a power cut may lose the last ones, told by a new epoch) or "memory".
    """

    @property
    def durability(self) -> str: ...

    async def open(self) -> None:
        """Make the log ready; must be awaited once, in the loop that uses it, before anything else.

        Raises `LogInUse`, `LogForeign`, `LogCorrupt`, `LogUnavailable`.
        """
        ...

    async def append(self, events: Sequence[Event], key: IdempotencyKey | None = None) -> list[int]:
        """Keep `events` (each with its `topic`), all or none; their offsets, consecutive and in order.

        Returns when they are durable to the log's stated level. With `key`, the same key,
        topic and publisher within 10 minutes (or 100,000 keys) answers the first append's
        offsets; while that is in flight, waits for it. Nothing is appended twice.
        A cancelled append may or may not have happened.

        Raises `TopicFinished`, `IdempotencyConflict` (same key, other events), `LogFull`
        (nothing was appended), `LogUnavailable`, `LogCorrupt`.
        """
        ...

    async def read(self, after: int, limit: int, topics: TopicSet | None = None) -> Page:
        """At most `limit` entries after offset `after` that match `topics` (None: all), in order.

        The page may be empty and still move `scanned_to` forward; a reader is caught up when
        `scanned_to` reaches `newest`. Raises `PositionGone(oldest)` when a matching entry after
        `after` may have been trimmed, `LogCorrupt(offset)` when the first entry it would give is
        damaged (entries before it are given first), `LogUnavailable`.
        """
        ...

    def follow(self, after: int) -> AsyncGenerator[Page, None]:
        """Everything after `after`, of all topics, as it is appended; never misses an append.

        Ends when the log is closed. Raises `PositionGone`, `EpochChanged`, `LogUnavailable`,
        `LogCorrupt(offset)`.
        """
        ...

    async def bounds(self) -> Bounds:
        """What is kept now. Raises `LogUnavailable`."""
        ...

    async def aclose(self) -> None:
        """Finish what is under way, end every `follow`, release the storage. Idempotent."""
        ...


@runtime_checkable
class Seek(Protocol):
    """Where to begin. Both answer an offset to read after."""

    async def at_time(self, time: int) -> int:
        """The offset just before the first entry kept at or after `time` (ms since 1970); `newest` when none is."""
        ...

    async def last(self, n: int, topics: TopicSet) -> int:
        """The offset just before the last `n` matching entries kept; before all of them when there are fewer."""
        ...


@runtime_checkable
class Topics(Protocol):
    """What topics a log knows."""

    async def topic(self, name: str) -> TopicInfo | None:
        """The topic of that name, or None when it was never published to (or forgotten)."""
        ...

    async def topics(self, limit: int, after: str = "") -> list[TopicInfo]:
        """At most `limit` topics whose names follow `after`, by name."""
        ...


@runtime_checkable
class Readiness(Protocol):
    """Whether a log can take an append now."""

    async def ready(self) -> None:
        """Return when it can; raises the `LogError` that says why not."""
        ...

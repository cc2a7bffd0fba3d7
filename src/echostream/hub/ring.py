"""Ring: the newest entries of the log in memory, each with the bytes that were made of it.

The ring is contiguous: it holds every entry after `floor` up to `end`. A reader whose
position is at or above `floor` is served from here, any other from the log.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

from ..event import Event
from ..log.base import Entry
from ..wire.base import Encoder

__all__ = ["Ring", "Slot"]

SLOT_OVERHEAD = 400
"""Bytes of Python objects around an entry's own text, so that a flood of tiny events is bounded as well."""


class Slot:
    """One entry in the ring, and its bytes per encoder, made when first wanted."""

    __slots__ = ("_bytes", "event", "offset", "ring", "size")

    def __init__(self, entry: Entry, ring: Ring | None = None) -> None:
        self.ring = ring  # None for one that is not, or no longer, in a ring
        self.offset = entry.offset
        self.event: Event = entry.event
        self.size = entry.event.size + SLOT_OVERHEAD
        self._bytes: dict[Encoder, bytes] = {}

    def encoded(self, encoder: Encoder) -> bytes:
        """The entry's bytes in that format; the same object for every reader."""
        made = self._bytes.get(encoder)
        if made is None:
            made = self._bytes[encoder] = encoder.event(self.event)
            if self.ring is not None:
                self.size += len(made)
                self.ring.size += len(made)
        return made


class Ring:
    """The newest entries, about `max_bytes` of them; more only until the next flush."""

    def __init__(self, max_bytes: int, *, start: int) -> None:
        self.max_bytes = max_bytes
        self.floor = start
        self.end = start
        self.size = 0
        self._slots: list[Slot] = []
        self._offsets: list[int] = []
        self._head = 0  # slots before it are dropped; they are cut off in bulk, not one by one

    def extend(self, entries: Sequence[Entry], scanned_to: int, *, flushed: int) -> None:
        """Take the next page of the tail. The oldest entries go when there is no room, none after `flushed`."""
        for entry in entries:
            slot = Slot(entry, self)
            self._slots.append(slot)
            self._offsets.append(slot.offset)
            self.size += slot.size
        self.end = max(self.end, scanned_to)
        self.trim(flushed)

    def __len__(self) -> int:
        return len(self._slots) - self._head

    def restart(self, at: int) -> None:
        """Forget everything: what is known begins after offset `at`."""
        for slot in self._slots[self._head :]:
            slot.ring = None
        self._slots.clear()
        self._offsets.clear()
        self._head = self.size = 0
        self.floor = self.end = at

    def between(self, after: int, until: int, limit: int) -> list[Slot]:
        """At most `limit` slots after offset `after` up to and including `until`; `after` is at least `floor`."""
        first = bisect_right(self._offsets, after, lo=self._head)
        last = bisect_right(self._offsets, until, lo=first)
        return self._slots[first : min(last, first + limit)]

    def trim(self, flushed: int) -> None:
        """Let the oldest entries go while there are too many, but none after `flushed`."""
        while self.size > self.max_bytes and self._head < len(self._slots):
            slot = self._slots[self._head]
            if slot.offset > flushed:
                break
            self.size -= slot.size
            slot.ring = None  # whoever still holds it encodes it on their own account
            self.floor = slot.offset
            self._head += 1
        if self._head > 1024 and self._head * 2 > len(self._slots):
            del self._slots[: self._head]
            del self._offsets[: self._head]
            self._head = 0

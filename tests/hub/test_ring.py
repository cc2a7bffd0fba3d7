"""The ring: contiguous, bounded, and the same bytes for everyone."""

from __future__ import annotations

from echostream.event import Event
from echostream.hub.ring import SLOT_OVERHEAD, Ring
from echostream.log.base import Entry
from echostream.wire import NDJSON, SSE


def entry(offset: int, data: str = "x") -> Entry:
    return Entry(offset, Event(data=data, topic="t", id=f"e.{offset}"))


def test_it_gives_what_lies_between_two_offsets():
    ring = Ring(10**6, start=5)
    ring.extend([entry(offset) for offset in (6, 7, 9)], scanned_to=10, flushed=5)
    assert [slot.offset for slot in ring.between(6, 10, 100)] == [7, 9]
    assert [slot.offset for slot in ring.between(5, 7, 100)] == [6, 7]
    assert [slot.offset for slot in ring.between(5, 10, 2)] == [6, 7]
    assert (ring.floor, ring.end) == (5, 10)


def test_the_oldest_go_when_there_is_no_room_and_the_floor_says_so():
    ring = Ring(10 * (SLOT_OVERHEAD + 2), start=0)
    for offset in range(1, 5001):
        ring.extend([entry(offset)], scanned_to=offset, flushed=offset)
    assert len(ring) == 10
    assert ring.floor == 4990
    assert [slot.offset for slot in ring.between(ring.floor, ring.end, 100)] == list(range(4991, 5001))
    assert ring.size <= ring.max_bytes


def test_what_is_not_flushed_stays_however_large():
    # The flush writes it from the ring: an entry trimmed before would be lost to live readers.
    ring = Ring(1, start=0)
    ring.extend([entry(1), entry(2)], scanned_to=2, flushed=0)
    assert [slot.offset for slot in ring.between(0, 2, 100)] == [1, 2]
    ring.extend([entry(3)], scanned_to=3, flushed=1)
    assert ring.floor == 1
    assert [slot.offset for slot in ring.between(1, 3, 100)] == [2, 3]


def test_bytes_are_made_once():
    ring = Ring(1000, start=0)
    ring.extend([entry(1)], scanned_to=1, flushed=0)
    (slot,) = ring.between(0, 1, 1)
    assert slot.encoded(SSE) is slot.encoded(SSE)
    assert slot.encoded(SSE) == b"id: e.1\ndata: x\n\n"


def test_what_is_encoded_counts_as_long_as_it_is_in_the_ring():
    ring = Ring(10**6, start=0)
    ring.extend([entry(1), entry(2)], scanned_to=2, flushed=0)
    first, second = ring.between(0, 2, 2)
    before = ring.size
    made = first.encoded(SSE), second.encoded(SSE), first.encoded(SSE)
    assert ring.size == before + len(made[0]) + len(made[1])
    ring.max_bytes = 0
    ring.trim(flushed=2)
    assert ring.size == 0
    first.encoded(NDJSON)
    assert ring.size == 0

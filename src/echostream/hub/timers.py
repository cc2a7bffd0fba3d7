"""Wheel: many timers on one clock, pure; Timers: the wheel turned by an event loop.

Ten thousand readers each wait for a heartbeat, a deadline or a send timeout. Each stands in
one bucket of the wheel, moved when its next moment changes and dropped in one step when it
leaves; the hub keeps a single timer of the event loop for the earliest bucket.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
from typing import Protocol

__all__ = ["Timed", "Timers", "Wheel"]

logger = logging.getLogger("echostream.hub")


class Timed(Protocol):
    """Something that waits on the wheel. `bucket` is the wheel's own mark."""

    bucket: int | None

    def due(self, now: float) -> None:
        """Its time has come."""
        ...


class Wheel:
    """Timers in buckets of `grain` seconds; none fires early, each at most one grain late."""

    def __init__(self, grain: float) -> None:
        self.grain = grain
        self._buckets: dict[int, set[Timed]] = {}
        self._heap: list[int] = []

    def __len__(self) -> int:
        return sum(map(len, self._buckets.values()))

    def schedule(self, item: Timed, when: float) -> None:
        """Make `item` due at `when`, instead of whenever it was due before."""
        bucket = int(when / self.grain) + 1
        if item.bucket == bucket:
            return
        self.cancel(item)
        item.bucket = bucket
        members = self._buckets.get(bucket)
        if members is None:
            members = self._buckets[bucket] = set()
            heapq.heappush(self._heap, bucket)
        members.add(item)

    def cancel(self, item: Timed) -> None:
        """Take `item` off the wheel, if it is on it."""
        if item.bucket is not None:
            members = self._buckets.get(item.bucket)
            if members is not None:
                members.discard(item)
            item.bucket = None

    def due(self, now: float) -> list[Timed]:
        """Take off and give every item whose time has come."""
        items: list[Timed] = []
        while self._heap and self._heap[0] * self.grain <= now:
            members = self._buckets.pop(heapq.heappop(self._heap))
            for item in members:
                item.bucket = None
            items.extend(members)
        return items

    def next_at(self) -> float | None:
        """When to call `due` next, or None when nothing waits."""
        while self._heap and not self._buckets[self._heap[0]]:
            del self._buckets[heapq.heappop(self._heap)]
        return self._heap[0] * self.grain if self._heap else None


class Timers:
    """A wheel that one timer of the event loop turns."""

    def __init__(self, loop: asyncio.AbstractEventLoop, grain: float) -> None:
        self._loop = loop
        self._wheel = Wheel(grain)
        self._timer: asyncio.TimerHandle | None = None
        self._at = 0.0

    def schedule(self, item: Timed, when: float) -> None:
        """Call `item.due` at `when` (the loop's time), instead of whenever it was to be called before."""
        self._wheel.schedule(item, when)
        if self._timer is None or when < self._at:
            self._arm()

    def cancel(self, item: Timed) -> None:
        """Do not call it."""
        self._wheel.cancel(item)

    def stop(self) -> None:
        """Call nothing any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self) -> None:
        self.stop()
        at = self._wheel.next_at()
        if at is not None:
            self._at = at
            self._timer = self._loop.call_at(at, self._turn)

    def _turn(self) -> None:
        for item in self._wheel.due(self._loop.time()):
            try:
                item.due(self._loop.time())
            except Exception:  # one that fails must not take everyone's heartbeats with it
                logger.exception("a timer failed: %r", item)
        self._arm()

"""Fan-out: one event, encoded once per format, to everyone who follows its topic.

The rules:

1.  Readers of the same topics in the same format form a *group*. A group only routes.
2.  A group's *live* set holds the readers whose position is `flushed`, the end of the last
    flush. They need no number of their own: the flush that writes to them moves it.
3.  Only `flush` moves `flushed`, and it writes to all live sets. So a reader that has come to
    `flushed` from the ring joins in one step, without `await`: nothing can come between.
4.  A reader whose outlet is full leaves the live set and keeps one number, its position. When
    the outlet has drained it reads the ring or the log until it is at `flushed`, and joins again.
5.  Events that come faster than a tick leave as one write per group; when idle, at once.
6.  While a flush writes, nothing calls back: a stream that ends may make its application publish,
    begin and end others. Who ends, or raised, or waits for the flush has its turn when all is written.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from ..event import Event
from ..exceptions import EpochChanged
from ..log.base import Entry
from ..position import Position
from ..wire.base import Encoder
from ..wire.control import StreamGap
from .body import Tally
from .chunk import Chunk, chunked
from .groups import Follower, Group, Groups
from .ring import Ring, Slot

__all__ = ["FanOut"]

logger = logging.getLogger("echostream.hub")


class FanOut:
    """All groups of one hub, and the flush that writes to them. Nothing here waits."""

    def __init__(self, ring: Ring, *, epoch: str, chunk_bytes: int, clock: Callable[[], float]) -> None:
        self.ring = ring
        self.epoch = epoch
        self.flushed = ring.end
        self.chunk_bytes = chunk_bytes
        self.clock = clock
        self.groups = Groups(clock)
        self.readers: set[Follower] = set()
        self.tally = Tally()
        self.ephemeral_dropped = 0
        self._ahead: set[Follower] = set()
        self._broken: list[Follower] = []

    # -- joining

    def join(self, reader: Follower) -> None:
        """Make a reader live whose position is `flushed`."""
        reader.group.live.add(reader)
        if reader.body.first_event is None:
            reader.group.fresh.add(reader)

    def wait_for_flush(self, reader: Follower) -> None:
        """Keep a reader aside that has read further in the log than the last flush came."""
        self._ahead.add(reader)

    def forget(self, reader: Follower) -> None:
        """Take a reader out of every set. O(1)."""
        self.readers.discard(reader)
        self._ahead.discard(reader)
        reader.group.live.discard(reader)
        reader.group.fresh.discard(reader)

    # -- writing

    def flush(self) -> None:
        """Write everything between `flushed` and the ring's end to whoever is live."""
        end = self.ring.end
        if end == self.flushed:
            return
        slots = self.ring.between(self.flushed, end, limit=len(self.ring))
        touched: dict[Group, list[Slot]] = {}
        for slot in slots:
            for group in self.groups.routes(slot.event.topic or ""):
                touched.setdefault(group, []).append(slot)
        self.flushed = end
        for group, matching in touched.items():
            self._write(group, matching)
        self.ring.trim(end)
        self._cut_broken()
        for group in touched:
            self._end_finished(group)
        self._advance_waiting()

    def pass_by(self, event: Event) -> None:
        """Give an ephemeral event to whoever is live now; who is behind does without, counted."""
        for group in self.groups.routes(event.topic or ""):
            for waiter in group.waiting:
                waiter.pass_by(event)
            if group.encoder is not None:
                self.ephemeral_dropped += group.members - len(group.live)
                if group.live:
                    self._deliver(group, group.encoder, [Slot(Entry(self.flushed, event))])
        self._cut_broken()

    def skip_to(self, oldest: int, *, dropped: int | None, reason: str) -> None:
        """Go on at `oldest`: what lies between can no longer be followed. Tell whoever is live."""
        self.flush()
        gap = StreamGap(
            after=str(Position(self.epoch, self.flushed)),
            oldest=str(Position(self.epoch, oldest)),
            dropped=dropped,
            reason=reason,
        )
        self.flushed = max(self.flushed, oldest - 1)
        self.ring.restart(self.flushed)
        for reader in self._live_readers():
            reader.tell_gap(gap)
        self._wake_all()
        self._advance_waiting()

    def start_over(self, epoch: str, newest: int) -> None:
        """The log is another one: positions mean nothing any more. Every reader has to come back.

        They end at their places in the log that was, and are told `reset` when they come with them.
        """
        self.flush()
        for reader in list(self.readers):
            reader.fail(EpochChanged(epoch))
        self.epoch = epoch
        self.flushed = newest
        self.ring.restart(newest)
        self._wake_all()

    def _live_readers(self) -> list[Follower]:
        return [reader for group in self.groups for reader in group.live]

    def _wake_all(self) -> None:
        for group in self.groups:
            for waiter in group.waiting:
                waiter.wake()

    def _advance_waiting(self) -> None:
        if self._ahead:
            waiting, self._ahead = self._ahead, set()
            for reader in waiting:
                reader.advance()

    def _write(self, group: Group, slots: list[Slot]) -> None:
        for waiter in group.waiting:
            waiter.wake()
        for slot in slots:
            if slot.event.end:
                group.note_end(slot.event.topic, slot.offset)
        encoder = group.encoder
        if encoder is None:
            return
        written = [slot for slot in slots if slot.event.data is not None]
        if written and group.live:
            self._deliver(group, encoder, written)
            group.last_offset = written[-1].offset

    def _deliver(self, group: Group, encoder: Encoder, slots: list[Slot]) -> None:
        encoded = ((slot.offset, slot.encoded(encoder)) for slot in slots)
        try:
            for chunk in chunked(encoded, encoder.separator, self.chunk_bytes):
                self._send(group, chunk)
        except Exception:  # nobody in the group can have what comes next
            logger.exception("%r cannot encode an event; its readers are cut", encoder)
            self._broken.extend(group.live)
            group.live.clear()

    def _end_finished(self, group: Group) -> None:
        ended_at = group.end_offset
        if ended_at is not None and ended_at <= self.flushed:  # another reader may know of an end that is yet to come
            for reader in list(group.live):
                reader.end("finished")

    def _cut_broken(self) -> None:
        if self._broken:
            broken, self._broken = self._broken, []
            for reader in broken:
                reader.break_off()

    def _send(self, group: Group, chunk: Chunk) -> None:
        group.last_write = now = self.clock()
        if group.fresh:
            for reader in group.fresh:
                reader.body.first_event = now
            group.fresh.clear()
        group.events += chunk.events
        group.bytes += len(chunk.data)
        self.tally.events += chunk.events * len(group.live)
        self.tally.bytes += len(chunk.data) * len(group.live)
        self._broken += group.live.write(chunk.data)
        filled, group.filled = group.filled, []
        for reader in filled:
            if reader.outlet.full:  # it may have drained meanwhile
                reader.fall_behind(chunk.offset)

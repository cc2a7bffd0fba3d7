"""Reader: one subscriber of bytes. A position, an outlet, and where it stands between the two.

    CATCHING  reads the ring or the log, as long as its outlet takes bytes
    READING   waits for a page of the log
    FULL      its outlet is full; it keeps its position and nothing else
    LIVE      its position is the fan-out's `flushed`; the flush writes to it
    ENDED     it has its ending, or its peer is gone

A reader with `until` is not to follow: it ends when it has come so far.
"""

from __future__ import annotations

import asyncio
import enum
import logging
import secrets
from collections.abc import Callable, Iterable

from ..exceptions import EchostreamError, EpochChanged, LogCorrupt, LogError, PositionGone
from ..log.base import Log, Page
from ..position import Position
from ..topic import TopicSet
from ..wire.base import Encoder
from ..wire.control import Control, StreamAt, StreamEnd, StreamError, StreamGap, StreamOpen
from .body import Body, Ending, StreamReport
from .chunk import chunked
from .contained import contained
from .fanout import FanOut
from .outlet import Outlet
from .pace import Due, Pace
from .ring import Slot
from .settings import StreamSettings
from .start import Start
from .timers import Timers

__all__ = ["RETURNING", "Reader", "State"]

logger = logging.getLogger("echostream.hub")

RETURNING = frozenset({"deadline", "drain", "quota"})
"""Reasons of an end after which the reader is to come back; any other is for good."""

SCAN_SLOTS = 2000
"""Slots of the ring looked at in one go, before others have their turn: a storm of readers must not stop the flush."""

MIN_PAGE, MAX_PAGE = 1, 1000
"""Entries asked of the log at once. Between the two, what fills one write is asked for."""


class State(enum.Enum):
    CATCHING = enum.auto()
    READING = enum.auto()
    FULL = enum.auto()
    LIVE = enum.auto()
    ENDED = enum.auto()


class Reader:
    """One subscriber, fed by the fan-out when it is live and by itself when it is not."""

    __slots__ = (
        "_base_bytes",
        "_base_events",
        "_log",
        "_on_end",
        "_pace",
        "_page_limit",
        "_start",
        "_timers",
        "_until",
        "body",
        "bucket",
        "fanout",
        "group",
        "outlet",
        "position",
        "state",
        "stream",
        "task",
    )

    def __init__(
        self,
        fanout: FanOut,
        topics: TopicSet,
        encoder: Encoder,
        outlet: Outlet,
        start: Start,
        *,
        log: Log,
        timers: Timers,
        settings: StreamSettings,
        until: int | None = None,
        on_end: Callable[[StreamReport], None] | None = None,
    ) -> None:
        self.fanout = fanout
        self.outlet = outlet
        self.body = Body(encoder, outlet, tally=fanout.tally, clock=fanout.clock)
        self.stream = secrets.token_urlsafe(16)
        self.state = State.CATCHING
        self.position = start.offset
        self.bucket: int | None = None
        self.task: asyncio.Task[None] | None = None
        self._start = start
        self._log = log
        self._timers = timers
        self._until = until
        self._on_end = on_end
        self._page_limit = 64
        self._base_events = self._base_bytes = 0
        self._pace = Pace(settings, self.body.started)
        self.group = fanout.groups.enter(topics, encoder)
        fanout.readers.add(self)
        self._listen(outlet)

    def use(self, outlet: Outlet) -> bool:
        """Write to this outlet instead; before `begin`. False when the stream was ended already."""
        if self.state is State.ENDED:
            return False
        self.outlet = self.body.outlet = outlet
        self._listen(outlet)
        return True

    def _listen(self, outlet: Outlet) -> None:
        outlet.on_full = self._filled
        outlet.on_drained = self._drained
        outlet.on_gone = self._gone

    # -- its life

    def begin(self) -> None:
        """Say where the stream begins, and go on from there. It may have been ended before, as by a drain."""
        if self.state is State.ENDED:
            return
        start = self._start
        if start.epoch != self.fanout.epoch:  # the log was replaced since the start was found
            self.fail(EpochChanged(self.fanout.epoch))
            return
        self.body.put(self.body.encoder.opening)
        opened = StreamOpen(stream=self.stream, epoch=start.epoch, from_=str(self.place), resume=start.resume)
        self._say(opened, retry=self._pace.retry())
        if start.gap is not None:
            self._say(start.gap)
        self._look_again()
        self.advance()

    @property
    def place(self) -> Position:
        """Where it is: everything up to here was written, or was not for this reader."""
        return Position(self._start.epoch, self.fanout.flushed if self.state is State.LIVE else self.position)

    @contained
    def end(self, reason: str) -> None:
        """Give the stream its ending. Where there is more to come, a format that cannot say so is cut."""
        if self.state is State.ENDED:
            return
        returning = reason in RETURNING
        told = self._say(StreamEnd(reason=reason), retry=self._pace.retry() if returning else None)
        if returning and not told:
            self._close(reason, Ending.CUT)
        else:
            self.body.put(self.body.encoder.closing)
            self._close(reason, Ending.CLEAN)

    @contained
    def fail(self, error: EchostreamError) -> None:
        """Tell an error and end. Only SSE ends cleanly then: its `stream-error` cannot be missed."""
        if self.state is not State.ENDED:
            self._say(StreamError(code=error.code, message=error.public), retry=self._pace.retry())
            self._close(error.code, Ending.CLEAN if self.body.encoder.name == "sse" else Ending.CUT)

    def break_off(self) -> None:
        """Something of ours raised: cut the stream without a word, wherever it is."""
        if self.state is not State.ENDED:
            self._close("error", Ending.ABORT)

    @contained
    def tell_gap(self, gap: StreamGap) -> None:
        """Tell what is lost in the middle; a format that cannot tell it is cut."""
        if not self._say(gap):
            self._close("gap", Ending.CUT)

    # -- forward

    @contained
    def advance(self) -> None:
        """Go on from the position, as far as can be done without waiting."""
        if self.state is State.READING or self.state is State.ENDED:
            return
        self.state = State.CATCHING
        while not self.outlet.full:
            if self._arrived():
                return
            if self.position < self.fanout.ring.floor:
                self.state = State.READING
                self.task = asyncio.get_running_loop().create_task(self._read_page())
                return
            if not self._advance_in_ring():
                return
        self._mark_full()

    def fall_behind(self, offset: int) -> None:
        """Leave the live set: the outlet is full, and everything up to `offset` was written to it."""
        if self.state is not State.LIVE:
            return  # ended meanwhile
        self._settle()
        self.position = offset
        self._mark_full()

    @contained
    def due(self, now: float) -> None:
        """The wheel has come to this reader."""
        facts = (self._idle_since, self._written, self.outlet.waiting)
        due = self._pace.look(now, *facts, full=self.state is State.FULL)
        if due is Due.DEADLINE:
            self.end("deadline")
        elif due is Due.SEND_TIMEOUT:
            self._close("send-timeout", Ending.ABORT)
        else:
            if due is Due.HEARTBEAT:
                self._heartbeat(now)
            self._look_again()

    # -- private

    @property
    def _written(self) -> int:
        """Bytes given to the outlet so far."""
        return self.body.bytes + (self.group.bytes - self._base_bytes if self.state is State.LIVE else 0)

    @property
    def _idle_since(self) -> float:
        own = self.body.last_write
        return max(own, self.group.last_write) if self.state is State.LIVE else own

    def _arrived(self) -> bool:
        """Whether there is nothing more to do now: finished, at its end, or at `flushed`."""
        ended_at = self.group.end_offset
        if self._until is not None:
            if self.position >= self._until:
                self.end("finished" if ended_at is not None and self.position >= ended_at else "caught-up")
                return True
        elif ended_at is not None and self.position >= ended_at:
            self.end("finished")
            return True
        elif self.position == self.fanout.flushed:
            self.state = State.LIVE
            self._base_events, self._base_bytes = self.group.events, self.group.bytes
            self.fanout.join(self)
            return True
        if self.position >= self.fanout.flushed:
            self.fanout.wait_for_flush(self)
            return True
        return False

    def _advance_in_ring(self) -> bool:
        """Write what matches in the next stretch of the ring; whether to go on at once."""
        goal = self.fanout.flushed if self._until is None else min(self.fanout.flushed, self._until)
        slots = self.fanout.ring.between(self.position, goal, SCAN_SLOTS)
        more = len(slots) == SCAN_SLOTS
        scanned_to = slots[-1].offset if more else goal
        mine = [slot for slot in slots if self.group.topics.matches(slot.event.topic or "")]
        self._note_ends(mine)
        if self._write((s.offset, s.encoded(self.body.encoder)) for s in mine if s.event.data is not None):
            self.position = scanned_to
        if more:
            asyncio.get_running_loop().call_soon(self._resume_scan)
        return not more

    def _resume_scan(self) -> None:
        if self.state is State.CATCHING:
            self.advance()

    async def _read_page(self) -> None:
        try:
            page = await self._log.read(self.position, self._page_limit, self.group.topics)
        except PositionGone as gone:
            self._lose(gone.oldest, dropped=None, reason="trimmed")
        except LogCorrupt as damage:
            if damage.offset is None:
                self.fail(damage)
            else:
                self._lose(damage.offset + 1, dropped=None, reason="corrupt")
        except EchostreamError as error:
            self.fail(error)
        except Exception:
            logger.exception("reading the log failed for stream %s", self.stream)
            self.fail(LogError("the log could not be read"))
        else:
            self._take_page(page)
        self.task = None
        if self.state is State.READING:
            self.state = State.CATCHING
            self.advance()

    @contained
    def _take_page(self, page: Page) -> None:
        if self.state is not State.READING:
            return  # ended meanwhile
        slots = [Slot(entry) for entry in page.entries if self._until is None or entry.offset <= self._until]
        size = sum(slot.size for slot in slots)
        if slots and size < self.fanout.chunk_bytes // 2:
            self._page_limit = min(MAX_PAGE, self._page_limit * 2)
        elif size > self.fanout.chunk_bytes * 2:
            self._page_limit = max(MIN_PAGE, self._page_limit // 2)
        self._note_ends(slots)
        if self._write((s.offset, s.encoded(self.body.encoder)) for s in slots if s.event.data is not None):
            # Not past `until`: the page may have entries there, and the ending's id would say that they were given.
            self.position = page.scanned_to if self._until is None else min(page.scanned_to, self._until)

    def _write(self, encoded: Iterable[tuple[int, bytes]]) -> bool:
        """Write whole events until the outlet is full; whether all were written."""
        for chunk in chunked(encoded, self.body.encoder.separator, self.fanout.chunk_bytes):
            if self.outlet.full:
                return False
            self.body.add(chunk)
            self.position = chunk.offset
        return True

    def _note_ends(self, slots: list[Slot]) -> None:
        for slot in slots:
            if slot.event.end:
                self.group.note_end(slot.event.topic, slot.offset)

    def _lose(self, oldest: int, *, dropped: int | None, reason: str) -> None:
        if self.state is not State.ENDED:
            after = str(self.place)
            self.position = max(oldest - 1, self.position)
            self.tell_gap(
                StreamGap(after=after, oldest=f"{self._start.epoch}.{oldest}", dropped=dropped, reason=reason)
            )

    def _say(self, control: Control, *, retry: int | None = None) -> bool:
        """Say it at the present position; False where the format cannot."""
        return self.body.say(control, self.place, retry=retry)

    def _heartbeat(self, now: float) -> None:
        told = max(self.body.told, self.group.last_offset) if self.state is State.LIVE else self.body.told
        if not (self.place.offset > told and self._say(StreamAt())):
            self.body.put(self.body.encoder.heartbeat)
        self.body.last_write = now  # also in a format that has no heartbeat: the next look is one period away

    def _look_again(self) -> None:
        self._timers.schedule(self, self._pace.next_look(self._idle_since))

    def _mark_full(self) -> None:
        self.state = State.FULL
        self._pace.fill(self.fanout.clock())
        self._look_again()

    def _filled(self) -> None:
        if self.state is State.LIVE:  # it may be in the middle of a flush: the flush sees to it when it has written
            self.group.filled.append(self)

    def _drained(self) -> None:
        self._pace.drain()
        if self.state is State.FULL:
            self._look_again()
            self.advance()

    def _gone(self) -> None:
        if self.state is not State.ENDED:
            self._close("gone", Ending.GONE)

    def _settle(self) -> None:
        """Add the share of the group's writes since this reader joined; leave the live set."""
        if self.state is State.LIVE:
            self.body.events += self.group.events - self._base_events
            self.body.bytes += self.group.bytes - self._base_bytes
            self.body.told = max(self.body.told, self.group.last_offset)
            self.group.live.discard(self)
            self.group.fresh.discard(self)

    def _close(self, reason: str, ending: Ending) -> None:
        self._settle()
        self.state = State.ENDED
        self._timers.cancel(self)
        self.fanout.forget(self)
        self.fanout.groups.leave(self.group)
        if self.task is not None and self.task is not asyncio.current_task():
            self.task.cancel()
        try:
            self.body.end(ending)
        finally:
            self._report(reason)

    def _report(self, reason: str) -> None:
        try:
            if self._on_end is not None:
                self._on_end(self.body.report(self.stream, len(self.group.topics), reason))
        except Exception:  # the application's; streams end in the middle of others' turns
            logger.exception("on_end of stream %s raised", self.stream)

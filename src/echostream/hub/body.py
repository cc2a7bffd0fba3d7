"""Body: what one stream has been given so far, in bytes, in events and in words."""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import NamedTuple

from ..position import Position
from ..wire.base import Encoder
from ..wire.control import Control
from .chunk import Chunk
from .outlet import Outlet

__all__ = ["Body", "Ending", "StreamReport", "Tally"]


class Ending(enum.Enum):
    """How a body ends: properly; cut once all is out; cut now; by itself, since the peer is gone."""

    CLEAN = enum.auto()
    CUT = enum.auto()
    ABORT = enum.auto()
    GONE = enum.auto()


class StreamReport(NamedTuple):
    """What a stream was, told once when it ended. Times in seconds."""

    stream: str
    topics: int
    format: str
    events: int
    bytes: int
    duration: float
    first_event: float | None
    reason: str


class Tally:
    """What all streams of a hub were given."""

    __slots__ = ("bytes", "events")

    def __init__(self) -> None:
        self.events = 0
        self.bytes = 0


class Body:
    """The one writer of an outlet outside the flush. It counts; it decides nothing.

    `told` is the offset that the peer knows to be done: the last one that was written as an id.
    """

    __slots__ = (
        "_clock",
        "_separate",
        "_tally",
        "bytes",
        "encoder",
        "events",
        "first_event",
        "last_write",
        "outlet",
        "started",
        "told",
    )

    def __init__(self, encoder: Encoder, outlet: Outlet, *, tally: Tally, clock: Callable[[], float]) -> None:
        self.encoder = encoder
        self.outlet = outlet
        self.events = 0
        self.bytes = 0
        self.told = 0
        self.first_event: float | None = None
        self.started = self.last_write = clock()
        self._clock = clock
        self._tally = tally
        self._separate = False

    def put(self, data: bytes) -> None:
        """Write bytes, if there are any."""
        if data:
            self.outlet.write(data)
            self.last_write = self._clock()
            self.bytes += len(data)
            self._tally.bytes += len(data)

    def say(self, control: Control, at: Position, *, retry: int | None = None) -> bool:
        """Write a control event at a position; False where the format cannot say it."""
        self.told = at.offset
        data = self.encoder.control(control, id=str(at), retry=retry)
        self.put(data)
        return bool(data)

    def add(self, chunk: Chunk) -> None:
        """Write whole events."""
        self.put(self.encoder.separator + chunk.data if self._separate else chunk.data)
        self._separate = True
        if self.first_event is None:
            self.first_event = self.last_write
        self.told = chunk.offset
        self.events += chunk.events
        self._tally.events += chunk.events

    def end(self, ending: Ending) -> None:
        """Close the outlet in that way."""
        if ending is Ending.ABORT:
            self.outlet.abort()
        elif ending is not Ending.GONE:
            self.outlet.close(clean=ending is Ending.CLEAN)

    def report(self, stream: str, topics: int, reason: str) -> StreamReport:
        """What it was, now that it has ended."""
        first = None if self.first_event is None else self.first_event - self.started
        duration = self._clock() - self.started
        return StreamReport(stream, topics, self.encoder.name, self.events, self.bytes, duration, first, reason)

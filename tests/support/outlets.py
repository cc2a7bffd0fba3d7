"""An outlet in the test's own hands, and timers that turn when told."""

from __future__ import annotations

from collections.abc import Callable

from echostream.hub.timers import Timed, Wheel
from echostream.wire import SseDecoder, SseMessage

__all__ = ["HandOutlet", "HandTimers"]


class HandOutlet:
    """Takes bytes until `high_mark` wait; they leave only by `take`, as from a socket that the peer reads."""

    def __init__(self, high_mark: int = 2**40) -> None:
        self.on_full = lambda: None
        self.on_drained = lambda: None
        self.on_gone = lambda: None
        self.high_mark = high_mark
        self.sent = b""
        self.ending: str | None = None
        self.writes: list[bytes] = []
        self._waiting = b""

    framed = False

    @property
    def push(self) -> Callable[[bytes], None]:
        return self.write

    @property
    def full(self) -> bool:
        return self.waiting > self.high_mark

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def write(self, data: bytes) -> None:
        assert self.ending is None, "written after its end"
        assert data, "an empty write"
        self.writes.append(data)
        was_full = self.full
        self._waiting += data
        if self.full and not was_full:
            self.on_full()

    def close(self, *, clean: bool) -> None:
        assert self.ending is None, "ended twice"
        self.ending = "clean" if clean else "cut"

    def abort(self) -> None:
        self.ending = "aborted"
        self._waiting = b""

    def take(self) -> bytes:
        """The peer reads everything that waits; what that lets the reader write is not taken."""
        was_full = self.full
        taken, self._waiting = self._waiting, b""
        self.sent += taken
        if was_full and self.ending is None:
            self.on_drained()
        return taken

    def events(self) -> list[SseMessage]:
        """Take everything, to the end, and decode all that was ever sent."""
        while self.waiting:
            self.take()
        return self.decoded()

    def decoded(self) -> list[SseMessage]:
        """What the peer has read so far, decoded."""
        return SseDecoder().feed(self.sent)

    def data(self) -> list[str]:
        """The data of people's events so far."""
        return [message.data for message in self.events() if not message.event.startswith("stream-")]

    def controls(self) -> list[str]:
        """The names of the control events so far."""
        return [message.event for message in self.events() if message.event.startswith("stream-")]


class HandTimers:
    """`Timers` whose clock the test sets."""

    def __init__(self, grain: float = 0.05) -> None:
        self.wheel = Wheel(grain)
        self.now = 0.0

    def clock(self) -> float:
        return self.now

    def schedule(self, item: Timed, when: float) -> None:
        self.wheel.schedule(item, when)

    def cancel(self, item: Timed) -> None:
        self.wheel.cancel(item)

    def advance(self, to: float) -> None:
        """Turn to `to`, stopping at each moment at which something is due."""
        while (at := self.wheel.next_at()) is not None and at <= to:
            self.now = max(at, self.now)
            for item in self.wheel.due(self.now):
                item.due(self.now)
        self.now = to

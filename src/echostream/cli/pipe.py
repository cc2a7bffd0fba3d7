"""Lines from a pipe, grouped by what is waiting: a slow pipe's line goes at once, a fast pipe's lines together.

A thread reads, so that the pipe fills while a group is on its way to the hub. It reads the
descriptor and not `sys.stdin`, whose lock a thread that waits in it would hold at exit.
"""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Iterator
from typing import NamedTuple

from ..event import Event
from ..exceptions import InvalidEvent, TooLarge
from ..wire import batch_line

__all__ = ["GROUP_BYTES", "GROUP_EVENTS", "MAX_LINE_BYTES", "Group", "Piped", "groups_of"]

GROUP_EVENTS = 1_000
GROUP_BYTES = 512 * 1024
MAX_LINE_BYTES = 256 * 1024
"""What a hub takes for one event."""

_READ_BYTES = 64 * 1024
_READS_AHEAD = 8


class Group(NamedTuple):
    """Lines to publish together: the events, and their batch."""

    events: list[Event]
    body: bytes


class Piped(NamedTuple):
    """How lines become events: text always, or JSON where they parse; with these fields."""

    text: bool
    event: str | None = None
    key: str | None = None

    def read(self, line: bytes, number: int) -> Event:
        """The event of one line. Raises `InvalidEvent` with the line's number."""
        try:
            data = line.decode()
        except UnicodeDecodeError:
            raise InvalidEvent("data", "is not UTF-8; convert it with iconv, or leave it out", line=number) from None
        return self.event_of(data)

    def event_of(self, data: str) -> Event:
        """The event of some text. Raises `InvalidEvent`."""
        if self.text:
            return Event(data=data, event=self.event, key=self.key)
        return Event.read(data, event=self.event, key=self.key)


def groups_of(descriptor: int, piped: Piped) -> Iterator[Group]:
    """The lines of a pipe in groups; empty lines are passed over, the last line needs no LF.

    Raises `InvalidEvent` and `TooLarge` for a line that cannot be an event, after all lines before it were given.
    """
    pieces: queue.Queue[bytes] = queue.Queue(_READS_AHEAD)
    threading.Thread(target=_read, args=(descriptor, pieces), daemon=True).start()
    lines = _Lines()
    ended = False
    while not ended:
        waiting, ended = _waiting(pieces)
        yield from _grouped(lines.cut(waiting, last=ended), piped)


def _read(descriptor: int, pieces: queue.Queue[bytes]) -> None:
    while True:
        try:
            piece = os.read(descriptor, _READ_BYTES)
        except OSError:  # a terminal that went away, a closed descriptor: there is no more
            piece = b""
        pieces.put(piece)
        if not piece:
            return


def _waiting(pieces: queue.Queue[bytes]) -> tuple[bytes, bool]:
    """What waits now, at least one piece; and whether it was the last."""
    taken = [pieces.get()]
    size = len(taken[0])
    while taken[-1] and size < GROUP_BYTES:
        try:
            taken.append(pieces.get_nowait())
        except queue.Empty:
            break
        size += len(taken[-1])
    return b"".join(taken), not taken[-1]


class _Lines:
    """Cuts pieces into numbered lines."""

    def __init__(self) -> None:
        self._rest: list[bytes] = []
        self._held = 0
        self._number = 0

    def cut(self, data: bytes, *, last: bool) -> Iterator[tuple[int, bytes]]:
        lines = data.split(b"\n")
        lines[0] = b"".join(self._rest) + lines[0] if len(lines) > 1 or last else lines[0]
        if len(lines) > 1 or last:
            self._rest.clear()
            self._held = 0
        rest = b"" if last else lines.pop()
        for line in lines:
            self._number += 1
            if len(line) > MAX_LINE_BYTES:
                raise self._too_large(len(line))
            if line := line.removesuffix(b"\r"):
                yield self._number, line
        self._rest.append(rest)
        self._held += len(rest)
        if self._held > MAX_LINE_BYTES:
            self._number += 1
            raise self._too_large(None)

    def _too_large(self, size: int | None) -> TooLarge:
        return TooLarge(f"line {self._number}", size=size, limit=MAX_LINE_BYTES)


def _grouped(lines: Iterator[tuple[int, bytes]], piped: Piped) -> Iterator[Group]:
    events: list[Event] = []
    parts: list[bytes] = []
    size = 0
    failure: Exception | None = None
    try:
        for number, line in lines:
            event = piped.read(line, number)
            part = batch_line(event)
            if events and (size + len(part) > GROUP_BYTES or len(events) >= GROUP_EVENTS):
                yield Group(events, b"".join(parts))
                events, parts, size = [], [], 0
            events.append(event)
            parts.append(part)
            size += len(part)
    except (InvalidEvent, TooLarge) as error:
        failure = error
    if events:
        yield Group(events, b"".join(parts))
    if failure is not None:
        raise failure

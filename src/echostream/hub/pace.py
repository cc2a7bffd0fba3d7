"""Pace: when a stream is due for a heartbeat, for its deadline, or to be cut since its peer takes nothing.

Pure: the time is an argument. What a peer took is what was written and does not wait any more.
"""

from __future__ import annotations

import enum
import random

from .settings import StreamSettings

__all__ = ["Due", "Pace"]


class Due(enum.Enum):
    NOTHING = enum.auto()
    HEARTBEAT = enum.auto()
    DEADLINE = enum.auto()
    SEND_TIMEOUT = enum.auto()


class Pace:
    """The times of one stream. `fill` and `drain` say when its outlet becomes full, and when it no longer is."""

    __slots__ = ("_deadline", "_settings", "_stuck_at", "_stuck_since")

    def __init__(self, settings: StreamSettings, started: float) -> None:
        jittered = None if settings.deadline is None else settings.deadline * random.uniform(0.9, 1.1)  # noqa: S311
        self._settings = settings
        self._deadline = None if jittered is None else started + jittered
        self._stuck_since: float | None = None
        self._stuck_at = 0

    def fill(self, now: float) -> None:
        """The outlet is full: from now on the peer has the send timeout to take what waits."""
        self._stuck_since = now

    def drain(self) -> None:
        """The outlet is no longer full."""
        self._stuck_since = None

    def look(self, now: float, idle_since: float, written: int, waiting: int, *, full: bool) -> Due:
        """What is due. `idle_since` is the time of the last write, `written` and `waiting` are bytes."""
        if self._deadline is not None and now >= self._deadline:
            return Due.DEADLINE
        idle = now >= idle_since + self._settings.heartbeat
        if not full:
            self._look_below_the_mark(idle_since if idle and waiting else None, written - waiting)
        if self._stuck_since is not None:
            return Due.SEND_TIMEOUT if now >= self._stuck_since + self._settings.send_timeout else Due.NOTHING
        return Due.HEARTBEAT if idle else Due.NOTHING

    def next_look(self, idle_since: float) -> float:
        """When to look next."""
        due = idle_since + self._settings.heartbeat
        if self._stuck_since is not None:
            due = self._stuck_since + self._settings.send_timeout
        return due if self._deadline is None else min(due, self._deadline)

    def retry(self) -> int:
        """Milliseconds after which the peer is to come back, jittered so that many do not come at once."""
        return int(self._settings.retry * 1000 * random.uniform(0.5, 1.5))  # noqa: S311

    def _look_below_the_mark(self, stuck_since: float | None, taken: int) -> None:
        """Notice a peer that takes nothing, though what waits does not fill the outlet; and that it takes again.

        Such an outlet never says that it has drained: what the peer took meanwhile does.
        """
        if self._stuck_since is not None and taken > self._stuck_at:
            self._stuck_since = None
        if self._stuck_since is None and stuck_since is not None:
            self._stuck_since, self._stuck_at = stuck_since, taken

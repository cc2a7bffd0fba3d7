"""Machine: the life of one response of its own, as a table. Pure: the time is an argument.

             items, commit due                      exhausted: its end
    WAITING ───────────────────► OPEN ────────────────────────────────────► OVER
       │                          │   failed, expired, full, draining:       ▲
       │                          │   its ending told, or the body cut       │
       │                          └── stalled, gone: cut ────────────────────┤
       └── exhausted: a whole short body · failed, expired, draining: ───────┘
           a status of their own · gone: nothing

The status is sent late, with the first item, so that a failure before it is a real 4xx or 5xx;
but not later than `commit_after`, because a proxy or a person may think that nobody is there.

Items that were made are `ITEMS` before any ending happens, so they are delivered first, whatever
the ending is. Where a format says in its own words how it ended (server-sent events), the body ends
in order after them. Everywhere else only a cut keeps half a body from being taken for all of it.
"""

from __future__ import annotations

import enum

from .settings import StreamSettings

__all__ = ["TABLE", "Act", "Happening", "Machine", "State"]


class State(enum.Enum):
    """Nothing is sent yet; the head is sent; all is said."""

    WAITING = enum.auto()
    OPEN = enum.auto()
    OVER = enum.auto()


class Happening(enum.Enum):
    """What can happen to a response. The value is the `reason` in reports, and in `stream-end`."""

    ITEMS = "items"
    COMMIT_DUE = "commit"
    HEARTBEAT_DUE = "heartbeat"
    EXHAUSTED = "finished"
    FAILED = "failed"
    EXPIRED = "deadline"
    FULL = "quota"
    DRAINING = "drain"
    STALLED = "stalled"
    GONE = "gone"


class Act(enum.Enum):
    """What is to be done then."""

    HEAD = enum.auto()  # send the status and the headers
    BODY = enum.auto()  # send what was made
    HEARTBEAT = enum.auto()  # send a sign of life
    FINISH = enum.auto()  # send what ends a whole body
    TELL = enum.auto()  # say how it ended; then end in order or cut, as the format can
    REFUSE = enum.auto()  # answer with a status of its own instead
    LEAVE = enum.auto()  # cut: nobody is there, or nobody takes anything


TABLE: dict[tuple[State, Happening], tuple[State, tuple[Act, ...]]] = {
    (State.WAITING, Happening.ITEMS): (State.OPEN, (Act.HEAD, Act.BODY)),
    (State.WAITING, Happening.COMMIT_DUE): (State.OPEN, (Act.HEAD, Act.HEARTBEAT)),
    (State.WAITING, Happening.EXHAUSTED): (State.OVER, (Act.HEAD, Act.FINISH)),
    (State.WAITING, Happening.FAILED): (State.OVER, (Act.REFUSE,)),
    (State.WAITING, Happening.EXPIRED): (State.OVER, (Act.REFUSE,)),
    (State.WAITING, Happening.DRAINING): (State.OVER, (Act.REFUSE,)),
    (State.WAITING, Happening.GONE): (State.OVER, (Act.LEAVE,)),
    (State.OPEN, Happening.ITEMS): (State.OPEN, (Act.BODY,)),
    (State.OPEN, Happening.HEARTBEAT_DUE): (State.OPEN, (Act.HEARTBEAT,)),
    (State.OPEN, Happening.EXHAUSTED): (State.OVER, (Act.FINISH,)),
    (State.OPEN, Happening.FAILED): (State.OVER, (Act.TELL,)),
    (State.OPEN, Happening.EXPIRED): (State.OVER, (Act.TELL,)),
    (State.OPEN, Happening.FULL): (State.OVER, (Act.TELL,)),
    (State.OPEN, Happening.DRAINING): (State.OVER, (Act.TELL,)),
    (State.OPEN, Happening.STALLED): (State.OVER, (Act.LEAVE,)),
    (State.OPEN, Happening.GONE): (State.OVER, (Act.LEAVE,)),
}
"""Every state and happening that mean something together. Whatever else happens changes nothing: it came too late."""


class Machine:
    """One response. `happen` moves it and says what to do; `due` says what the time brings.

    `ended_by` is the happening that ended it. The caller tells with `wrote` and `stalled_since`
    how the bytes fare.
    """

    def __init__(self, settings: StreamSettings, now: float, *, heartbeats: bool) -> None:
        self.state = State.WAITING
        self.ended_by: Happening | None = None
        self.stalled_since: float | None = None
        self._settings = settings
        self._started = now
        self._last_write = now
        self._asked = now
        self._heartbeat = settings.heartbeat if heartbeats else None

    def happen(self, happening: Happening) -> tuple[Act, ...]:
        """What is to be done now that this happened, in order."""
        after, acts = TABLE.get((self.state, happening), (self.state, ()))
        if after is State.OVER and self.state is not State.OVER:
            self.ended_by = happening
        self.state = after
        return acts

    def wrote(self, now: float) -> None:
        """Bytes left: no heartbeat is needed for a while."""
        self._last_write = now

    def due(self, now: float) -> Happening | None:
        """What the time has brought by now; the most urgent first."""
        moments, self._asked = self._moments(), now
        return next((happening for moment, happening in moments if now >= moment), None)

    def next_due(self) -> float | None:
        """The next moment at which `due` may have something to say."""
        moments = [moment for moment, _ in self._moments()]
        if moments and self.stalled_since is not None and self._heartbeat is not None:
            moments.append(self._asked + self._heartbeat)  # it may take bytes again, and be silent since
        return min(moments, default=None)

    def _moments(self) -> list[tuple[float, Happening]]:
        settings, moments = self._settings, list[tuple[float, Happening]]()
        if self.state is State.OVER:
            return moments
        if settings.deadline is not None:
            moments.append((self._started + settings.deadline, Happening.EXPIRED))
        if self.state is State.WAITING:
            moments.append((self._started + settings.commit_after, Happening.COMMIT_DUE))
            return moments
        if self.stalled_since is not None:
            moments.append((self.stalled_since + settings.send_timeout, Happening.STALLED))
        elif self._heartbeat is not None:  # to who takes nothing, no sign of life can be sent
            moments.append((self._last_write + self._heartbeat, Happening.HEARTBEAT_DUE))
        return moments

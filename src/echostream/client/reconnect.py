"""When to come back, and when not to. Pure: `now` and `random` are arguments.

    200                      the stream                  ends: come back after `retry:`
    204                      nothing more will come      stop in peace
    408 425 429 5xx          not now                     come back, not before `Retry-After`
    any other status         never                       give up
    no connection, cut, silence for 45 s                 come back

The wait grows from try to try and is drawn from its whole range ("full jitter"): a thousand
readers that a restart cut off together must not come back together.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import Enum
from random import random as default_random

__all__ = ["MAX_RETRY_AFTER", "Backoff", "Verdict", "ends_for_good", "retry_after_seconds", "verdict"]

MAX_RETRY_AFTER = 300.0
"""Seconds: the longest that another's `Retry-After` can silence us."""

_FOR_GOOD = frozenset({"finished", "cancelled", "expired"})
_PASSING = frozenset({408, 425, 429})


class Verdict(Enum):
    """What an answer's status means for its client."""

    STREAM = "stream"
    ENDED = "ended"
    AGAIN = "again"
    GIVE_UP = "give-up"


def verdict(status: int) -> Verdict:
    """What to do after an answer with this status."""
    if status == 200:
        return Verdict.STREAM
    if status == 204:
        return Verdict.ENDED
    if status in _PASSING or 500 <= status <= 599:
        return Verdict.AGAIN
    return Verdict.GIVE_UP


def ends_for_good(reason: str) -> bool:
    """Whether `stream-end` with this reason ends the stream for ever. Others (deadline, drain ...) say: come back."""
    return reason in _FOR_GOOD


def retry_after_seconds(text: str | None, now: float) -> float | None:
    """Seconds that `Retry-After` (RFC 9110, section 10.2.3) asks for: a number or an HTTP date.

    `now` is in seconds since 1970. At most `MAX_RETRY_AFTER`, at least 0; None for what cannot be read.
    """
    if text is None:
        return None
    text = text.strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:12]), MAX_RETRY_AFTER)  # 12 digits are enough, 400 would be float's infinity
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    if date.tzinfo is None:  # "-0000": UTC of an unknown place
        date = date.replace(tzinfo=UTC)
    return min(max((date - datetime.fromtimestamp(now, UTC)).total_seconds(), 0.0), MAX_RETRY_AFTER)


class Backoff:
    """How long to wait before the next try. All times in seconds; `now` from any clock that only grows.

    The n-th wait in a row is drawn from `floor` to `floor + first * 2**n`, and is never over
    `cap`. `floor` is what the stream asked for with `retry:`. A connection that stayed open for
    `stable` seconds makes the next wait a first one again; shorter ones do not, or a server
    that accepts and cuts would be called upon without end.
    """

    def __init__(self, *, first: float = 1.0, cap: float = 30.0, stable: float = 10.0) -> None:
        self.first = first
        self.cap = cap
        self.stable = stable
        self._tries = 0
        self._opened: float | None = None

    def opened(self, now: float) -> None:
        """A connection was opened."""
        self._opened = now

    def succeeded(self) -> None:
        """What was wanted is done: the next wait is a first one."""
        self._tries = 0
        self._opened = None

    def wait(
        self,
        now: float,
        *,
        floor: float = 0.0,
        retry_after: float | None = None,
        random: Callable[[], float] = default_random,
    ) -> float:
        """A try failed or a connection ended at `now`: the seconds to wait before the next.

        `retry_after`, of an answer that had one, is waited for even beyond `cap`, with jitter on top.
        """
        if self._opened is not None and now - self._opened >= self.stable:
            self._tries = 0
        self._opened = None
        window = min(self.first * 2 ** min(self._tries, 32), self.cap)
        self._tries += 1
        floor = min(floor, self.cap)
        waited = floor + random() * (min(floor + window, self.cap) - floor)
        if retry_after is None:
            return waited
        return max(waited, retry_after + random() * self.first)

"""Account: the responses of their own that are open in this process, and what became of the others.

They belong to no hub and no application object, so this is where they can be counted, and ended
before a server shuts down. Nothing here is bound to an event loop: each response is ended in its own.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import weakref
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

__all__ = ["Account", "StreamReport", "StreamStatistics", "drain_streams", "stream_statistics"]

logger = logging.getLogger("echostream.stream")


class StreamReport(NamedTuple):
    """What a response of its own was, told once when it ended. Times in seconds.

    `reason`: finished, failed, deadline, quota, drain, stalled, gone (the reader left) or
    cancelled (by the server or the framework). `first_byte`: when the first item left; None when none
    did. `items` and `bytes` are those of items. A quota that cuts within one (not in sse and ndjson)
    leaves open how many the last bytes were: all that were made count.
    """

    format: str
    items: int
    bytes: int
    duration: float
    first_byte: float | None
    reason: str


class StreamStatistics(NamedTuple):
    """Responses of their own in this process: `open` now, how many ended and why, sources `abandoned` so far."""

    open: int
    ended: dict[str, int]
    abandoned: int


class Account:
    """Who is open. Safe from any thread."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # a signal handler that drains may interrupt who holds it
        self._open: dict[object, tuple[asyncio.AbstractEventLoop, Callable[[], None]]] = {}
        self._ended: Counter[str] = Counter()
        self._abandoned = 0
        self._loops: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, bool] = weakref.WeakKeyDictionary()
        self._kept: set[asyncio.Task[None]] = set()

    def enter(self, stream: object, drain: Callable[[], None]) -> None:
        """A response began in the running loop; `drain` ends it: soon, where the loop was drained before."""
        loop = asyncio.get_running_loop()
        with self._lock:
            self._open[stream] = loop, drain
            if self._loops.setdefault(loop, False):
                loop.call_soon(drain)

    def leave(self, stream: object, reason: str) -> None:
        """It ended."""
        with self._lock:
            del self._open[stream]
            self._ended[reason] += 1

    def abandon(self, closing: asyncio.Task[None], name: str, after: float) -> None:
        """A source did not close in so many seconds: go on without it. Held till its end, lest it is collected."""
        logger.warning("%s has not closed within %.3g s and is abandoned; it still runs", name, after)
        with self._lock:
            self._abandoned += 1
            self._kept.add(closing)
        closing.add_done_callback(self._forget)

    def _forget(self, closing: asyncio.Task[None]) -> None:
        with self._lock:
            self._kept.discard(closing)
        if not closing.cancelled():
            closing.exception()  # looked at, so that asyncio does not say that nobody did

    def drain(self) -> int:
        """Ask every response to end, and every later one of these loops; how many were asked."""
        with self._lock:
            streams = list(self._open.values())
            for loop in [*self._loops, *_running_loop()]:
                self._loops[loop] = True
        for loop, drain in streams:
            with suppress(RuntimeError):  # the loop was closed, maybe just now
                loop.call_soon_threadsafe(drain)
        return len(streams)

    def statistics(self) -> StreamStatistics:
        """The figures now."""
        with self._lock:
            return StreamStatistics(len(self._open), dict(self._ended), self._abandoned)


def _running_loop() -> list[asyncio.AbstractEventLoop]:
    try:
        return [asyncio.get_running_loop()]  # also in a signal handler
    except RuntimeError:
        return []


ACCOUNT = Account()


def drain_streams() -> int:
    """End all responses of their own in this process, in order where their format allows; how many there were.

    For a shutdown: servers wait for open responses before they tell the application to end, and
    an endless one keeps them waiting. Call it from a signal handler, from any thread.

    A response that begins later is refused with 503, since there are requests on their way: in the
    event loop of the caller, and in every one that had a response before. Other loops begin afresh.
    """
    return ACCOUNT.drain()


def stream_statistics() -> StreamStatistics:
    """How many responses of their own are open in this process, how many ended and why."""
    return ACCOUNT.statistics()

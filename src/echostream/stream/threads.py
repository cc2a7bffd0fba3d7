"""The threads of synchronous sources: how many there may be, and how many there are."""

from __future__ import annotations

import contextvars
import os
import threading
import weakref
from collections.abc import Callable
from typing import NamedTuple

from ..exceptions import InvalidSetting, SourcesBusy

__all__ = ["SOURCE_THREADS", "SourceStatistics", "SourceThreads"]


class SourceStatistics(NamedTuple):
    """Synchronous sources: `open` now, of these `abandoned` (not closed in time, still running), `refused` so far."""

    open: int
    abandoned: int
    refused: int


_all: weakref.WeakSet[SourceThreads] = weakref.WeakSet()


class SourceThreads:
    """The threads of synchronous sources. `limit`: how many there may be at once.

    An abandoned source counts until its thread has ended. Safe from any thread; bound to no loop.
    Raises `InvalidSetting` for a limit below 1.
    """

    def __init__(self, limit: int = 256) -> None:
        if limit < 1:
            raise InvalidSetting("limit", f"must be 1 or more, not {limit}")
        self._limit = limit
        self.begin()
        _all.add(self)

    def begin(self) -> None:
        """Count none: at first, and after a fork, whose child has none of the threads and a lock that one may hold."""
        self._lock = threading.Lock()
        self._made = 0
        self._open: set[int] = set()
        self._abandoned: set[int] = set()
        self._refused = 0

    def statistics(self) -> SourceStatistics:
        """The figures now."""
        with self._lock:
            return SourceStatistics(len(self._open), len(self._abandoned), self._refused)

    def start(self, work: Callable[[], None], ended: Callable[[], None]) -> int:
        """Call `work` on a new thread, in a copy of the caller's context; then, with the place free again, `ended`.

        Returns the thread's number. Raises `SourcesBusy`, also where the machine has no more threads.
        """
        with self._lock:
            if len(self._open) >= self._limit:
                self._refused += 1
                raise SourcesBusy(self._limit)
            self._made = number = self._made + 1
            self._open.add(number)
        context = contextvars.copy_context()

        def run() -> None:
            try:
                context.run(work)
            finally:
                self._leave(number)
                ended()

        try:
            threading.Thread(target=run, name=f"echostream-source-{number}", daemon=True).start()
        except RuntimeError as error:
            self._leave(number)
            with self._lock:
                self._refused += 1
                raise SourcesBusy(len(self._open)) from error
        return number

    def abandon(self, number: int) -> None:
        """Nobody waits any longer for the end of this thread."""
        with self._lock:
            if number in self._open:
                self._abandoned.add(number)

    def _leave(self, number: int) -> None:
        with self._lock:
            self._open.discard(number)
            self._abandoned.discard(number)


SOURCE_THREADS = SourceThreads()
"""Those of the process."""


def _begin_in_child() -> None:
    for threads in _all:
        threads.begin()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_in_child)

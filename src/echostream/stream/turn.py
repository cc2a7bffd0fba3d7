"""Turn: of the sources that make items faster than they are read, one makes them at a time.

Such a source waits for room, makes a window of items, and waits again. Many of them gain nothing by
making them at once, since one interpreter runs them all; and they lose. A cursor of sqlite3 lets
go of the interpreter for every row, so that with a hundred of them each row is a fight of a hundred
threads: together they made 1 MB/s of CSV, in turns 40.

Who has the turn may come to wait for something after all: a disk, a lock, another machine. Whoever
sees it kept for longer than `PATIENCE` takes it over, and the former goes on beside. So nobody
waits long for somebody who waits.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable

__all__ = ["PATIENCE", "TURN", "Turn"]

PATIENCE = 0.02
"""Seconds for which a turn may be kept while others wait; it is taken over after one to two of these."""

NOBODY = 0


class Turn:
    """Who may make items now: numbers from 1 up, each a turn. Safe from any thread."""

    def __init__(self, patience: float = PATIENCE) -> None:
        self._patience = patience
        self.begin()

    def begin(self) -> None:
        """Nobody has it: at first, and after a fork, whose child has locks that a thread of its parent held."""
        self._lock = threading.Lock()
        self._guard = threading.Lock()
        self._made = NOBODY
        self._holder = NOBODY

    def take(self, *, wanted: Callable[[], bool]) -> int:
        """Wait for the turn; its number, to be given back. 0: it is no longer `wanted`, or there are none to take."""
        if not _one_interpreter():
            return NOBODY
        seen = NOBODY
        while not self._lock.acquire(timeout=self._patience):
            if not wanted():
                return NOBODY
            with self._guard:
                if seen != NOBODY and self._holder == seen:
                    return self._next()  # taken over: the lock stays taken, and is now ours to release
                seen = self._holder
        with self._guard:
            return self._next()

    def give_back(self, number: int) -> None:
        """Let the next one have it, unless it was taken over. Nothing for 0."""
        if number == NOBODY:
            return
        with self._guard:
            if self._holder == number:
                self._holder = NOBODY
                self._lock.release()

    def _next(self) -> int:
        self._made += 1
        self._holder = self._made
        return self._made


def _one_interpreter() -> bool:
    """False where threads really run beside each other (free-threaded Python)."""
    enabled = getattr(sys, "_is_gil_enabled", None)
    return enabled is None or bool(enabled())


TURN = Turn()
"""That of the process."""

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=TURN.begin)

"""Synchronous sources, each on a thread of its own while it is open.

`next()` may block, so it is not called on the loop. All of a source's life, from the function that
makes it to its `close`, is on one thread, because much is bound to the thread that made it
(cursors and connections of sqlite3 above all). The thread is a daemon: a `next()` that never
returns does not keep the program from ending.

**The crossing.** The worker appends each item to a list as it is made; the loop cuts off what is
there. Both are one operation of the list, so nothing is lost and no lock is needed.

*The worker wakes the loop* only when it sleeps. The loop says that it will sleep (`_asleep`), then
looks once more whether there is something, then sleeps; the worker appends, then looks whether the
loop is asleep. Whichever comes first, the other sees it: an item appended before the loop's last
look is found by that look; one appended after it is appended after `_asleep` was set, and the
worker sees that. The worker takes the mark away when it wakes the loop, so there is one wake per
sleep. Where both happen the wake comes for nothing, and does nothing.

*The loop wakes the worker* in the same way, with the gate: the worker closes it, then looks once
more whether there is room, then waits; the loop makes room, then opens it.

*The end*, like everything the worker says, is said after the last item was appended, and the loop
looks for it before it counts the items. So nothing comes after the end.

**How far ahead.** `_room` is how many items may stand in the list. What the loop has given but the
reader has not taken counts as well, so never more than a window is ahead of the reader. Only the
loop asks the intake for its window; the worker reads `_room`. Of text and bytes no more than
`AHEAD_BYTES` stands in the list, and one item: then the worker waits until the loop has cut it off.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Any

from .base import Intake
from .reading import Reading, begin_reading, close_unread, refuse_made, runs_on_loop
from .sentinel import FLUSH, give
from .threads import SourceThreads
from .turn import TURN
from .weight import AHEAD_BYTES, WEIGHED, weight

__all__ = ["ThreadSource"]

MANY = 32
"""A source that filled a window of so many items is faster than its reader: it takes turns with others like it."""

LOOK_EVERY = 1.0
"""Seconds after which a worker without room looks whether its loop still exists: one that is closed wakes nobody."""


class ThreadSource:
    """A synchronous source: what `begin_reading` takes, or (`call`) a function that makes it.

    When the function returns something asynchronous, `pour` gives nothing, and `handed` is that:
    it is for the loop.
    """

    def __init__(self, thing: Any, name: str, *, threads: SourceThreads, call: bool = False) -> None:
        self.name = name
        self.handed: Any = None
        self._thing: Any = thing
        self._call = call
        self._threads = threads
        self._number: int | None = None  # of the thread; None before there is one
        # The loop's
        self._flushed: int = 0
        self._given = 0  # items that the reader need not have taken yet
        self._waiter: asyncio.Future[None] | None = None
        # The worker's; the loop reads them
        self._columns: Sequence[str] | None = None
        self._flushes = 0
        self._over = False  # no item comes any more
        self._ended = False  # and all is closed
        self._error: Exception | None = None
        self._close_error: Exception | None = None
        # Shared
        self._items: list[Any] = []
        self._room = 1
        self._gate = threading.Event()
        self._asleep = False
        self._closing = False
        self._turn = 0

    # --- on the loop

    async def pour(self, into: Intake) -> None:
        """Give each item as it is made.

        Raises `SourcesBusy`, what the source and `into` raise, and `InvalidInput` for what the
        function returns and nobody can have meant.
        """
        self._loop = asyncio.get_running_loop()
        self._room = max(1, into.window)
        self._number = self._threads.start(self._work, self._end)
        try:
            await self._drain(into)
        except BaseException:
            self._stop()  # now, not in `aclose`: the source is to begin its end at once
            raise
        error, self._error = self._error, None
        if error is not None:
            try:
                raise error
            finally:
                del error  # its traceback holds this frame

    async def aclose(self) -> None:
        """Close the source on its thread as soon as `next()` returns, and wait for the thread's end.

        May be cancelled: the source is then abandoned, and its thread ends when it can. Raises
        what closing raises.
        """
        if self._number is None:
            thing, self._thing = self._thing, None
            if not self._call:
                close_unread(thing)
            return
        try:
            while not self._ended:
                await self._sleep(lambda: self._ended)
        except BaseException:
            self._threads.abandon(self._number)
            raise
        if asyncio.iscoroutine(self.handed):
            self.handed.close()  # nobody came to await it
        error, self._close_error = self._close_error, None
        if error is not None:
            try:
                raise error
            finally:
                del error

    async def _drain(self, into: Intake) -> None:
        while True:
            over = self._over
            count = len(self._items)
            self._describe(into)
            if count:
                await self._give(count, into)
            elif over:
                return
            else:
                await self._sleep(lambda: self._items or self._over)

    def _describe(self, into: Intake) -> None:
        if self._columns is not None:
            into.describe(self._columns)
            self._columns = None

    async def _give(self, count: int, into: Intake) -> None:
        window = into.window
        self._given += count
        self._room = window - self._given
        items = self._items[:count]
        del self._items[:count]
        flushes = 0 if self._flushes == self._flushed else sum(1 for item in items if item is FLUSH)
        if flushes:
            self._flushed += flushes
            self._given = await give(items, into)
        elif into.take_all(items) or self._given >= window:
            items.clear()  # kept here, they would stay in memory while the reader is behind
            await into.settle()
            self._given = 0
        self._room = max(1, into.window - self._given)
        if not self._gate.is_set():
            self._gate.set()

    async def _sleep(self, stirred: Callable[[], object]) -> None:
        waiter = self._waiter = self._loop.create_future()
        self._asleep = True
        if not stirred():
            await waiter
        self._asleep = False

    def _rouse(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # --- on either side

    def _stop(self) -> None:
        """Nobody wants more: let the worker see it at its next look for room."""
        self._closing = True
        self._room = 0
        self._gate.set()

    # --- on the thread

    def room(self) -> int:
        """How many items may come next (`Desk`)."""
        return max(1, self._room - len(self._items))

    def describe(self, columns: Sequence[str]) -> None:
        """Name the cells of the rows (`Desk`)."""
        self._columns = columns

    def _work(self) -> None:
        reading: Reading | None = None
        try:
            reading = self._begin()
            if reading is not None:
                self._read(reading)
        except BaseException as error:  # noqa: BLE001  raised by `pour`
            self._error = _as_carried(error)
        self._give_turn_back()
        self._over = True
        if self._asleep:
            self._wake()
        if reading is not None and reading.close is not None:
            try:
                reading.close()
            except BaseException as error:  # noqa: BLE001  raised by `aclose`
                self._close_error = _as_carried(error)

    def _begin(self) -> Reading | None:
        """What to read; None when nothing is to be read here."""
        thing, self._thing = self._thing, None
        if self._call:
            thing = thing()
            if runs_on_loop(thing):
                self.handed = thing
                return None
            refuse_made(thing)
        return begin_reading(thing, self)

    def _read(self, reading: Reading) -> None:
        items = self._items
        add: Callable[[Any], None] = items.extend if reading.batches else items.append
        if not self._has_room():
            return
        heavy = 0
        for item in reading.items:
            if item is FLUSH:
                self._flushes += 1  # before it can be found in the list
            add(item)
            if self._asleep:
                self._wake()
            if type(item) in WEIGHED:
                heavy += weight(item)
                if heavy >= AHEAD_BYTES:
                    heavy = 0
                    if not self._has_room(1):
                        return
            item = None  # noqa: PLW2901  the reader may be behind for long, and this may be a thousand rows
            if len(items) >= self._room and not self._has_room():
                return

    def _has_room(self, most: int = sys.maxsize) -> bool:
        """Wait until fewer items stand in the list than `_room` and `most`; false when nobody wants more."""
        waited = False
        while len(self._items) >= min(self._room, most):
            waited = True
            self._give_turn_back()
            if self._closing:
                return False
            self._gate.clear()
            if len(self._items) < min(self._room, most) or self._closing:
                continue
            if not self._gate.wait(LOOK_EVERY) and self._loop.is_closed():
                return False
        if waited and self._room >= MANY:
            self._turn = TURN.take(wanted=lambda: not self._closing)
        return not self._closing

    def _give_turn_back(self) -> None:
        turn, self._turn = self._turn, 0
        TURN.give_back(turn)

    def _wake(self) -> None:
        self._asleep = False
        try:
            self._loop.call_soon_threadsafe(self._rouse)
        except RuntimeError:  # the loop is closed
            self._stop()

    def _end(self) -> None:
        self._ended = True
        if self._asleep:
            self._wake()


def _as_carried(error: BaseException) -> Exception:
    """`error` as `pour` may raise it.

    Without our own frames, which hold the source. What would mean something else where it is
    raised (the task was cancelled or closed, the program is to exit) is the cause of a `RuntimeError`.
    """
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_frame.f_globals is globals():
        traceback = traceback.tb_next
    error.__traceback__ = traceback
    if isinstance(error, Exception):
        return error
    carried = RuntimeError(f"the source raised {error!r}")
    carried.__cause__ = error
    return carried

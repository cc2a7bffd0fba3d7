"""What the testing tools wait with: a signal for conditions, and words for what did not come."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

__all__ = ["NotInTime", "Signal", "told_task"]


class NotInTime(AssertionError):
    """Something did not happen within its time; the text says what was waited for, and what had come."""


class Signal:
    """Wakes whoever waits for a condition; the condition itself is looked at again by them."""

    def __init__(self) -> None:
        self._waiters: set[asyncio.Future[None]] = set()

    def notify(self) -> None:
        """Something has changed."""
        waiters, self._waiters = self._waiters, set()
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def until(self, condition: Callable[[], object]) -> None:
        """Return when `condition()` holds."""
        while not condition():
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.add(waiter)
            try:
                await waiter
            finally:
                self._waiters.discard(waiter)


def told_task(task: asyncio.Task[Any]) -> str:
    """A task's name, and the innermost line at which it waits."""
    waits: Any = task.get_coro()
    where = ""
    while waits is not None:  # down the chain of awaits, as far as it is made of coroutines
        frame = getattr(waits, "cr_frame", None) or getattr(waits, "ag_frame", None)
        if frame is not None:
            where = f" waits at {frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_qualname}"
        waits = getattr(waits, "cr_await", None) or getattr(waits, "ag_await", None)
    return f"{task.get_name()}{where}"

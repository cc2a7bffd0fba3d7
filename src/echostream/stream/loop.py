"""Sources that are poured on the loop itself: nothing in them can block it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Iterable
from itertools import islice
from typing import Any

from .base import Intake
from .sentinel import END, FLUSH, give

__all__ = ["AsyncSource", "MemorySource", "QueueSource"]


class _NeverRaised(Exception):
    """Stands for what this Python does not have."""


# Python 3.13
_ShutDown: type[Exception] = getattr(asyncio, "QueueShutDown", _NeverRaised)


class AsyncSource:
    """An async iterable. It runs, and is closed, in the task that pours it: a generator may hold a cancel scope."""

    def __init__(self, items: AsyncIterable[Any], name: str) -> None:
        self.name = name
        self._items = items
        # One that was handed over but never poured is closed all the same.
        self._iterator: AsyncIterator[Any] | None = items if isinstance(items, AsyncIterator) else None

    async def pour(self, into: Intake) -> None:
        """Give each item as it comes. Raises what the iterator and `into` raise."""
        self._iterator = iterator = aiter(self._items)
        take = into.take
        async for item in iterator:
            if item is FLUSH:
                await into.flush()
            elif take(item):
                await into.settle()

    async def aclose(self) -> None:
        """Close the iterator, where it can be. Raises what that raises."""
        iterator, self._iterator = self._iterator, None
        close = getattr(iterator, "aclose", None)
        if close is not None:
            await close()


class QueueSource:
    """An `asyncio.Queue`, until END or until it is shut down. What is there at once is given at once.

    An item counts as done (`Queue.join`) when the reader has room for more.
    """

    def __init__(self, queue: asyncio.Queue[Any], name: str) -> None:
        self.name = name
        self._queue = queue

    async def pour(self, into: Intake) -> None:
        """Give what is put into the queue. Raises what `into` raises."""
        ended = False
        while not ended:
            try:
                item = await self._queue.get()
            except _ShutDown:
                return
            items, ended = self._gather(item, max(1, into.window))
            try:
                if items:
                    await give(items, into)
            finally:
                for _ in range(len(items) + ended):
                    self._queue.task_done()

    def _gather(self, item: Any, limit: int) -> tuple[list[Any], bool]:
        """`item` and what stands behind it, at most `limit`; whether END came."""
        items: list[Any] = []
        while item is not END:
            items.append(item)
            if len(items) >= limit or self._queue.empty():
                return items, False
            item = self._queue.get_nowait()
        return items, True

    async def aclose(self) -> None:
        """Leave the queue as it is: it belongs to whoever puts into it."""


class MemorySource:
    """Items that are in memory already, in slices of the intake's window."""

    def __init__(self, items: Iterable[Any], name: str) -> None:
        self.name = name
        self._items = items

    async def pour(self, into: Intake) -> None:
        """Give all of them. Raises what `into` raises, and `RuntimeError` for a set or dict changed meanwhile."""
        iterator = iter(self._items)
        while items := list(islice(iterator, max(1, into.window))):
            await give(items, into)

    async def aclose(self) -> None:
        """Nothing is held."""

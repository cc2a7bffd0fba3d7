"""An intake in the test's own hands: it keeps the items, and lets its reader stall."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from echostream.exceptions import ClientGone

__all__ = ["HandIntake"]


class HandIntake:
    """Takes items; after each `window` of them (`by_item`: after each call) the source must settle.

    While `held`, nothing settles: the reader stalls. `read` is how many items the reader has taken,
    `items` all that were given. `calls` counts `take` and `take_all`. It fails the source that breaks
    the contract: giving before it settled, describing late or twice, giving nothing.
    """

    def __init__(self, window: int = 4, *, by_item: bool = False, held: bool = False) -> None:
        self.window = window
        self.items: list[Any] = []
        self.columns: list[str] | None = None
        self.flushed_at: list[int] = []
        self.read = 0
        self.calls = 0
        self.settles = 0
        self.gone = False
        self._by_item = by_item
        self._unsettled = False
        self._open = asyncio.Event()
        if not held:
            self._open.set()

    def hold(self) -> None:
        """The reader stalls from here on."""
        self._open.clear()

    def release(self) -> None:
        """The reader goes on."""
        self._open.set()

    def describe(self, columns: Sequence[str]) -> None:
        assert self.columns is None, "described twice"
        assert not self.items, "described after the first item"
        self.columns = list(columns)

    def take(self, item: Any) -> bool:
        return self.take_all([item])

    def take_all(self, items: Sequence[Any]) -> bool:
        assert items, "nothing was given"
        assert not self._unsettled, "given before it settled"
        if self.gone:
            raise ClientGone("the reader has left")
        self.calls += 1
        self.items.extend(items)
        self._unsettled = self._by_item or len(self.items) - self.read >= self.window
        return self._unsettled

    async def settle(self) -> None:
        self.settles += 1
        await asyncio.sleep(0)
        await self._open.wait()
        self.read = len(self.items)
        self._unsettled = False

    async def flush(self) -> None:
        await self.settle()
        self.flushed_at.append(len(self.items))

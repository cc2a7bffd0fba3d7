"""Batch: when the items of a body leave, and as what bytes. Pure: the time is an argument.

Formats that people watch (events, text) leave item by item. Rows are gathered, because a write
for each costs more than making it: they leave when 64 KiB are there or the oldest has waited
50 ms. The first item leaves at once in any case, so that the first byte is early.

Encoding many rows at once is several times cheaper than one by one, so their size is known only
afterwards. The batch therefore counts items: its `window` is how many of the size seen so far
make one write. It begins at one and grows sixteenfold at most, so a source of large items is
never asked for many of them before their size is known.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..exceptions import InvalidItem
from ..wire.body import BodyEncoder
from .weight import WEIGHED, weight, weight_of_all

__all__ = ["GROWTH", "MOST_ITEMS", "Batch"]

MOST_ITEMS = 1024
"""The largest window: more items in one write would not be cheaper."""

LOOK_EVERY = 16
"""A source that never lets the loop turn is held to the age by a look at the clock, at so many items."""

GROWTH = 16


class Batch:
    """Items that have not left yet. `due_at` is when they must at the latest; None while there are none.

    `window` is how many may be gathered, `items` how many have left. `failure` is set by `take`
    when it came to an item that the format cannot carry.
    """

    __slots__ = ("_age", "_by_item", "_encoder", "_size", "_waiting", "_weight", "due_at", "failure", "items", "window")

    def __init__(self, encoder: BodyEncoder, *, size: int, age: float) -> None:
        self.due_at: float | None = None
        self.failure: InvalidItem | None = None
        self.items = 0
        self.window = 1
        self._encoder = encoder
        self._size = size
        self._age = age
        self._by_item = encoder.by_item
        self._waiting: list[Any] = []
        self._weight = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def add_early(self, item: Any) -> bool:
        """Gather a row that cannot fill the batch, without a look at the clock; false: `add` it."""
        count = len(self._waiting) + 1
        if count % LOOK_EVERY and count < self.window and type(item) not in WEIGHED:
            self._waiting.append(item)
            return True
        return False

    def add(self, item: Any, now: float) -> bool:
        """Gather an item; true when the batch is to leave now."""
        self._waiting.append(item)
        if type(item) in WEIGHED:
            self._weight += weight(item)
        if self.due_at is None:
            self.due_at = now + self._age
        return self._by_item or len(self._waiting) >= self.window or self._weight >= self._size or now >= self.due_at

    def add_all(self, items: Sequence[Any], now: float) -> bool:
        """Gather items that are there at once."""
        self._waiting.extend(items)
        self._weight += weight_of_all(items)
        if self.due_at is None:
            self.due_at = now + self._age
        return self._by_item or len(self._waiting) >= self.window or self._weight >= self._size or now >= self.due_at

    def take(self) -> bytes:
        """The bytes of what was gathered, up to the first item that cannot be encoded: then `failure` is set."""
        items, self._waiting, self.due_at = self._waiting, [], None
        self._weight = 0
        if not items or self.failure is not None:
            return b""
        try:
            data = self._encoder.encode(items)
        except InvalidItem:
            return self._take_good_ones(items)
        self.items += len(items)
        if not self._by_item:
            self._learn(len(items), len(data))
        return data

    def _take_good_ones(self, items: list[Any]) -> bytes:
        # Rare, so one by one: what stands before the bad item was made in order and is delivered.
        parts: list[bytes] = []
        for item in items:
            try:
                parts.append(self._encoder.encode([item]))
            except InvalidItem as error:
                self.failure = InvalidItem(error.reason, item=self.items + 1)
                self.failure.__cause__ = error.__cause__
                break
            self.items += 1
        return b"".join(parts)

    def _learn(self, items: int, size: int) -> None:
        fitting = self._size * items // max(size, 1)
        self.window = max(1, min(fitting, self.window * GROWTH, MOST_ITEMS))

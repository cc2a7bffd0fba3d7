"""Weight: what can be said of an item's size before it is encoded.

A window counts items, by the size of those before. Text and bytes say their own size, so no more
than `AHEAD_BYTES` of them, and one more, waits in one place, however small the ones before were.
A row would have to be looked through for that, which costs as much as encoding it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

__all__ = ["AHEAD_BYTES", "WEIGHED", "weight", "weight_of_all"]

AHEAD_BYTES = 64 * 1024
"""How much text or bytes a thread makes before the loop has taken it. Of text, characters count."""

WEIGHED: frozenset[type] = frozenset({str, bytes, bytearray, memoryview})
"""What has a weight; all else weighs nothing. Hot loops ask this first."""


def weight(item: Any) -> int:
    """The bytes, or characters, of an item whose type is in `WEIGHED`."""
    return item.nbytes if type(item) is memoryview else len(item)


def weight_of_all(items: Sequence[Any]) -> int:
    """The weight of items, of which there is at least one. All are taken to be of a kind with the first."""
    if type(items[0]) not in WEIGHED:
        return 0
    return sum(weight(item) for item in items if type(item) in WEIGHED)

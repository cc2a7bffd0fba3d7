"""FLUSH and END: two words that stand among items and are none."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final

from .base import Intake

__all__ = ["END", "FLUSH", "Sentinel", "give"]


class Sentinel:
    """Each has one instance, so it is known by `is`, whatever the items think of `==`.

    No Enum: that has a JSON form, so one that stands where it means nothing would be sent.
    """

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    def __repr__(self) -> str:
        return self._name


FLUSH: Final = Sentinel("FLUSH")
"""Yielded by a source: send all that was made so far, now."""

END: Final = Sentinel("END")
"""Put into a queue: the stream ends here."""


async def give(items: Sequence[Any], into: Intake) -> int:
    """Give items that are there already, with FLUSH among them; how many of them the reader need not have taken yet.

    The loop turns at least once, so that a source which never waits does not keep it to itself.
    """
    begin = 0
    for at, item in enumerate(items):
        if item is FLUSH:
            if begin < at and into.take_all(items[begin:at]):
                await into.settle()
            await into.flush()
            begin = at + 1
    rest = items[begin:] if begin else items
    if rest and into.take_all(rest):
        await into.settle()
        return 0
    await asyncio.sleep(0)
    return len(rest)

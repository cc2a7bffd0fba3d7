"""Idempotency: what makes a publisher's retry harmless.

A key is remembered under its scope (the topics published to, the publisher, the word) with
a digest of what was published and the offsets that were given. Both bounds, 10 minutes and
100,000 keys, drop the oldest first: a key's age is that of its first append, and is not
renewed by repeats.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from ..event import Event
from ..exceptions import IdempotencyConflict
from .base import IDEMPOTENCY_KEYS, IDEMPOTENCY_SECONDS, IdempotencyKey

__all__ = ["Keys", "Remembered", "scope_of"]


class Remembered(NamedTuple):
    """The first append under a key: `events` offsets from `first`, made at `time` (milliseconds since 1970)."""

    digest: bytes
    first: int
    events: int
    time: int

    def offsets(self, key: IdempotencyKey, digest: bytes) -> list[int]:
        """What a repeat is answered. Raises `IdempotencyConflict` when it is another publication."""
        if digest != self.digest:
            raise IdempotencyConflict(key.text)
        return list(range(self.first, self.first + self.events))


def scope_of(key: IdempotencyKey, events: Sequence[Event]) -> bytes:
    """16 bytes for a key within its topics and publisher (hashed, so that all are of one small size)."""
    topics = sorted({event.topic or "" for event in events})
    parts = (key.text, key.publisher, topics)
    return hashlib.blake2b(msgspec.msgpack.encode(parts), digest_size=16).digest()


class Keys:
    """The keys remembered, oldest first. Pure: `now` (milliseconds since 1970) is an argument."""

    def __init__(self, limit: int = IDEMPOTENCY_KEYS, seconds: float = IDEMPOTENCY_SECONDS) -> None:
        self._limit = limit
        self._span = int(seconds * 1000)
        self._kept: OrderedDict[bytes, Remembered] = OrderedDict()

    def get(self, scope: bytes, now: int) -> Remembered | None:
        """What was published under `scope`, unless it is too old."""
        self.forget(now)
        remembered = self._kept.get(scope)
        if remembered is None or now - remembered.time >= self._span:
            return None
        return remembered

    def put(self, scope: bytes, remembered: Remembered) -> None:
        """Remember a first append; the oldest key goes when there are too many."""
        self._kept.pop(scope, None)  # so that it stands at the end also when it was there
        self._kept[scope] = remembered
        if len(self._kept) > self._limit:
            self._kept.popitem(last=False)

    def forget(self, now: int) -> None:
        """Drop what is at the front and older than the span."""
        while self._kept:
            remembered = next(iter(self._kept.values()))
            if now - remembered.time < self._span:
                return
            self._kept.popitem(last=False)

    def __len__(self) -> int:
        return len(self._kept)

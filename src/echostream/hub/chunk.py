"""Chunk: whole events gathered into one write. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

__all__ = ["Chunk", "chunked", "framed"]


class Chunk(NamedTuple):
    """Bytes for one write: `events` whole events, the last at `offset`."""

    data: bytes
    offset: int
    events: int


def chunked(encoded: Iterable[tuple[int, bytes]], separator: bytes, limit: int) -> Iterator[Chunk]:
    """Gather encoded events into chunks of at most `limit` bytes, or one event that is larger."""
    parts: list[bytes] = []
    size = last = 0
    for offset, data in encoded:
        if parts and size + len(data) > limit:
            yield Chunk(separator.join(parts), last, len(parts))
            parts, size = [], 0
        parts.append(data)
        size += len(data) + len(separator)
        last = offset
    if parts:
        yield Chunk(parts[0] if len(parts) == 1 else separator.join(parts), last, len(parts))


def framed(data: bytes) -> bytes:
    """`data` as one chunk of the chunked transfer coding (RFC 9112, section 7.1)."""
    return b"%x\r\n%b\r\n" % (len(data), data)

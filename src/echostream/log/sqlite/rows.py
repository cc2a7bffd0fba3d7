"""How an entry is written in a row: one JSON text, `[crc, [offset, time, topic, ...]]`. Pure.

The CRC-32 is over the bytes of the inner array, which holds every field and the offset, so
an entry that was damaged, or stands where another should, is never taken for a good one.
A page of rows is read as one text (the bodies joined by commas) in one step of SQLite:
each step gives up the interpreter's lock, and getting it back from a busy loop takes up to
5 ms, which row by row made a page of 500 take seconds.
"""

from __future__ import annotations

import zlib

import msgspec

from ...event import Event
from ...exceptions import InvalidEvent
from ..base import Entry

__all__ = ["DamagedError", "decode", "encode"]


class DamagedError(Exception):
    """A row's body is not what was written."""


class _Fields(msgspec.Struct, frozen=True, array_like=True, gc=False, forbid_unknown_fields=True):
    offset: int
    time: int
    topic: str
    data: str | None
    json: bool
    event: str | None
    key: str | None
    retry: int | None
    end: bool


_encode = msgspec.json.Encoder().encode
_bodies = msgspec.json.Decoder(list[tuple[int, msgspec.Raw]])
_fields = msgspec.json.Decoder(_Fields)


def encode(offset: int, time: int, event: Event) -> str:
    """The body of an entry's row."""
    fields = (offset, time, event.topic, event.data, event.json, event.event, event.key, event.retry, event.end)
    inner = _encode(fields)
    return f"[{zlib.crc32(inner)},{inner.decode()}]"


def decode(joined: bytes, epoch: str) -> list[Entry]:
    """The entries of bodies joined by commas. Raises `DamagedError` when any of them is not as written."""
    entries: list[Entry] = []
    try:
        for crc, inner in _bodies.decode(b"[" + joined + b"]"):
            if zlib.crc32(inner) != crc:
                raise DamagedError
            row = _fields.decode(inner)
            event = Event.from_log(
                data=row.data,
                json=row.json,
                event=row.event,
                id=f"{epoch}.{row.offset}",
                topic=row.topic,
                retry=row.retry,
                key=row.key,
                time=row.time,
                end=row.end,
            )
            entries.append(Entry(row.offset, event))
    except (msgspec.MsgspecError, UnicodeDecodeError, InvalidEvent) as error:
        raise DamagedError from error
    return entries

"""The envelope: one JSON object on one line that carries a whole event.

    {"id":"k3v9x0q2ab.1041","topic":"orders/eu","event":null,"data":{"n":1},"time":"2026-01-02T03:04:05.678Z","key":null}

All members are always there, in this order. `data` is the JSON value byte for byte as it was
published, or a JSON string when the event is text.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache

import msgspec

from ..event import Event
from ..exceptions import DecodeError, InvalidEvent

__all__ = ["envelope", "one_line", "parse_envelope", "time_text"]

# A JSON string cannot hold a raw CR or LF (RFC 8259, section 7), so each one stands between
# tokens and can go, with the indentation behind it. Re-encoding would change numbers.
_BREAKS = re.compile(r"[\r\n]+[ \t]*")


class _Envelope(msgspec.Struct, gc=False):
    id: str | None
    topic: str | None
    event: str | None
    data: msgspec.Raw | str | None
    time: str | None
    key: str | None


class _EnvelopeIn(msgspec.Struct, gc=False):
    data: msgspec.Raw
    id: str | None = None
    topic: str | None = None
    event: str | None = None
    time: datetime | None = None
    key: str | None = None


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(_EnvelopeIn).decode


def envelope(event: Event) -> bytes:
    """The event's envelope, without a line break at its end or anywhere in it."""
    data: msgspec.Raw | str | None = event.data
    if event.json and event.data is not None:
        data = msgspec.Raw(one_line(event.data).encode())
    time = None if event.time is None else time_text(event.time)
    return _encode(_Envelope(event.id, event.topic, event.event, data, time, event.key))


def parse_envelope(line: bytes | str) -> Event:
    """The event that an envelope carries; members that we do not know are passed over.

    Raises `DecodeError` for what is no envelope, and for an event that could not have been published.
    """
    try:
        found = _decode(line)
        raw = bytes(found.data)
        text: str = msgspec.json.decode(raw, type=str) if raw.startswith(b'"') else raw.decode()
        time = None if found.time is None else round(found.time.timestamp() * 1000)
        return Event(
            data=text, json=not raw.startswith(b'"'),
            id=found.id, topic=found.topic, event=found.event, time=time, key=found.key,
        )  # fmt: skip
    except (ValueError, RecursionError, msgspec.MsgspecError, InvalidEvent) as error:
        raise DecodeError(f"no envelope of an event: {error}") from None


def one_line(json: str) -> str:
    """JSON text on one line; numbers, strings and order as they are."""
    if "\n" in json or "\r" in json:
        return _BREAKS.sub("", json)
    return json


def time_text(time: int) -> str:
    """Milliseconds since 1970 as RFC 3339 in UTC: `2026-01-02T03:04:05.678Z`."""
    second, milliseconds = divmod(time, 1000)
    return f"{_second_text(second)}.{milliseconds:03d}Z"


@lru_cache(maxsize=16)  # at thousands of events a second nearly all share theirs
def _second_text(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")

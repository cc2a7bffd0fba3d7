"""Event: one immutable item, checked when it is made.

An event that exists is one that every format can carry: no field can forge another
field, another event or the end of a stream. So the encoders need no checks of their own.
"""

from __future__ import annotations

import re
from copy import copy
from typing import Any

import msgspec

from .exceptions import InvalidEvent

__all__ = ["MAX_JSON_DEPTH", "MAX_KEY_BYTES", "MAX_NAME_BYTES", "RESERVED_PREFIX", "Event", "json_error"]

MAX_NAME_BYTES = 256
MAX_KEY_BYTES = 256
RESERVED_PREFIX = "stream-"
"""Event names that begin so are control events; only echostream itself sends them."""

MAX_JSON_DEPTH = 200

_STRING = re.compile(r'"(?:[^"\\]|\\.)*+"', re.DOTALL)
_BRACKET = re.compile(r"[][{}]")

MAX_RETRY = 2**31 - 1  # browsers keep the reconnection time in a signed 32-bit number
MAX_TIME = 253_402_300_799_999  # the last millisecond of the year 9999: RFC 3339 ends there


class Event(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One item of a stream.

    `data` is text. With `json` it is a JSON value kept byte for byte as it came, so that
    numbers and the order of keys survive; `Event.of(value)` and `Event.from_json(text)`
    make such events. `data` is None only in an event that does nothing but `end` its topic.

    `id` (`epoch.offset`), `topic` and `time` (milliseconds since 1970, UTC) are given by the
    log. `event` is the type name, `key` what a conflating reader keeps the newest of,
    `retry` a reconnection delay in milliseconds. `end` finishes the topic.

    Raises `InvalidEvent`: `json` with data that is not JSON; CR, LF or NUL in `event`, `id` or
    `key`; a name that begins with `stream-`; text that is no Unicode (lone surrogates); `retry`
    or `time` out of range.
    """

    data: str | None
    json: bool = False
    event: str | None = None
    id: str | None = None
    topic: str | None = None
    retry: int | None = None
    key: str | None = None
    time: int | None = None
    end: bool = False

    def __post_init__(self) -> None:
        if self.data is None:
            if not self.end:
                raise InvalidEvent("data", "missing; only an event that ends its topic may have none")
        else:
            _check_unicode("data", self.data)
            if self.json and (error := json_error(self.data)) is not None:
                raise InvalidEvent("data", f"not JSON: {error}")
        if self.event is not None:
            _check_name("event", self.event, MAX_NAME_BYTES)
            if self.event.startswith(RESERVED_PREFIX):
                raise InvalidEvent(
                    "event", f"names that begin with {RESERVED_PREFIX!r} are reserved for control events"
                )
        if self.key is not None:
            _check_name("key", self.key, MAX_KEY_BYTES)
        if self.id is not None:
            _check_name("id", self.id, MAX_NAME_BYTES)
        if self.retry is not None:
            _check_milliseconds("retry", self.retry, MAX_RETRY)
        if self.time is not None:
            _check_milliseconds("time", self.time, MAX_TIME)

    @classmethod
    def of(cls, value: Any, **fields: Any) -> Event:
        """An event of a Python value: a `str` as text, an `Event` as it is, anything else as JSON.

        Raises `InvalidEvent` for bytes and for what has no JSON form.
        """
        if isinstance(value, Event):
            return msgspec.structs.replace(value, **fields) if fields else value
        if isinstance(value, str):
            return cls(data=value, **fields)
        if isinstance(value, bytes | bytearray | memoryview):
            raise InvalidEvent("data", "is bytes; decode them to text first")
        try:
            text = msgspec.json.encode(value).decode()
        except (TypeError, ValueError, RecursionError, msgspec.MsgspecError) as error:
            raise InvalidEvent("data", f"has no JSON form: {error}") from None
        return cls(data=text, json=True, **fields)

    @classmethod
    def from_json(cls, text: str, **fields: Any) -> Event:
        """An event of JSON text, validated and kept as it is. Raises `InvalidEvent`."""
        return cls(data=text, json=True, **fields)

    @classmethod
    def read(cls, text: str, **fields: Any) -> Event:
        """An event of text that people typed or piped: JSON when it is one JSON value, else text."""
        event = cls(data=text, **fields)
        return event if json_error(text) else event._trusted(json=True)

    @classmethod
    def from_log(cls, *, json: bool, **fields: Any) -> Event:
        """An event that a log kept: its JSON was checked when it was published, and is not parsed again."""
        event = cls(**fields)
        return event._trusted(json=True) if json else event

    def stamped(self, *, id: str | None, topic: str, time: int) -> Event:
        """The same event with what a log gives to it."""
        return copy(self)._trusted(id=id, topic=topic, time=time)

    def _trusted(self, **fields: Any) -> Event:
        """Set fields of an event that nobody else has yet, without the checks: they cost more than the copy."""
        for name, value in fields.items():
            msgspec.structs.force_setattr(self, name, value)
        return self

    @property
    def size(self) -> int:
        """About how many bytes the event takes when kept: the figure that bounds count."""
        size = 0
        for text in (self.data, self.event, self.key, self.topic):
            if text is not None:
                size += len(text) if text.isascii() else len(text.encode())  # asked several times on an event's way
        return size


def json_error(text: str) -> str | None:
    """Why `text` is not one JSON value (RFC 8259) that can be kept, or None when it is."""
    if _too_deep(text):
        return f"nested deeper than {MAX_JSON_DEPTH}"
    try:
        msgspec.json.decode(text)
    except (ValueError, RecursionError, msgspec.MsgspecError) as error:
        return str(error)
    return None


def _too_deep(text: str) -> bool:
    """Whether JSON is nested deeper than `MAX_JSON_DEPTH`.

    A bound of our own: parsers differ in what they stand (CPython 3.11 and 3.13 do), and an
    event that one reader's parser cannot take must not be kept for all of them.
    """
    if text.count("[") + text.count("{") <= MAX_JSON_DEPTH:
        return False
    depth = 0
    for bracket in _BRACKET.findall(_STRING.sub("", text)):
        depth += 1 if bracket in "[{" else -1
        if depth > MAX_JSON_DEPTH:
            return True
    return False


def _check_name(field: str, text: str, limit: int) -> None:
    # A line break in a name would begin a field of the attacker's choice in SSE; NUL in
    # an id makes browsers drop it (WHATWG 9.2.6). An error, never a repair.
    for char, called in (("\r", "CR"), ("\n", "LF"), ("\0", "NUL")):
        if char in text:
            raise InvalidEvent(field, f"{called} is not allowed")
    _check_unicode(field, text)
    if len(text.encode()) > limit:
        raise InvalidEvent(field, f"longer than {limit} bytes")


def _check_milliseconds(field: str, value: int, limit: int) -> None:
    # By its type: what else can be compared (1.5, True) would go out as text that no reader takes for a number.
    if type(value) is not int or not 0 <= value <= limit:
        raise InvalidEvent(field, f"must be a whole number, 0 to {limit} milliseconds, not {value!r}")


def _check_unicode(field: str, text: str) -> None:
    if text.isascii():
        return
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InvalidEvent(field, "is not valid Unicode (a lone surrogate)") from None

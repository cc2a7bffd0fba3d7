"""A batch to publish: NDJSON lines `{"data", "event"?, "key"?}` to events, all or none, and back.

Strict on purpose. A member that nobody knows is a misspelt one (`"evnet"`), and a member
given twice means one thing to us and another to the next parser: both are errors with the
line's number, before anything is published.
"""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec

from ..event import MAX_JSON_DEPTH, Event
from ..exceptions import InvalidEvent, TooLarge
from .envelope import one_line

__all__ = ["MAX_BATCH_EVENTS", "batch_line", "parse_batch"]

MAX_BATCH_EVENTS = 1_000

_MEMBERS = (b'"data"', b'"event"', b'"key"')
_PATH = re.compile(r" - at `\$\.(\w+)`")
_UNKNOWN = re.compile(r"unknown field `(.*)`", re.DOTALL)


class _Line(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    data: msgspec.Raw
    event: str | None = None
    key: str | None = None


class _LineOut(msgspec.Struct, omit_defaults=True, gc=False):
    data: msgspec.Raw | str
    event: str | None = None
    key: str | None = None


_decode = msgspec.json.Decoder(_Line).decode
_encode = msgspec.json.Encoder().encode


def parse_batch(body: bytes, *, topic: str | None = None, max_events: int = MAX_BATCH_EVENTS) -> list[Event]:
    """The events of a batch, each with `topic`.

    `data` is kept byte for byte, but a JSON string becomes text. `event` and `key` may be null.
    Empty lines are skipped; the last line needs no LF.

    Raises `InvalidEvent` with the `line` (from 1): not UTF-8, not JSON, no object, `data`
    missing, a member unknown, of a wrong type or given twice, a field that `Event` refuses.
    `InvalidEvent` for a batch without any event, `TooLarge` for more than `max_events`.
    """
    lines = [(number, line) for number, line in enumerate(body.split(b"\n"), 1) if line.strip(b" \t\r")]
    if not lines:
        raise InvalidEvent("batch", 'is empty; send one JSON object a line, such as {"data": 1}')
    if len(lines) > max_events:
        raise TooLarge("batch", size=len(lines), limit=max_events, unit="events")
    return [_parse_line(line, number, topic) for number, line in lines]


def batch_line(event: Event) -> bytes:
    """The line, with its LF, that publishes `event` (its `data` is not None) in a batch."""
    data: msgspec.Raw | str = event.data or ""
    if event.json:
        data = msgspec.Raw(one_line(data).encode())
    return _encode(_LineOut(data, event.event, event.key)) + b"\n"


def _parse_line(line: bytes, number: int, topic: str | None) -> Event:
    try:
        line.decode()  # msgspec looks at UTF-8 only in the strings it makes, not in what it keeps raw
    except UnicodeDecodeError:
        raise InvalidEvent("batch", "is not valid UTF-8", line=number) from None
    try:
        parsed = _decode(line)
    except msgspec.ValidationError as error:
        raise _explained(str(error), number) from None
    except RecursionError:  # where the interpreter stands more, `Event` refuses it in the same words
        raise InvalidEvent("data", f"not JSON: nested deeper than {MAX_JSON_DEPTH}", line=number) from None
    except (ValueError, msgspec.MsgspecError) as error:
        raise InvalidEvent("batch", f"not JSON: {error}", line=number) from None
    _refuse_duplicates(line, number)
    raw = bytes(parsed.data)
    try:
        if raw.startswith(b'"'):
            return Event(data=msgspec.json.decode(raw), event=parsed.event, key=parsed.key, topic=topic)
        return Event.from_json(raw.decode(), event=parsed.event, key=parsed.key, topic=topic)
    except InvalidEvent as error:
        raise InvalidEvent(error.field, error.reason, line=number) from None
    except (ValueError, msgspec.MsgspecError) as error:  # an escaped lone surrogate
        raise InvalidEvent("data", f"not a string that can be kept: {error}", line=number) from None


def _explained(text: str, number: int) -> InvalidEvent:
    if "missing required field" in text:
        return InvalidEvent(
            "data", 'is missing; each line is {"data": ...}, with "event" and "key" where you want', line=number
        )
    if match := _UNKNOWN.search(text):
        return InvalidEvent(match[1][:40], "is not known; a line has data, event and key", line=number)
    if match := _PATH.search(text):
        return InvalidEvent(match[1], text[: match.start()], line=number)
    return InvalidEvent("batch", 'each line must be an object, such as {"data": 1}', line=number)


def _refuse_duplicates(line: bytes, number: int) -> None:
    # msgspec takes the last of two members and says nothing. A name can occur twice only
    # where its letters do, or in escapes; only such lines are parsed again, pair by pair.
    if all(line.count(name) <= 1 for name in _MEMBERS) and b"\\u" not in line:
        return
    pairs: list[tuple[str, Any]] = []

    def remember(found: list[tuple[str, Any]]) -> None:
        pairs[:] = found  # called for inner objects first: the last call is the line's own

    try:
        json.loads(line, object_pairs_hook=remember, parse_int=str, parse_float=str)
    except RecursionError:  # its depth is another than msgspec's
        raise InvalidEvent("data", "is nested too deeply", line=number) from None
    names = [name for name, _ in pairs]
    for name in names:
        if names.count(name) > 1:
            raise InvalidEvent(name, "is given twice", line=number)

"""A body of NDJSON: each item on a line of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from ...exceptions import InvalidItem
from ..control import Control, StreamEnd
from ..ndjson import NDJSON
from .culprit import all_or_none
from .json_items import Default, JsonItems

__all__ = ["NdjsonBody"]

_END = NDJSON.control(StreamEnd(reason="finished"))


class _Line(msgspec.Struct):
    stream: Any = None


_line = msgspec.json.Decoder(_Line).decode


class NdjsonBody:
    """Items are any values that have a JSON form; an `Event` is its envelope, a row with named cells an object.

    `default` is asked for values that JSON does not know (see `JsonItems`). With `end_line` a
    whole body ends with the line `{"stream":"end","reason":"finished"}`, so that a reader
    can tell it from a cut one where the transport cannot say so; no item may then look like it.
    """

    name = "ndjson"
    media_type = NDJSON.media_type
    by_item = False
    heartbeat = NDJSON.heartbeat
    tells_end = False

    def __init__(self, default: Default | None = None, *, end_line: bool = False) -> None:
        self._json = JsonItems(default)
        self._end_line = end_line

    def __repr__(self) -> str:
        return f"NdjsonBody(end_line={self._end_line})"

    def describe(self, columns: Sequence[str]) -> None:
        """Rows that are tuples or lists are objects from here on."""
        self._json.describe(columns)

    def encode(self, items: Sequence[Any]) -> bytes:
        """The lines. Raises `InvalidItem`, and then nothing has changed."""
        return all_or_none(self._lines, items)

    def finish(self) -> bytes:
        """The end line, when it was asked for."""
        return _END if self._end_line else b""

    def control(self, control: Control, *, id: str | None = None) -> bytes:
        """A control event as a line."""
        return NDJSON.control(control, id=id)

    def _lines(self, items: Sequence[Any]) -> bytes:
        body = self._json.lines(items)
        if self._end_line and b'"stream"' in body and b'"end"' in body:
            for line in body.split(b"\n"):
                if line.startswith(b"{") and _line(line).stream == "end":
                    raise InvalidItem('has a member "stream" that is "end", as the line that ends the body; rename it')
        return body

"""A body of server-sent events: the data alone, as `wire.sse` sends it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...event import MAX_RETRY, Event
from ...exceptions import InvalidItem, InvalidSetting
from ..control import Control
from ..sse import SSE
from .culprit import all_or_none
from .json_items import JsonItems
from .records import BINARY

__all__ = ["RESERVED_SUFFIX", "SseBody"]

RESERVED_SUFFIX = ".end"
"""An id that ends so tells the reader that the stream is over; only echostream itself sends it."""


class SseBody:
    """Items are `Event`s, texts, or any value that has a JSON form.

    `retry`: what the reader is told to wait before it comes back, in seconds; it stands before
    the first event. Raises `InvalidSetting` when it is no time that a browser can keep.
    """

    name = "sse"
    media_type = "text/event-stream; charset=utf-8"
    by_item = True
    heartbeat = SSE.heartbeat
    tells_end = True

    def __init__(self, retry: float | None = None) -> None:
        self._opening = b""
        if retry is not None:
            if not 0 <= retry <= MAX_RETRY / 1000:  # also false for NaN
                raise InvalidSetting("retry", f"must be 0 to {MAX_RETRY // 1000} seconds, not {retry!r}")
            self._opening = b"retry: %d\n\n" % round(retry * 1000)
        self._json = JsonItems()

    def __repr__(self) -> str:
        return "SseBody()"

    def describe(self, columns: Sequence[str]) -> None:
        """Rows that are tuples or lists are objects from here on."""
        self._json.describe(columns)

    def encode(self, items: Sequence[Any]) -> bytes:
        """The events. Raises `InvalidItem`, and then nothing has changed."""
        return self._opened(all_or_none(self._events, items))

    def finish(self) -> bytes:
        """Nothing: what ends a stream of events is a control event."""
        return b""

    def control(self, control: Control, *, id: str | None = None) -> bytes:
        """A control event at the position `id`."""
        return self._opened(SSE.control(control, id=id))

    def _opened(self, body: bytes) -> bytes:
        opening, self._opening = self._opening, b""
        return opening + body

    def _events(self, items: Sequence[Any]) -> bytes:
        return b"".join([SSE.event(self._event(item)) for item in items])

    def _event(self, item: Any) -> Event:
        if isinstance(item, Event):
            return _checked(item)
        if isinstance(item, str):
            return Event(data=str.__str__(item))  # an Enum of texts has another str()
        if isinstance(item, BINARY):
            raise InvalidItem(f"is of type {type(item).__name__}, which an event cannot carry; decode it to text first")
        # As text, since msgspec has just made it: reading it again to check it would cost more than all the rest.
        return Event(data=self._json.one(item).decode())


def _checked(event: Event) -> Event:
    if event.data is None:
        raise InvalidItem("is an event without data, which only ends a topic; end the source instead")
    if event.id is not None and event.id.endswith(RESERVED_SUFFIX):
        raise InvalidItem(
            f"has the id {event.id!r}; one that ends in {RESERVED_SUFFIX!r} tells the reader that the stream is over"
        )
    return event

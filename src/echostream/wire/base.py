"""The two protocols of this room: bytes out of events, events out of bytes. Both are pure."""

from __future__ import annotations

from typing import Protocol

from ..event import Event
from .control import Control

__all__ = ["Encoder"]


class Encoder(Protocol):
    """Events to bytes, without state: an event's bytes are the same for every reader, so they are made once.

    A whole body is `opening`, the events joined by `separator`, `closing`. Only formats
    where `live` is true can be followed; the others need an end.
    """

    name: str
    media_type: str
    live: bool
    opening: bytes
    separator: bytes
    closing: bytes
    heartbeat: bytes
    """What keeps an idle connection alive without meaning anything; empty where the format has no such thing."""

    def event(self, event: Event) -> bytes:
        """The bytes of one event (its `data` is not None)."""
        ...

    def control(self, control: Control, *, id: str | None = None, retry: int | None = None) -> bytes:
        """The bytes of a control event at the position `id`; empty where the format cannot say it."""
        ...

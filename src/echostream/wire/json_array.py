"""A JSON array of envelopes: for a body that has an end. No events at all are `[]`."""

from __future__ import annotations

from ..event import Event
from .control import Control
from .envelope import envelope

__all__ = ["JSON_ARRAY", "JsonArrayEncoder"]


class JsonArrayEncoder:
    """Envelopes in an array. It cannot be followed, and has no place for control events."""

    name = "json"
    media_type = "application/json"
    live = False
    opening = b"["
    separator = b","
    closing = b"]"
    heartbeat = b""

    def __repr__(self) -> str:
        return "JSON_ARRAY"

    def event(self, event: Event) -> bytes:
        return envelope(event)

    def control(self, control: Control, *, id: str | None = None, retry: int | None = None) -> bytes:  # noqa: ARG002 (the protocol)
        return b""


JSON_ARRAY = JsonArrayEncoder()

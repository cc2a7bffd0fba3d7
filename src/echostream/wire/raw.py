"""Text: the data of each event and LF, nothing else. For people, `grep` and `tail`."""

from __future__ import annotations

from ..event import Event
from .control import Control

__all__ = ["TEXT", "TextEncoder"]


class TextEncoder:
    """Data alone. It cannot say control events, so what it cannot tell must end the stream."""

    name = "text"
    media_type = "text/plain"
    live = True
    opening = b""
    separator = b""
    closing = b""
    heartbeat = b""

    def __repr__(self) -> str:
        return "TEXT"

    def event(self, event: Event) -> bytes:
        return f"{event.data or ''}\n".encode()

    def control(self, control: Control, *, id: str | None = None, retry: int | None = None) -> bytes:  # noqa: ARG002 (the protocol)
        return b""


TEXT = TextEncoder()

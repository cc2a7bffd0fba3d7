"""Server-sent events (WHATWG HTML, section 9.2): events to bytes.

Only LF ends lines, no BOM is sent, and `id` is sent only with `data`: an id alone would move
a browser's position without an event, and only a control event may do that.
"""

from __future__ import annotations

import msgspec

from ..event import Event
from .control import Control, facts
from .envelope import envelope

__all__ = ["SSE", "SSE_ENVELOPE", "SseEncoder"]

_encode = msgspec.json.Encoder().encode


class SseEncoder:
    """`SSE` sends an event's data alone, `SSE_ENVELOPE` the envelope as its data.

    Both name the event's type in the field `event`, so that `addEventListener` works. In data
    sent alone CR and CRLF arrive as LF: the format has one line end. The envelope keeps them.
    """

    name = "sse"
    media_type = "text/event-stream"
    live = True
    opening = b""
    separator = b""
    closing = b""
    heartbeat = b":\n\n"

    def __init__(self, envelope: bool) -> None:
        self.envelope = envelope

    def __repr__(self) -> str:
        return f"SseEncoder(envelope={self.envelope})"

    def event(self, event: Event) -> bytes:
        head = _head(event.event, event.id, event.retry)
        if self.envelope:
            return b"%sdata: %s\n\n" % (head.encode(), envelope(event))
        data = event.data or ""
        if "\r" in data:
            data = data.replace("\r\n", "\n").replace("\r", "\n")
        if "\n" in data:
            # Never str.splitlines: it also breaks at U+2028, form feed and five more.
            data = data.replace("\n", "\ndata: ")
        return f"{head}data: {data}\n\n".encode()

    def control(self, control: Control, *, id: str | None = None, retry: int | None = None) -> bytes:
        head = _head(f"stream-{control.word}", id, retry)
        return b"%sdata: %s\n\n" % (head.encode(), _encode(facts(control)))


def _head(event: str | None, id: str | None, retry: int | None) -> str:
    head = "" if event is None else f"event: {event}\n"
    if id is not None:
        head += f"id: {id}\n"
    if retry is not None:
        head += f"retry: {retry}\n"
    return head


SSE = SseEncoder(envelope=False)
SSE_ENVELOPE = SseEncoder(envelope=True)

"""NDJSON: one envelope a line; control events are lines that begin with the member `stream`.

No event can forge a control line: an envelope has no member `stream`, and its data is nested.
"""

from __future__ import annotations

from typing import Any

import msgspec

from ..event import Event
from .control import Control, facts
from .envelope import envelope

__all__ = ["NDJSON", "NdjsonEncoder"]

_encode = msgspec.json.Encoder().encode


class NdjsonEncoder:
    """Envelopes and control events as lines. An idle stream is kept alive by empty lines."""

    name = "ndjson"
    media_type = "application/x-ndjson"
    live = True
    opening = b""
    separator = b""
    closing = b""
    heartbeat = b"\n"

    def __repr__(self) -> str:
        return "NDJSON"

    def event(self, event: Event) -> bytes:
        return envelope(event) + b"\n"

    def control(self, control: Control, *, id: str | None = None, retry: int | None = None) -> bytes:
        """`{"stream":"open","id":...,"retry":...,...}`; what `stream-open` calls `stream` is `stream_id` here."""
        line: dict[str, Any] = {"stream": control.word}
        if id is not None:
            line["id"] = id
        if retry is not None:
            line["retry"] = retry
        for name, value in facts(control).items():
            line["stream_id" if name == "stream" else name] = value
        return _encode(line) + b"\n"


NDJSON = NdjsonEncoder()

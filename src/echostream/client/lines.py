"""A hub's body to events and control events: SSE with envelopes or NDJSON. Pure; one for all our clients."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import msgspec

from ..event import RESERVED_PREFIX, Event
from ..exceptions import DecodeError
from ..wire import Control, NdjsonDecoder, SseDecoder, SseMessage, parse_control, parse_envelope

__all__ = ["Format", "NdjsonLines", "Received", "SseLines", "lines_for"]

Format = Literal["sse", "ndjson"]


_MAX_RETRY = 10**15  # ms; a number of 400 digits has no seconds that a float can hold


class Received(NamedTuple):
    """One event or control event, and the position that its reader has when it is taken ("" for none)."""

    item: Event | Control
    position: str


class SseLines:
    """A body of SSE: `feed` its bytes. Raises `DecodeError` for what no hub of ours sends."""

    media_type = "text/event-stream"

    def __init__(self, position: str) -> None:
        self._decoder = SseDecoder(last_event_id=position)

    @property
    def retry(self) -> float | None:
        """The reconnection time asked for, in seconds."""
        return None if self._decoder.retry is None else self._decoder.retry / 1000

    @property
    def position(self) -> str:
        """Where the reader is when everything given so far is taken."""
        return self._decoder.last_event_id

    def feed(self, data: bytes) -> list[Received]:
        received: list[Received] = []
        for message in self._decoder.feed(data):
            item = self._read(message)
            if item is not None:
                received.append(Received(item, message.last_event_id))
        return received

    def _read(self, message: SseMessage) -> Event | Control | None:
        if message.event.startswith(RESERVED_PREFIX):
            return parse_control(message.event.removeprefix(RESERVED_PREFIX), _json(message.data))
        return parse_envelope(message.data)


class NdjsonLines:
    """The same for a body of NDJSON."""

    media_type = "application/x-ndjson"

    def __init__(self, position: str) -> None:
        self._decoder = NdjsonDecoder()
        self.position = position
        self.retry: float | None = None

    def feed(self, data: bytes) -> list[Received]:
        received: list[Received] = []
        for line in self._decoder.feed(data):
            item = self._read(line)
            if item is not None:
                received.append(Received(item, self.position))
        return received

    def _read(self, line: bytes) -> Event | Control | None:
        # Ours begin so, and an envelope never does; anything else falls through to be refused.
        if not line.startswith(b'{"stream":'):
            event = parse_envelope(line)
            self.position = event.id or self.position
            return event
        told = _json(line)
        word, position, retry = told.pop("stream"), told.pop("id", None), told.pop("retry", None)
        if isinstance(position, str):
            self.position = position
        if isinstance(retry, int) and retry >= 0:
            self.retry = min(retry, _MAX_RETRY) / 1000
        told["stream"] = told.pop("stream_id", None)
        return parse_control(str(word), told)


def lines_for(format: Format, position: str) -> SseLines | NdjsonLines:
    """A reader of one connection's body that begins at `position` ("" for none)."""
    return SseLines(position) if format == "sse" else NdjsonLines(position)


def _json(text: str | bytes) -> dict[str, Any]:
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except (ValueError, RecursionError, msgspec.MsgspecError) as error:
        raise DecodeError(f"a control event that is no JSON object: {error}") from None

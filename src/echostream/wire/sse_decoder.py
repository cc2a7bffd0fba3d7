"""Server-sent events (WHATWG HTML, sections 9.2.5 and 9.2.6): bytes to events, incrementally.

Lines end with CR, LF or CRLF: bytes that no UTF-8 sequence of several bytes contains. So
lines are cut as bytes and only values are decoded, each as a whole; a character cut by the
network needs no care, and bounds are counted in the bytes that came. CR at the end of one
`feed` ends its line at once; an LF that opens the next one then belongs to it.
"""

from __future__ import annotations

from typing import NamedTuple

from ..exceptions import DecodeError

__all__ = ["MAX_EVENT_BYTES", "SseDecoder", "SseMessage"]

MAX_EVENT_BYTES = 16 * 1024 * 1024

_BOM = b"\xef\xbb\xbf"
_MAX_RETRY_DIGITS = 15  # 10**15 ms are 30,000 years; int() of a million digits is an attack


class SseMessage(NamedTuple):
    """What a browser's `MessageEvent` would be: `event` is its type, "message" when none was named."""

    event: str
    data: str
    last_event_id: str


class SseDecoder:
    """Feed it the body's bytes in any pieces; it gives the events that are whole.

    `last_event_id` is the id to come back with; `retry` the reconnection time in milliseconds
    that the stream asked for, None until it did. What stands after the last blank line is no
    event and is never given. A new connection needs a new decoder: pass it the former one's
    `last_event_id`.

    `max_bytes` bounds one event that is not finished: its data and the line that is under way.
    """

    __slots__ = (
        "_after_cr",
        "_data",
        "_error",
        "_first",
        "_held",
        "_id",
        "_line",
        "_max_bytes",
        "_type",
        "last_event_id",
        "retry",
    )

    def __init__(self, *, last_event_id: str = "", max_bytes: int = MAX_EVENT_BYTES) -> None:
        self.last_event_id = last_event_id
        self.retry: int | None = None
        self._max_bytes = max_bytes
        self._line: list[bytes] = []  # the line under way, in the pieces that came
        self._data: list[bytes] = []
        self._held = 0  # bytes in both
        self._type = b""
        self._id = last_event_id
        self._after_cr = False
        self._first = True
        self._error: DecodeError | None = None

    def feed(self, data: bytes) -> list[SseMessage]:
        """The events that these bytes complete, in order.

        Raises `DecodeError` when an event is over `max_bytes`; events before it are given
        first, so that how the bytes were cut changes nothing.
        """
        if self._error is not None:
            raise self._error
        if self._after_cr and data:
            self._after_cr = False
            if data.startswith(b"\n"):
                data = data[1:]
        if not data:
            return []
        if b"\r" in data:
            self._after_cr = data.endswith(b"\r")
            data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        lines = data.split(b"\n")
        rest = lines.pop()
        messages: list[SseMessage] = []
        if lines:
            if self._line:
                self._held -= sum(map(len, self._line))
                lines[0] = b"".join(self._line) + lines[0]
                self._line.clear()
            if self._first:
                self._first = False
                lines[0] = lines[0].removeprefix(_BOM)
            self._take(lines, messages)
        if rest:
            self._line.append(rest)
            self._held += len(rest)
            if self._held > self._max_bytes:
                self._overflow()
        if self._error is not None and not messages:
            raise self._error
        return messages

    def _take(self, lines: list[bytes], messages: list[SseMessage]) -> None:
        for line in lines:
            if not line:
                self._dispatch(messages)
                continue
            if self._held + len(line) > self._max_bytes:
                self._overflow()
                return
            name, _, value = line.partition(b":")
            if value.startswith(b" "):
                value = value[1:]
            if name == b"data":
                self._data.append(value)
                # The whole line counts: a flood of empty `data` lines must be bounded too.
                self._held += len(line)
            elif name:  # else a comment
                self._field(name, value)

    def _field(self, name: bytes, value: bytes) -> None:
        if name == b"event":
            self._type = value
        elif name == b"id":
            if b"\0" not in value:
                self._id = value.decode(errors="replace")
        elif name == b"retry" and value.isdigit():  # bytes.isdigit: ASCII digits, at least one
            digits = value.lstrip(b"0") or b"0"
            self.retry = int(digits) if len(digits) <= _MAX_RETRY_DIGITS else 10**_MAX_RETRY_DIGITS

    def _dispatch(self, messages: list[SseMessage]) -> None:
        self.last_event_id = self._id  # 9.2.6 moves the id before it looks at the data
        if self._data:
            data = b"\n".join(self._data).decode(errors="replace")
            event = self._type.decode(errors="replace") or "message"
            messages.append(SseMessage(event, data, self._id))
            self._data.clear()
        self._type = b""
        self._held = 0

    def _overflow(self) -> None:
        self._error = DecodeError(f"an event of the stream is over {self._max_bytes} bytes")
        self._line.clear()
        self._data.clear()

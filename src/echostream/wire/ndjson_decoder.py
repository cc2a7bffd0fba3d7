"""NDJSON: bytes to lines, incrementally. A line is given when its LF has come, and not before."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from ..exceptions import DecodeError

__all__ = ["MAX_LINE_BYTES", "LastLine", "NdjsonDecoder"]

MAX_LINE_BYTES = 16 * 1024 * 1024


class LastLine(NamedTuple):
    """What stood after the last LF. `parses`: whether it is JSON, which a cut number (`12` of `123`) is too."""

    line: bytes
    parses: bool


class NdjsonDecoder:
    """Feed it the body's bytes in any pieces; it gives whole lines, without their ends, as bytes.

    Empty lines (heartbeats) are skipped, CR before LF is dropped. `max_bytes` bounds one line.
    """

    __slots__ = ("_error", "_held", "_line", "_max_bytes")

    def __init__(self, *, max_bytes: int = MAX_LINE_BYTES) -> None:
        self._max_bytes = max_bytes
        self._line: list[bytes] = []
        self._held = 0
        self._error: DecodeError | None = None

    def feed(self, data: bytes) -> list[bytes]:
        """The lines that these bytes complete.

        Raises `DecodeError` for a line over `max_bytes`; lines before it are given first.
        """
        if self._error is not None:
            raise self._error
        lines = data.split(b"\n")
        rest = lines.pop()
        whole: list[bytes] = []
        if lines:
            if self._line:
                lines[0] = b"".join(self._line) + lines[0]
                self._line.clear()
                self._held = 0
            for line in lines:
                if len(line) > self._max_bytes:
                    self._overflow()
                    break
                if line := line.removesuffix(b"\r"):
                    whole.append(line)
        if rest:
            self._line.append(rest)
            self._held += len(rest)
            if self._held > self._max_bytes:
                self._overflow()
        if self._error is not None and not whole:
            raise self._error
        return whole

    def finish(self) -> LastLine | None:
        """The body has ended: what stood after the last LF, or None when nothing did."""
        line = b"".join(self._line).removesuffix(b"\r")
        self._line.clear()
        self._held = 0
        if not line:
            return None
        try:
            msgspec.json.decode(line)
        except (ValueError, RecursionError, msgspec.MsgspecError):
            return LastLine(line, parses=False)
        return LastLine(line, parses=True)

    def _overflow(self) -> None:
        self._error = DecodeError(f"a line of the stream is over {self._max_bytes} bytes")
        self._line.clear()

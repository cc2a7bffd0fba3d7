"""Position: where a reader is in a log, and the text of it that is sent as SSE `id`.

The text is `epoch.offset`: `k3v9x0q2ab.1041`. The epoch is a random word made when the
log is born; the offset counts entries and only grows. A position says "everything up to
here is done", so offset 0 is before the first entry.
"""

from __future__ import annotations

import re
import secrets
from typing import NamedTuple

from .exceptions import InvalidPosition

__all__ = ["MAX_OFFSET", "Position", "new_epoch"]

MAX_OFFSET = 2**63 - 1  # what SQLite, Redis and JavaScript's BigInt columns can hold

_TEXT = re.compile(r"([a-z0-9]{1,32})\.(0|[1-9][0-9]{0,18})", re.ASCII)
_ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789"


class Position(NamedTuple):
    """A place in one log: everything up to and including `offset` is done."""

    epoch: str
    offset: int

    def __str__(self) -> str:
        return f"{self.epoch}.{self.offset}"

    @classmethod
    def parse(cls, text: str) -> Position:
        """The position that `text` names. Raises `InvalidPosition`."""
        match = _TEXT.fullmatch(text)
        if match is None:
            shown = text if len(text) <= 40 else text[:40] + "..."
            raise InvalidPosition("position", f"{shown!r} is not of the form epoch.offset")
        offset = int(match[2])
        if offset > MAX_OFFSET:
            raise InvalidPosition("position", f"the offset is over {MAX_OFFSET}")
        return cls(match[1], offset)


def new_epoch() -> str:
    """A random word of 10 letters and digits (51 bits), for a log that is born."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(10))

"""What the tests of bodies share: items cut into calls, heartbeats between them, and values that misbehave."""

from __future__ import annotations

import enum
import io
import itertools
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from hypothesis import strategies as st

from echostream.wire import BodyEncoder

__all__ = ["Chunks", "Color", "MappedRow", "Word", "body_of", "cut", "texts"]


class Word(str):
    """A text of another type, with another `str()`."""

    __slots__ = ()

    def __str__(self) -> str:
        return "not the text"


class Color(str, enum.Enum):  # noqa: UP042 (a StrEnum is easier: its str() is its value)
    RED = "=red"


class MappedRow(Sequence[Any]):
    """As a row of SQLAlchemy is: a sequence, and `_mapping` calls its cells by their names."""

    def __init__(self, a: Any, b: Any) -> None:
        self._cells = (a, b)

    @property
    def _mapping(self) -> Mapping[str, Any]:
        return MappingProxyType(dict(zip("ab", self._cells, strict=True)))

    def __getitem__(self, place: Any) -> Any:
        return self._cells[place]

    def __len__(self) -> int:
        return len(self._cells)


def cut(items: Sequence[Any], places: Sequence[int]) -> Iterator[Sequence[Any]]:
    """The items in calls, none of them empty."""
    edges = sorted({0, len(items), *(place % (len(items) + 1) for place in places)})
    for start, end in itertools.pairwise(edges):
        yield items[start:end]


def body_of(encoder: BodyEncoder, items: Sequence[Any], *, places: Sequence[int] = (), beats: bool = False) -> bytes:
    """The whole body of these items, encoded in calls, with heartbeats wherever they may stand."""
    beat = encoder.heartbeat if beats else b""
    return beat + b"".join(encoder.encode(part) + beat for part in cut(items, places)) + encoder.finish() + beat


class Chunks(io.RawIOBase):
    """A file that gives a body as a socket would: a few bytes at each read. `given` counts them."""

    def __init__(self, body: bytes, size: int) -> None:
        self._body = body
        self._size = size
        self.given = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        piece = self._body[self.given : self.given + min(self._size, len(buffer))]
        buffer[: len(piece)] = piece
        self.given += len(piece)
        return len(piece)


# What some reader takes for a delimiter, a quote, a line end, a formula or a comment, next to any other text.
_NASTY = st.sampled_from(
    [",", ";", "|", "\t", '"', '""', "'", "\r", "\n", "\r\n", "=", "+", "-", "@", "-5", "+1.5e3", "1", ".", "e", "inf",
     "nan", "\uff1d", "\uff0b", "\uff0d", "\uff20", " ", "#", "\\", "\0", "\u2028", "\x85", "\x0b", "\x0c", "\x1c",
     "\ufeff", "%", "%s", "{", "}", "[", "]", "\N{PILE OF POO}", "data: "]
)  # fmt: skip
texts = st.lists(_NASTY | st.text(st.characters(exclude_categories=["Cs"]), max_size=4), max_size=5).map("".join)

"""Bodies that are nothing but their items: text, and bytes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...exceptions import InvalidItem, InvalidSetting
from ..control import Control
from .culprit import all_or_none
from .records import BINARY

__all__ = ["BytesBody", "TextBody"]


class _RawBody:
    """What the two share: they say nothing but their items."""

    heartbeat = b""
    tells_end = False

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"

    def describe(self, columns: Sequence[str]) -> None:
        """The names have no place here."""

    def finish(self) -> bytes:
        """Nothing."""
        return b""

    def control(self, control: Control, *, id: str | None = None) -> bytes:  # noqa: ARG002 (the protocol)
        """Nothing: it would be taken for a part of the body."""
        return b""


class TextBody(_RawBody):
    """Items are texts, sent as UTF-8 with nothing between them. People watch it, so each leaves at once."""

    name = "text"
    media_type = "text/plain; charset=utf-8"
    by_item = True

    def encode(self, items: Sequence[Any]) -> bytes:
        """The texts. Raises `InvalidItem` for anything that is no text."""
        return all_or_none(_texts, items)


class BytesBody(_RawBody):
    """Items are bytes, bytearrays or memoryviews, sent as they are.

    Raises `InvalidSetting` for a `media_type` that is no header's value.
    """

    name = "bytes"
    by_item = False

    def __init__(self, media_type: str = "application/octet-stream") -> None:
        if not media_type.isascii() or not media_type.isprintable() or "/" not in media_type:
            raise InvalidSetting("media_type", f"must be printable ASCII as 'image/png', not {media_type!r}")
        self.media_type = media_type

    def encode(self, items: Sequence[Any]) -> bytes:
        """The bytes. Raises `InvalidItem` for anything else."""
        return all_or_none(_bytes, items)


def _texts(items: Sequence[Any]) -> bytes:
    for item in items:
        if not isinstance(item, str):
            raise InvalidItem(
                f"is of type {type(item).__name__}, not text; yield str, or use a format that takes values"
            )
    return "".join(items).encode()


def _bytes(items: Sequence[Any]) -> bytes:
    for item in items:
        if isinstance(item, str):
            raise InvalidItem("is text, not bytes; encode it, or use the format for text")
        if not isinstance(item, BINARY):
            raise InvalidItem(f"is of type {type(item).__name__}, not bytes; yield bytes, bytearray or memoryview")
    # A view may have gaps between its bytes, and join() does not take those.
    return b"".join([item.tobytes() if isinstance(item, memoryview) else item for item in items])

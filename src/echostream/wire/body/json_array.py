"""A body that is one JSON array, sent while it is made. Whole it is valid JSON; cut it is not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..control import Control
from .culprit import all_or_none
from .json_items import Default, JsonItems

__all__ = ["JsonArrayBody"]


class JsonArrayBody:
    """Items are any values that have a JSON form, as in `NdjsonBody`; `[]` when there are none.

    `default` is asked for values that JSON does not know (see `JsonItems`).
    """

    name = "json"
    media_type = "application/json"
    by_item = False
    heartbeat = b"\n"  # white space may stand between any two tokens (RFC 8259, section 2)
    tells_end = False

    def __init__(self, default: Default | None = None) -> None:
        self._json = JsonItems(default)
        self._begun = False

    def __repr__(self) -> str:
        return "JsonArrayBody()"

    def describe(self, columns: Sequence[str]) -> None:
        """Rows that are tuples or lists are objects from here on."""
        self._json.describe(columns)

    def encode(self, items: Sequence[Any]) -> bytes:
        """The members. Raises `InvalidItem`, and then nothing has changed."""
        members = all_or_none(self._json.members, items, joint=b",")
        opening = b"," if self._begun else b"["
        self._begun = True
        return opening + members

    def finish(self) -> bytes:
        """The bracket that closes the array; both when nothing came before."""
        return b"]" if self._begun else b"[]"

    def control(self, control: Control, *, id: str | None = None) -> bytes:  # noqa: ARG002 (the protocol)
        """Nothing: an array has no place for it."""
        return b""

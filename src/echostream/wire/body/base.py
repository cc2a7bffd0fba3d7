"""The protocol of this room: the items of one response to bytes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from ..control import Control

__all__ = ["BodyEncoder"]


class BodyEncoder(Protocol):
    """Items to the bytes of one body. Pure, with the little state that a body has: a header written, a bracket open.

    A whole body is all that `encode` gave, then `finish`. Between two calls a `heartbeat` may
    stand, also before the first and before `finish`.
    """

    @property
    def name(self) -> str:
        """The format's word: sse, ndjson, json, csv, text, bytes."""
        ...

    @property
    def media_type(self) -> str:
        """The whole value of `Content-Type`, with its charset where the type has one.

        It can say more once the first items are encoded: CSV then knows whether it has a header row.
        """
        ...

    @property
    def by_item(self) -> bool:
        """Whether each item is to leave when it is made; else items are gathered by size and age."""
        ...

    @property
    def heartbeat(self) -> bytes:
        """What keeps an idle connection alive without meaning anything; empty where the format has no such thing."""
        ...

    @property
    def tells_end(self) -> bool:
        """Whether the body itself says how it ended, so that it may end in order even after an error."""
        ...

    def describe(self, columns: Sequence[str]) -> None:
        """The source names the cells of its rows. Called at most once, before the first item.

        Raises `InvalidItem` for names that the format cannot carry.
        """
        ...

    def encode(self, items: Sequence[Any]) -> bytes:
        """The bytes of these items, in order; at least one item.

        Raises `InvalidItem` and nothing else, whatever an item's own code raised; `item` is the first
        bad one's place in this sequence, from 1. Then nothing has changed: the items before it can
        be encoded again, and will be.
        """
        ...

    def finish(self) -> bytes:
        """What ends a whole body."""
        ...

    def control(self, control: Control, *, id: str | None = None) -> bytes:
        """The bytes of a control event; empty where the format cannot say it."""
        ...

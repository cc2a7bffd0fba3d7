"""The two protocols of this room: where items come from, and where they go."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

__all__ = ["Intake", "Source"]


class Intake(Protocol):
    """Where a source puts its items: the body of one response. It has one writer, in the response's own loop.

    `take` and `take_all` never wait; when they answer true, the source awaits `settle` before it
    gives more. That is the back-pressure: `settle` returns when the reader has taken enough.
    """

    @property
    def window(self) -> int:
        """How many items may be made ahead of what the reader took; it follows the size of the items seen."""
        ...

    def describe(self, columns: Sequence[str]) -> None:
        """Name the cells of the rows to come; before the first item."""
        ...

    def take(self, item: Any) -> bool:
        """Take an item."""
        ...

    def take_all(self, items: Sequence[Any]) -> bool:
        """Take items that are there already, in order; at least one."""
        ...

    async def settle(self) -> None:
        """Wait until more may come; lets the loop turn at least once."""
        ...

    async def flush(self) -> None:
        """Send all that was taken now; returns when the server has taken the bytes."""
        ...


class Source(Protocol):
    """Items, wherever they come from. It is used once."""

    @property
    def name(self) -> str:
        """What it is, for messages to the people who run the program."""
        ...

    async def pour(self, into: Intake) -> None:
        """Give every item to `into`, and return after the last one.

        What was made before an error is given before the error is raised. Raises whatever the
        source raised, `SourcesBusy`, and what `into` raises.
        """
        ...

    async def aclose(self) -> None:
        """End the source and free what it holds. Idempotent.

        Called once `pour` has ended, however it did, and in the task that poured; or without
        `pour`, for a source that nobody wanted. May be cancelled: the source is then abandoned.
        Raises whatever the source raises in its clean-up.
        """
        ...

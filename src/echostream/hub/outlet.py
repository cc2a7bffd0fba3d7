"""Outlet: where bytes leave towards a socket. The protocol alone; its kinds live in `echostream.asgi`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

__all__ = ["Outlet"]


class Outlet(Protocol):
    """One connection's way out. It has one writer: the fan-out that it was given to.

    `full` is true while more bytes wait than the high mark allows: the fan-out then stops
    writing and keeps one number, the reader's position. `on_drained` is called each time
    `full` turns false, `on_gone` once, when the peer is gone or the outlet was closed from
    the other side. Neither is called from inside `write` or `close`.
    """

    on_drained: Callable[[], None]
    on_gone: Callable[[], None]

    @property
    def full(self) -> bool: ...

    def write(self, data: bytes) -> None:
        """Take `data`; never waits, never raises for a peer that is gone. `data` is shared: it is not changed."""
        ...

    def close(self, *, clean: bool) -> None:
        """End the body: with its proper ending after all bytes are out, or (not `clean`) cut so that it looks cut."""
        ...

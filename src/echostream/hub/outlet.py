"""Outlet: where bytes leave towards a socket. The protocol alone; its kinds live in `echostream.asgi`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

__all__ = ["Outlet"]


class Outlet(Protocol):
    """One connection's way out. It has one writer: the reader that it was given to.

    `full` is true while more bytes wait than the high mark allows: the reader then stops
    writing and keeps one number, its position. `waiting` is how many bytes wait in this
    process. `on_full` is called each time `full` turns true, from inside `write` and `push`;
    `on_drained` each time it turns false, `on_gone` once, when the peer is gone, neither from
    inside a method of the outlet. None is called after `close`.

    `push` is `write` for the fan-out: a bound method, the same as long as the outlet lives. Where
    `framed` is true it takes bytes that are chunks of HTTP/1.1 already, so that they are made once
    for all readers.
    """

    on_full: Callable[[], None]
    on_drained: Callable[[], None]
    on_gone: Callable[[], None]

    @property
    def framed(self) -> bool: ...

    @property
    def push(self) -> Callable[[bytes], None]: ...

    @property
    def full(self) -> bool: ...

    @property
    def waiting(self) -> int: ...

    def write(self, data: bytes) -> None:
        """Take `data`; never waits, never raises for a peer that is gone. `data` is shared: it is not changed."""
        ...

    def close(self, *, clean: bool) -> None:
        """End the body once all bytes are out: properly, or (not `clean`) cut so that it looks cut."""
        ...

    def abort(self) -> None:
        """Cut the body now; what waits is lost."""
        ...

"""TransportOutlet: the way out on a server that lends its transport. No task wakes up for a delivery.

A response asks for it by the scope's extension `echostream.outlet` (`echostream.asgi.uvicorn` offers
it). Its head and one empty piece of body go through `send` as always. When both came to the server
as they were sent, nothing in between changes the body, and the transport is lent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from ..exceptions import StreamAborted
from ..hub.chunk import framed
from .problem import Receive, Scope, Send

__all__ = ["EXTENSION", "TransportOutlet", "ask_for_transport"]

EXTENSION = "echostream.outlet"


def _nothing() -> None:
    """Nobody listens (yet, or any more)."""


async def ask_for_transport(scope: Scope, send: Send, *, linger: float) -> TransportOutlet | None:
    """The outlet of this connection's transport, when the server grants one; the head was just sent."""
    grant = scope.get("extensions", {}).get(EXTENSION)
    if grant is None:
        return None
    await send({"type": "http.response.body", "body": b"", "more_body": True})
    outlet: TransportOutlet | None = grant(linger)
    return outlet


class TransportOutlet:
    """An `Outlet` (see `echostream.hub.outlet`) that is a transport. `push` takes bytes in chunks of HTTP/1.1.

    `full` follows the transport's own flow control (64 KiB). `send_end` sends the proper end of the
    body, `linger` bounds the seconds that this may take. Its protocol tells `paused`, `resumed` and `lost`.
    """

    __slots__ = (
        "_ended",
        "_ending",
        "_linger",
        "_lost",
        "_send_end",
        "_transport",
        "full",
        "on_drained",
        "on_full",
        "on_gone",
        "push",
    )

    framed = True
    on_full: Callable[[], None]
    on_drained: Callable[[], None]
    on_gone: Callable[[], None]

    def __init__(self, transport: asyncio.Transport, send_end: Callable[[], Awaitable[None]], *, linger: float) -> None:
        self.on_full = self.on_drained = self.on_gone = _nothing
        self.full = False
        self.push = transport.write
        self._transport = transport
        self._send_end = send_end
        self._linger = linger
        self._ending: bool | None = None  # whether it is clean; None while the body goes on
        self._lost = False
        self._ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    # -- the reader's side

    @property
    def waiting(self) -> int:
        """Bytes that wait in this process."""
        return self._transport.get_write_buffer_size()

    def write(self, data: bytes) -> None:
        """Take `data`."""
        self.push(framed(data))

    def close(self, *, clean: bool) -> None:
        """End the body when all is out."""
        self._leave()
        self._ending = clean
        self._end()

    def abort(self) -> None:
        """Cut the body now."""
        self._transport.abort()  # the protocol tells that it is lost

    # -- the server's side

    async def run(self, _receive: Receive) -> None:
        """Return when the body has ended or the peer is gone. Raises `StreamAborted` to cut the body."""
        try:
            await self._ended
            if self._ending:
                await self._finish()
            elif self._ending is not None and not self._lost:
                # The server closes once the bytes are out: a peer that takes none would hold the connection.
                asyncio.get_running_loop().call_later(self._linger, self._transport.abort)
                raise StreamAborted("the body was cut on purpose")
        finally:
            on_gone = self.on_gone
            self._leave()
            on_gone()

    async def _finish(self) -> None:
        lingering = asyncio.get_running_loop().call_later(self._linger, self._transport.abort)
        try:
            await self._send_end()
        finally:
            lingering.cancel()

    def paused(self) -> None:
        """The transport's buffer is over its high mark."""
        self.full = True
        self.on_full()

    def resumed(self) -> None:
        """It is below its low mark again."""
        self.full = False
        self.on_drained()

    def lost(self) -> None:
        """The connection is no more."""
        self._lost = True
        on_gone = self.on_gone
        self._leave()
        on_gone()
        self._end()

    def _leave(self) -> None:
        self.on_drained = self.on_full = self.on_gone = _nothing

    def _end(self) -> None:
        if not self._ended.done():
            self._ended.set_result(None)

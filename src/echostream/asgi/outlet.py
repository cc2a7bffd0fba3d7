"""AsgiOutlet: the way out on any ASGI server. One task awaits `send`; what waits are references to shared bytes.

The server's `send` returns late when the socket is full: that is the back-pressure. What
waits meanwhile is bounded by the high mark and one write more, because past it the outlet is
`full` and its reader stops writing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from ..exceptions import StreamAborted
from .cut import hides_errors, send_cut
from .problem import Message, Receive, Send

__all__ = ["HIGH_MARK", "AsgiOutlet"]

HIGH_MARK = 64 * 1024
"""Bytes that may wait in this process before the outlet is full."""


def _nothing() -> None:
    """Nobody listens (yet, or any more)."""


class AsgiOutlet:
    """An `Outlet` (see `echostream.hub.outlet`) over an ASGI server's `send`.

    `run` is the connection's task: it ends when the body has, or when the peer is gone. `linger`
    bounds the seconds that an ended body may still take to leave. `progress` is when the server
    last took bytes, in seconds of the loop; while none wait it means nothing. `ended`: all bytes
    were taken, and the proper end of the body was given to the server. `why` may be set to
    what is to be raised when the body is cut.
    """

    framed = False

    def __init__(self, send: Send, *, high_mark: int = HIGH_MARK, linger: float = 30.0) -> None:
        self.on_drained = self.on_full = self.on_gone = _nothing
        self.full = False
        self.waiting = 0
        self.progress = 0.0
        self.ended = False
        self.why: StreamAborted | None = None
        self._send = send
        self._high_mark = high_mark
        self._linger = linger
        self._head: Message | None = None
        self._chunks: list[bytes] = []
        self._released = False
        self._empty: asyncio.Future[bool] | None = None
        self._wake: asyncio.Future[None] | None = None
        self._ending: bool | None = None  # whether it is clean; None while the body goes on
        self._stop: Exception | None = None
        self._hidden = False
        self._over = False
        self._task: asyncio.Task[object] | None = None
        self._lingering: asyncio.TimerHandle | None = None

    # -- the reader's side

    def begin(self, head: Message) -> None:
        """Send this head first, and at once, whether bytes follow it or not. For who has not sent it before `run`."""
        self._head = head
        self._wake_up()

    def release(self) -> None:
        """Let `run` return with nothing sent: somebody else answers."""
        self._leave()
        self._released = True
        self._wake_up()

    def write(self, data: bytes) -> None:
        """Take `data`; the task sends it."""
        if not self.waiting:
            self.progress = asyncio.get_running_loop().time()
        self._chunks.append(data)
        self.waiting += len(data)
        if self.waiting > self._high_mark and not self.full:
            self.full = True
            self.on_full()
        self._wake_up()

    async def empty(self) -> bool:
        """Wait until the server has taken all bytes; false when it never will."""
        if self.waiting and not self._over:
            if self._empty is None:
                self._empty = asyncio.get_running_loop().create_future()
            return await asyncio.shield(self._empty)
        return not self.waiting

    @property
    def push(self) -> Callable[[bytes], None]:
        """`write`."""
        return self.write

    def close(self, *, clean: bool) -> None:
        """End the body when all is out."""
        self._leave()
        self._ending = clean
        if self._task is not None:
            self._bound_ending()
        self._wake_up()

    def abort(self) -> None:
        """Cut the body now. Where an error alone does not cut it, as soon as the server takes bytes again."""
        if self._hidden:
            self._chunks, self._ending = [], False
            self._wake_up()
        else:
            self._interrupt(self._cut())

    # -- the server's side

    async def run(self, receive: Receive) -> None:
        """Send until the end; `receive` tells when the peer is gone.

        Raises `StreamAborted` to cut the body, and what `send` or `receive` raises.
        """
        self._task = task = asyncio.current_task()
        self._hidden = hides_errors(receive)
        cancelled_before = 0 if task is None else task.cancelling()
        if self._ending is not None:
            self._bound_ending()
        watch = asyncio.create_task(self._watch(receive))
        try:
            await self._pump()
        except BaseException as error:
            # Ours is undone, as asyncio.timeout does; a cancellation from outside goes on.
            undone = self._stop is not None and task is not None and task.uncancel() <= cancelled_before
            if not undone or self._stop is None or not isinstance(error, asyncio.CancelledError):
                raise
            if not isinstance(self._stop, ConnectionResetError):
                raise self._stop from self._stop.__cause__
        finally:
            self._task = None
            self._over = True
            self._emptied(taken=False)
            watch.cancel()
            if self._lingering is not None:
                self._lingering.cancel()
            self._gone()

    async def _pump(self) -> None:
        loop = asyncio.get_running_loop()
        while not self._released:
            if self._head is not None:
                head, self._head = self._head, None
                await self._send(head)
                if not self._chunks and self._ending is None:  # some servers hold the head back for a body
                    await self._send({"type": "http.response.body", "body": b"", "more_body": True})
            elif self._chunks:
                chunks, self._chunks = self._chunks, []
                body = chunks[0] if len(chunks) == 1 else b"".join(chunks)
                await self._send({"type": "http.response.body", "body": body, "more_body": True})
                self.waiting -= len(body)
                self.progress = loop.time()
                if not self.waiting:
                    self._emptied(taken=True)
                if self.full and self.waiting <= self._high_mark:
                    self.full = False
                    self.on_drained()
            elif self._ending is not None:
                if not self._ending:
                    cut = self._cut()
                    if self._hidden:
                        await send_cut(self._send, cut)
                    raise cut
                self.ended = True  # before: with the end in its hands a server may say at once that the peer is gone
                await self._send({"type": "http.response.body", "body": b"", "more_body": False})
                return
            else:
                self._wake = loop.create_future()
                await self._wake

    async def _watch(self, receive: Receive) -> None:
        """See the peer go: `send` does not tell it, and nothing may be sent for long."""
        ended = False
        try:
            while (message := await receive())["type"] != "http.disconnect":
                if ended:
                    return  # asked for more it should wait; one that does not cannot tell when the peer goes
                ended = not message.get("more_body", False)
        except Exception as error:  # noqa: BLE001  `run` raises it
            self._interrupt(error)
        else:
            self._interrupt(ConnectionResetError("the peer is gone"))

    def _bound_ending(self) -> None:
        self._lingering = asyncio.get_running_loop().call_later(self._linger, self._give_up)

    def _give_up(self) -> None:
        self.why = self.why or StreamAborted(f"the end of the body was not taken within {self._linger:g} s")
        self.abort()

    def _cut(self) -> StreamAborted:
        return self.why or StreamAborted("the body was cut on purpose")

    def _interrupt(self, why: Exception) -> None:
        if self._task is not None and self._stop is None:
            self._stop = why
            self._task.cancel()

    def _gone(self) -> None:
        on_gone = self.on_gone
        self._leave()
        on_gone()

    def _emptied(self, *, taken: bool) -> None:
        if self._empty is not None:
            if not self._empty.done():
                self._empty.set_result(taken)
            self._empty = None

    def _leave(self) -> None:
        self.on_drained = self.on_full = self.on_gone = _nothing

    def _wake_up(self) -> None:
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

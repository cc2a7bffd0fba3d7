"""Delivery: one response of its own on its way: a source poured into an outlet, as the machine says.

Three tasks: the request's own runs the outlet, one pours the source, one (the outlet's) watches
for the reader's leaving. Everything else is a callback of the loop: the batch's age, the next
moment of the machine.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from ..exceptions import ClientGone, EchostreamError, StreamAborted, StreamFailed
from ..stream.base import Source
from ..stream.batch import Batch
from ..stream.machine import Act, Happening, Machine, State
from ..stream.settings import StreamSettings
from ..wire.body import BodyEncoder
from ..wire.body.sse import RESERVED_SUFFIX
from ..wire.control import StreamEnd, StreamError
from .account import ACCOUNT, StreamReport
from .outlet import AsgiOutlet
from .problem import Message, Receive, Send
from .shield import shield

__all__ = ["Delivery", "describe_failure"]

logger = logging.getLogger("echostream.stream")


def describe_failure(error: BaseException) -> StreamError:
    """What a reader is told of a source's error: of one that is not ours nothing but that it happened."""
    if isinstance(error, EchostreamError):
        return StreamError(code=error.code, message=error.public)
    return StreamError(code="internal-error", message="the stream failed here; the log of the server says why")


class Delivery:
    """The body of one response: the `Intake` of its source. `run` is called once.

    `head` is the message that starts the response. `stream` is its id; the last event of a stream
    that is over for good has the id `<stream>.end`, by which a browser that comes back is known.
    """

    def __init__(
        self,
        source: Source,
        encoder: BodyEncoder,
        head: Message,
        *,
        stream: str,
        settings: StreamSettings,
        on_end: Callable[[StreamReport], None] | None = None,
    ) -> None:
        self.source = source
        self.gone = False
        self._encoder = encoder
        self._head = head
        self._last_id = stream + RESERVED_SUFFIX
        self._settings = settings
        self._on_end = on_end
        self._batch = Batch(encoder, size=settings.batch_bytes, age=settings.batch_age)
        self._error: BaseException | None = None
        self._refused = False
        self._pouring = False
        self._last = b""
        self._items = 0
        self._bytes = 0
        self._first_byte: float | None = None
        self._room: asyncio.Future[None] | None = None
        self._left = asyncio.Event()
        self._age: asyncio.TimerHandle | None = None
        self._timer: asyncio.Handle | None = None
        self._timer_at = 0.0

    # -- the server's side

    async def run(self, receive: Receive, send: Send, refuse: Callable[[BaseException], Awaitable[None]]) -> None:
        """Answer the request; what goes wrong before the head is sent is answered by `refuse`.

        Raises `StreamAborted` where the body must be seen to be cut, and what `refuse` raises.
        """
        self._loop = asyncio.get_running_loop()
        self._started = self._loop.time()
        self._machine = Machine(self._settings, self._started, heartbeats=bool(self._encoder.heartbeat))
        self._outlet = outlet = AsgiOutlet(send, linger=self._settings.send_timeout)
        outlet.on_drained = self._drained
        self._set_timer()
        ACCOUNT.enter(self, self._drain)
        self._feeder = feeder = asyncio.create_task(self._feed(), name=f"echostream: {self.source.name}")
        reason = "cancelled"
        try:
            reason = await self._run_outlet(receive)
            if self._refused:
                await refuse(self._refusal())
        finally:
            if reason == "cancelled":
                reason = self._reason_of_a_cut()
            self._stop()
            ACCOUNT.leave(self, reason)
            try:
                await self._close(feeder)
            finally:
                self._report(reason)

    async def _run_outlet(self, receive: Receive) -> str:
        """Send the body; the reason of its end."""
        try:
            await self._outlet.run(receive)
        except OSError:  # what `send` raises for a peer that is gone
            pass
        if self._machine.ended_by is None or not (self._outlet.ended or self._refused):
            self.gone = True
            self._happen(Happening.GONE)
            return Happening.GONE.value
        return self._machine.ended_by.value

    def _reason_of_a_cut(self) -> str:
        """Why the outlet, or who refused, raised: a whole body that was not taken to its end is not finished."""
        ended_by = self._machine.ended_by
        if ended_by is Happening.EXHAUSTED and not self._outlet.ended:
            return "cancelled" if self._outlet.why is None else Happening.STALLED.value
        return "cancelled" if ended_by is None else ended_by.value

    def _refusal(self) -> BaseException:
        if self._error is not None:
            return self._error
        if self._machine.ended_by is Happening.DRAINING:
            return StreamFailed("draining", "the server is shutting down; try again", status=503)
        return StreamFailed("deadline", f"there was nothing to send within {self._settings.deadline:g} s", status=503)

    def _stop(self) -> None:
        self._happen(Happening.GONE)  # a source that goes on nevertheless finds the machine over
        self._left.set()
        self._drained()  # who waits for room learns the end by writing on
        if self._timer is not None:
            self._timer.cancel()

    async def _close(self, feeder: asyncio.Task[None]) -> None:
        """Wait for the end of the source, for at most `close_timeout`."""
        began = self._loop.time()
        try:
            with shield():
                await asyncio.wait({feeder}, timeout=self._settings.close_timeout)
        finally:
            if not feeder.done():  # its time is over, or the server has no patience
                feeder.cancel()  # it need not wait any longer for a thread
                ACCOUNT.abandon(feeder, self.source.name, self._loop.time() - began)

    def _report(self, reason: str) -> None:
        if self._on_end is not None:
            duration = self._loop.time() - self._started
            report = StreamReport(self._encoder.name, self._items, self._bytes, duration, self._first_byte, reason)
            try:
                self._on_end(report)
            except Exception:  # the application's, and the response is over
                logger.exception("on_end of %s raised", self.source.name)

    # -- the source's side

    async def _feed(self) -> None:
        try:
            await self._pour()
        except ClientGone:  # from `take`: somebody went on after the end
            self._fail(ClientGone("the source wrote to a reader that has left"))
        except Exception as error:  # noqa: BLE001  told to the reader, and logged or raised
            self._fail(error)
        except BaseException as error:  # cancelled: by us, when all is over, or by itself
            self._fail(StreamAborted(f"{self.source.name} was cancelled from within: {error!r}"))
            raise
        else:
            self._end(Happening.EXHAUSTED)
        finally:
            try:
                await self.source.aclose()
            except Exception:
                logger.exception("%s failed while it was closed", self.source.name)

    async def _pour(self) -> None:
        if self._machine.state is State.OVER:  # before the first step; the source is closed all the same
            return
        self._pouring = True
        try:
            await self.source.pour(self)
        finally:
            self._pouring = False
        self._send_items()
        self._last = self._encoder.finish()

    def _stop_pouring(self) -> None:
        """Let the source begin its end, once: what it does then is not to be disturbed."""
        if self._pouring:
            self._pouring = False
            self._feeder.cancel()

    @property
    def window(self) -> int:
        """How many items may be made ahead."""
        return self._batch.window

    def describe(self, columns: Sequence[str]) -> None:
        """Name the cells of the rows to come."""
        self._encoder.describe(columns)

    def take(self, item: Any) -> bool:
        """Take an item; true: `settle` now. Raises `ClientGone`."""
        if self._age is not None and self._batch.add_early(item):  # which it is only while the response goes on
            return False
        self._check()
        due = self._batch.add(item, time.monotonic())  # not the loop's time: uvloop's stands still while a source runs
        if not due and self._age is None:
            self._age = self._loop.call_later(self._settings.batch_age, self._send_items)
        return due

    def take_all(self, items: Sequence[Any]) -> bool:
        """Take items; true: `settle` now. Raises `ClientGone`."""
        self._check()
        due = self._batch.add_all(items, time.monotonic())
        if not due and self._age is None:
            self._age = self._loop.call_later(self._settings.batch_age, self._send_items)
        return due

    async def settle(self) -> None:
        """Let what was taken leave, and wait until more may come."""
        self._send_items()
        if self._outlet.full and self._machine.state is not State.OVER:
            if self._room is None or self._room.done():
                self._room = self._loop.create_future()
            await asyncio.shield(self._room)  # more than one task may write
        else:
            await asyncio.sleep(0)

    async def flush(self) -> None:
        """Return when the server has taken all bytes. Raises `ClientGone`."""
        self._check()
        self._send_items()
        await asyncio.sleep(0)
        if not await self._outlet.empty():
            raise ClientGone("the reader has left before the server took all bytes")

    async def wait_gone(self) -> None:
        """Return when the reader has left, or the response is over."""
        await self._left.wait()

    def _check(self) -> None:
        if self._machine.state is State.OVER:
            raise ClientGone("the response is over; nothing more can be written")

    # -- what happens

    def _drained(self) -> None:
        if self._room is not None and not self._room.done():
            self._room.set_result(None)

    def _drain(self) -> None:
        self._end(Happening.DRAINING)

    def _fail(self, error: BaseException) -> None:
        if self._machine.state is not State.OVER:
            self._error = error
            self._end(Happening.FAILED)

    def _end(self, ending: Happening) -> None:
        self._send_items()  # what was made before comes before
        self._happen(ending)

    def _send_items(self) -> None:
        """Encode and send what was gathered."""
        self._stop_ageing()
        if not self._batch or self._machine.state is State.OVER:
            return
        before = self._batch.items
        try:
            data = self._batch.take()
        except Exception as error:  # noqa: BLE001  an encoder of the application's; what it lost must not be passed over
            self._fail(error)
            return
        made = left = self._batch.items - before
        room = math.inf if self._settings.max_bytes is None else self._settings.max_bytes - self._bytes
        full = len(data) > room
        if full:
            data, left = self._fitting(data, made, int(room))
        self._items += left
        if made:
            self._happen(Happening.ITEMS, data)
        if full:
            self._happen(Happening.FULL)
        elif self._batch.failure is not None:
            self._fail(self._batch.failure)

    def _fitting(self, data: bytes, made: int, room: int) -> tuple[bytes, int]:
        """What still fits, and of how many of the items made it is.

        Whole items where the format says after them how it ended; anything where it is cut.
        """
        if self._encoder.tells_end:
            return b"", 0
        if self._encoder.control(StreamEnd(reason=Happening.FULL.value)):  # a line, so its items are lines
            lines = data[: data.rfind(b"\n", 0, room) + 1]
            return lines, lines.count(b"\n")
        return data[:room], made

    def _stop_ageing(self) -> None:
        if self._age is not None:
            self._age.cancel()
            self._age = None

    def _set_timer(self) -> None:
        when = self._machine.next_due()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if when is not None:
            self._wake_at(when)

    def _wake_at(self, when: float) -> None:
        # Kept here: the handle that uvloop gives for a moment at hand does not know its own.
        self._timer, self._timer_at = self._loop.call_at(when, self._tick), when

    def _tick(self) -> None:
        self._machine.stalled_since = self._outlet.progress if self._outlet.waiting else None
        due = self._machine.due(self._loop.time())
        if due is Happening.EXPIRED:
            self._end(due)
        elif due is not None:
            self._happen(due)
        self._set_timer()

    # -- what is done then

    def _happen(self, happening: Happening, data: bytes = b"") -> None:
        acts = self._machine.happen(happening)
        if self._machine.state is State.OVER:
            self._stop_pouring()  # now: what was made may take its time to leave, and a stalled call to end
            self._stop_ageing()
        for act in acts:
            if act is Act.HEAD:
                self._outlet.begin(self._head)
                self._set_timer()  # a heartbeat may be due before the head was
            elif act is Act.BODY:
                if data and self._first_byte is None:
                    self._first_byte = self._loop.time() - self._started
                self._bytes += len(data)
                self._write(data)
            elif act is Act.HEARTBEAT:
                self._write(self._encoder.heartbeat)
            elif act is Act.FINISH:
                self._finish()
            elif act is Act.TELL:
                self._tell(happening)
            elif act is Act.REFUSE:
                self._refused = True
                self._outlet.release()
            elif happening is Happening.STALLED:
                self._outlet.why = self._cut(happening)
                self._outlet.abort()

    def _write(self, data: bytes) -> None:
        if not data:
            return
        now = self._loop.time()
        self._outlet.write(data)
        self._machine.wrote(now)
        # The timer follows what is due, lazily; a write may be what stalls.
        stalls_at = now + self._settings.send_timeout
        if self._timer is None or self._timer_at > stalls_at:
            if self._timer is not None:
                self._timer.cancel()
            self._wake_at(stalls_at)

    def _finish(self) -> None:
        self._write(self._last)
        if self._encoder.tells_end:
            self._write(self._encoder.control(StreamEnd(reason=Happening.EXHAUSTED.value), id=self._last_id))
        self._outlet.close(clean=True)

    def _tell(self, ending: Happening) -> None:
        in_order = self._encoder.tells_end
        if self._error is None:  # without an id: a browser comes back, with that of the last event it had
            self._write(self._encoder.control(StreamEnd(reason=ending.value)))
        else:
            told = describe_failure(self._error)
            self._write(self._encoder.control(told, id=self._last_id if in_order else None))
            if in_order:  # else the server logs it
                logger.error(
                    "%s: the source failed; its reader was told %s", self.source.name, told.code, exc_info=self._error
                )
        if not in_order:
            self._outlet.why = self._cut(ending)
        self._outlet.close(clean=in_order)

    def _cut(self, ending: Happening) -> StreamAborted:
        cut = StreamAborted(f"the body of {self.source.name} was cut: {ending.value}")
        cut.__cause__ = self._error
        return cut

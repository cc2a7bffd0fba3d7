"""Reading: the bytes of a driven response as its client takes them, with a limit of time on each wait."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

from .exchange import Exchange
from .waiting import NotInTime, told_task

__all__ = ["MOST", "Reading", "ResponseCut", "bound"]

MOST = 64 * 1024 * 1024
"""Bytes that one call may read: in virtual time no clock would end the reading of an endless response."""


class ResponseCut(AssertionError):
    """The response ended where more was wanted; the text says how it ended and what had come."""


class Reading:
    """The client of an `Exchange`, as far as bytes go."""

    def __init__(self, exchange: Exchange, *, within: float) -> None:
        self._exchange = exchange
        self._within = within
        self._read = bytearray()
        self._task: asyncio.Task[None] | None = None
        self._told = False
        """The test knows of the application's failure."""

    @property
    def body(self) -> bytes:
        """All that the client has read."""
        return bytes(self._read)

    async def read(self, size: int | None = None, *, within: float | None = None) -> bytes:
        """So many bytes, or fewer at the response's end; None: all to the end."""
        limit, read = self._limit(within), bytearray()
        what = "the body's end" if size is None else f"{size} bytes"
        while size is None or len(read) < size:
            if not await self._more(what, limit):
                break
            read += self._take(None if size is None else size - len(read))
            bound(len(read), what)
        return bytes(read)

    async def read_until(self, wanted: bytes, *, within: float | None = None) -> bytes:
        """Everything up to and including `wanted`."""
        limit, read, what = self._limit(within), bytearray(), repr(wanted)
        while await self._more(what, limit):
            searched = max(0, len(read) - len(wanted) + 1)
            read += self._take()
            found = read.find(wanted, searched)
            if found >= 0:
                end = found + len(wanted)
                self._give_back(bytes(read[end:]))
                return bytes(read[:end])
            bound(len(read), what)
        raise self._cut(what)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        """One message's body as the application sent it (what is left of it); empty ones are passed over."""
        if not await self._more("a chunk", self._limit(None)):
            raise StopAsyncIteration
        return self._take()

    # -- private

    def _limit(self, within: float | None) -> float:
        return asyncio.get_running_loop().time() + (self._within if within is None else within)

    async def _until(self, condition: Callable[[], object], what: str, limit: float) -> None:
        exchange = self._exchange
        try:
            async with asyncio.timeout_at(limit):
                await exchange.changed.until(lambda: exchange.violation or exchange.upload_error or condition())
        except TimeoutError:
            raise NotInTime(f"not in time: {what}; {self._state()}") from None
        if exchange.upload_error is not None:
            raise exchange.upload_error
        if exchange.violation is not None:
            self._told = True
            raise exchange.violation

    async def _more(self, what: str, limit: float) -> bool:
        """Wait for bytes; False when the response is at its proper end."""
        exchange = self._exchange
        if exchange.gone:
            raise ResponseCut(f"the client has left and reads no more; wanted: {what}")
        if exchange.allowance == 0:
            raise ResponseCut(f"the client is stalled and reads no more until resume(); wanted: {what}")
        await self._until(lambda: exchange.chunks or exchange.finished or exchange.over, what, limit)
        if not exchange.chunks and not exchange.finished:
            raise self._cut(what)
        return bool(exchange.chunks)

    def _take(self, limit: int | None = None) -> bytes:
        data = self._exchange.take(limit)
        self._read += data
        return data

    def _give_back(self, data: bytes) -> None:
        self._exchange.give_back(data)
        del self._read[len(self._read) - len(data) :]

    def _take_line(self) -> bytes:
        """Up to a line's end, so that nothing is decoded that was not asked for."""
        data = self._take()
        line, end, rest = data.partition(b"\n")
        self._give_back(rest)
        return line + end

    def _cut(self, what: str) -> ResponseCut:
        cut = ResponseCut(f"the response ended before {what}; {self._state()}")
        if not self._exchange.finished:
            self._told = True
            cut.__cause__ = self._exchange.error
        return cut

    def _state(self) -> str:
        exchange, task = self._exchange, self._task
        seen = (
            f"{len(self._read)} bytes were read, the last {bytes(self._read[-200:])!r}"
            if self._read
            else "no body was read"
        )
        if exchange.error is not None:
            does = f"the application raised {exchange.error!r}"
        elif exchange.over:
            does = "the application has returned"
        else:
            does = "the application has not begun" if task is None else told_task(task)
        return f"{seen}, {exchange.waiting} wait; {exchange.rules.stage.value} is to come; {does}"


def bound(size: int, what: str) -> None:
    """Raises `NotInTime` for what is over `MOST`."""
    if size > MOST:
        raise NotInTime(f"{size} bytes were read without coming to {what}; is the response endless?")

"""Writer: the imperative way to make a response. `await out.write(item)`, where a generator would yield it."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, cast

from ..exceptions import ClientGone, StreamAborted
from ..stream.base import Intake

__all__ = ["Block", "Writer", "WriterSource", "takes_a_writer"]


class _Body(Intake, Protocol):
    """An intake that knows of its reader."""

    @property
    def gone(self) -> bool: ...

    async def wait_gone(self) -> None: ...


class Writer:
    """Writes the items of one response. One task writes at a time."""

    def __init__(self, body: _Body | None) -> None:
        self._body = body

    @property
    def gone(self) -> bool:
        """Whether the reader has left."""
        return self._body is None or self._body.gone

    async def write(self, item: Any) -> None:
        """Take an item; waits while the reader is behind. Raises `ClientGone` once the response is over.

        An item that cannot be encoded ends the response.
        """
        if self._body is None:
            raise ClientGone("nobody wants the body of this response")
        if self._body.take(item):
            await self._body.settle()

    async def flush(self) -> None:
        """Send what was written; returns when the server has taken it. Raises `ClientGone`."""
        if self._body is None:
            raise ClientGone("nobody wants the body of this response")
        await self._body.flush()

    async def wait_gone(self) -> None:
        """Return when the reader has left, or the response is over."""
        if self._body is not None:
            await self._body.wait_gone()


def takes_a_writer(source: object) -> bool:
    """Whether it is an async function that wants one argument: the writer."""
    if not inspect.iscoroutinefunction(source):
        return False
    wanted = [
        parameter
        for parameter in inspect.signature(source).parameters.values()
        if parameter.default is parameter.empty
        and parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
    ]
    return len(wanted) == 1


class WriterSource:
    """A source that is an async function taking a `Writer`. It is cancelled when the reader leaves."""

    def __init__(self, write: Callable[[Writer], Awaitable[None]]) -> None:
        self.name = getattr(write, "__qualname__", repr(write))
        self._write = write

    async def pour(self, into: Any) -> None:
        """Call the function; the response is over when it returns."""
        await self._write(Writer(into))

    async def aclose(self) -> None:
        """Nothing is held between two writes."""


def _is_gone(error: BaseException | None) -> bool:
    """Whether it is but what writing to a reader who has left raises, in one task or in several."""
    if isinstance(error, BaseExceptionGroup):
        return cast("BaseExceptionGroup[BaseException]", error).split(ClientGone)[1] is None
    return isinstance(error, ClientGone)


class Block:
    """A source that is the block of an `async with`, in a task of its own.

    The block is cancelled when the reader leaves, as a generator would be; that cancellation
    ends with the block, as that of `asyncio.timeout` does.
    """

    name = "async with"

    def __init__(self) -> None:
        self._begun: asyncio.Future[Writer] = asyncio.get_running_loop().create_future()
        self._ended: asyncio.Future[BaseException | None] = asyncio.get_running_loop().create_future()
        self._task = asyncio.current_task()
        self._cancelling = 0 if self._task is None else self._task.cancelling()
        self._cancelled = False

    async def begin(self, answer: asyncio.Task[None]) -> Writer:
        """What the block is to write with, once `answer` wants its body; where it never will, one for nobody."""
        try:
            await asyncio.wait({answer, self._begun}, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError as error:
            if not self.end(error):
                raise
        wanted = self._begun.done() and not self._ended.done()
        return self._begun.result() if wanted else Writer(None)

    async def pour(self, into: Any) -> None:
        """Let the block write, and wait for its end. Raises what ended it."""
        self._begun.set_result(Writer(into))
        await asyncio.wait({self._ended})  # not the future itself: it is not to be cancelled with this task
        error = self._ended.result()
        if error is not None:
            raise error

    async def aclose(self) -> None:
        """Cancel the block unless it has ended, and wait for its end."""
        if self._begun.done() and not self._ended.done() and self._task is not None:
            self._cancelled = True
            self._task.cancel()
            await asyncio.wait({self._ended})

    def end(self, error: BaseException | None) -> bool:
        """The block has ended so; true when `error` is but our own cancellation, or a write to who has left."""
        if not self._ended.done():
            cut = error is not None and not isinstance(error, Exception)
            self._ended.set_result(StreamAborted("the block was cancelled") if cut else error)
        cancelled, self._cancelled = self._cancelled, False
        if self._task is not None:
            left = self._task.uncancel() if cancelled else self._task.cancelling()
            if left > self._cancelling:  # by somebody else as well, who is to see it
                return False
        return _is_gone(error) or (cancelled and isinstance(error, asyncio.CancelledError))

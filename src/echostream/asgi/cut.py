"""The cut of a body below Starlette's BaseHTTPMiddleware, where raising an error is not enough.

An ASGI application cuts a body by raising: the server closes the connection without the end of
the body. BaseHTTPMiddleware stands in between and carries bodies on from a task of its own. It
takes an application's error for the end of the body, sends that end, and raises the error only
then: half a body looks like all of it. So where one is known to stand above, two messages go first.

A last piece. It is empty, but whoever measures it gets the error: past any number of such
middlewares that is the server, at the place where the body really leaves, and from there the error
goes the way that it should.

A message that no server takes at this place, and that these middlewares pass on as it is: for
servers that do not measure in Python (granian), and for middlewares that make other bytes of each
piece (gzip below a BaseHTTPMiddleware; below two of them only the missing end of gzip's own stream tells).

A reader that has stalled for too long takes neither. The call must not end then: they wait until
the reader goes on or leaves.
"""

from __future__ import annotations

import asyncio
import logging

from .problem import Message, Receive, Send

__all__ = ["hides_errors", "send_cut"]

logger = logging.getLogger("echostream.stream")


def hides_errors(receive: Receive) -> bool:
    """Whether a BaseHTTPMiddleware stands above: the application has its task from it, or its `receive`."""
    task = asyncio.current_task()
    names = getattr(receive, "__qualname__", ""), "" if task is None else task.get_name()
    return any("BaseHTTPMiddleware." in name for name in names)


async def send_cut(send: Send, why: Exception) -> None:
    """Let whoever sends the body on raise `why`. Returns when that was taken."""
    piece = _Cut()
    piece.why = why
    taken = await _is_taken(send, {"type": "http.response.body", "body": piece, "more_body": True})
    try:
        await _is_taken(send, {"type": "http.response.pathsend"})
    finally:
        if not taken or why.__traceback__ is None:  # who cuts now raises something of its own
            logger.error("the body was cut below a BaseHTTPMiddleware", exc_info=why)


async def _is_taken(send: Send, message: Message) -> bool:
    try:
        await send(message)
    except Exception:  # noqa: BLE001  what the caller raises next, or the peer is gone
        return False
    return True


class _Cut(bytes):
    """Empty bytes that look like some, so that they are carried on, and have no length."""

    why: Exception

    def __bool__(self) -> bool:
        return True

    def __ne__(self, _other: object) -> bool:
        return True

    def __len__(self) -> int:
        raise self.why

    def __bytes__(self) -> bytes:
        raise self.why

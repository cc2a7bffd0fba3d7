"""The cut of a body, where raising an error is not enough.

An ASGI application cuts a body by raising: the server closes the connection without the end of
the body. Starlette's BaseHTTPMiddleware stands in between and carries bodies on from a task of its
own. It takes an application's error for the end of the body, sends that end, and raises the error
only then: half a body looks like all of it.

So a last piece is sent before. It is empty, but whoever measures it gets the error: past any
number of such middlewares that is the server, at the place where the body really leaves, and from
there the error goes the way that it should. Without such a middleware `send` itself raises it.

A reader that has stalled for too long takes no last piece. Below such a middleware the call must not
end then: the piece waits until the reader goes on or leaves.

What hides the piece is a middleware that makes other bytes of each: gzip below a BaseHTTPMiddleware.
There only the missing end of the gzip stream tells.
"""

from __future__ import annotations

import asyncio

from .problem import Receive, Send

__all__ = ["hides_errors", "send_cut"]


def hides_errors(receive: Receive) -> bool:
    """Whether a BaseHTTPMiddleware stands above: the application has its task from it, or its `receive`."""
    task = asyncio.current_task()
    names = getattr(receive, "__qualname__", ""), "" if task is None else task.get_name()
    return any("BaseHTTPMiddleware." in name for name in names)


async def send_cut(send: Send, why: Exception) -> None:
    """Let whoever sends the body on raise `why`. Returns when it was taken, as `send` does."""
    piece = _Cut()
    piece.why = why
    try:
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    except Exception:  # noqa: BLE001, S110  what the caller raises next, or the peer is gone
        pass


class _Cut(bytes):
    """Empty bytes that are true, so that they are carried on, and have no length."""

    why: Exception

    def __bool__(self) -> bool:
        return True

    def __len__(self) -> int:
        raise self.why

    def __bytes__(self) -> bytes:
        raise self.why

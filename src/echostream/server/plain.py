"""PlainAnswer: a whole response of bytes that are there already."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.types import Receive, Scope, Send

__all__ = ["NOSNIFF", "PlainAnswer"]

NOSNIFF = (b"x-content-type-options", b"nosniff")
"""On every answer: what others published is never taken for a page."""


class PlainAnswer:
    """Sends `body`, with its length, never to be kept; without the body to HEAD."""

    def __init__(
        self, body: bytes, media_type: str | None, *, status: int = 200, headers: Sequence[tuple[bytes, bytes]] = ()
    ) -> None:
        self._body = body
        self._status = status
        self._headers = [*headers, NOSNIFF, (b"cache-control", b"no-store")]
        if media_type is not None:
            self._headers += [(b"content-type", media_type.encode()), (b"content-length", str(len(body)).encode())]

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self._status, "headers": self._headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else self._body})

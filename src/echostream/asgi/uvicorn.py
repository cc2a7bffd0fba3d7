"""Bytes straight to uvicorn's transport: no task wakes up for a delivery (uvicorn 0.54, httptools).

A response asks for it by the scope's extension `echostream.outlet`. Its head and one empty piece of
body go through `send` as always. When both have come to the protocol as they were sent, without
Content-Encoding and Content-Length, nothing above changes the body, and calling the extension
grants a `TransportOutlet`: from then on it writes to the transport itself. In any other case it
grants nothing, and the response goes on with `send`.

The end of the body goes through the protocol again, so that keep-alive, pipelined requests and the
closing of connections stay uvicorn's.

    uvicorn app:app --http echostream.asgi.uvicorn:StreamProtocol
"""

from __future__ import annotations

from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from .problem import ASGIApp, Message, Receive, Scope, Send
from .transport import EXTENSION, TransportOutlet

__all__ = ["StreamProtocol"]

_UNTOUCHED = frozenset({b"content-encoding", b"content-length", b"transfer-encoding"})


class StreamProtocol(HttpToolsProtocol):
    """uvicorn's protocol, offering its transport to responses that ask for it."""

    outlet: TransportOutlet | None = None
    """Of the response under way, when it was granted one."""

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self.outlet = None
        super()._start_asgi_task(cycle, cast("Any", _Offer(self, cycle, app)))

    def pause_writing(self) -> None:
        super().pause_writing()
        if self.outlet is not None:
            self.outlet.paused()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self.outlet is not None:
            self.outlet.resumed()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        outlet, self.outlet = self.outlet, None
        if outlet is not None:
            outlet.lost()


class _Offer:
    """One request's application, with the extension in its scope and an eye on what reaches `send`."""

    __slots__ = ("_app", "_cycle", "_protocol", "_seen", "_send")

    def __init__(self, protocol: StreamProtocol, cycle: RequestResponseCycle, app: ASGIApp) -> None:
        self._protocol = protocol
        self._cycle = cycle
        self._app = app
        self._seen = ""  # h: the head of a body that nobody above changes; he: and one empty piece of it

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope.setdefault("extensions", {})[EXTENSION] = self._grant
        self._send = send
        await self._app(scope, receive, self._watched)

    async def _watched(self, message: Message) -> None:
        if len(self._seen) < 3:
            self._seen += _kind(message)
        await self._send(message)

    def _grant(self, linger: float) -> TransportOutlet | None:
        cycle = self._cycle
        if self._seen != "he" or not cycle.chunked_encoding or cycle.disconnected:
            return None
        self._seen = "lent"
        outlet = self._protocol.outlet = TransportOutlet(cycle.transport, self._end, linger=linger)
        if cycle.flow.write_paused:
            outlet.paused()
        return outlet

    async def _end(self) -> None:
        self._protocol.outlet = None
        await self._cycle.send({"type": "http.response.body", "body": b"", "more_body": False})


def _kind(message: Message) -> str:
    if message["type"] == "http.response.start":
        names = {name.lower() for name, _ in message.get("headers", ())}
        return "x" if names & _UNTOUCHED else "h"
    empty = message["type"] == "http.response.body" and not message.get("body") and message.get("more_body", False)
    return "e" if empty else "x"

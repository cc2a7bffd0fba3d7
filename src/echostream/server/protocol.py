"""HubProtocol: uvicorn's HTTP protocol, with the doors closed that it leaves open (uvicorn 0.54, httptools).

- A request head may come a byte a minute, or never end: it is bounded in time (408) and bytes (431). A head
  that is whole but too large is answered by the application, with a problem document. Trailers and chunk
  extensions, which would pass by that bound, are bounded the same way.
- Trailers become headers of the request, after or before anyone looked at those: a proxy that sets
  X-Forwarded-For and a check of Host would be fooled. They are dropped (RFC 9110, 6.5.1).
- The request's target loses what stands behind a `#`: another topic than the one asked for. It is 400.
- What is no HTTP is answered in plain text, even in the middle of a stream. Here with a problem document, or by
  a cut.
- Of a connection that was lost, uvicorn tells the *newest* request only. Whoever sends a second request behind
  a stream and leaves would keep that stream's reader and slot for ever. We tell the earlier ones too.
- Requests sent without waiting for answers are queued without a bound: the queue has one here.

Nothing is patched: this is a subclass, and the version of uvicorn is pinned to what it was tested with.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Any

import msgspec
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from ..asgi.uvicorn import StreamProtocol
from .request import MAX_HEAD_BYTES

__all__ = ["HEAD_SECONDS", "MAX_PIPELINED", "HubProtocol"]

HEAD_SECONDS = 10.0
MAX_PIPELINED = 16

_TOO_SLOW = (408, "head-too-slow", f"the request line and headers did not arrive within {HEAD_SECONDS:g} s")
_TOO_LARGE = (431, "head-too-large", f"the request line and headers are over {MAX_HEAD_BYTES} bytes")


class HubProtocol(StreamProtocol):
    """One connection."""

    head_seconds = HEAD_SECONDS

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._in_head = False
        self._moved = False
        self._still_bytes = 0
        self._head_timer: asyncio.TimerHandle | None = None
        self._earlier: list[RequestResponseCycle] = []

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_head_timer()
        for cycle in self._earlier:
            if not cycle.response_complete:
                cycle.disconnected = True
                cycle.message_event.set()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._moved = False
        super().data_received(data)
        # Bytes that complete no head and bring no body: of a head under way, a trailer, a chunk's extension.
        self._still_bytes = 0 if self._moved else self._still_bytes + len(data)
        if self._still_bytes > MAX_HEAD_BYTES:
            self._refuse(*_TOO_LARGE)

    def send_400_response(self, msg: str) -> None:
        self._refuse(400, "not-http", f"{msg.rstrip('.')}: what came is not HTTP/1.1 (RFC 9112)")

    # -- the parser's callbacks

    def on_message_begin(self) -> None:
        self._in_head = True
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._moved = True
        self._stop_head_timer()
        if b"#" in self.url:
            raise ValueError("a target has no fragment (RFC 9112, section 3.2)")  # the parser makes it a 400
        before = self.cycle
        super().on_headers_complete()
        if before is not None and not before.response_complete:  # pyright: ignore[reportUnnecessaryComparison]
            self._earlier = [cycle for cycle in self._earlier if not cycle.response_complete]
            self._earlier.append(before)
            if len(self._earlier) > MAX_PIPELINED:
                self.transport.abort()

    def on_body(self, body: bytes) -> None:
        self._moved = True
        super().on_body(body)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if not self.transport.is_closing():
            self._await_head()

    # -- the head's time

    def _await_head(self) -> None:
        self._stop_head_timer()
        self._head_timer = self.loop.call_later(self.head_seconds, self._head_too_late)

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _head_too_late(self) -> None:
        if self._is_answering():
            return  # of a request that came while the one before was answered
        if self._in_head:
            self._refuse(*_TOO_SLOW)
        else:
            self.transport.close()

    def _refuse(self, status: int, code: str, detail: str) -> None:
        if self.transport.is_closing():
            return
        if self._is_answering():
            self.transport.abort()  # nothing can be said in the middle of another answer
        else:
            title = HTTPStatus(status).phrase
            problem = {"type": "about:blank", "title": title, "status": status, "code": code, "detail": detail}
            body = msgspec.json.encode(problem)
            head = (
                f"HTTP/1.1 {status} {title}\r\ncontent-type: application/problem+json\r\n"
                f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
            )
            self.transport.write(head.encode() + body)
            self.transport.close()

    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete  # pyright: ignore[reportUnnecessaryComparison]

"""Exchange: the server's side of one request, without a server. It gives `receive` and `send` to the application.

What the application sends waits here until the client takes it. Past the high mark, or while
the client is stalled, `send` blocks, as it does on a server whose socket is full.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable, MutableMapping
from typing import Any, Literal

from .asgi_rules import ResponseRules, Stage, Violation
from .waiting import Signal

__all__ = ["AfterDisconnect", "App", "Exchange", "RequestBody"]

App = Callable[
    [
        MutableMapping[str, Any],
        Callable[[], Awaitable[MutableMapping[str, Any]]],
        Callable[[MutableMapping[str, Any]], Awaitable[None]],
    ],
    Awaitable[None],
]
AfterDisconnect = Literal["raise", "ignore"]
RequestBody = bytes | Iterable[bytes] | AsyncIterable[bytes]


class Exchange:
    """One request and its response as they stand. `changed` is notified with every change."""

    def __init__(
        self, rules: ResponseRules, body: RequestBody, *, high_mark: int, after_disconnect: AfterDisconnect
    ) -> None:
        self.changed = Signal()
        self.rules = rules
        self.chunks: deque[bytes] = deque()
        self.waiting = 0
        self.allowance: int | None = None
        """Bytes that a stalled client still takes; None: it is not stalled."""
        self.gone = False
        self.over = False
        self.error: BaseException | None = None
        self.violation: Violation | None = None
        self.upload_error: Exception | None = None
        self.others: list[MutableMapping[str, Any]] = []
        self._high_mark = high_mark
        self._after_disconnect = after_disconnect
        self._requests: deque[MutableMapping[str, Any]] = deque()
        self._upload: AsyncIterable[bytes] | None = None
        if isinstance(body, bytes):
            self._requests.append(_request(body, more=False))
        elif isinstance(body, AsyncIterable):
            self._upload = body
        else:
            pieces = list(body) or [b""]
            self._requests.extend(_request(piece, more=True) for piece in pieces[:-1])
            self._requests.append(_request(pieces[-1], more=False))

    # -- the application's side

    async def run(self, app: App, scope: MutableMapping[str, Any]) -> None:
        """Call the application; its end is noted, whatever it is."""
        upload = None if self._upload is None else asyncio.create_task(self._feed(self._upload), name="upload")
        try:
            await app(scope, self.receive, self.send)
        except BaseException as error:
            self.error = error
            if not isinstance(error, Exception):
                raise
        finally:
            self.over = True
            if upload is not None:
                upload.cancel()
            self.changed.notify()

    async def receive(self) -> MutableMapping[str, Any]:
        """The next piece of the request; then, once the client or the response is at its end, `http.disconnect`."""
        await self.changed.until(lambda: self._requests or self.gone or self.finished)
        if self.gone or self.finished:
            return {"type": "http.disconnect"}
        message = self._requests.popleft()
        self.changed.notify()
        return message

    async def send(self, message: MutableMapping[str, Any]) -> None:
        """Take a message, and return when there is room for more.

        Raises `Violation`, and once the client has left OSError, as the specification asks for since 2.4.
        """
        if not self.gone or self.finished:
            self._take_message(message)
            # Without this an application that never waits would keep the test, and its limits of time, from running.
            await asyncio.sleep(0)
            await self.changed.until(lambda: self.gone or not self._full)
            if not self._full or self.finished:
                return  # it was taken before the client left
        if self._after_disconnect == "raise":
            raise OSError("the client has disconnected")

    # -- the client's side

    @property
    def finished(self) -> bool:
        """The response has come to its proper end."""
        return self.rules.stage is Stage.DONE

    def take(self, limit: int | None = None) -> bytes:
        """What the client reads next: one message's body, or its first `limit` bytes."""
        chunk = self.chunks.popleft()
        bounds = [bound for bound in (limit, self.allowance) if bound is not None]
        if bounds and len(chunk) > (most := min(bounds)):
            self.chunks.appendleft(chunk[most:])
            chunk = chunk[:most]
        self._count(-len(chunk))
        return chunk

    def give_back(self, data: bytes) -> None:
        """The client did not want so much."""
        if data:
            self.chunks.appendleft(data)
            self._count(len(data))

    def _count(self, size: int) -> None:
        self.waiting += size
        if self.allowance is not None:
            self.allowance += size
        self.changed.notify()

    @property
    def _full(self) -> bool:
        return self.waiting > (self._high_mark if self.allowance is None else 0)

    def _take_message(self, message: MutableMapping[str, Any]) -> None:
        try:
            if self.over:
                raise Violation(f"sent after the application had returned: {message!r:.200}")
            self.rules.check(message)
        except Violation as violation:
            self.violation = self.violation or violation
            raise
        else:
            kind, body = message["type"], message.get("body", b"")
            if kind == "http.response.body":
                if body and self.rules.has_body:
                    self.chunks.append(body)
                    self.waiting += len(body)
            elif kind != "http.response.start":
                self.others.append(message)
        finally:
            self.changed.notify()

    async def _feed(self, upload: AsyncIterable[bytes]) -> None:
        try:
            async for piece in upload:
                self._requests.append(_request(piece, more=True))
                self.changed.notify()
                await self.changed.until(lambda: not self._requests)
            self._requests.append(_request(b"", more=False))
        except Exception as error:  # noqa: BLE001  the test's own; its next wait raises it
            self.upload_error = error
        self.changed.notify()


def _request(body: bytes, *, more: bool) -> MutableMapping[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more}

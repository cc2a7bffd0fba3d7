"""Middlewares as people have them, good and bad, to put between a response and its server."""

from __future__ import annotations

import asyncio
from typing import Any

import anyio
from starlette.datastructures import MutableHeaders
from starlette.middleware.base import BaseHTTPMiddleware

__all__ = ["Based", "Counting", "Deaf", "Hasty", "Raising", "Slow", "Stamping"]


class Based(BaseHTTPMiddleware):
    """What `@app.middleware("http")` makes: the response goes on from a task of the middleware's own."""

    async def dispatch(self, request: Any, call_next: Any) -> Any:
        response = await call_next(request)
        response.headers["x-based"] = "1"
        return response


class Hasty:
    """Gives the application so many seconds, and cancels its scope then, again and again until it has ended."""

    def __init__(self, app: Any, seconds: float) -> None:
        self._app = app
        self._seconds = seconds

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        with anyio.move_on_after(self._seconds):
            await self._app(scope, receive, send)


class Deaf:
    """Never tells the application that its reader has left."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def hidden() -> Any:
            message = await receive()
            if message["type"] == "http.disconnect":
                await asyncio.get_running_loop().create_future()
            return message

        await self._app(scope, hidden, send)


class _Sending:
    """Does something with each message that is sent."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def wrapped(message: Any) -> None:
            await self.before(message)
            await send(message)

        await self._app(scope, receive, wrapped)

    async def before(self, message: Any) -> None:
        raise NotImplementedError


class Stamping(_Sending):
    """Adds a header to the list that it is given, as Starlette's SessionMiddleware does."""

    async def before(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).append("set-cookie", "stamp=1")


class Counting(_Sending):
    """Knows how many bytes of body have passed. It looks at each piece, as one that logs sizes does."""

    passed = 0

    async def before(self, message: Any) -> None:
        self.passed += len(message.get("body", b""))


class Raising(_Sending):
    """Fails at the second piece of the body."""

    pieces = 0

    async def before(self, message: Any) -> None:
        if message["type"] == "http.response.body" and message["body"]:
            self.pieces += 1
            if self.pieces == 2:
                raise LookupError("the middleware failed")


class Slow(_Sending):
    """Takes a while for each message."""

    async def before(self, message: Any) -> None:
        await asyncio.sleep(0.01)

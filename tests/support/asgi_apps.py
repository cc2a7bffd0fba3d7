"""Small raw ASGI applications, well behaved, for drivers to drive."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

__all__ = ["ENDLESS_CHUNK", "body", "echo", "endless", "sending", "start", "wait_for_disconnect"]

ENDLESS_CHUNK = b"x" * 1000


def start(status: int = 200, *headers: tuple[bytes, bytes], **more: Any) -> dict[str, Any]:
    return {"type": "http.response.start", "status": status, "headers": list(headers), **more}


def body(data: Any = b"", *, more: Any = False) -> dict[str, Any]:
    return {"type": "http.response.body", "body": data, "more_body": more}


def sending(*messages: Any) -> Callable[..., Any]:
    """An application that sends these and returns."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        for message in messages:
            await send(message)

    return app


async def endless(scope: Any, receive: Any, send: Any) -> None:
    """Sends for ever, without ever waiting for anything but `send`."""
    await send(start())
    while True:
        await send(body(ENDLESS_CHUNK, more=True))


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Answers with the request's body, piece by piece."""
    await send(start())
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        await send(body(message["body"], more=message["more_body"]))
        if not message["more_body"]:
            return


async def wait_for_disconnect(receive: Any) -> None:
    while (await receive())["type"] != "http.disconnect":
        await asyncio.sleep(0)

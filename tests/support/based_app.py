"""An application whose bodies are cut below one and below three BaseHTTPMiddlewares; run under every ASGI server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from echostream.integrations.starlette import CSVResponse
from support.middleware import Based

__all__ = ["app"]


async def rows() -> AsyncIterator[Any]:
    yield ["a"]
    await asyncio.sleep(0.01)
    raise LookupError("broken")


async def cut(_request: Request) -> Response:
    return CSVResponse(rows())


def below(count: int) -> Mount:
    return Mount(f"/{count}", Starlette(routes=[Route("/cut", cut)], middleware=[Middleware(Based)] * count))


app = Starlette(routes=[below(0), below(1), below(3)])

"""A small application with a hub inside, as a user would write it; run under every ASGI server."""

from __future__ import annotations

import asyncio
import os

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from echostream.asgi import TopicResponse, TopicSettings
from echostream.hub import Hub, HubSettings
from echostream.log import MemoryLog

hub = Hub(MemoryLog(max_bytes=400_000), settings=HubSettings(ring_bytes=20_000))
settings = TopicSettings(
    heartbeat=float(os.environ.get("HEARTBEAT", "15")), send_timeout=float(os.environ.get("SEND_TIMEOUT", "30"))
)


async def subscribe(request: Request) -> TopicResponse:
    return TopicResponse(hub, [request.path_params["topic"]], settings=settings)


async def publish(request: Request) -> Response:
    data = (await request.body()).decode()
    count = int(request.query_params.get("count", "1"))
    published = [await hub.publish(request.path_params["topic"], data) for _ in range(count)]
    return JSONResponse(published[-1].ids)


async def finish(request: Request) -> Response:
    await hub.publish(request.path_params["topic"], None, end=True)
    return Response(status_code=204)


async def drain(_request: Request) -> Response:
    hub.drain()
    return Response(status_code=204)


async def statistics(_request: Request) -> Response:
    return JSONResponse({**hub.statistics()._asdict(), "tasks": len(asyncio.all_tasks())})


app = Starlette(
    routes=[
        Route("/topics/{topic:path}", subscribe, methods=["GET"]),
        Route("/topics/{topic:path}", publish, methods=["POST"]),
        Route("/topics/{topic:path}", finish, methods=["DELETE"]),
        Route("/mounted", TopicResponse(hub, ["a"])),
        Route("/drain", drain, methods=["POST"]),
        Route("/statistics", statistics),
    ],
    lifespan=hub.lifespan,
)

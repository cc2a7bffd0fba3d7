"""Work that stops when its reader leaves: prime numbers without end, and a count of the work that was done.

Try it:

    uvicorn echostream.gallery.stops:app
    curl -N http://127.0.0.1:8000/stops | head -n 5
    curl http://127.0.0.1:8000/stops/count  # no work is under way, and the count stands still
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from itertools import count
from math import isqrt

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from echostream import NDJSONResponse

__all__ = ["Work", "app", "counted", "primes"]


class Work:
    """What the streams of this example do and did."""

    running = 0
    numbers = 0
    stopped = 0


async def primes() -> AsyncIterator[int]:
    Work.running += 1
    try:
        for number in count(2):
            Work.numbers += 1
            if all(number % divisor for divisor in range(2, isqrt(number) + 1)):
                yield number
                await asyncio.sleep(0.1)
    finally:  # the reader left: the generator is closed where it stands
        Work.running -= 1
        Work.stopped += 1


async def counted(_request: Request) -> JSONResponse:
    return JSONResponse({"running": Work.running, "numbers": Work.numbers, "stopped": Work.stopped})


app = Starlette(routes=[Route("/stops", NDJSONResponse(primes)), Route("/stops/count", counted)])

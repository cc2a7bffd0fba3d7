"""Plain text, a line a second for four seconds: each line is sent when it is made, not when all are.

Try it:

    uvicorn echostream.gallery.chunked_text:app
    curl -N http://127.0.0.1:8000/chunked_text
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime

from starlette.applications import Starlette
from starlette.routing import Route

from echostream import TextStreamResponse

__all__ = ["app", "lines"]


async def lines() -> AsyncIterator[str]:
    for number in range(1, 5):
        now = datetime.now(UTC)
        yield f"{number} of 4 at {now:%H:%M:%S} UTC; the server has computed for {time.process_time():.2f} s\n"
        await asyncio.sleep(1)


# A response is an ASGI application. Given a function that makes its source, it answers any number of requests.
app = Starlette(routes=[Route("/chunked_text", TextStreamResponse(lines))])

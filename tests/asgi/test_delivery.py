"""The moments of a delivery on real loops, whose clocks and timers are coarse."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from echostream.asgi import EventStreamResponse
from echostream.stream import StreamSettings
from echostream.testing import drive


async def silent() -> AsyncIterator[Any]:
    await asyncio.get_running_loop().create_future()
    yield


async def test_a_moment_that_is_at_hand_is_followed_by_the_next_ones():
    # For a moment less than half a millisecond ahead uvloop gives a handle that has no `when`.
    settings = StreamSettings(commit_after=0.0001, heartbeat=0.01, deadline=0.2)
    async with drive(EventStreamResponse(silent, settings=settings)) as response:
        assert await response.read_until(b":\n\n:\n\n:\n\n") == b":\n\n" * 3
        [end] = await response.events()
        assert (end.event, end.data) == ("stream-end", '{"reason":"deadline"}')

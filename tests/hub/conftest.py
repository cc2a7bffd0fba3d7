"""A hub with a log in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from echostream.hub import Hub


@pytest.fixture
async def hub() -> AsyncIterator[Hub]:
    async with Hub() as hub:
        yield hub

"""Ten updates: each leaves by itself, though rows that come so fast would be gathered."""

from __future__ import annotations

import json

import pytest

from echostream.gallery.updates import PACKAGES, app
from echostream.testing import drive


@pytest.mark.parametrize("path", ["/updates", "/updates/writer"])
async def test_each_update_leaves_by_itself(path: str):
    async with drive(app, "GET", path, within=20) as response:
        assert (await response.head()).headers["content-type"] == "application/x-ndjson"
        chunks = [chunk async for chunk in response]
        assert await response.ended() == "complete"
    assert [chunk.count(b"\n") for chunk in chunks] == [1] * 10
    updates = [json.loads(chunk) for chunk in chunks]
    assert [(update["done"], update["package"]) for update in updates] == list(enumerate(PACKAGES, 1))
    assert all(update["functions"] > 0 < update["files"] for update in updates)


@pytest.mark.parametrize("path", ["/updates", "/updates/writer"])
async def test_the_job_ends_with_its_reader(path: str):
    async with drive(app, "GET", path, within=20) as response:
        await response.lines(2)
        response.disconnect()
        assert await response.ended() == "gone"

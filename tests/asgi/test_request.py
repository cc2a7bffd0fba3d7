"""What a request says of itself."""

from __future__ import annotations

from typing import Any

import pytest

from echostream.asgi import CSVResponse, NDJSONResponse, TopicResponse
from echostream.hub import Hub
from echostream.testing import drive


@pytest.mark.parametrize("version", ["1.0", "1"])  # the second is granian's word for it
async def test_http_1_0_is_known_however_a_server_calls_it(version: str):
    def items() -> list[Any]:
        return [1]

    async with drive(CSVResponse(items), http_version=version) as response:
        assert (await response.head()).status == 505
    async with drive(NDJSONResponse(items), http_version=version) as response:
        assert await response.lines() == [1, {"stream": "end", "reason": "finished"}]
    async with (
        Hub("memory://") as hub,
        drive(TopicResponse(hub, ["a"]), "GET", "/?format=text", http_version=version) as r,
    ):
        assert (await r.head()).status == 505

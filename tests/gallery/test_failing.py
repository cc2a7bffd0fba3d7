"""What a reader sees of a failure before, at and after the first item, format by format."""

from __future__ import annotations

import json
import logging

import pytest

from echostream.exceptions import InvalidItem, StreamAborted
from echostream.gallery.failing import FORMATS, app
from echostream.testing import drive

AFTER = {
    "ndjson": b'{"row":1}\n{"stream":"error","code":"internal-error",'
    b'"message":"the stream failed here; the log of the server says why"}\n',
    "json": b'[{"row":1}',
    "csv": b"row\r\n1\r\n",
    "text": b"row 1\n",
    "bytes": b"row 1\n",
}


@pytest.mark.parametrize("name", FORMATS)
async def test_before_it_is_the_status_that_the_source_chose(name: str):
    async with drive(app, "GET", f"/failing/{name}/before") as response:
        status, headers = await response.head()
        assert (status, headers["content-type"]) == (404, "application/problem+json")
        assert json.loads(await response.read())["code"] == "no-such-table"
        assert await response.ended() == "complete"


@pytest.mark.parametrize("name", FORMATS)
async def test_at_it_is_500_and_the_servers_log_says_why(name: str):
    async with drive(app, "GET", f"/failing/{name}/at") as response:
        assert (await response.head()).status == 500
        assert b"object" not in await response.read()
        await response.ended()
        raised = response.exception
        assert isinstance(raised, InvalidItem)
        assert raised.item == 1


@pytest.mark.parametrize("name", AFTER)
async def test_after_it_the_body_is_cut(name: str):
    async with drive(app, "GET", f"/failing/{name}/after") as response:
        assert (await response.head()).status == 200
        assert await response.ended() == "aborted"
        assert response.body == AFTER[name]
        assert isinstance(response.exception, StreamAborted)
        assert isinstance(response.exception.__cause__, LookupError)


async def test_after_it_events_say_so_and_end_in_order(caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.ERROR, "echostream.stream"):
        async with drive(app, "GET", "/failing/sse/after") as response:
            item, error = await response.events()
            assert await response.ended() == "complete"
    assert (item.data, error.event) == ('{"row":1}', "stream-error")
    assert json.loads(error.data)["code"] == "internal-error"
    assert error.last_event_id.endswith(".end")
    assert "row 2 is gone" in caplog.text
    assert "row 2 is gone" not in error.data


@pytest.mark.parametrize("path", ["xml/after", "csv/never", "csv/<script>"])
async def test_other_formats_and_moments_are_not_found(path: str):
    async with drive(app, "GET", f"/failing/{path}") as response:
        assert (await response.head()).status == 404
        assert b"ndjson" in await response.read()

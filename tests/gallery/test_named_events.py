"""Events with names, `retry` before them and heartbeats between them."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest

from echostream.gallery.named_events import app
from echostream.testing import drive


async def test_events_have_names_and_silence_has_heartbeats():
    async with drive(app, "GET", "/named_events?algorithm=sha256&algorithm=blake2b") as response:
        assert (await response.head()).headers["content-type"] == "text/event-stream; charset=utf-8"
        events = await response.events()
        assert await response.ended() == "complete"
        body = response.body
    assert [event.event for event in events] == ["connected", "message", "message", "complete", "stream-end"]
    speeds = {told["algorithm"]: told["mb_per_second"] for told in (json.loads(event.data) for event in events[1:3])}
    assert speeds.keys() == {"sha256", "blake2b"}
    assert min(speeds.values()) > 0
    assert json.loads(events[3].data) == {"fastest": max(speeds, key=speeds.__getitem__)}
    assert body.startswith(b"retry: 3000\n\nevent: connected\n")
    before_first = body[body.index(b"event: connected") : body.index(b"event: message")]
    assert b"\n\n:\n\n" in before_first, "half a second of measuring is silence"


@pytest.mark.parametrize("algorithm", ["rot13", "shake", "md5\0", "\r\n\r\nevent: complete\r\ndata: {}\r\n\r\n", ""])
async def test_what_cannot_be_measured_is_the_event_error(algorithm: str):
    async with drive(app, "GET", f"/named_events?algorithm={quote(algorithm)}") as response:
        connected, error, end = await response.events()
        assert (connected.event, error.event, end.event) == ("connected", "error", "stream-end")
        assert json.loads(error.data)["algorithm"] == algorithm
        assert await response.ended() == "complete"


async def test_one_request_asks_for_so_much_only():
    many = "&".join(f"algorithm=sha{number}" for number in range(100, 200))
    async with drive(app, "GET", f"/named_events?{many}") as response:
        [connected] = await response.events(1)
        assert len(json.loads(connected.data)["algorithms"]) == 8


async def test_a_browser_that_has_seen_the_end_is_told_to_stop():
    async with drive(app, "GET", "/named_events?algorithm=none") as response:
        end = (await response.events())[-1]
    async with drive(app, "GET", "/named_events", headers={"last-event-id": end.last_event_id}) as response:
        assert (await response.head()).status == 204

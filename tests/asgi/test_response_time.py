"""What time does to a response: late heads, heartbeats, deadlines, stalls, ages, abandonment. In virtual time."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from echostream.asgi import (
    BytesStreamResponse,
    CSVResponse,
    EventStreamResponse,
    JSONArrayResponse,
    NDJSONResponse,
    StreamReport,
    StreamResponse,
    TextStreamResponse,
    stream_statistics,
)
from echostream.stream import StreamSettings
from echostream.testing import drive, virtual_time


async def after(seconds: float, *items: Any) -> AsyncIterator[Any]:
    await asyncio.sleep(seconds)
    for item in items:
        yield item


async def every(seconds: float, item: Any, times: int) -> AsyncIterator[Any]:
    for _ in range(times):
        yield item
        await asyncio.sleep(seconds)


def now() -> float:
    return asyncio.get_running_loop().time()


ALL = [EventStreamResponse, NDJSONResponse, JSONArrayResponse, CSVResponse, TextStreamResponse, BytesStreamResponse]


@pytest.mark.parametrize("kind", ALL)
@virtual_time
async def test_the_head_waits_for_the_first_item_for_at_most_commit_after(kind: Callable[..., StreamResponse]):
    settings = StreamSettings(commit_after=1)
    async with drive(kind(after(10), settings=settings), within=60) as response:
        await response.head()
        assert now() == pytest.approx(1, abs=0.1)
        await response.ended()
        assert now() == pytest.approx(10, abs=0.1)


@virtual_time
async def test_a_first_item_in_time_is_a_head_in_time():
    async with drive(NDJSONResponse(after(0.3, 1)), within=60) as response:
        await response.head()
        assert now() == pytest.approx(0.3, abs=0.05)


@pytest.mark.parametrize(
    ("kind", "beat", "item", "body"),
    [
        (EventStreamResponse, b":\n\n", "a", b"data: a\n\n"),
        (NDJSONResponse, b"\n", 1, b"1\n"),
        (JSONArrayResponse, None, 1, b"[1]"),
    ],
)
@virtual_time
async def test_heartbeats_where_the_format_has_them(kind: Any, beat: bytes | None, item: Any, body: bytes):
    settings = StreamSettings(heartbeat=15)
    async with drive(kind(after(40, item), settings=settings), within=60) as response:
        got = await response.read(len(body) + 3 * len(beat or b" "))  # at the head, and 15 and 30 s after it
        assert now() == pytest.approx(40, abs=1)
        if beat is not None:
            assert got == beat * 3 + body
        else:
            assert got.strip() == body
            assert len(got) == len(body) + 3


@pytest.mark.parametrize("kind", [CSVResponse, TextStreamResponse, BytesStreamResponse])
@virtual_time
async def test_no_heartbeats_where_it_has_none(kind: Callable[..., StreamResponse]):
    settings = StreamSettings(heartbeat=1)
    async with drive(kind(after(40), settings=settings), within=60) as response:
        assert await response.read() == b""
        assert await response.ended() == "complete"


@virtual_time
async def test_a_heartbeat_shorter_than_the_wait_for_the_first_item_is_in_time():
    settings = StreamSettings(heartbeat=0.2, commit_after=5)
    async with drive(EventStreamResponse(every(1.1, "a", 2), settings=settings), within=60) as response:
        moments = list[float]()
        async for chunk in response:
            if chunk == b":\n\n":
                moments.append(round(now(), 1))
    assert moments == [0.2, 0.4, 0.6, 0.8, 1.0, 1.3, 1.5, 1.7, 1.9, 2.1]


@virtual_time
async def test_no_heartbeat_while_data_flows():
    async with drive(NDJSONResponse(every(10, 1, 20), settings=StreamSettings(heartbeat=15)), within=600) as response:
        assert await response.read() == b"1\n" * 20


@virtual_time
async def test_a_row_leaves_after_its_age_and_not_before():
    async with drive(NDJSONResponse(every(0.02, 1, 6), settings=StreamSettings(batch_age=0.05))) as response:
        times = [(round(now(), 2), chunk) async for chunk in response]
    assert times[0] == (0.0, b"1\n")
    assert times[1] == (0.07, b"1\n" * 3)
    assert b"".join(chunk for _, chunk in times) == b"1\n" * 6


@virtual_time
async def test_a_deadline_ends_events_to_be_resumed():
    reports: list[StreamReport] = []
    settings = StreamSettings(deadline=5)
    app = EventStreamResponse(every(2, "a", 99), settings=settings, on_end=reports.append)
    async with drive(app, within=60) as response:
        events = await response.events()
        assert [event.event for event in events] == ["message"] * 3 + ["stream-end"]
        assert json.loads(events[-1].data) == {"reason": "deadline"}
        assert events[-1].last_event_id == "", "a browser that comes back begins where it was"
        assert await response.ended() == "complete"
    assert reports[0].reason == "deadline"
    assert reports[0].duration == pytest.approx(5, abs=0.1)


@pytest.mark.parametrize("kind", [JSONArrayResponse, NDJSONResponse])
@virtual_time
async def test_a_deadline_cuts_what_cannot_be_resumed(kind: Callable[..., StreamResponse]):
    async with drive(kind(every(2, 1, 99), settings=StreamSettings(deadline=5)), within=60) as response:
        assert await response.ended() == "aborted"
        assert "deadline" in str(response.exception)
        assert now() == pytest.approx(5, abs=0.1)


@virtual_time
async def test_a_deadline_before_the_first_item_is_a_status():
    settings = StreamSettings(deadline=5, commit_after=10)
    async with drive(NDJSONResponse(after(100, 1), settings=settings), within=60) as response:
        assert (await response.head()).status == 503
        assert now() == pytest.approx(5, abs=0.1)
        assert json.loads(await response.read())["code"] == "deadline"


@pytest.mark.parametrize("heartbeat", [None, 15])
@virtual_time
async def test_a_stalled_reader_is_given_up_and_its_source_closed(heartbeat: float | None):
    closed = False

    async def endless() -> AsyncIterator[bytes]:
        nonlocal closed
        try:
            while True:
                yield b"x" * 10_000
        finally:
            closed = True

    settings = StreamSettings(send_timeout=30, heartbeat=heartbeat)
    async with drive(BytesStreamResponse(endless(), settings=settings), within=120) as response:
        await response.read(1000)
        response.stall()
        assert await response.ended() == "aborted"
        assert "stalled" in str(response.exception)
        assert now() == pytest.approx(30, abs=1)
    assert closed


@virtual_time
async def test_a_slow_reader_is_no_stalled_one():
    settings = StreamSettings(send_timeout=30)
    async with drive(BytesStreamResponse([b"x" * 10_000] * 100, settings=settings), within=4000) as response:
        for _ in range(100):
            assert await response.read(10_000)
            await asyncio.sleep(3)
        assert await response.ended() == "complete"


@virtual_time
async def test_what_stalls_while_it_waits_for_its_source_is_given_up_too():
    settings = StreamSettings(send_timeout=30, heartbeat=None)
    async with drive(TextStreamResponse(every(1, "x", 10_000), settings=settings), high_mark=0, within=120) as response:
        await response.read(1)
        response.stall()
        assert await response.ended() == "aborted"
        assert response.exception
        assert now() == pytest.approx(31, abs=2)


@virtual_time
async def test_a_source_that_swallows_its_cancellation_is_abandoned_and_counted(caplog: pytest.LogCaptureFixture):
    release = asyncio.Event()

    async def deaf() -> AsyncIterator[str]:
        yield "x"
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                pass

    before = stream_statistics().abandoned
    with caplog.at_level(logging.WARNING, "echostream.stream"):
        async with drive(TextStreamResponse(deaf(), settings=StreamSettings(close_timeout=5)), within=60) as response:
            await response.read(1)
            response.disconnect()
            assert await response.ended() == "gone"
            assert now() == pytest.approx(5, abs=0.1)
    assert stream_statistics().abandoned == before + 1
    assert "deaf" in caplog.text
    release.set()


@virtual_time
async def test_an_error_late_after_the_head_is_told_all_the_same():
    async def late() -> AsyncIterator[Any]:
        await asyncio.sleep(10)
        raise LookupError
        yield

    async with drive(NDJSONResponse(late()), within=60) as response:
        assert (await response.head()).status == 200
        [error] = await response.lines(1)
        assert error["stream"] == "error"
        assert await response.ended() == "aborted"
        assert response.exception


@virtual_time
async def test_a_reader_that_was_behind_gets_its_heartbeats_as_soon_as_the_others():
    async def once() -> AsyncIterator[str]:
        yield "x" * 200_000
        await asyncio.sleep(100)

    settings = StreamSettings(heartbeat=10, send_timeout=60)
    async with drive(EventStreamResponse(once(), settings=settings), within=200) as response:
        await response.head()
        response.stall()
        await asyncio.sleep(11)
        response.resume()
        await response.read_until(b"\n\n")
        assert await response.read(3) == b":\n\n"
        assert now() <= 22
        response.disconnect()

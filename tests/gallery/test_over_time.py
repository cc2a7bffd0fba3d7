"""Examples that take their time, on a loop whose time jumps: what arrives when, and what goes on when nobody reads."""

from __future__ import annotations

import asyncio
import json
import re

from echostream.gallery.chunked_text import app as chunked_text
from echostream.gallery.stops import Work
from echostream.gallery.stops import app as stops
from echostream.testing import drive, virtual_time


@virtual_time
async def test_four_lines_come_a_second_apart():
    loop, arrived = asyncio.get_running_loop(), list[tuple[float, str]]()
    async with drive(chunked_text, "GET", "/chunked_text") as response:
        assert (await response.head()).headers["content-type"] == "text/plain; charset=utf-8"
        async for chunk in response:
            arrived.append((loop.time(), chunk.decode()))
        assert await response.ended() == "complete"
    assert [moment for moment, _ in arrived] == [0, 1, 2, 3]
    assert all(re.match(rf"{number} of 4 at .*\n", line) for number, (_, line) in enumerate(arrived, 1))
    assert loop.time() == 4


@virtual_time
async def test_many_requests_have_a_source_each():
    async with drive(chunked_text, "GET", "/chunked_text") as one, drive(chunked_text, "GET", "/chunked_text") as other:
        assert (await one.read()).count(b"\n") == (await other.read()).count(b"\n") == 4


@virtual_time
async def test_work_stops_when_the_reader_leaves():
    running, stopped = Work.running, Work.stopped
    async with drive(stops, "GET", "/stops") as response:
        assert await response.lines(4) == [2, 3, 5, 7]
        assert Work.running == running + 1
        response.disconnect()
        assert await response.ended() == "gone"
    done = Work.numbers
    await asyncio.sleep(60)
    async with drive(stops, "GET", "/stops/count") as response:
        told = json.loads(await response.read())
    assert told == {"running": running, "numbers": done, "stopped": stopped + 1}


@virtual_time
async def test_work_waits_for_a_reader_that_stalls():
    """Ten numbers a second would be more than any buffer in the end."""
    async with drive(stops, "GET", "/stops", high_mark=0) as response:
        await response.lines(1)
        response.stall()
        await asyncio.sleep(29)  # the send timeout is 30 s
        assert Work.running >= 1
        assert await response.ended(within=60) == "aborted"
    assert Work.running == 0


@virtual_time
async def test_nothing_is_computed_for_a_head():
    done = Work.numbers
    async with drive(stops, "HEAD", "/stops") as response:
        assert (await response.head()).status == 200
        assert await response.ended() == "complete"
    assert Work.numbers == done

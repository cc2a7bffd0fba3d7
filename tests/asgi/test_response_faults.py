"""Faults of applications: encoders that raise, sources that are none; reports and refusals that must be true."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from echostream.asgi import (
    BytesStreamResponse,
    CSVResponse,
    EventStreamResponse,
    NDJSONResponse,
    StreamReport,
    StreamResponse,
    TextStreamResponse,
    Writer,
)
from echostream.asgi.account import Account
from echostream.asgi.head import stream_headers
from echostream.exceptions import InvalidInput, StreamAborted, StreamFailed
from echostream.stream import StreamSettings
from echostream.testing import drive, virtual_time
from echostream.wire.body import TextBody


class Bad(TextBody):
    """Raises what the protocol of encoders does not allow."""

    by_item = False

    def encode(self, items: Any) -> bytes:
        if "bad" in items:
            raise MemoryError("no room")
        return super().encode(items)


class BadFinish(TextBody):
    def finish(self) -> bytes:
        raise LookupError("no end")


class Raising(StreamResponse):
    def encoder(self, _scope: Any) -> Any:
        return Bad()


class RaisingAtItsEnd(StreamResponse):
    def encoder(self, _scope: Any) -> Any:
        return BadFinish()


@virtual_time
async def test_an_encoder_that_raises_in_a_timer_cuts_the_body():
    async def texts() -> AsyncIterator[str]:
        for text in ("a", "bad", "c", "d"):
            yield text
            await asyncio.sleep(1)

    async with drive(Raising(texts()), within=60) as response:
        assert await response.ended() == "aborted"
        assert isinstance(response.exception, StreamAborted)
        assert isinstance(response.exception.__cause__, MemoryError)
        assert response.body == b"a"


async def test_an_encoder_that_cannot_finish_cuts_the_body():
    async with drive(RaisingAtItsEnd(["a"])) as response:
        assert await response.ended() == "aborted"
        assert isinstance(response.exception, StreamAborted)
        assert response.body == b"a"


@pytest.mark.parametrize("kind", [NDJSONResponse, EventStreamResponse])
async def test_after_a_quota_only_the_items_that_left_are_reported(kind: Any):
    reports: list[StreamReport] = []
    async with drive(kind(range(1000), settings=StreamSettings(max_bytes=100), on_end=reports.append)) as response:
        await response.ended()
        items = response.body.count(b"data: ") - 1 if kind is EventStreamResponse else response.body.count(b"\n") - 1
        assert response.exception is None or kind is NDJSONResponse
    assert items > 5
    assert reports[0].items == items


@virtual_time
async def test_a_heartbeat_is_not_the_first_byte_of_an_item():
    reports: list[StreamReport] = []

    async def late() -> AsyncIterator[str]:
        await asyncio.sleep(10)
        yield "a"

    async with drive(EventStreamResponse(late(), on_end=reports.append), within=60) as response:
        await response.ended()
    async with drive(EventStreamResponse([], on_end=reports.append), within=60) as response:
        await response.ended()
    assert [report.first_byte for report in reports] == [pytest.approx(10, abs=0.1), None]


async def test_a_maker_that_returns_nothing_is_the_servers_fault():
    async with drive(NDJSONResponse(lambda: None)) as response:
        assert await response.ended() == "aborted"
        assert isinstance(response.exception, InvalidInput)
        assert response.body == b""


async def test_only_who_is_sent_events_is_told_of_a_refusal_in_events():
    failing = StreamFailed("busy", "come back later", status=503)

    async def source() -> AsyncIterator[str]:
        raise failing
        yield ""

    async with drive(CSVResponse(source()), headers={"accept": "text/event-stream"}) as response:
        assert (await response.head()).status == 503
        assert json.loads(await response.read())["code"] == "busy"


class Cursor:
    """As DuckDB's: it has no `__next__`."""

    description = (("n",),)

    def __init__(self) -> None:
        self.rows = [(1,), (2,)]

    def fetchmany(self, _size: int = 1) -> list[Any]:
        rows, self.rows = self.rows, []
        return rows

    def execute(self, *_: Any) -> None: ...

    def close(self) -> None: ...


class File:
    def __init__(self) -> None:
        self.left = b"all of it"

    def read(self, _size: int = -1) -> bytes:
        got, self.left = self.left, b""
        return got

    def close(self) -> None: ...


@pytest.mark.parametrize("thing", [Cursor, File])
async def test_a_cursor_or_file_that_was_read_is_not_sent_as_an_empty_body(thing: Any):
    app = (CSVResponse if thing is Cursor else BytesStreamResponse)(thing())
    async with drive(app) as response:
        assert await response.read()
    async with drive(app) as response:
        assert await response.ended() == "aborted"
        assert isinstance(response.exception, InvalidInput)


async def test_a_refusal_to_a_reader_who_has_left_is_no_error():
    async def send(_message: Any) -> None:
        raise OSError("the peer is gone")

    async def receive() -> Any:
        await asyncio.get_running_loop().create_future()

    async def source() -> AsyncIterator[str]:
        raise StreamFailed("no-such-order", "not known", status=404)
        yield ""

    await TextStreamResponse(source())({"type": "http", "method": "GET", "headers": []}, receive, send)


async def test_one_closed_loop_does_not_keep_the_others_from_draining():
    account, drained = Account(), asyncio.Event()
    shut = asyncio.new_event_loop()

    async def enter() -> None:
        account.enter(object(), lambda: None)

    await asyncio.to_thread(shut.run_until_complete, enter())
    shut.close()
    account.enter(object(), drained.set)
    assert account.drain() == 2
    await drained.wait()


@pytest.mark.parametrize("bad", ["a\r\nx-evil: 1", "text/\u20ac"])
def test_a_type_that_is_no_header_is_refused(bad: str):
    with pytest.raises(InvalidInput):
        stream_headers(bad, ())


@virtual_time
async def test_a_row_that_comes_after_the_end_is_refused_though_others_wait_for_their_age():
    written: list[int] = []
    left = asyncio.Event()

    async def stubborn(out: Writer) -> None:
        for number in range(5):
            await out.write(number)
        left.set()
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            pass
        for number in range(100):
            await out.write(number)
            written.append(number)

    async with drive(NDJSONResponse(stubborn, settings=StreamSettings(batch_age=60)), within=60) as response:
        await response.lines(1)
        await left.wait()
        response.disconnect()
        assert await response.ended() == "gone"
    assert written == []

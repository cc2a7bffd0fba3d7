"""Responses of their own, message by message: heads, endings, errors, clean-up. Each on both event loops."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable, Iterator
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
    drain_streams,
    stream_statistics,
)
from echostream.event import Event
from echostream.exceptions import InvalidInput, InvalidItem, StreamAborted, StreamFailed
from echostream.stream import FLUSH, StreamSettings
from echostream.testing import drive
from support.settle import until


async def numbers(*wanted: Any, failing: Exception | None = None) -> AsyncIterator[Any]:
    for number in wanted:
        yield number
    if failing is not None:
        raise failing


class Watched:
    """An endless source that knows whether it was closed."""

    def __init__(self, *items: Any) -> None:
        self.items = items
        self.begun = self.closed = False

    async def run(self) -> AsyncIterator[Any]:
        self.begun = True
        try:
            for item in self.items:
                yield item
            await asyncio.get_running_loop().create_future()
        finally:
            self.closed = True


FORMATS: list[tuple[Callable[..., StreamResponse], list[Any], str, bytes]] = [
    (NDJSONResponse, [{"a": 1}, 2], "application/x-ndjson", b'{"a":1}\n2\n'),
    (JSONArrayResponse, [{"a": 1}, 2], "application/json", b'[{"a":1},2]'),
    (CSVResponse, [(1, "x"), (2, "y")], "text/csv; charset=utf-8", b"1,x\r\n2,y\r\n"),
    (TextStreamResponse, ["a", "b\n"], "text/plain; charset=utf-8", b"ab\n"),
    (BytesStreamResponse, [b"\0", bytearray(b"\1")], "application/octet-stream", b"\0\1"),
]
KINDS = [FORMATS[0][0], FORMATS[1][0], FORMATS[2][0], FORMATS[3][0], FORMATS[4][0]]


@pytest.mark.parametrize(("kind", "items", "media_type", "body"), FORMATS)
async def test_a_whole_body(kind: Callable[..., StreamResponse], items: list[Any], media_type: str, body: bytes):
    async with drive(kind(numbers(*items))) as response:
        status, headers = await response.head()
        assert status == 200
        assert headers["content-type"].startswith(media_type)
        assert headers["cache-control"] == "no-cache"
        assert headers["x-accel-buffering"] == "no"
        assert headers["x-content-type-options"] == "nosniff"
        assert set(headers) == {"content-type", "cache-control", "x-accel-buffering", "x-content-type-options"}
        got = await response.read()
        assert got.replace(b",\n", b",").replace(b"[\n", b"[").replace(b"\n]", b"]") == body
        assert await response.ended() == "complete"


@pytest.mark.parametrize(
    ("kind", "empty"),
    [(NDJSONResponse, b""), (JSONArrayResponse, b"[]"), (CSVResponse, b""), (TextStreamResponse, b"")],
)
async def test_a_source_without_items(kind: Callable[..., StreamResponse], empty: bytes):
    async with drive(kind(numbers())) as response:
        assert (await response.head()).status == 200
        assert await response.read() == empty
        assert await response.ended() == "complete"


async def test_events_end_with_an_id_that_stops_a_browser():
    async def events() -> AsyncIterator[Any]:
        yield Event.of({"n": 1}, event="message", id="7")
        yield "plain"

    async with drive(EventStreamResponse(events())) as response:
        assert (await response.head()).headers["content-type"] == "text/event-stream; charset=utf-8"
        first, second, end = await response.events()
        assert (first.event, first.data, first.last_event_id) == ("message", '{"n":1}', "7")
        assert second.data == "plain"
        assert end.event == "stream-end"
        assert json.loads(end.data) == {"reason": "finished"}
        assert end.last_event_id.endswith(".end")
    watched = Watched()
    back = {"last-event-id": end.last_event_id}
    async with drive(EventStreamResponse(watched.run()), headers=back) as response:
        assert (await response.head()).status == 204
        assert await response.ended() == "complete"
    assert not watched.begun


@pytest.mark.parametrize("kind", [*KINDS, EventStreamResponse])
async def test_head_never_opens_a_source(kind: Callable[..., StreamResponse]):
    watched = Watched()
    async with drive(kind(watched.run), "HEAD") as response:
        assert (await response.head()).status == 200
        assert await response.read() == b""
    assert not watched.begun


@pytest.mark.parametrize("kind", [*KINDS, EventStreamResponse])
async def test_an_error_before_the_first_item_is_raised_to_the_framework(kind: Callable[..., StreamResponse]):
    async with drive(kind(numbers(failing=LookupError("no such order")))) as response:
        assert await response.ended() == "aborted"
        assert isinstance(response.exception, LookupError)
        assert response.body == b""


@pytest.mark.parametrize("kind", [*KINDS, EventStreamResponse])
async def test_an_error_with_a_status_is_a_problem_document(kind: Callable[..., StreamResponse]):
    failing = StreamFailed("no-such-order", "order 7 is not known", status=404)
    async with drive(kind(numbers(failing=failing))) as response:
        status, headers = await response.head()
        assert (status, headers["content-type"]) == (404, "application/problem+json")
        told = json.loads(await response.read())
        assert (told["code"], told["detail"], told["status"]) == ("no-such-order", "order 7 is not known", 404)


@pytest.mark.parametrize(("kind", "items", "_type", "body"), FORMATS)
async def test_an_error_after_items_delivers_them_and_cuts(
    kind: Callable[..., StreamResponse], items: list[Any], _type: str, body: bytes
):
    async with drive(kind(numbers(*items, failing=LookupError("gone")))) as response:
        assert (await response.head()).status == 200
        assert await response.ended() == "aborted"
        assert isinstance(response.exception, StreamAborted)
        assert isinstance(response.exception.__cause__, LookupError)
        whole = response.body.replace(b",\n", b",").replace(b"[\n", b"[")
        assert whole.startswith(body.removesuffix(b"]"))
        assert not whole.endswith(b"]")


async def test_lines_tell_the_error_before_the_cut():
    failing = StreamFailed("too-much", "the model is tired")
    async with drive(NDJSONResponse(numbers(1, failing=failing))) as response:
        assert await response.lines(2) == [1, {"stream": "error", "code": "too-much", "message": "the model is tired"}]
        assert await response.ended() == "aborted"
        assert response.exception


async def test_events_tell_the_error_and_end_in_order(caplog: pytest.LogCaptureFixture):
    async with drive(EventStreamResponse(numbers("a", failing=LookupError("secret")))) as response:
        item, error = await response.events()
        assert item.data == "a"
        assert error.event == "stream-error"
        told = json.loads(error.data)
        assert told["code"] == "internal-error"
        assert "secret" not in error.data
        assert error.last_event_id.endswith(".end")
        assert await response.ended() == "complete"
    assert "secret" in caplog.text, "nobody else would log it"


@pytest.mark.parametrize("before", [0, 999])
async def test_an_item_that_cannot_be_encoded(before: int):
    async with drive(NDJSONResponse(numbers(*range(before), object()))) as response:
        if before:
            assert (await response.lines(before))[-1] == before - 1
            [error] = await response.lines(1)
            assert error["code"] == "invalid-item"
        assert await response.ended() == "aborted"
        raised = response.exception
        failure = raised.__cause__ if before else raised
        assert isinstance(failure, InvalidItem)
        assert failure.item == before + 1


async def test_a_reader_that_leaves_closes_the_source_and_waits_for_it():
    watched, reports = Watched("a"), list[StreamReport]()
    open_before = stream_statistics().open
    async with drive(TextStreamResponse(watched.run(), on_end=reports.append)) as response:
        assert await response.read(1) == b"a"
        assert stream_statistics().open == open_before + 1
        response.disconnect()
        assert await response.ended() == "gone"
        assert watched.closed
    assert stream_statistics().open == open_before
    [report] = reports
    assert (report.format, report.items, report.bytes, report.reason) == ("text", 1, 1, "gone")
    assert report.first_byte is not None


async def test_a_reader_that_leaves_before_the_first_item():
    watched = Watched()
    async with drive(TextStreamResponse(watched.run())) as response:
        await until(lambda: watched.begun)
        response.disconnect()
        assert await response.ended() == "gone"
        assert watched.closed


async def test_the_servers_cancellation_closes_the_source():
    watched, reports = Watched("a"), list[StreamReport]()
    app = TextStreamResponse(watched.run(), on_end=reports.append)
    sent = asyncio.Event()

    async def send(message: Any) -> None:
        if message.get("body"):
            sent.set()

    async def receive() -> Any:
        await asyncio.get_running_loop().create_future()

    call = asyncio.ensure_future(app({"type": "http", "method": "GET", "headers": []}, receive, send))
    await sent.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert watched.closed
    assert reports[0].reason == "cancelled"


async def test_a_send_that_raises_closes_the_source():
    watched = Watched("a")

    async def send(message: Any) -> None:
        if message.get("body"):
            raise OSError("the peer is gone")

    async def receive() -> Any:
        await asyncio.get_running_loop().create_future()

    await TextStreamResponse(watched.run())({"type": "http", "method": "GET", "headers": []}, receive, send)
    assert watched.closed


async def test_rows_are_gathered_and_the_first_leaves_early():
    async with drive(NDJSONResponse(numbers(*range(1000)))) as response:
        chunks = [chunk async for chunk in response]
    assert len(chunks[0]) < 100
    assert b"".join(chunks) == b"".join(b"%d\n" % n for n in range(1000))
    assert len(chunks) < 10


async def test_a_flush_forces_bytes_out():
    step = asyncio.Event()

    async def updates() -> AsyncIterator[Any]:
        for number in range(10):
            yield {"update": number}
            yield FLUSH
            await step.wait()
            step.clear()

    settings = StreamSettings(batch_age=3600)
    async with drive(NDJSONResponse(updates(), settings=settings)) as response:
        for number in range(10):
            assert await response.lines(1) == [{"update": number}]
            step.set()
        assert await response.ended() == "complete"


async def test_back_pressure_stalls_the_source_after_bounded_bytes():
    made = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal made
        while True:
            made += 1000
            yield b"x" * 1000

    async with drive(BytesStreamResponse(endless())) as response:
        await response.head()
        response.stall()
        for _ in range(200):
            await asyncio.sleep(0)
        settled = made
        for _ in range(200):
            await asyncio.sleep(0)
        assert made == settled
        assert made <= 5 * 64 * 1024
        response.resume()
        await response.read(1_000_000)
        response.disconnect()


async def test_a_quota_ends_a_body_with_its_reason():
    reports: list[StreamReport] = []
    settings = StreamSettings(max_bytes=100)
    async with drive(BytesStreamResponse(numbers(*[b"x" * 30] * 9), settings=settings, on_end=reports.append)) as cut:
        assert await cut.read(100) == b"x" * 100
        assert await cut.ended() == "aborted"
        assert "quota" in str(cut.exception)
    async with drive(EventStreamResponse(numbers(*["x" * 30] * 9), settings=settings, on_end=reports.append)) as told:
        events = await told.events()
        assert [event.event for event in events] == ["message", "message", "stream-end"]
        assert json.loads(events[-1].data) == {"reason": "quota"}
        assert not events[-1].last_event_id
        assert await told.ended() == "complete"
    assert [report.reason for report in reports] == ["quota", "quota"]


async def test_draining_ends_what_is_open():
    words, lines = Watched("a"), Watched(1)
    async with drive(EventStreamResponse(words.run())) as told, drive(NDJSONResponse(lines.run())) as cut:
        await told.events(1)
        await cut.lines(1)
        assert drain_streams() >= 2
        [end] = await told.events()
        assert json.loads(end.data) == {"reason": "drain"}
        assert await told.ended() == "complete"
        assert await cut.lines(1) == [{"stream": "end", "reason": "drain"}]
        assert await cut.ended() == "aborted"
        assert cut.exception
    assert words.closed
    assert lines.closed


@pytest.mark.parametrize("kind", KINDS)
async def test_http_1_0_gets_only_what_tells_its_own_end(kind: Callable[..., StreamResponse]):
    watched = Watched()
    async with drive(kind(watched.run()), http_version="1.0") as response:
        if kind is NDJSONResponse:
            await until(lambda: watched.begun)
            return
        assert (await response.head()).status == 505
    assert not watched.begun


async def test_lines_in_http_1_0_have_an_end():
    async with drive(NDJSONResponse(numbers(1)), http_version="1.0") as response:
        assert await response.lines() == [1, {"stream": "end", "reason": "finished"}]


async def test_a_temporary_refusal_reaches_a_browsers_eventsource():
    failing = StreamFailed("busy", "come back later", status=503)
    only_events = {"accept": "text/event-stream"}
    async with drive(EventStreamResponse(numbers(failing=failing)), headers=only_events) as response:
        assert (await response.head()).status == 200
        assert "busy" in (await response.read()).decode()
    async with drive(EventStreamResponse(numbers(failing=failing))) as response:
        status, headers = await response.head()
        assert status == 503
        assert "retry-after" in headers


async def test_a_source_that_goes_on_after_the_end_is_stopped(caplog: pytest.LogCaptureFixture):
    yielded = 0

    async def stubborn() -> AsyncIterator[str]:
        nonlocal yielded
        while True:
            try:
                yield "x"
                yielded += 1
                await asyncio.get_running_loop().create_future()
            except asyncio.CancelledError:
                pass

    async with drive(TextStreamResponse(stubborn())) as response:
        await response.read(1)
        response.disconnect()
        assert await response.ended() == "gone"
        assert yielded <= 2


async def test_a_source_that_yields_while_it_is_closed(caplog: pytest.LogCaptureFixture):
    async def late() -> AsyncIterator[str]:
        try:
            yield "x"
            await asyncio.get_running_loop().create_future()
        finally:
            yield "too late"

    with caplog.at_level(logging.ERROR, "echostream.stream"):
        async with drive(TextStreamResponse(late())) as response:
            await response.read(1)
            response.disconnect()
            assert await response.ended() == "gone"
    assert response.body == b"x"


async def test_a_used_up_source_is_told():
    app = NDJSONResponse(numbers(1))
    async with drive(app) as response:
        assert await response.lines() == [1]
    async with drive(app) as response:
        assert await response.ended() == "aborted"
        assert isinstance(response.exception, InvalidInput)
        assert "used" in str(response.exception)


async def test_a_list_may_be_sent_many_times():
    app = NDJSONResponse([1, 2])
    for _ in range(2):
        async with drive(app) as response:
            assert await response.lines() == [1, 2]


async def test_a_synchronous_source():
    closed = False

    def rows() -> Iterator[tuple[int, str]]:
        nonlocal closed
        try:
            for number in range(5000):
                yield number, "x"
        finally:
            closed = True

    async with drive(CSVResponse(rows(), columns=["n", "x"])) as response:
        body = await response.read()
        assert body == b"n,x\r\n" + b"".join(b"%d,x\r\n" % n for n in range(5000))
    assert closed


@pytest.mark.parametrize(
    ("name", "value"), [("content-length", "5"), ("x-a", "1\r\nx-b: 2"), ("transfer-encoding", "gzip"), ("a b", "c")]
)
def test_headers_that_must_not_be(name: str, value: str):
    with pytest.raises(InvalidInput):
        NDJSONResponse([], headers={name: value})


@pytest.mark.parametrize("status", [100, 204, 304, 99, 600])
def test_statuses_without_a_body(status: int):
    with pytest.raises(InvalidInput):
        NDJSONResponse([], status_code=status)


@pytest.mark.parametrize("settings", [{"heartbeat": 3}, 3])
def test_settings_of_another_type(settings: Any):
    with pytest.raises(InvalidInput, match=r"settings: .* give StreamSettings\(\.\.\.\)"):
        NDJSONResponse([], settings=settings)


async def test_own_headers_replace_ours_and_a_filename_is_safe():
    app = CSVResponse(
        [(1,)], filename='prices "€".csv', headers={"Cache-Control": "private", "x-one": "1"}, status_code=201
    )
    async with drive(app) as response:
        status, headers = await response.head()
        assert status == 201
        assert headers["cache-control"] == "private"
        assert headers["x-one"] == "1"
        disposition = headers["content-disposition"]
        assert disposition == "attachment; filename=\"prices ___.csv\"; filename*=UTF-8''prices%20%22%E2%82%AC%22.csv"
        assert await response.read() == b"1\r\n"


async def test_an_on_end_that_raises_is_logged_and_nothing_more(caplog: pytest.LogCaptureFixture):
    def on_end(_report: StreamReport) -> None:
        raise LookupError("mine")

    async with drive(NDJSONResponse(numbers(1), on_end=on_end)) as response:
        assert await response.lines() == [1]
        assert await response.ended() == "complete"
    assert "mine" in caplog.text

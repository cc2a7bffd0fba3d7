"""Responses that end at an awkward instant: the source is closed whole, and nothing is left over."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest

from echostream.asgi import (
    CSVResponse,
    EventStreamResponse,
    NDJSONResponse,
    StreamReport,
    TextStreamResponse,
    Writer,
    drain_streams,
    stream_statistics,
)
from echostream.exceptions import ClientGone, InvalidInput, StreamAborted
from echostream.stream import StreamSettings
from echostream.stream.threads import SOURCE_THREADS
from echostream.testing import drive, virtual_time
from support.settle import until

SCOPE = {"type": "http", "method": "GET", "headers": []}


class Iterator:
    """Items of a class of its own, whose closing takes a second, or none where it has no end."""

    def __init__(self, *items: Any, failing: Exception | None = None, endless: bool = False) -> None:
        self._items = iter(items)
        self._failing = failing
        self._endless = endless
        self.opened = self.closed = 0

    def __aiter__(self) -> Iterator:
        return self

    async def __anext__(self) -> Any:
        self.opened = 1
        for item in self._items:
            return item
        if self._endless:
            await never()
        if self._failing is not None:
            raise self._failing
        raise StopAsyncIteration

    async def aclose(self) -> None:
        await asyncio.sleep(0 if self._endless else 1)
        self.closed += 1


async def never(*_message: Any) -> Any:
    await asyncio.get_running_loop().create_future()


async def take(_message: Any) -> None:
    """A `send` that never waits."""


@pytest.mark.parametrize("failing", [None, LookupError("failed")])
@virtual_time
async def test_a_source_that_has_ended_closes_in_peace(failing: Exception | None):
    source = Iterator("a", failing=failing)
    async with drive(EventStreamResponse(source), within=60) as response:
        assert await response.ended() == "complete"
    assert source.closed == 1


async def test_a_synchronous_source_that_has_ended_closes_in_peace():
    may_close = threading.Event()

    class Rows:
        def __init__(self) -> None:
            self.rows, self.closed = iter([[1]]), False

        def __iter__(self) -> Any:
            return self

        def __next__(self) -> Any:
            return next(self.rows)

        def close(self) -> None:
            may_close.wait(10)
            self.closed = True

    rows = Rows()
    async with drive(CSVResponse(rows)) as response:
        assert await response.read() == b"1\r\n"
        for _ in range(100):
            await asyncio.sleep(0)
        assert SOURCE_THREADS.statistics().abandoned == 0
        may_close.set()
        assert await response.ended() == "complete"
        assert rows.closed


@virtual_time
async def test_a_deadline_closes_the_source_also_while_the_reader_is_stalled():
    ended_at = 0.0

    async def endless() -> AsyncIterator[str]:
        nonlocal ended_at
        try:
            while True:
                yield "x" * 10_000
        finally:
            ended_at = asyncio.get_running_loop().time()

    settings = StreamSettings(deadline=5)
    async with drive(TextStreamResponse(endless(), settings=settings), within=100) as response:
        await response.head()
        response.stall()
        await asyncio.sleep(6)
        assert ended_at == pytest.approx(5, abs=0.1)
        response.resume()
        assert await response.ended() == "aborted"


@pytest.mark.parametrize("turns", range(14))
async def test_a_request_cancelled_at_any_turn_closes_its_source(turns: int):
    source, before = Iterator("a", "b", endless=True), stream_statistics()
    call = asyncio.ensure_future(TextStreamResponse(source)(dict(SCOPE), never, take))
    for _ in range(turns):
        await asyncio.sleep(0)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert source.closed == (1 if turns else 0), "without its first step a call knows nothing"
    assert (stream_statistics().open, stream_statistics().abandoned) == (before.open, before.abandoned)


@pytest.mark.parametrize("turns", range(14))
@virtual_time
async def test_a_block_cancelled_at_any_turn_ends_at_once(turns: int):
    loop, before = asyncio.get_running_loop(), stream_statistics()
    tasks = asyncio.all_tasks()

    async def app() -> None:
        async with NDJSONResponse().open(dict(SCOPE), never, take) as out:
            await out.write(1)
            await out.wait_gone()

    call = asyncio.ensure_future(app())
    for _ in range(turns):
        await asyncio.sleep(0)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    for _ in range(5):
        await asyncio.sleep(0)
    assert loop.time() < 1
    assert asyncio.all_tasks() == tasks
    assert (stream_statistics().open, stream_statistics().abandoned) == (before.open, before.abandoned)


@pytest.mark.parametrize("turns", range(14))
async def test_a_block_whose_reader_leaves_at_any_turn_is_no_error(turns: int):
    after: list[int] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        async with NDJSONResponse().open(scope, receive, send) as out:
            await out.write(1)
            await out.wait_gone()
            await out.write(2)
        task = asyncio.current_task()
        assert task is not None
        after.append(task.cancelling())

    async with drive(app) as response:
        for _ in range(turns):
            await asyncio.sleep(0)
        response.disconnect()
        assert await response.ended() == "gone"
        assert response.exception is None
    assert after == [0]


async def test_a_block_that_writes_while_it_is_cancelled_leaves_no_cancellation_behind():
    writing, after = asyncio.Event(), list[int]()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        async with NDJSONResponse().open(scope, receive, send) as out:
            try:
                await out.write(1)
                writing.set()
                await never()
            finally:
                await out.write(2)
        task = asyncio.current_task()
        assert task is not None
        after.append(task.cancelling())

    async with drive(app) as response:
        await writing.wait()
        response.disconnect()
        assert await response.ended() == "gone"
        assert response.exception is None
    assert after == [0]


async def test_a_block_below_a_base_http_middleware_is_cut_where_others_stand_between():
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message["type"])

    async def app() -> None:
        async with TextStreamResponse().open(dict(SCOPE), never, send) as out:
            await out.write("half")
            raise LookupError("failed")

    call = asyncio.create_task(app(), name="starlette.middleware.base.BaseHTTPMiddleware.__call__.<locals>.coro")
    with pytest.raises(StreamAborted):
        await call
    assert sent[-1] == "http.response.pathsend"


async def test_a_block_and_a_source_are_one_too_many():
    with pytest.raises(InvalidInput, match="source"):
        async with NDJSONResponse([1]).open(dict(SCOPE), never, take):
            pass


async def test_a_loop_that_was_drained_begins_no_stream():
    drain_streams()
    source, reports = Iterator(endless=True), list[StreamReport]()
    async with drive(NDJSONResponse(source, on_end=reports.append), within=10) as response:
        status, headers = await response.head()
        assert status == 503
        assert "retry-after" in headers
        assert await response.ended() == "complete"
    assert (source.opened, source.closed) == (0, 1)
    assert [report.reason for report in reports] == ["drain"]


@virtual_time
async def test_an_end_that_is_not_taken_is_not_reported_as_finished():
    reports: list[StreamReport] = []

    async def some() -> AsyncIterator[str]:
        yield "a"
        yield "x" * 100_000

    async with drive(TextStreamResponse(some(), on_end=reports.append), high_mark=0, within=100) as response:
        await response.read(1)
        response.stall()
        await until(lambda: reports)
        assert response.exception is not None
    assert [report.reason for report in reports] == ["stalled"]


async def test_an_end_that_the_server_cancels_is_not_reported_as_finished():
    reports: list[StreamReport] = []
    call = asyncio.ensure_future(TextStreamResponse(["a"], on_end=reports.append)(dict(SCOPE), never, never))
    for _ in range(20):
        await asyncio.sleep(0)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert [report.reason for report in reports] == ["cancelled"]


async def test_a_flush_that_the_server_has_not_taken_says_so():
    told: list[str] = []
    flushing = asyncio.Event()

    async def flush(out: Writer) -> None:
        flushing.set()
        try:
            await out.flush()
        except ClientGone:
            told.append("gone")
        else:
            told.append("taken")

    async def app(scope: Any, receive: Any, send: Any) -> None:
        async with NDJSONResponse().open(scope, receive, send) as out:
            await out.write("x" * 1000)
            task = asyncio.create_task(flush(out))
            await asyncio.shield(task)

    async with drive(app, high_mark=0) as response:
        await response.head()
        await flushing.wait()
        for _ in range(20):
            await asyncio.sleep(0)
        assert not told
        response.disconnect()
        await response.ended()
        await until(lambda: told)
    assert told == ["gone"]


async def test_a_block_that_others_have_cancelled_too_does_not_go_on():
    begun, gone, after = asyncio.Event(), asyncio.Event(), list[str]()

    async def receive() -> Any:
        await gone.wait()
        return {"type": "http.disconnect"}

    async def app() -> None:
        async with NDJSONResponse().open(dict(SCOPE), receive, take) as out:
            try:
                await out.write(1)
                begun.set()
                await never()
            finally:
                try:
                    await never()
                finally:
                    await out.write(2)
        after.append("went on")

    call = asyncio.ensure_future(app())
    await begun.wait()
    gone.set()
    await until(call.cancelling)
    for _ in range(3):
        await asyncio.sleep(0)
    call.cancel()
    with pytest.raises((ClientGone, asyncio.CancelledError)):
        await call
    assert not after


async def test_two_tasks_of_a_block_may_wait_for_room():
    async def app(scope: Any, receive: Any, send: Any) -> None:
        async with NDJSONResponse().open(scope, receive, send) as out:
            async with asyncio.TaskGroup() as group:
                for number in range(3):
                    group.create_task(out.write(f"{number}" * 100_000))

    async with drive(app, high_mark=0) as response:
        await response.head()
        for _ in range(50):
            await asyncio.sleep(0)
        assert {line[0] for line in await response.lines()} == {"0", "1", "2"}
        assert await response.ended() == "complete"


async def test_a_task_that_gives_up_waiting_for_room_leaves_the_others_waiting():
    waiting = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        async with NDJSONResponse().open(scope, receive, send) as out:
            writes = [asyncio.create_task(out.write(f"{number}" * 100_000)) for number in range(3)]
            for _ in range(20):
                await asyncio.sleep(0)
            assert not writes[2].done()
            writes[2].cancel()
            waiting.set()
            await asyncio.gather(*writes[:2])

    async with drive(app, high_mark=0) as response:
        await response.head()
        await waiting.wait()
        assert len(await response.lines()) == 3
        assert await response.ended() == "complete"


async def test_children_of_a_block_who_write_to_a_reader_that_left_are_no_error():
    async def app(scope: Any, receive: Any, send: Any) -> None:
        async with NDJSONResponse().open(scope, receive, send) as out, asyncio.TaskGroup() as group:
            group.create_task(children(out))

    async def children(out: Any) -> None:
        await out.write(1)
        await out.wait_gone()
        await out.write(2)

    async with drive(app) as response:
        await response.lines(1)
        response.disconnect()
        assert await response.ended() == "gone"
        assert response.exception is None

"""The imperative way: a block or a function that writes, flushes, and learns that its reader has left."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from echostream.asgi import EventStreamResponse, NDJSONResponse, StreamReport, Writer
from echostream.exceptions import ClientGone, StreamAborted
from echostream.stream import StreamSettings
from echostream.testing import drive, virtual_time
from support.settle import until


async def test_a_block_writes_a_response():
    async def app(scope: Any, receive: Any, send: Any) -> None:
        async with NDJSONResponse().open(scope, receive, send) as out:
            assert not out.gone
            await out.write({"n": 1})
            await out.flush()
            await out.write({"n": 2})

    async with drive(app) as response:
        assert await response.lines() == [{"n": 1}, {"n": 2}]
        assert await response.ended() == "complete"


async def test_a_function_of_a_writer_is_a_source():
    async def updates(out: Writer) -> None:
        for number in range(10):
            await out.write({"update": number})
            await out.flush()

    async with drive(NDJSONResponse(updates)) as response:
        assert await response.lines() == [{"update": number} for number in range(10)]


async def test_flush_returns_when_the_server_has_the_bytes():
    flushed = asyncio.Event()

    async def updates(out: Writer) -> None:
        await out.write("first")
        await out.flush()
        await out.write("x" * 100_000)
        await out.flush()
        flushed.set()

    async with drive(NDJSONResponse(updates), high_mark=0) as response:
        assert await response.lines(1) == ["first"]
        for _ in range(50):
            await asyncio.sleep(0)
        assert not flushed.is_set()
        await response.lines(1)
        await flushed.wait()


async def test_the_block_of_a_reader_that_leaves_is_cancelled_and_the_code_after_it_runs():
    seen: list[Any] = []
    flushed = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        async with NDJSONResponse().open(scope, receive, send) as out:
            await out.write(1)
            await out.flush()
            flushed.set()
            try:
                await asyncio.get_running_loop().create_future()
            finally:
                seen.append(("gone", out.gone))
        task = asyncio.current_task()
        assert task is not None
        seen.append(("cancelling", task.cancelling()))

    async with drive(app) as response:
        await response.lines(1)
        await flushed.wait()
        response.disconnect()
        assert await response.ended() == "gone"
    assert seen == [("gone", True), ("cancelling", 0)]


async def test_wait_gone_tells_others():
    told = asyncio.Event()

    async def watch(out: Writer) -> None:
        await out.wait_gone()
        assert out.gone
        told.set()

    async def updates(out: Writer) -> None:
        task = asyncio.create_task(watch(out))
        await out.write(1)
        await out.flush()
        await asyncio.shield(task)

    async with drive(NDJSONResponse(updates)) as response:
        await response.lines(1)
        response.disconnect()
        assert await response.ended() == "gone"
    await asyncio.wait_for(told.wait(), 5)


async def test_writing_after_the_end_is_an_error():
    writers: list[Writer] = []

    async def updates(out: Writer) -> None:
        writers.append(out)
        await out.write(1)

    async with drive(NDJSONResponse(updates)) as response:
        assert await response.lines() == [1]
        assert await response.ended() == "complete"
    with pytest.raises(ClientGone):
        await writers[0].write(2)
    with pytest.raises(ClientGone):
        await writers[0].flush()


async def test_an_error_of_the_block_before_its_first_write_is_its_callers():
    async def app(scope: Any, receive: Any, send: Any) -> None:
        async with NDJSONResponse().open(scope, receive, send):
            raise LookupError("before")

    async with drive(app) as response:
        assert await response.ended() == "aborted"
        assert isinstance(response.exception, LookupError)
        assert response.body == b""


async def test_an_error_of_the_block_later_cuts_the_body():
    async def app(scope: Any, receive: Any, send: Any) -> None:
        async with NDJSONResponse().open(scope, receive, send) as out:
            await out.write(1)
            raise LookupError("after")

    async with drive(app) as response:
        assert (await response.lines(2))[1]["stream"] == "error"
        assert await response.ended() == "aborted"
        assert isinstance(response.exception, StreamAborted)
        assert isinstance(response.exception.__cause__, LookupError)


async def test_an_error_of_a_block_of_events_is_told_and_raised():
    async def app(scope: Any, receive: Any, send: Any) -> None:
        async with EventStreamResponse().open(scope, receive, send) as out:
            await out.write("a")
            raise LookupError("after")

    async with drive(app) as response:
        assert [event.event for event in await response.events(2)] == ["message", "stream-error"]
        assert await response.ended() == "complete"
        assert isinstance(response.exception, LookupError)


async def test_head_ends_a_block_at_its_first_write():
    reached: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        async with NDJSONResponse().open(scope, receive, send) as out:
            reached.append("block")
            assert out.gone
            await out.write(1)
            reached.append("written")

    async with drive(app, "HEAD") as response:
        assert (await response.head()).status == 200
        assert await response.ended() == "complete"
    assert reached == ["block"]


async def test_a_cancellation_from_outside_cuts_the_body_and_goes_on():
    reports: list[StreamReport] = []
    begun = asyncio.Event()
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        await asyncio.get_running_loop().create_future()

    async def app() -> None:
        scope = {"type": "http", "method": "GET", "headers": []}
        async with NDJSONResponse(on_end=reports.append).open(scope, receive, send) as out:
            await out.write(1)
            begun.set()
            await asyncio.get_running_loop().create_future()

    call = asyncio.ensure_future(app())
    await begun.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await until(lambda: reports)
    assert sent[-1].get("more_body", True), "a body that was cut has no proper end"


@virtual_time
async def test_a_deadline_ends_the_block():
    async def app(scope: Any, receive: Any, send: Any) -> None:
        async with EventStreamResponse(settings=StreamSettings(deadline=5)).open(scope, receive, send) as out:
            await out.write("a")
            await asyncio.get_running_loop().create_future()

    async with drive(app, within=60) as response:
        assert [event.event for event in await response.events()] == ["message", "stream-end"]
        assert await response.ended() == "complete"


@pytest.mark.parametrize("write", [lambda out: out.write(1), lambda _a, _b: None])
async def test_a_function_that_cannot_be_given_a_writer_says_so(write: Any):
    async with drive(NDJSONResponse(write)) as response:
        await response.ended()
        assert "bind them: lambda: " in str(response.exception)
        assert "given a Writer is an `async def` of one parameter" in str(response.exception)

"""Responses of their own below the middlewares that people have: early bytes, true endings, closed sources."""

from __future__ import annotations

import asyncio
import http.client
import logging
import threading
import time
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.routing import Route

from echostream.asgi import StreamReport, stream_statistics
from echostream.exceptions import StreamAborted
from echostream.integrations.starlette import (
    BytesStreamResponse,
    CSVResponse,
    EventStreamResponse,
    JSONArrayResponse,
    NDJSONResponse,
    TextStreamResponse,
)
from echostream.stream import FLUSH, StreamSettings
from echostream.testing import drive
from support.middleware import Based, Counting, Deaf, Hasty, Raising, Slow, Stamping
from support.servers import running_asgi
from support.settle import until
from support.threaded import Threaded, threaded

Make = Callable[[], Any]

BASED = [Middleware(Based)]
NESTED = [Middleware(Based), Middleware(CORSMiddleware, allow_origins=["*"]), Middleware(Based), Middleware(Based)]
ALL = [
    Middleware(TrustedHostMiddleware, allowed_hosts=["testserver", "127.0.0.1"]),
    Middleware(CORSMiddleware, allow_origins=["*"]),
    Middleware(GZipMiddleware, minimum_size=0),
    Middleware(Stamping),
    Middleware(Based),
]
GZIPPED = {"accept-encoding": "gzip"}


def served(make: Make, middleware: list[Middleware], **more: Any) -> Starlette:
    """An application whose every answer is made by `make`."""

    async def answer(_request: Request) -> Any:
        return make()

    return Starlette(routes=[Route("/", answer)], middleware=middleware, **more)


class Story:
    """A source that goes on when it is told to, whose clean-up takes several turns of the loop, and what happened."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.step = asyncio.Event()

    async def rows(self, *, fails: Exception | None = None) -> AsyncIterator[Any]:
        self.told.append("begun")
        try:
            yield ["a", 1]
            yield FLUSH
            await self.step.wait()
            yield ["b", 2]
            if fails is not None:
                raise fails
            yield FLUSH
            await asyncio.get_running_loop().create_future()
        finally:
            for _ in range(5):
                await asyncio.sleep(0.01)
            self.told.append("closed")

    @asynccontextmanager
    async def dependency(self) -> AsyncIterator[None]:
        try:
            yield
        finally:
            self.told.append("dependency")


# -- early and whole


@pytest.mark.parametrize("middleware", [ALL, NESTED, [Middleware(Counting)]], ids=["all", "nested", "counting"])
async def test_rows_come_as_they_are_made(middleware: list[Middleware]):
    story = Story()
    async with drive(served(lambda: CSVResponse(story.rows()), middleware)) as response:
        assert (await response.head()).status == 200
        assert await response.read_until(b"a,1\r\n")
        story.step.set()
        assert await response.read_until(b"b,2\r\n")
        response.disconnect()
        assert await response.ended() == "gone"
    assert story.told == ["begun", "closed"]


@pytest.mark.parametrize("below", [[], BASED], ids=["alone", "below-base"])
async def test_gzip_passes_on_each_piece(below: list[Middleware]):
    story = Story()
    middleware = [Middleware(GZipMiddleware, minimum_size=0), *below]
    async with drive(served(lambda: CSVResponse(story.rows()), middleware), headers=GZIPPED) as response:
        _, headers = await response.head()
        assert headers["content-encoding"] == "gzip"
        assert headers["vary"] == "Accept-Encoding"
        assert "content-length" not in headers
        unzip, got = zlib.decompressobj(31), b""
        while got != b"a,1\r\n":
            got += unzip.decompress(await response.read(1))
        story.step.set()
        while got != b"a,1\r\nb,2\r\n":
            got += unzip.decompress(await response.read(1))


async def test_gzip_makes_a_whole_stream():
    async def rows() -> AsyncIterator[Any]:
        for number in range(2000):
            yield [number, "x" * 50]

    async with drive(served(lambda: CSVResponse(rows()), ALL), headers={**GZIPPED, "origin": "x"}) as response:
        body = zlib.decompress(await response.read(), 31)
        assert await response.ended() == "complete"
    assert body == b"".join(b"%d,%s\r\n" % (number, b"x" * 50) for number in range(2000))


@pytest.mark.parametrize("above", [[], BASED], ids=["alone", "above-base"])
async def test_a_late_commit_through_gzip_is_a_head_at_once(above: list[Middleware]):
    """GZipMiddleware holds the head back until there is a body, if only an empty one."""
    story = Story()
    settings = StreamSettings(commit_after=0.01)

    async def late() -> AsyncIterator[Any]:
        await story.step.wait()
        yield ["late"]

    middleware = [*above, Middleware(GZipMiddleware, minimum_size=0)]
    async with drive(served(lambda: CSVResponse(late(), settings=settings), middleware), headers=GZIPPED) as response:
        assert (await response.head()).status == 200
        story.step.set()
        assert zlib.decompress(await response.read(), 31) == b"late\r\n"
        assert await response.ended() == "complete"


async def test_events_are_not_compressed():
    async def events() -> AsyncIterator[Any]:
        yield "hello"
        await asyncio.get_running_loop().create_future()

    async with drive(served(lambda: EventStreamResponse(events()), ALL), headers=GZIPPED) as response:
        assert "content-encoding" not in (await response.head()).headers
        [event] = await response.events(1)
        assert event.data == "hello"


async def test_cors_adds_its_header():
    async def rows() -> AsyncIterator[Any]:
        yield 1

    async with drive(served(lambda: NDJSONResponse(rows()), ALL), headers={"origin": "http://a.example"}) as response:
        assert (await response.head()).headers["access-control-allow-origin"] == "*"
        assert await response.lines() == [1]


async def test_a_foreign_host_opens_nothing():
    story = Story()
    app = served(lambda: CSVResponse(story.rows()), ALL)
    async with drive(app, headers={"host": "elsewhere.example"}) as response:
        assert (await response.head()).status == 400
    assert story.told == []


async def test_headers_that_middlewares_add_stay_with_their_answer():
    """One response, as an application, for every request."""
    once = NDJSONResponse(lambda: iter([1]))
    app = Starlette(routes=[Route("/", once)], middleware=[Middleware(Stamping), Middleware(GZipMiddleware), *BASED])
    before = list(once.raw_headers)
    for method in ("GET", "HEAD", "GET"):
        async with drive(app, method, headers=GZIPPED) as response:
            assert (await response.head()).headers["set-cookie"] == "stamp=1"
            await response.ended()
    assert once.raw_headers == before


# -- errors


@pytest.mark.parametrize("middleware", [[], BASED, NESTED, ALL], ids=["none", "based", "nested", "all"])
async def test_an_error_before_the_first_item_is_the_frameworks(middleware: list[Middleware]):
    async def rows(error: Exception) -> AsyncIterator[Any]:
        raise error
        yield

    async with drive(served(lambda: CSVResponse(rows(HTTPException(404, "no such order"))), middleware)) as response:
        assert (await response.head()).status == 404
        assert await response.read() == b"no such order"
        assert await response.ended() == "complete"
    async with drive(served(lambda: CSVResponse(rows(LookupError("broken"))), middleware)) as response:
        assert (await response.head()).status == 500
        assert await response.read() == b"Internal Server Error"
        assert await response.ended() == "complete"
        assert isinstance(response.exception, LookupError)


@pytest.mark.parametrize("kind", [CSVResponse, JSONArrayResponse, NDJSONResponse, TextStreamResponse])
@pytest.mark.parametrize("middleware", [[], BASED, NESTED, ALL], ids=["none", "based", "nested", "all"])
async def test_an_error_after_an_item_is_a_cut_body(middleware: list[Middleware], kind: Any):
    """BaseHTTPMiddleware would end the body in order and raise only then."""

    async def items() -> AsyncIterator[Any]:
        yield "a" if kind is TextStreamResponse else ["a"]
        await asyncio.sleep(0)
        raise LookupError("broken")

    async with drive(served(lambda: kind(items()), middleware)) as response:
        assert await response.ended() == "aborted"
        assert b"a" in response.body
        error = response.exception
        assert isinstance(error, StreamAborted)
        assert isinstance(error.__cause__, LookupError)


async def test_an_error_in_what_gzip_makes_of_it_is_a_cut_body(caplog: pytest.LogCaptureFixture):
    """GZipMiddleware below a BaseHTTPMiddleware makes bytes of its own of every piece."""

    async def rows() -> AsyncIterator[Any]:
        yield ["a"]
        raise LookupError("broken")

    middleware = [*BASED, Middleware(GZipMiddleware, minimum_size=0)]
    async with drive(served(lambda: CSVResponse(rows()), middleware), headers=GZIPPED) as response:
        assert (await response.head()).headers["content-encoding"] == "gzip"
        assert await response.ended() == "aborted"
        assert response.exception
    assert "LookupError: broken" in caplog.text


@pytest.mark.parametrize("middleware", [BASED, NESTED, ALL], ids=["based", "nested", "all"])
async def test_a_deadline_is_a_cut_body(middleware: list[Middleware]):
    story = Story()
    settings = StreamSettings(deadline=0.05)
    async with drive(served(lambda: CSVResponse(story.rows(), settings=settings), middleware)) as response:
        assert await response.ended() == "aborted"
        assert response.body == b"a,1\r\n"
        assert "deadline" in str(response.exception)
    assert story.told == ["begun", "closed"]


async def test_a_middleware_that_fails_midway_closes_the_source():
    story, reports = Story(), list[StreamReport]()
    story.step.set()
    app = served(lambda: CSVResponse(story.rows(), on_end=reports.append), [Middleware(Raising)])
    async with drive(app) as response:
        assert await response.ended() == "aborted"
        assert isinstance(response.exception, LookupError)
    assert story.told == ["begun", "closed"]
    assert reports[0].reason == "cancelled"


async def test_a_dispatch_that_fails_after_the_answer_began_closes_the_source_before_what_it_uses():
    """Its task group cancels the application, and goes on cancelling it until it has ended."""
    story = Story()

    class Failing(Based):
        async def dispatch(self, request: Any, call_next: Any) -> Any:
            await call_next(request)
            raise LookupError("dispatch failed")

    async def app(scope: Any, receive: Any, send: Any) -> None:
        async with story.dependency():
            await CSVResponse(story.rows())(scope, receive, send)

    abandoned = stream_statistics().abandoned
    async with drive(Failing(app)) as response:
        assert await response.ended() == "aborted"
        assert isinstance(response.exception, LookupError)
    assert story.told == ["begun", "closed", "dependency"]
    assert stream_statistics().abandoned == abandoned


# -- the end of the server's call


@pytest.mark.parametrize("middleware", [[], BASED], ids=["none", "based"])
async def test_a_cancelled_scope_waits_for_the_source(middleware: list[Middleware]):
    story = Story()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        async with story.dependency():
            await served(lambda: CSVResponse(story.rows()), middleware)(scope, receive, send)

    abandoned = stream_statistics().abandoned
    async with drive(Hasty(app, 0.05)) as response:
        await response.ended()
    assert story.told == ["begun", "closed", "dependency"]
    assert stream_statistics().abandoned == abandoned


async def test_a_cancelled_scope_does_not_spin_while_it_waits():

    async def rows() -> AsyncIterator[Any]:
        try:
            yield ["a"]
            await asyncio.get_running_loop().create_future()
        finally:
            await asyncio.sleep(0.4)

    async with drive(Hasty(CSVResponse(rows()), 0.02)) as response:
        await response.read_until(b"a\r\n")
        await asyncio.sleep(0.05)
        spent = time.process_time()
        assert await response.ended() == "aborted"
        assert time.process_time() - spent < 0.2


async def test_a_cancelled_scope_waits_for_a_synchronous_source():
    closed = threading.Event()

    def rows() -> Iterator[Any]:
        try:
            while True:
                yield ["a"]
                time.sleep(0.02)
        finally:
            closed.set()

    async with drive(Hasty(CSVResponse(rows()), 0.05)) as response:
        await response.ended()
        assert closed.is_set()


async def test_a_cancelled_scope_ends_a_block():
    story = Story()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        response = CSVResponse(on_end=lambda report: story.told.append(report.reason))
        async with story.dependency(), response.open(scope, receive, send) as out:
            await out.write(["a"])
            try:
                await asyncio.get_running_loop().create_future()
            finally:
                story.told.append("closed")

    before = stream_statistics()
    async with drive(Hasty(app, 0.05)) as response:
        await response.ended()
        assert stream_statistics().open == before.open
    assert story.told == ["closed", "cancelled", "dependency"]
    assert stream_statistics().abandoned == before.abandoned


# -- readers that leave


@pytest.mark.parametrize("after", ["raise", "ignore"])
@pytest.mark.parametrize("middleware", [BASED, NESTED, ALL], ids=["based", "nested", "all"])
async def test_a_reader_that_leaves_is_noticed_at_once(middleware: list[Middleware], after: Any):
    story = Story()
    app = served(lambda: CSVResponse(story.rows()), middleware)
    async with drive(app, after_disconnect=after) as response:
        await response.read_until(b"a,1\r\n")
        response.disconnect()
        left = time.monotonic()
        await until(lambda: story.told == ["begun", "closed"])
        assert time.monotonic() - left < 0.5
        assert await response.ended() == "gone"


async def test_where_leaving_is_hidden_the_next_byte_tells():
    """On servers whose `send` raises for a reader that is gone, a heartbeat is enough."""
    story = Story()
    settings = StreamSettings(heartbeat=0.05, commit_after=0.02)
    app = served(lambda: EventStreamResponse(story.rows(), settings=settings), [Middleware(Deaf)])
    async with drive(app) as response:
        await response.events(1)
        response.disconnect()
        await until(lambda: story.told == ["begun", "closed"])


@pytest.mark.parametrize("middleware", [[], BASED, NESTED], ids=["none", "based", "nested"])
async def test_where_leaving_is_hidden_the_send_timeout_frees_the_source(middleware: list[Middleware]):
    """A reader that is gone for the network, but not for the server, takes nothing."""
    story, reports = Story(), list[StreamReport]()

    async def endless() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"x" * 1000
        finally:
            story.told.append("closed")

    settings = StreamSettings(send_timeout=0.1)
    make = lambda: BytesStreamResponse(endless(), settings=settings, on_end=reports.append)  # noqa: E731
    async with drive(served(make, [*middleware, Middleware(Deaf)])) as response:
        await response.head()
        response.stall()
        await until(lambda: story.told == ["closed"])
        response.resume()
        assert await response.ended() == "aborted"
        assert "stalled" in str(response.exception)
        assert [report.reason for report in reports] == ["stalled"]


async def test_where_leaving_is_hidden_the_end_of_the_servers_call_frees_the_source():
    story = Story()
    app = served(lambda: CSVResponse(story.rows()), [*BASED, Middleware(Deaf)])
    async with drive(Hasty(app, 0.1), after_disconnect="ignore") as response:
        await response.read_until(b"a,1\r\n")
        response.disconnect()
        await until(lambda: story.told == ["begun", "closed"])


async def test_a_send_that_takes_its_time_holds_the_source_back():
    made = 0

    async def rows() -> AsyncIterator[bytes]:
        nonlocal made
        while True:
            made += 1
            yield b"x" * 100_000

    async with drive(served(lambda: BytesStreamResponse(rows()), [Middleware(Slow), *BASED])) as response:
        for taken in range(1, 20):
            await response.read(100_000)
            assert made <= taken + 5
        response.disconnect()


# -- on a real server


class Kitchen:
    """Routes of all kinds under a real uvicorn; `closed` counts the sources that have ended."""

    def __init__(self) -> None:
        self.closed = 0
        self.step = threading.Event()
        self.settings = StreamSettings(send_timeout=0.5, heartbeat=None)

    async def cut(self, _request: Request) -> Any:
        async def rows() -> AsyncIterator[Any]:
            yield ["a"]
            await asyncio.sleep(0.01)
            raise LookupError("broken")

        return CSVResponse(rows())

    async def held(self, request: Request) -> Any:
        async def rows() -> AsyncIterator[Any]:
            try:
                yield ["a", "x" * 1000]
                while not self.step.is_set():
                    await asyncio.sleep(0.005)
                yield ["b", "x" * 1000]
                if "on" in request.query_params:
                    await asyncio.get_running_loop().create_future()
            finally:
                self.closed += 1

        return CSVResponse(rows())

    async def flood(self, _request: Request) -> Any:
        async def rows() -> AsyncIterator[Any]:
            try:
                while True:
                    yield b"x" * 64_000
            finally:
                self.closed += 1

        return BytesStreamResponse(rows(), settings=self.settings)

    def app(self, middleware: list[Middleware]) -> Starlette:
        routes = [Route("/cut", self.cut), Route("/held", self.held), Route("/flood", self.flood)]
        return Starlette(routes=routes, middleware=middleware)


@pytest.fixture(scope="module", params=["h11", "httptools"])
def server(request: pytest.FixtureRequest) -> Iterator[tuple[Kitchen, Threaded]]:
    kitchen = Kitchen()
    outer = [Middleware(GZipMiddleware, minimum_size=0), *NESTED]
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
    with threaded(kitchen.app(outer), http=request.param) as running:
        yield kitchen, running
    logging.getLogger("uvicorn.error").setLevel(logging.NOTSET)


@pytest.mark.parametrize("headers", [{}, GZIPPED], ids=["plain", "gzip"])
def test_a_cut_body_is_cut_on_the_wire(server: tuple[Kitchen, Threaded], headers: dict[str, str]):
    _, running = server
    with running.open("/cut", headers=headers) as response, pytest.raises(http.client.IncompleteRead):
        response.read()


@pytest.mark.parametrize("headers", [{}, GZIPPED], ids=["plain", "gzip"])
def test_rows_arrive_early_and_whole(server: tuple[Kitchen, Threaded], headers: dict[str, str]):
    kitchen, running = server
    kitchen.step.clear()
    unzip = zlib.decompressobj(31) if headers else None
    with running.open("/held", headers=headers) as response:
        assert response.headers.get("content-encoding") == ("gzip" if headers else None)
        got = b""
        while len(got) < 1000:
            piece = response.read1()
            got += piece if unzip is None else unzip.decompress(piece)
        assert got == b"a,%s\r\n" % (b"x" * 1000)
        kitchen.step.set()
        piece = response.read()
        got += piece if unzip is None else unzip.decompress(piece)
    assert got.endswith(b"b,%s\r\n" % (b"x" * 1000))
    assert unzip is None or unzip.eof


def test_a_reader_that_leaves_ends_the_source(server: tuple[Kitchen, Threaded]):
    kitchen, running = server
    kitchen.step.set()
    before = kitchen.closed
    with running.open("/held?on=1") as response:
        assert response.read1()
    left = time.monotonic()
    while kitchen.closed == before:
        assert time.monotonic() - left < 5
        time.sleep(0.005)
    assert time.monotonic() - left < 1


def test_a_reader_that_stalls_too_long_and_goes_on_sees_a_cut_body(server: tuple[Kitchen, Threaded]):
    """The source is freed by the send timeout; what the server still has must not be ended in order."""
    kitchen, running = server
    before = kitchen.closed
    with running.open("/flood") as response:
        assert response.read(1000)
        stalled = time.monotonic()
        while kitchen.closed == before:
            assert time.monotonic() - stalled < 10
            time.sleep(0.01)
        with pytest.raises((http.client.IncompleteRead, ConnectionResetError)):
            response.read()


@pytest.mark.parametrize("name", ["hypercorn", "granian"])
def test_a_cut_body_is_cut_by_other_servers_too(name: str, tmp_path: Path):
    with running_asgi(name, "support.based_app:app", folder=tmp_path) as running:
        for count in (0, 1, 3):
            connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=10)
            connection.request("GET", f"/{count}/cut")
            response = connection.getresponse()
            with pytest.raises(http.client.IncompleteRead):
                response.read()
            connection.close()
        if name == "hypercorn":
            assert running.output.count("LookupError: broken") >= 3

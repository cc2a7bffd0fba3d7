"""Responses in FastAPI's routes: what dependencies, handlers and background tasks see in every ending."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import BackgroundTasks, Depends, FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, Field
from starlette.background import BackgroundTask

import echostream
from echostream.exceptions import StreamAborted, StreamFailed
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
from support.settle import until

ROWS = [(number, f"order {number}") for number in range(100)]
KINDS = [NDJSONResponse, JSONArrayResponse, CSVResponse, EventStreamResponse]


class Order(BaseModel):
    number: int
    name: str = ""


class Named(BaseModel):
    order_number: int = Field(serialization_alias="orderNumber")


class Failure(Exception):
    """An error of the application's own, with a handler."""


class House:
    """An application whose routes stream from a database that a dependency opens. `told` is what happened, in order."""

    def __init__(self, path: Path, *, asynchronous: bool = True) -> None:
        self.path = path
        self.told: list[str] = []
        self.seen: list[BaseException] = []
        self.app = FastAPI()
        self.app.add_exception_handler(Failure, self._handle)
        self.database = Depends(self.connect if asynchronous else self.connect_in_a_thread)

    async def _handle(self, _request: Request, error: Exception) -> Response:
        return JSONResponse({"failed": str(error)}, status_code=418)

    async def connect(self) -> AsyncIterator[sqlite3.Connection]:
        connection = sqlite3.connect(self.path, check_same_thread=False)
        try:
            yield connection
        except BaseException as error:
            self.seen.append(error)
            raise
        finally:
            await asyncio.sleep(0)
            connection.close()
            self.told.append("dependency")

    def connect_in_a_thread(self) -> Iterator[sqlite3.Connection]:
        connection = sqlite3.connect(self.path, check_same_thread=False)
        try:
            yield connection
        except BaseException as error:
            self.seen.append(error)
            raise
        finally:
            connection.close()
            self.told.append("dependency")

    def rows(
        self, connection: sqlite3.Connection, *, first: Exception | None = None, then: Exception | None = None
    ) -> Iterator[Any]:
        """A synchronous source that asks the database for each row, and once more when it is closed."""
        try:
            if first is not None:
                raise first
            for number, _ in ROWS:
                [(name,)] = connection.execute("select name from orders where number = ?", (number,))
                yield {"number": number, "name": name}
                if number == 9 and then is not None:
                    raise then
        finally:
            connection.execute("select 1")
            self.told.append("source")

    async def rows_on_the_loop(
        self, connection: sqlite3.Connection, *, first: Exception | None = None, then: Exception | None = None
    ) -> AsyncIterator[Any]:
        try:
            for row in (rows := self.rows(connection, first=first, then=then)):
                yield row
                await asyncio.sleep(0)
        finally:
            await asyncio.sleep(0.01)
            rows.close()


@pytest.fixture(params=["asynchronous", "in-a-thread"])
def house(request: pytest.FixtureRequest, tmp_path: Path) -> House:
    path = tmp_path / "orders.db"
    connection = sqlite3.connect(path)
    connection.execute("create table orders (number integer primary key, name text)")
    connection.executemany("insert into orders values (?, ?)", ROWS)
    connection.commit()
    connection.close()
    return House(path, asynchronous=request.param == "asynchronous")


SOURCES: list[Callable[..., Callable[..., Any]]] = [lambda house: house.rows, lambda house: house.rows_on_the_loop]
over_sources = pytest.mark.parametrize("source_of", SOURCES, ids=["sync", "async"])


# -- routes


async def test_routes_of_all_kinds():
    app = FastAPI()

    @app.get("/async/{count}")
    async def on_the_loop(count: int) -> NDJSONResponse:
        async def numbers() -> AsyncIterator[int]:
            for number in range(count):
                yield number

        return NDJSONResponse(numbers())

    @app.get("/sync/{count}")
    def in_a_thread(count: int, times: int = 1) -> NDJSONResponse:
        return NDJSONResponse(number * times for number in range(count))

    @app.post("/posted", status_code=201, response_class=NDJSONResponse)
    async def posted(orders: list[Order]) -> NDJSONResponse:
        return NDJSONResponse(orders, status_code=201)

    @app.get("/unannotated")
    async def unannotated():
        return TextStreamResponse(["a", "b"])

    @app.get("/either", response_model=None)
    async def either(page: int) -> JSONArrayResponse | JSONResponse:
        return JSONArrayResponse([1]) if page else JSONResponse([])

    async def get(path: str, method: str = "GET", body: bytes = b"") -> tuple[int, bytes]:
        headers = {"content-type": "application/json"} if body else {}
        async with drive(app, method, path, body=body, headers=headers) as response:
            head = await response.head()
            got = await response.read()
            assert await response.ended() == "complete"
            return head.status, got

    assert await get("/async/3") == (200, b"0\n1\n2\n")
    assert await get("/sync/3?times=2") == (200, b"0\n2\n4\n")
    assert await get("/posted", "POST", b'[{"number": 7}]') == (201, b'{"number":7,"name":""}\n')
    assert await get("/unannotated") == (200, b"ab")
    assert await get("/either?page=1") == (200, b"[1]")
    assert await get("/either?page=0") == (200, b"[]")
    assert (await get("/sync/many"))[0] == 422


async def test_a_route_may_be_the_generator_itself():
    app, told = FastAPI(), list[str]()

    async def dependency(response: Response) -> AsyncIterator[None]:
        response.headers["x-extra"] = "1"
        yield
        told.append("dependency")

    @app.get("/async", response_class=NDJSONResponse, status_code=202, dependencies=[Depends(dependency)])
    async def on_the_loop(tasks: BackgroundTasks, count: int = 3) -> AsyncIterator[Any]:
        tasks.add_task(told.append, "task")
        try:
            for number in range(count):
                yield {"n": number}
        finally:
            told.append("source")

    @app.get("/sync", response_class=CSVResponse)
    def in_a_thread() -> Iterator[Any]:
        yield {"n": 1}

    async with drive(app, path="/async") as response:
        status, headers = await response.head()
        assert (status, headers["content-type"], headers["x-extra"]) == (202, "application/x-ndjson", "1")
        assert await response.lines() == [{"n": 0}, {"n": 1}, {"n": 2}]
        await response.ended()
    assert told == ["source", "task", "dependency"]
    told.clear()
    async with drive(app, path="/async?count=1000000") as response:
        await response.lines(3)
        response.stall()
        response.disconnect()
        await response.ended()
    assert told == ["source", "task", "dependency"]
    async with drive(app, path="/sync") as response:
        assert await response.read() == b"n\r\n1\r\n"


async def test_an_annotation_alone_leaves_the_generator_to_fastapi():
    """What the how-to warns of."""
    app = FastAPI()

    @app.get("/")
    async def numbers() -> NDJSONResponse:  # pyright: ignore[reportInvalidReturnType]
        yield 1

    async with drive(app) as response:
        assert (await response.head()).headers["content-type"] != "application/x-ndjson"


async def test_a_reader_of_a_post_that_leaves_is_noticed():
    """Its body was read by FastAPI before the response asks for more."""
    app, told = FastAPI(), list[str]()

    @app.post("/work")
    async def work(order: Order) -> NDJSONResponse:
        async def steps() -> AsyncIterator[Any]:
            try:
                yield order
                await asyncio.get_running_loop().create_future()
            finally:
                told.append("closed")

        return NDJSONResponse(steps())

    body = iter([b'{"number"', b": 7}"])
    async with drive(app, "POST", "/work", body=body, headers={"content-type": "application/json"}) as response:
        assert await response.lines(1) == [{"number": 7, "name": ""}]
        response.disconnect()
        await until(lambda: told == ["closed"])
        assert await response.ended() == "gone"


# -- dependencies


@over_sources
@pytest.mark.parametrize("kind", KINDS)
async def test_a_whole_body(house: House, kind: Any, source_of: Any):
    @house.app.get("/")
    async def orders(database: sqlite3.Connection = house.database) -> Response:
        return kind(source_of(house)(database))

    async with drive(house.app) as response:
        body = await response.read()
        assert await response.ended() == "complete"
    assert b"order 99" in body
    assert house.told == ["source", "dependency"]
    assert house.seen == []


@over_sources
@pytest.mark.parametrize("kind", KINDS)
async def test_an_http_exception_before_the_first_item_is_the_answer(house: House, kind: Any, source_of: Any):
    failure = HTTPException(404, "no such order", headers={"x-why": "gone"})

    @house.app.get("/")
    async def orders(database: sqlite3.Connection = house.database) -> Response:
        return kind(source_of(house)(database, first=failure))

    async with drive(house.app) as response:
        status, headers = await response.head()
        assert (status, headers["content-type"], headers["x-why"]) == (404, "application/json", "gone")
        assert json.loads(await response.read()) == {"detail": "no such order"}
        assert await response.ended() == "complete"
    assert house.told == ["source", "dependency"]
    assert house.seen == [failure], "what a dependency does with an error (a rollback) it does here too"


@over_sources
async def test_a_handler_answers_an_error_of_the_application_before_the_first_item(house: House, source_of: Any):
    @house.app.get("/")
    async def orders(database: sqlite3.Connection = house.database) -> Response:
        return CSVResponse(source_of(house)(database, first=Failure("teapot")))

    async with drive(house.app) as response:
        assert (await response.head()).status == 418
        assert json.loads(await response.read()) == {"failed": "teapot"}
        assert await response.ended() == "complete"
    assert house.told == ["source", "dependency"]


async def test_an_error_of_ours_with_a_status_is_a_problem_document(house: House):
    failure = StreamFailed("no-such-order", "there is none", status=404)

    @house.app.get("/")
    async def orders(database: sqlite3.Connection = house.database) -> Response:
        return CSVResponse(house.rows(database, first=failure))

    async with drive(house.app) as response:
        status, headers = await response.head()
        assert (status, headers["content-type"]) == (404, "application/problem+json")
        assert json.loads(await response.read())["code"] == "no-such-order"
    assert house.told == ["source", "dependency"]


@over_sources
@pytest.mark.parametrize("failure", [HTTPException(404, "too late"), Failure("too late"), LookupError("too late")])
async def test_an_error_after_the_head_cuts(house: House, failure: Exception, source_of: Any):
    @house.app.get("/")
    async def orders(database: sqlite3.Connection = house.database) -> Response:
        return NDJSONResponse(source_of(house)(database, then=failure))

    async with drive(house.app) as response:
        *items, last = await response.lines(11)
        assert [item["number"] for item in items] == list(range(10))
        assert last["stream"] == "error"
        assert await response.ended() == "aborted"
        assert isinstance(response.exception, StreamAborted)
        assert response.exception.__cause__ is failure
    assert house.told == ["source", "dependency"]
    assert isinstance(house.seen[0], StreamAborted)


@over_sources
async def test_an_error_after_the_head_of_events_ends_in_order(house: House, source_of: Any):
    @house.app.get("/")
    async def orders(database: sqlite3.Connection = house.database) -> Response:
        return EventStreamResponse(source_of(house)(database, then=HTTPException(404, "too late")))

    async with drive(house.app) as response:
        events = await response.events()
        assert [event.event for event in events] == ["message"] * 10 + ["stream-error"]
        assert await response.ended() == "complete"
    assert house.told == ["source", "dependency"]
    assert house.seen == []


@over_sources
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("stalled", [False, True], ids=["reading", "stalled"])
async def test_a_reader_that_leaves(house: House, kind: Any, stalled: bool, source_of: Any):
    @house.app.get("/")
    async def orders(database: sqlite3.Connection = house.database) -> Response:
        return kind(source_of(house)(database))

    async with drive(house.app, high_mark=0) as response:
        await response.read(1)
        if stalled:
            response.stall()
            await asyncio.sleep(0.01)
        response.disconnect()
        assert await response.ended() == "gone"
    assert house.told == ["source", "dependency"]
    assert house.seen == []


@pytest.mark.parametrize(("kind", "ending"), [(CSVResponse, "aborted"), (EventStreamResponse, "complete")])
async def test_a_deadline(house: House, kind: Any, ending: str):
    settings = StreamSettings(deadline=0.05)

    @house.app.get("/")
    async def orders(database: sqlite3.Connection = house.database) -> Response:
        async def rows() -> AsyncIterator[Any]:
            try:
                yield [1]
                await asyncio.get_running_loop().create_future()
            finally:
                await asyncio.sleep(0.01)
                database.execute("select 1")
                house.told.append("source")

        return kind(rows(), settings=settings)

    async with drive(house.app) as response:
        assert await response.ended() == ending
        assert response.exception is None or "deadline" in str(response.exception)
    assert house.told == ["source", "dependency"]


async def test_a_dependency_of_the_functions_own_scope_ends_before_the_source(house: House):
    """FastAPI's `scope="function"`: its user has asked for that."""
    short = Depends(house.connect, scope="function")

    @house.app.get("/")
    async def orders(database: sqlite3.Connection = short) -> Response:
        async def rows() -> AsyncIterator[Any]:
            yield [1]
            house.told.append("source")

        return CSVResponse(rows())

    async with drive(house.app) as response:
        assert await response.read() == b"1\r\n"
    assert house.told == ["dependency", "source"]


# -- tasks for afterwards


@pytest.mark.parametrize("given", ["parameter", "response"])
@pytest.mark.parametrize("ending", ["whole", "left", "refused", "cut", "raised"])
async def test_background_tasks_run_after_the_source(house: House, given: str, ending: str):
    failures = {"refused": StreamFailed("no", "no", status=404), "raised": HTTPException(404)}

    @house.app.get("/")
    async def orders(tasks: BackgroundTasks, database: sqlite3.Connection = house.database) -> Response:
        then = LookupError("cut") if ending == "cut" else None
        source = house.rows(database, first=failures.get(ending), then=then)
        if given == "response":
            return CSVResponse(source, background=BackgroundTask(house.told.append, "task"))
        tasks.add_task(house.told.append, "task")
        return CSVResponse(source)

    async with drive(house.app, high_mark=0) as response:
        if ending == "left":
            await response.read(1)
            response.disconnect()
        await response.ended()
    ran = [] if ending in ("cut", "raised") else ["task"]
    assert house.told == ["source", *ran, "dependency"]


async def test_a_task_may_be_set_later():
    told: list[str] = []
    response = BytesStreamResponse([b"a"])
    response.background = BackgroundTask(told.append, "task")
    async with drive(response) as driven:
        assert await driven.read() == b"a"
        await driven.ended()
    assert told == ["task"]


async def test_items_are_told_as_fastapi_tells_them():
    """By alias, with computed fields: as the route's other answers."""
    app = FastAPI()

    @app.get("/list")
    async def plain() -> list[Named]:
        return [Named(order_number=7)]

    @app.get("/stream")
    async def stream() -> JSONArrayResponse:
        return JSONArrayResponse([Named(order_number=7)])

    answers: list[Any] = []
    for path in ("/list", "/stream"):
        async with drive(app, path=path) as response:
            answers.append(json.loads(await response.read()))
    assert answers[0] == answers[1] == [{"orderNumber": 7}]


async def test_a_flush_from_a_route():
    app, step = FastAPI(), asyncio.Event()

    @app.get("/")
    async def updates() -> NDJSONResponse:
        async def items() -> AsyncIterator[Any]:
            yield 0
            yield 1
            yield FLUSH
            await step.wait()

        return NDJSONResponse(items(), settings=StreamSettings(batch_age=3600))

    async with drive(app) as response:
        assert await response.lines(2) == [0, 1]
        step.set()
        assert await response.ended() == "complete"


async def test_a_response_of_the_wrong_kind_is_not_sent_as_data():
    """FastAPI makes JSON of whatever it does not know as a response, if it can."""
    app = FastAPI()

    @app.get("/")
    async def numbers():
        return echostream.NDJSONResponse([1])

    async with drive(app) as response:
        assert (await response.head()).status == 500
        await response.ended()
        assert "to FastAPI one of echostream.integrations.starlette" in str(response.exception)

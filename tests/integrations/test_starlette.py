"""The responses as Starlette's: what people and frameworks do with a `Response` beside returning it."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import AsyncIterator, Callable
from typing import Any, get_type_hints

import pytest
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from echostream import asgi
from echostream.asgi import StreamResponse
from echostream.hub import Hub
from echostream.integrations import starlette as fit
from echostream.integrations.starlette import (
    BytesStreamResponse,
    CSVResponse,
    EventStreamResponse,
    JSONArrayResponse,
    NDJSONResponse,
    Options,
    TextStreamResponse,
    TopicResponse,
)
from echostream.stream import StreamSettings
from echostream.testing import drive

KINDS: dict[Callable[..., Any], str] = {
    EventStreamResponse: "text/event-stream",
    NDJSONResponse: "application/x-ndjson",
    JSONArrayResponse: "application/json",
    CSVResponse: "text/csv",
    TextStreamResponse: "text/plain",
    BytesStreamResponse: "application/octet-stream",
}
over_kinds = pytest.mark.parametrize("kind", KINDS)


@over_kinds
def test_it_is_a_response_of_both_worlds(kind: Any):
    response = kind([])
    assert isinstance(response, Response)
    assert isinstance(response, StreamResponse)
    assert isinstance(response, getattr(asgi, kind.__name__))
    assert response.media_type == KINDS[kind]
    assert response.status_code == 200
    assert response.background is None
    assert response.headers["content-type"].startswith(KINDS[kind])
    assert "content-length" not in response.headers


@over_kinds
async def test_what_people_set_on_a_response(kind: Any):
    response = kind([], status_code=201, headers=Headers({"x-first": "1"}), filename="a b.txt")
    assert isinstance(response.headers, MutableHeaders)
    response.headers["x-second"] = "2"
    response.headers["cache-control"] = "private"
    response.raw_headers.append((b"x-third", b"3"))
    response.set_cookie("seen", "yes", httponly=True)
    response.delete_cookie("unseen")
    response.status_code = 202
    async with drive(response) as driven:
        status, headers = await driven.head()
        assert status == 202
        assert [headers[f"x-{name}"] for name in ("first", "second", "third")] == ["1", "2", "3"]
        assert headers["cache-control"] == "private"
        assert headers["set-cookie"].startswith("seen=yes; HttpOnly; Path=/; SameSite=lax, unseen=")
        assert headers["content-disposition"].startswith("attachment;")
        assert await driven.ended() == "complete"


@over_kinds
async def test_the_words_that_fastapi_calls_a_response_class_with(kind: Any):
    """`content` for a route that is a generator, the first argument for what another returns."""
    told: list[str] = []
    items = [b"x"] if kind is BytesStreamResponse else ["x"]
    if kind is CSVResponse:
        items = [["x"]]
    for response in (
        kind(content=iter(items), status_code=202, background=BackgroundTask(told.append, "task")),
        kind(items, status_code=202, background=BackgroundTask(told.append, "task")),
    ):
        async with drive(response) as driven:
            assert (await driven.head()).status == 202
            assert b"x" in await driven.read()
            await driven.ended()
        assert told.pop() == "task"


async def test_a_head_runs_the_task_and_opens_nothing():
    told: list[str] = []

    async def rows() -> AsyncIterator[Any]:
        told.append("opened")
        yield [1]

    app = Starlette(routes=[Route("/", CSVResponse(rows, background=BackgroundTask(told.append, "task")))])
    async with drive(app, "HEAD") as driven:
        assert (await driven.head()).status == 200
        await driven.ended()
    assert told == ["task"]


async def test_a_response_is_an_application():
    made = 0

    def numbers() -> range:
        nonlocal made
        made += 1
        return range(made)

    app = Starlette(routes=[Mount("/mounted", NDJSONResponse(numbers)), Route("/route", NDJSONResponse(numbers))])
    for path, lines in (("/mounted/x", [0]), ("/route", [0, 1]), ("/mounted/", [0, 1, 2])):
        async with drive(app, path=path) as driven:
            assert await driven.lines() == lines


async def test_bytes_have_the_type_that_they_are_given():
    response = BytesStreamResponse([b"%PDF"], media_type="application/pdf", settings=StreamSettings(heartbeat=None))
    assert response.media_type == "application/pdf"
    async with drive(response) as driven:
        assert (await driven.head()).headers["content-type"] == "application/pdf"
        assert await driven.read() == b"%PDF"


async def test_the_writer_is_there_too():
    async def endpoint(request: Request) -> Response:
        async def write(out: Any) -> None:
            await out.write({"path": request.url.path})
            await out.flush()

        return NDJSONResponse(write)

    async with drive(Starlette(routes=[Route("/a", endpoint)]), path="/a") as driven:
        assert await driven.lines() == [{"path": "/a"}]


async def test_topics():
    told: list[str] = []
    async with Hub() as hub:
        await hub.publish("a", "1")

        async def endpoint(_request: Request) -> Response:
            task = BackgroundTask(told.append, "task")
            response = TopicResponse(hub, ["a"], headers=[(b"x-first", b"1")], background=task)
            response.headers["x-second"] = "2"
            response.set_cookie("seen", "yes")
            assert (response.status_code, response.media_type) == (200, None)
            return response

        async with drive(Starlette(routes=[Route("/", endpoint)]), path="/?since=earliest&live=0") as driven:
            _, headers = await driven.head()
            assert (headers["x-first"], headers["x-second"]) == ("1", "2")
            assert headers["set-cookie"].startswith("seen=yes")
            assert [event.data for event in await driven.events() if event.event == "message"] == ["1"]
            await driven.ended()
    assert told == ["task"]


@over_kinds
def test_an_editor_knows_every_option(kind: Any):
    """Each class says what it takes: its base's own parameters, then `Options`."""
    parameters = inspect.signature(kind).parameters
    base = inspect.signature(getattr(asgi, kind.__name__)).parameters
    for name, parameter in base.items():
        if parameter.kind is not parameter.VAR_KEYWORD and name not in get_type_hints(Options):
            assert parameters[name].default == parameter.default
    assert parameters["options"].annotation == "Unpack[Options]"
    with pytest.raises(TypeError):
        kind([], colour="red")


def test_all_of_the_library_are_there():
    streams = {name for name in asgi.__all__ if name.endswith("Response") and name != "StreamResponse"}
    assert streams <= set(fit.__all__)


def test_starlettes_own_test_client_reads_them():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the client's own
        from starlette.testclient import TestClient

        async def failing() -> AsyncIterator[Any]:
            yield [1]
            raise LookupError("broken")

        app = Starlette(
            routes=[Route("/", NDJSONResponse(lambda: [1, 2])), Route("/cut", lambda _: CSVResponse(failing()))]
        )
        with TestClient(app) as client:
            assert client.get("/").text == "1\n2\n"
            assert client.head("/").text == ""
            with pytest.raises(Exception, match="was cut"):
                client.get("/cut")

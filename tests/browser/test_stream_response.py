"""Responses of their own in a real browser: `fetch` with a reader, and native `EventSource`."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, Request
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request as Asked
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from echostream.event import Event
from echostream.exceptions import StreamFailed
from echostream.integrations.starlette import (
    BytesStreamResponse,
    CSVResponse,
    EventStreamResponse,
    JSONArrayResponse,
    NDJSONResponse,
    TextStreamResponse,
)
from echostream.stream import FLUSH, StreamSettings
from support.servers import wait_until
from support.threaded import Threaded, threaded

FORMATS: dict[str, tuple[Any, Any]] = {
    "csv": (CSVResponse, lambda number: [number, f"row {number}"]),
    "ndjson": (NDJSONResponse, lambda number: {"number": number, "text": f"row {number}"}),
    "json": (JSONArrayResponse, lambda number: {"number": number, "text": f"row {number}"}),
    "text": (TextStreamResponse, lambda number: f"row {number}\n"),
    "bytes": (BytesStreamResponse, lambda number: b"row %d\n" % number),
}
COUNT = 5

READ = """
(path) => {
  const told = window.told = { got: "", status: 0, ended: "" };
  const leaving = window.leaving = new AbortController();
  (async () => {
    const response = await fetch(path, { signal: leaving.signal });
    told.status = response.status;
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    for (;;) {
      const { value, done } = await reader.read();
      if (done) break;
      told.got += value;
    }
  })().then(() => { told.ended = "whole"; }, (error) => { told.ended = String(error); });
}
"""
FOLLOW = """
(path) => {
  const told = window.told = { events: [], controls: [], opens: 0 };
  const source = window.source = new EventSource(path);
  source.onopen = () => { told.opens += 1; };
  source.onmessage = (event) => told.events.push(event.data);
  for (const name of ["end", "error"]) {
    source.addEventListener("stream-" + name, (event) => told.controls.push({ name, ...JSON.parse(event.data) }));
  }
}
"""


class Shop:
    """The routes. The sources of `step` and `cut` go on when `taken` is called; `open` counts those of `step`."""

    def __init__(self) -> None:
        self.open = 0
        self.opened = 0
        self._turns = threading.Semaphore(0)

    def taken(self) -> None:
        self._turns.release()

    async def step(self, request: Asked) -> Response:
        self._turns = threading.Semaphore(0)
        kind, item = FORMATS[request.path_params["format"]]

        async def items() -> AsyncIterator[Any]:
            self.open += 1
            try:
                for number in range(COUNT):
                    yield item(number)
                    yield FLUSH
                    await self._turn()
            finally:
                self.open -= 1

        return kind(items())

    async def cut(self, request: Asked) -> Response:
        self._turns = threading.Semaphore(0)
        kind, item = FORMATS[request.path_params["format"]]

        async def items() -> AsyncIterator[Any]:
            for number in range(COUNT):
                yield item(number)
            yield FLUSH
            await self._turn()
            raise LookupError("broken")

        return kind(items())

    async def _turn(self) -> None:
        while not self._turns.acquire(blocking=False):
            await asyncio.sleep(0.002)

    async def refused(self, request: Asked) -> Response:
        async def items() -> AsyncIterator[Any]:
            raise HTTPException(404, "no such order")
            yield

        return FORMATS[request.path_params["format"]][0](items())

    async def events(self, request: Asked) -> Response:
        """Events with numbers as ids, on from the one that the browser had last; `how` it ends stands in the path."""
        how = request.path_params["how"]
        last = int(request.headers.get("last-event-id", "-1").partition(".")[0]) if how == "deadline" else -1

        async def items() -> AsyncIterator[Any]:
            self.opened += 1
            if how == "refused":
                raise StreamFailed("no-such-story", "there is none", status=404)
            for number in range(last + 1, last + 1 + COUNT):
                yield Event(data=str(number), id=str(number))
            if how == "failed":
                raise LookupError("broken")
            if how == "deadline":
                await asyncio.get_running_loop().create_future()

        deadline = 0.2 if how == "deadline" else None
        return EventStreamResponse(items(), settings=StreamSettings(retry=0.1, deadline=deadline))

    async def page(self, _request: Asked) -> Response:
        return HTMLResponse("<!doctype html><link rel=icon href=data:,><title>a page</title>")


@pytest.fixture(scope="module")
def shop() -> Shop:
    return Shop()


@pytest.fixture(scope="module")
def server(shop: Shop) -> Iterator[Threaded]:
    routes = [
        Route("/", shop.page),
        Route("/step/{format}", shop.step),
        Route("/cut/{format}", shop.cut),
        Route("/refused/{format}", shop.refused),
        Route("/events/{how}", shop.events),
    ]
    with threaded(Starlette(routes=routes), log_level="critical") as running:
        yield running


@pytest.fixture
def visited(page: Page, server: Threaded) -> Page:
    page.goto(server.url)
    return page


def wait(page: Page, condition: str) -> None:
    page.wait_for_function(f"() => {{ const {{ told, source }} = window; return {condition}; }}")


# -- fetch


@pytest.mark.parametrize("name", FORMATS)
def test_fetch_reads_each_item_as_it_comes(visited: Page, shop: Shop, name: str) -> None:
    visited.evaluate(READ, f"/step/{name}")
    for number in range(COUNT):
        wait(visited, f"told.got.includes('row {number}')")
        assert f"row {number + 1}" not in visited.evaluate("told.got")
        shop.taken()
    wait(visited, "told.ended === 'whole'")
    assert visited.evaluate("told.status") == 200


@pytest.mark.parametrize("name", FORMATS)
def test_fetch_calls_a_cut_body_an_error(visited: Page, shop: Shop, name: str) -> None:
    """What the page has not read by then the browser throws away."""
    visited.evaluate(READ, f"/cut/{name}")
    wait(visited, f"told.got.includes('row {COUNT - 1}')")
    assert visited.evaluate("told.ended") == ""
    shop.taken()
    wait(visited, "told.ended !== ''")
    assert visited.evaluate("told.ended") == "TypeError: network error"


def test_fetch_sees_a_real_status(visited: Page) -> None:
    visited.evaluate(READ, "/refused/csv")
    wait(visited, "told.ended !== ''")
    assert visited.evaluate("[told.status, told.got]") == [404, "no such order"]


def test_a_page_that_stops_reading_ends_the_source(visited: Page, shop: Shop) -> None:
    visited.evaluate(READ, "/step/ndjson")
    wait(visited, "told.got !== ''")
    assert shop.open == 1
    visited.evaluate("leaving.abort()")
    wait_until(lambda: shop.open == 0, within=5, what="the source is closed")
    assert visited.evaluate("told.ended").startswith("AbortError")


def test_a_page_that_is_left_ends_the_source(visited: Page, server: Threaded, shop: Shop) -> None:
    visited.evaluate(READ, "/step/text")
    wait(visited, "told.got !== ''")
    visited.goto(f"{server.url}/?elsewhere")
    wait_until(lambda: shop.open == 0, within=5, what="the source is closed")


# -- EventSource


class Followed:
    """An `EventSource` in the page, and the requests that it made."""

    def __init__(self, page: Page, how: str) -> None:
        self.page = page
        self.requests: list[Request] = []
        page.on("request", lambda request: self.requests.append(request) if "/events/" in request.url else None)
        page.evaluate(FOLLOW, f"/events/{how}")

    @property
    def statuses(self) -> list[int | None]:
        responses = [request.response() for request in self.requests]
        return [response and response.status for response in responses]

    def told(self, name: str) -> Any:
        return self.page.evaluate(f"told.{name}")


@pytest.mark.parametrize(
    ("how", "control"),
    [("whole", {"name": "end", "reason": "finished"}), ("failed", {"name": "error", "code": "internal-error"})],
)
def test_after_the_end_it_comes_back_once_and_stops(visited: Page, shop: Shop, how: str, control: Any) -> None:
    before = shop.opened
    source = Followed(visited, how)
    wait(visited, "source.readyState === EventSource.CLOSED")
    visited.wait_for_timeout(500)  # it would have come back five times
    assert source.statuses == [200, 204]
    assert source.told("events") == [str(number) for number in range(COUNT)]
    [told] = source.told("controls")
    assert control.items() <= told.items()
    assert shop.opened == before + 1, "the second request opens no source"


def test_after_a_deadline_it_comes_back_and_goes_on(visited: Page) -> None:
    source = Followed(visited, "deadline")
    wait(visited, f"told.events.length >= {3 * COUNT}")
    visited.evaluate("source.close()")
    events = source.told("events")
    assert events[: 3 * COUNT] == [str(number) for number in range(3 * COUNT)]
    assert {control["reason"] for control in source.told("controls")} == {"deadline"}
    asked = [request.all_headers().get("last-event-id") for request in source.requests[:3]]
    assert asked == [None, str(COUNT - 1), str(2 * COUNT - 1)]


def test_a_failure_before_the_first_event_stops_it_at_once(visited: Page) -> None:
    source = Followed(visited, "refused")
    wait(visited, "source.readyState === EventSource.CLOSED")
    assert source.statuses == [404]
    assert source.told("opens") == 0

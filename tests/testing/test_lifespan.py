"""lifespan: startup and shutdown as a server asks for them, and what an application can get wrong."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from echostream.testing import LifespanFailed, NotInTime, Violation, drive, lifespan


def answering(*answers: str, then: Callable[[], Any] | None = None, asks: int = 2) -> Any:
    """An application that answers each question in turn with these types."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "lifespan"
        todo = list(answers)
        for _ in range(asks):
            await receive()
            if todo:
                await send({"type": todo.pop(0), "message": "the reason"})
        for answer in todo:
            await send({"type": answer})
        if then is not None:
            await then()

    return app


STARTED, STOPPED = "lifespan.startup.complete", "lifespan.shutdown.complete"


async def test_around_the_requests_of_an_application() -> None:
    steps: list[str] = []

    @asynccontextmanager
    async def around(app: Any) -> AsyncIterator[dict[str, Any]]:
        steps.append("up")
        yield {"pool": "open"}
        steps.append("down")

    async def show(request: Request) -> JSONResponse:
        return JSONResponse(request.state.pool)

    app = Starlette(lifespan=around, routes=[Route("/", show)])
    async with lifespan(app) as state:
        assert (steps, state) == (["up"], {"pool": "open"})
        async with drive(app, scope={"state": state}) as response:
            assert await response.read() == b'"open"'
    assert steps == ["up", "down"]


async def test_a_failed_startup() -> None:
    with pytest.raises(LifespanFailed, match="startup failed: the reason"):
        async with lifespan(answering("lifespan.startup.failed")):
            raise AssertionError("the block must not begin")


async def test_a_failed_shutdown() -> None:
    with pytest.raises(LifespanFailed, match="shutdown failed: the reason"):
        async with lifespan(answering(STARTED, "lifespan.shutdown.failed")):
            pass


@pytest.mark.parametrize(("asks", "phase"), [(0, "startup"), (1, "shutdown")])
async def test_an_application_that_raises(asks: int, phase: str) -> None:
    async def fail() -> None:
        raise KeyError("of the application")

    answers = [STARTED] if asks else []
    with pytest.raises(LifespanFailed, match=f"raised in {phase}") as failure:
        async with lifespan(answering(*answers, asks=asks, then=fail)):
            await asyncio.sleep(0)
    assert isinstance(failure.value.__cause__, KeyError)


@pytest.mark.parametrize(("asks", "phase"), [(0, "startup"), (1, "shutdown")])
async def test_an_application_that_returns_early(asks: int, phase: str) -> None:
    with pytest.raises(LifespanFailed, match=f"returned before {phase} was complete"):
        async with lifespan(answering(*([STARTED] if asks else []), asks=asks)):
            pass


@pytest.mark.parametrize(
    ("app", "what"),
    [
        (answering(), "startup"),
        (answering(STARTED), "shutdown"),
        (answering(STARTED, STOPPED), "return after shutdown"),
    ],
)
async def test_what_takes_too_long(app: Any, what: str) -> None:
    async def forever(scope: Any, receive: Any, send: Any) -> None:
        await app(scope, receive, send)
        await asyncio.Event().wait()

    with pytest.raises(NotInTime, match=what):
        async with lifespan(forever, within=0.01):
            pass


@pytest.mark.parametrize(
    ("answers", "told"),
    [
        (["lifespan.begun"], "in startup came"),
        ([STOPPED], "in startup came"),
        ([STARTED, STARTED], "in shutdown came"),
    ],
)
async def test_messages_that_are_not_its_turn(answers: list[str], told: str) -> None:
    with pytest.raises(Violation, match=told):
        async with lifespan(answering(*answers)):
            pass


async def test_the_blocks_own_failure_goes_on_and_nothing_is_left_running() -> None:
    before = asyncio.all_tasks()
    with pytest.raises(RuntimeError, match="of the test"):
        async with lifespan(answering(STARTED, STOPPED)):
            raise RuntimeError("of the test")
    assert asyncio.all_tasks() == before

"""lifespan: start an ASGI application up and shut it down, as a server does around its requests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, MutableMapping
from contextlib import asynccontextmanager
from typing import Any

from .asgi_rules import Violation
from .driver import WITHIN
from .exchange import App
from .waiting import NotInTime, Signal, told_task

__all__ = ["LifespanFailed", "lifespan"]


class LifespanFailed(AssertionError):
    """The application did not start or did not shut down; what it raised is the cause."""


@asynccontextmanager
async def lifespan(app: App, *, within: float = WITHIN) -> AsyncGenerator[dict[str, Any], None]:
    """Start `app` up, and shut it down at the block's end; gives the lifespan's state, for `drive(scope=)`.

        async with lifespan(app) as state, drive(app, "GET", "/", scope={"state": state}) as response:
            ...

    Raises `LifespanFailed` when the application says so, raises, or returns early; `Violation` for
    messages that are not its turn; `NotInTime` when startup or shutdown takes over `within` seconds.
    """
    run = _Run(app, within)
    try:
        await run.phase("startup")
        yield run.state
        await run.phase("shutdown")
        await run.end()
    finally:
        run.task.cancel()
        await asyncio.wait([run.task], timeout=within)


class _Run:
    def __init__(self, app: App, within: float) -> None:
        self.state: dict[str, Any] = {}
        self._within = within
        self._phase = ""
        self._asked = False
        self._answer: MutableMapping[str, Any] | None = None
        self._violation: Violation | None = None
        self._changed = Signal()
        asgi = {"version": "3.0", "spec_version": "2.0"}
        scope = {"type": "lifespan", "asgi": asgi, "state": self.state}
        self.task = asyncio.create_task(self._call(app, scope), name="lifespan")
        self.task.add_done_callback(lambda _: self._changed.notify())

    async def phase(self, name: str) -> None:
        """Ask for it, and wait for its answer."""
        self._phase, self._asked, self._answer = name, False, None
        self._changed.notify()
        await self._until(lambda: self._answer or self.task.done(), name)
        if self._violation is not None:
            raise self._violation
        if self._answer is None:
            self._raise(name)
            raise LifespanFailed(f"the application returned before {name} was complete")
        if self._answer["type"].endswith(".failed"):
            raise LifespanFailed(f"{name} failed: {self._answer.get('message', '')}")

    async def end(self) -> None:
        """Wait for it to return."""
        await self._until(self.task.done, "the application's return after shutdown")
        self._raise("shutdown")

    async def _until(self, condition: Any, what: str) -> None:
        try:
            async with asyncio.timeout(self._within):
                await self._changed.until(lambda: self._violation or condition())
        except TimeoutError:
            raise NotInTime(f"not within {self._within} s: {what}; {told_task(self.task)}") from None

    def _raise(self, name: str) -> None:
        if self._violation is not None:
            raise self._violation
        if self.task.done() and not self.task.cancelled() and (error := self.task.exception()) is not None:
            raise LifespanFailed(f"the application raised in {name}: {error!r}") from error

    async def _call(self, app: App, scope: MutableMapping[str, Any]) -> None:
        await app(scope, self._receive, self._send)

    async def _receive(self) -> MutableMapping[str, Any]:
        await self._changed.until(lambda: self._phase and not self._asked)
        self._asked = True
        return {"type": f"lifespan.{self._phase}"}

    async def _send(self, message: MutableMapping[str, Any]) -> None:
        answers = {f"lifespan.{self._phase}.complete", f"lifespan.{self._phase}.failed"}
        if message.get("type") not in answers or not self._asked or self._answer is not None:
            self._violation = Violation(f"in {self._phase} came {message!r:.200}; wanted once: {sorted(answers)}")
            self._changed.notify()
            raise self._violation
        self._answer = message
        self._changed.notify()

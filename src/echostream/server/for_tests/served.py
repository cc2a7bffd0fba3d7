"""ServedHub: a hub served by uvicorn on a free port, from a thread of the test's process, with switches for faults."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Self, TypeVar

import uvicorn

from ...event import Event
from ...hub import Hub, HubStatistics, Published
from ...log import MemoryLog
from ...log.base import IdempotencyKey
from ..app import HubApp, create_app
from ..listener import open_listeners
from ..protocol import HubProtocol
from ..tables import Settings

__all__ = ["ServedHub"]

T = TypeVar("T")

PATIENCE = 15.0
"""Seconds in which the hub starts, ends, and answers a call of the test."""


class ServedHub:
    """A hub at `url`, as `echostream serve` would run it but in this process and with a log in memory.

        with ServedHub() as hub:
            hub.publish("orders/1", {"state": "paid"})
            hub.cut()

    Every method may be called from any thread but the hub's own. Raises `AssertionError` when the
    hub does not start, end or answer within 15 s.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        self.port = 0
        self._settings = settings or Settings()
        self._log = _KeptLog()
        self._started = threading.Event()
        self._closing = False
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="echostream-hub", daemon=True)
        self._loop: asyncio.AbstractEventLoop
        self._server: _Server
        self._hub: Hub

    @property
    def url(self) -> str:
        """Where it is served: `http://127.0.0.1:PORT`. A restart keeps it."""
        return f"http://127.0.0.1:{self.port}"

    # -- as a hub

    def publish(self, topic: str, data: Any, **fields: Any) -> Published:
        """Publish one event, as `Hub.publish` with its `event`, `key`, `end`, `ephemeral`; raises what that does."""
        return self._call(self._hub.publish(topic, data, **fields))

    def statistics(self) -> HubStatistics:
        """The figures of the hub since it was started last."""

        async def ask() -> HubStatistics:
            return self._hub.statistics()

        return self._call(ask())

    # -- faults

    def cut(self) -> int:
        """Cut all connections at once, as a network that fails does; how many there were."""

        async def cut() -> int:
            return self._server.cut()

        return self._call(cut())

    def stall_publishing(self) -> None:
        """From now on the log does not answer: publications wait, as on a disk that hangs."""

        async def stall() -> None:
            self._log.gate.clear()

        self._call(stall())

    def resume_publishing(self) -> None:
        """The log answers again: what waits is kept."""

        async def resume() -> None:
            self._log.gate.set()

        self._call(resume())

    def restart(self) -> None:
        """Cut all connections, end the hub, and serve a new one on the same log at the same address."""
        self._started.clear()
        self._stop()
        self._wait_for_start()

    # -- its life

    def __enter__(self) -> Self:
        self._thread.start()
        self._wait_for_start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End it. Idempotent."""
        if self._thread.is_alive():
            self._closing = True
            self._stop()
            self._thread.join(PATIENCE)
            if self._thread.is_alive():
                raise AssertionError(f"the hub did not end within {PATIENCE:g} s")
        if self._error is not None:
            raise self._error

    def _stop(self) -> None:
        def stop() -> None:
            if self._closing:
                self._log.gate.set()
            self._server.should_exit = True

        self._loop.call_soon_threadsafe(stop)

    def _wait_for_start(self) -> None:
        started = self._started.wait(PATIENCE)
        if self._error is not None:
            raise self._error
        if not started:
            raise AssertionError(f"the hub did not start within {PATIENCE:g} s")

    def _call(self, work: Coroutine[Any, Any, T]) -> T:
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result(PATIENCE)
        except TimeoutError:
            future.cancel()
            raise AssertionError(f"the hub did not answer within {PATIENCE:g} s; is publishing stalled?") from None

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:  # noqa: BLE001  told to the test, not to the thread
            self._error = error
        finally:
            self._started.set()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        while not self._closing:
            self._hub = Hub(self._log, settings=self._settings.hub_settings())
            app = create_app(self._settings, self._hub)
            sockets = open_listeners("127.0.0.1", self.port)
            self.port = sockets[0].getsockname()[1]
            self._server = _Server(app, self._started.set)
            async with app.lifespan():
                await self._server.serve(sockets=sockets)
        await self._log.end()


class _Server(uvicorn.Server):
    """uvicorn with its end in our hands. The hub's own server ends the process when its end takes too long."""

    def __init__(self, app: HubApp, on_started: Callable[[], None]) -> None:
        config = uvicorn.Config(
            app,
            http=HubProtocol,
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="critical",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=1,
        )
        super().__init__(config)
        self._on_started = on_started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        self._on_started()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        self.cut()  # after the listener is closed: who comes back at once must not be waited for
        asyncio.get_running_loop().call_later(0.05, self.cut)  # who was accepted, but not yet a connection
        await super().shutdown(sockets=sockets)

    def cut(self) -> int:
        """Cut every connection; how many there were."""
        connections = list(self.server_state.connections)
        for connection in connections:
            connection.transport.abort()
        return len(connections)


class _KeptLog(MemoryLog):
    """A log in memory that outlives the hubs that open and close it, behind a gate."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()
        self.gate.set()
        self._begun = False

    async def open(self) -> None:
        if not self._begun:
            self._begun = True
            await super().open()

    async def aclose(self) -> None:
        """Kept for the next hub."""

    async def end(self) -> None:
        """Close it for good."""
        await super().aclose()

    async def append(self, events: Sequence[Event], key: IdempotencyKey | None = None) -> list[int]:
        await self.gate.wait()
        return await super().append(events, key)

"""An ASGI application under a real uvicorn in a thread of the test's process, so that a test can look inside it."""

from __future__ import annotations

import asyncio
import http.client
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import uvicorn

__all__ = ["Threaded", "threaded"]

PATIENCE = 15.0
"""Seconds in which the server starts, and ends."""


class Threaded:
    """A running server: `url` to reach it, `open` for an answer as it comes."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.url = f"http://127.0.0.1:{port}"

    @contextmanager
    def open(
        self, path: str, *, method: str = "GET", body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Iterator[http.client.HTTPResponse]:
        """An answer whose head has come. Leaving the block is the reader leaving."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request(method, path, body=body, headers=dict(headers or {}))
            response = connection.getresponse()
            yield response
            response.close()
        finally:
            connection.close()


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, started: Callable[[], None]) -> None:
        super().__init__(config)
        self._tell = started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._tell()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield  # signals are the main thread's


@contextmanager
def threaded(app: Any, **config: Any) -> Iterator[Threaded]:
    """Serve `app` on a free loopback port; `config` as of `uvicorn.Config`. Connections are cut at the end."""
    listener = socket.create_server(("127.0.0.1", 0))
    started = threading.Event()
    options = {"log_config": None, "timeout_graceful_shutdown": 1, **config}
    server = _Server(uvicorn.Config(app, **options), started.set)
    failed: list[BaseException] = []

    def run() -> None:
        try:
            asyncio.run(server.serve([listener]))
        except BaseException as error:  # noqa: BLE001  shown by the test, not by the thread
            failed.append(error)
        finally:
            started.set()

    thread = threading.Thread(target=run, name="uvicorn")
    thread.start()
    try:
        assert started.wait(PATIENCE), "uvicorn did not start"
        if not failed:
            yield Threaded(listener.getsockname()[1])
    finally:
        server.should_exit = True
        thread.join(PATIENCE)
        listener.close()
        assert not thread.is_alive(), "uvicorn did not end"
    if failed:
        raise failed[0]

"""A hub served on a real socket from a thread of the test's own process, so that a test can look inside it too."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import uvloop

from echostream.hub import Hub
from echostream.log import Log
from echostream.server.app import HubApp, create_app
from echostream.server.config import Settings, load_settings
from echostream.server.listener import open_listeners
from echostream.server.run import HubServer

__all__ = ["Answer", "Inside", "read_until", "serving", "settings_of"]


@dataclass(frozen=True)
class Answer:
    """A whole response. `headers` by lower-case name; of one given twice the last."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The word of a problem document."""
        assert self.headers["content-type"] == "application/problem+json", (self.status, self.body)
        assert self.json["status"] == self.status
        return str(self.json["code"])


class Inside:
    """A running hub: `ask` for whole answers, `raw` for bytes as they are, `app` to look inside."""

    def __init__(self, app: HubApp, server: HubServer, port: int, loop: asyncio.AbstractEventLoop) -> None:
        self.app = app
        self.server = server
        self.port = port
        self.loop = loop

    def ask(
        self, method: str, path: str, body: bytes | str | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            data = body.encode() if isinstance(body, str) else body
            connection.request(method, path, body=data, headers=dict(headers or {}))
            return _whole(connection.getresponse())
        finally:
            connection.close()

    def raw(self, request: bytes) -> Answer:
        """Send exactly these bytes; the answer, read to its own end."""
        with self.connect() as connection:
            connection.sendall(request)
            response = http.client.HTTPResponse(connection)
            response.begin()
            return _whole(response)

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=10)

    @contextmanager
    def stream(self, path: str, **headers: str) -> Iterator[http.client.HTTPResponse]:
        """An open stream."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", path, headers={name.replace("_", "-"): text for name, text in headers.items()})
            response = connection.getresponse()
            assert response.status == 200, response.read()
            yield response
            response.close()
        finally:
            connection.close()


@contextmanager
def serving(log: str | Log = "memory://", *, files: int | None = None, **tables: Mapping[str, Any]) -> Iterator[Inside]:
    """Serve a hub with these settings (`limits={"connections": 3}`), and end it as SIGTERM would."""
    settings = settings_of(**tables)
    started = threading.Event()
    holder: dict[str, Any] = {}

    async def main() -> None:
        app = create_app(settings, Hub(log, settings=settings.hub_settings()), files=files)
        sockets = open_listeners(settings.server.host, 0)
        server = HubServer(app, None, files=files, on_started=started.set)
        holder["inside"] = Inside(app, server, sockets[0].getsockname()[1], asyncio.get_running_loop())
        await server.serve_hub(sockets)

    def run() -> None:
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:  # as `echostream serve` does
                runner.run(main())
        except BaseException as error:  # noqa: BLE001  shown by the test, not by the thread
            holder["error"] = error
        finally:
            started.set()

    thread = threading.Thread(target=run, name="hub")
    thread.start()
    try:
        assert started.wait(15), "the hub did not start"
        if "error" in holder:
            raise holder["error"]
        yield holder["inside"]
    finally:
        if "inside" in holder:
            holder["inside"].server.should_exit = True
        thread.join(30)
        assert not thread.is_alive(), "the hub did not end"
    if "error" in holder:
        raise holder["error"]


def settings_of(**tables: Mapping[str, Any]) -> Settings:
    """Settings of tables and keys, a short end by default."""
    flags = {f"{table}.{key}": value for table, keys in tables.items() for key, value in keys.items()}
    return load_settings({"server.drain_seconds": 3, **flags})


def read_until(response: http.client.HTTPResponse, wanted: bytes) -> bytes:
    """What a stream gives up to and including the line that has `wanted` in it."""
    seen = b""
    while wanted not in seen:
        line = response.readline()
        assert line, f"the stream ended before {wanted!r}: {seen!r}"
        seen += line
    return seen


def _whole(response: http.client.HTTPResponse) -> Answer:
    headers = {name.lower(): value for name, value in response.getheaders()}
    return Answer(response.status, headers, response.read())

"""Readers whose bytes go straight to uvicorn's transport: when it is lent, when not, and that all else stays."""

from __future__ import annotations

import asyncio
import gzip
import http.client
import json
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from echostream.asgi import TopicResponse, TopicSettings
from echostream.hub import Hub
from support.servers import wait_until
from support.threaded import Threaded, threaded
from support.tls import certificate

PROTOCOL = "echostream.asgi.uvicorn:StreamProtocol"


class Counted:
    """How many messages a response sends: two and its end where the transport was lent."""

    def __init__(self, app: Any, sent: list[str]) -> None:
        self.app = app
        self.sent = sent

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def counted(message: Any) -> None:
            self.sent.append(message["type"])
            await send(message)

        of_a_stream = scope["type"] == "http" and scope["path"].startswith("/topics")
        await self.app(scope, receive, counted if of_a_stream else send)


class Through(BaseHTTPMiddleware):
    async def dispatch(self, request: Request, call_next: Any) -> Any:
        return await call_next(request)


class Running:
    """The application, and what of it a test may look at."""

    def __init__(self, hub: Hub, server: Threaded, sent: list[str]) -> None:
        self.hub = hub
        self.server = server
        self.sent = sent

    def publish(self, data: str, *, end: bool = False) -> None:
        with self.server.open(f"/publish?end={int(end)}", method="POST", body=data.encode()) as answer:
            assert answer.status == 200

    def connect(self, path: str = "/topics/a", *, buffer: int | None = None, more: str = "") -> socket.socket:
        peer = socket.socket()
        if buffer is not None:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        peer.settimeout(10)
        peer.connect(("127.0.0.1", self.server.port))
        peer.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{more}\r\n".encode())
        return peer


@contextmanager
def running(*middleware: Middleware, settings: TopicSettings | None = None, **config: Any) -> Iterator[Running]:
    hub = Hub("memory://")
    sent: list[str] = []

    async def publish(request: Request) -> JSONResponse:
        data = (await request.body()).decode()
        published = await hub.publish("a", data or None, end=request.query_params["end"] == "1")
        return JSONResponse(published.ids)

    routes = [
        Route("/topics/a", TopicResponse(hub, ["a"], settings=settings)),
        Route("/publish", publish, methods=["POST"]),
    ]
    app = Starlette(lifespan=hub.lifespan, routes=routes, middleware=[*middleware, Middleware(Counted, sent)])
    with threaded(app, http=PROTOCOL, **config) as server:
        yield Running(hub, server, sent)


@pytest.fixture(scope="module")
def shared() -> Iterator[Running]:
    with running() as one:
        yield one


def read_until(peer: socket.socket, wanted: bytes) -> bytes:
    seen = b""
    while wanted not in seen:
        some = peer.recv(65536)
        assert some, f"ended before {wanted!r}: {seen[-200:]!r}"
        seen += some
    return seen


def live(one: Running) -> None:
    wait_until(lambda: one.hub.statistics().live == 1, within=10, what="the reader is live")


def readers(one: Running, count: int) -> None:
    wait_until(lambda: one.hub.statistics().readers == count, within=10, what=f"{count} readers")


def test_the_transport_is_lent_and_no_message_is_sent_for_an_event(shared: Running):
    shared.sent.clear()
    with shared.connect() as peer:
        read_until(peer, b"stream-open")
        for number in range(5):
            shared.publish(f"event {number}")
            read_until(peer, b"data: event %d\n\n" % number)
        assert shared.sent == ["http.response.start", "http.response.body"]
    readers(shared, 0)


def test_the_framing_is_that_of_http(shared: Running):
    with shared.server.open("/topics/a?since=earliest&live=0&format=ndjson") as answer:
        lines = answer.read().splitlines()
    assert json.loads(lines[0])["stream"] == "open"
    assert json.loads(lines[-1])["stream"] == "end"


def test_a_connection_is_used_again_after_a_stream(shared: Running):
    connection = http.client.HTTPConnection("127.0.0.1", shared.server.port, timeout=10)
    for _ in range(3):
        connection.request("GET", "/topics/a?since=earliest&live=0")
        assert b"stream-end" in connection.getresponse().read()
        connection.request("HEAD", "/topics/a")
        assert connection.getresponse().read() == b""
    connection.close()


def test_a_request_behind_a_stream_is_answered_after_it(shared: Running):
    with shared.connect("/topics/a?since=earliest&live=0") as peer:
        peer.sendall(b"GET /nothing HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        seen = read_until(peer, b"HTTP/1.1 404")
        assert seen.index(b"stream-end") < seen.index(b"0\r\n\r\n") < seen.index(b"HTTP/1.1 404")


@pytest.mark.parametrize("way", ["close", "reset"])
def test_a_reader_that_leaves_is_gone_at_once(shared: Running, way: str):
    peer = shared.connect()
    read_until(peer, b"stream-open")
    readers(shared, 1)
    if way == "reset":
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    peer.close()
    readers(shared, 0)


def test_a_stalled_reader_leaves_the_live_ones_and_misses_nothing(shared: Running):
    with shared.connect(buffer=4096) as peer:
        read_until(peer, b"stream-open")
        live(shared)
        last = 0
        while shared.hub.statistics().live:
            last += 1
            shared.publish(f"n={last:06d} " + "x" * 50_000)
            assert last < 2000
        for last in range(last + 1, last + 6):  # noqa: B020
            shared.publish(f"n={last:06d} " + "x" * 50_000)
        seen = read_until(peer, b"n=%06d" % last)
        assert [int(part[:6]) for part in seen.split(b"n=")[1:]] == list(range(1, last + 1))
        live(shared)


def test_who_takes_nothing_is_cut_after_the_send_timeout():
    with running(settings=TopicSettings(send_timeout=0.3)) as one, one.connect(buffer=4096) as peer:
        read_until(peer, b"stream-open")
        live(one)
        while one.hub.statistics().live:
            one.publish("x" * 200_000)
        readers(one, 0)
        with pytest.raises((ConnectionError, AssertionError)):
            read_until(peer, b"0\r\n\r\n")


def test_a_finished_topic_ends_the_body():
    with running() as one, one.server.open("/topics/a") as answer:
        one.publish("last", end=True)
        body = answer.read()
        assert body.count(b"data: last") == 1
        assert b"stream-end" in body
        assert one.sent == ["http.response.start", "http.response.body"], "the end is the protocol's own"


def test_a_drain_cuts_what_cannot_tell_it():
    with running() as one, one.server.open("/topics/a?format=text") as answer:
        readers(one, 1)
        one.publish("half")
        assert answer.readline() == b"half\n"
        one.hub.statistics()
        asyncio.run_coroutine_threadsafe(drain(one.hub), loop_of(one.hub)).result(10)
        with pytest.raises(http.client.IncompleteRead):
            answer.read()


def test_a_cut_body_that_nobody_takes_does_not_hold_its_connection():
    with running(settings=TopicSettings(send_timeout=0.5)) as one, one.connect("/topics/a?format=text") as peer:
        live(one)
        while one.hub.statistics().live:
            one.publish("x" * 200_000)
        asyncio.run_coroutine_threadsafe(drain(one.hub), loop_of(one.hub)).result(10)
        mine = peer.getsockname()

        def held() -> bool:
            return any(c.raddr == mine and c.status == "ESTABLISHED" for c in psutil.Process().net_connections("tcp"))

        wait_until(lambda: not held(), within=10, what="the server has let go of the connection")


async def drain(hub: Hub) -> None:
    hub.drain()


def loop_of(hub: Hub) -> asyncio.AbstractEventLoop:
    [reader] = hub.fanout.readers
    return reader.outlet._ended.get_loop()  # type: ignore[attr-defined]


def test_cors_does_not_stand_in_the_way():
    with running(Middleware(CORSMiddleware, allow_origins=["*"])) as one:
        with one.connect(more="Origin: https://example.org\r\n") as peer:
            assert b"access-control-allow-origin" in read_until(peer, b"stream-open")
            one.publish("x")
            read_until(peer, b"data: x")
            assert one.sent == ["http.response.start", "http.response.body"]


def test_what_changes_the_body_keeps_it():
    with running(Middleware(GZipMiddleware)) as one:
        one.publish("x" * 1000)
        path, accept = "/topics/a?since=earliest&live=0&format=ndjson", {"accept-encoding": "gzip"}
        with one.server.open(path, headers=accept) as answer:
            assert answer.headers["content-encoding"] == "gzip"
            assert b'"stream":"end"' in gzip.decompress(answer.read())
        assert len(one.sent) > 3


def test_a_middleware_that_carries_the_body_on_keeps_it():
    with running(Middleware(Through)) as one, one.connect() as peer:
        read_until(peer, b"stream-open")
        one.publish("x")
        read_until(peer, b"data: x")
        assert len(one.sent) > 3


def test_tls(tmp_path: Path):
    cert, key = certificate(tmp_path)
    with running(ssl_certfile=str(cert), ssl_keyfile=str(key)) as one:
        context = ssl.create_default_context(cafile=str(cert))
        with socket.create_connection(("127.0.0.1", one.server.port), timeout=10) as plain:
            with context.wrap_socket(plain, server_hostname="localhost") as peer:
                peer.sendall(b"GET /topics/a HTTP/1.1\r\nHost: localhost\r\n\r\n")
                read_until(peer, b"stream-open")
                assert one.sent == ["http.response.start", "http.response.body"]
        readers(one, 0)

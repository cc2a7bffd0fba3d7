"""A plain ASGI application whose every route is a response with a fault; run as a process under each ASGI server.

    GET /sse/raises?name=a&at=2       format, source (see `stream_sources`), what the test calls it
    GET /sync/csv/endless?name=b      the same on a thread
    GET /state?name=a                 what became of a source; of all that begin with it: /states
    GET /statistics                   of the process
    GET /release?name=a               let a source end that would not
    GET /drain                        end all streams

Every field of `StreamSettings` may stand in the query. `large=1` makes items of 10 kB, `break=5`
puts a middleware in between that fails at the 5th part of the body. With `STREAM_DRAIN=1` in the
environment the application ends its streams when its process is told to stop.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

from echostream import (
    BytesStreamResponse,
    CSVResponse,
    EventStreamResponse,
    JSONArrayResponse,
    NDJSONResponse,
    StreamReport,
    StreamSettings,
    TextStreamResponse,
    drain_streams,
    stream_statistics,
)
from support.stream_sources import ASYNC, CHUNK, SYNC, Probe, Wish

__all__ = ["app"]

PROBES: dict[str, Probe] = defaultdict(Probe)

Item = Callable[[int], Any]

FORMATS: dict[str, tuple[Callable[..., Any], Item, Item]] = {
    "sse": (EventStreamResponse, lambda number: {"n": number}, lambda number: "x" * CHUNK),
    "ndjson": (NDJSONResponse, lambda number: {"n": number}, lambda number: "x" * CHUNK),
    "json": (JSONArrayResponse, lambda number: {"n": number}, lambda number: "x" * CHUNK),
    "csv": (CSVResponse, lambda number: (number, f"=row {number}"), lambda number: (number, "x" * CHUNK)),
    "text": (TextStreamResponse, lambda number: f"line {number}\n", lambda number: "x" * CHUNK),
    "bytes": (BytesStreamResponse, lambda number: b"%d\n" % number, lambda number: b"x" * CHUNK),
}


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        await _live(receive, send)
        return
    query = dict(parse_qsl(scope["query_string"].decode()))
    parts = scope["path"].strip("/").split("/")
    if len(parts) == 1:
        await _answer(send, _look(parts[0], query))
    else:
        await _stream(parts, query, scope, receive, send)


async def _stream(parts: list[str], query: dict[str, str], scope: Any, receive: Any, send: Any) -> None:
    sources = SYNC if parts[0] == "sync" else ASYNC
    form, kind = parts[-2:]
    make, small, large = FORMATS[form]
    probe = PROBES[query["name"]]
    probe.name = query["name"]
    wish = Wish(large if "large" in query else small, int(query.get("at", "1")), float(query.get("pause", "0")))
    if "wide" in query:
        wish.item = lambda number: (number, "a", "b") if number == wish.at else (number, "a")

    def source() -> Any:
        if "early" in query:
            raise LookupError("the secret reason")
        return sources[kind](probe, wish)

    def ended(report: StreamReport) -> None:
        probe.reason, probe.first_byte = report.reason, report.first_byte
        probe.note(report.reason)

    async def told() -> Any:
        message = await receive()
        if message["type"] == "http.disconnect":
            probe.told = time.monotonic()
        return message

    options = {"columns": ("number", "text")} if form == "csv" else {}
    response = make(source, settings=_settings(query), on_end=ended, **options)
    await response(scope, told, _breaking(send, int(query["break"])) if "break" in query else send)


def _settings(query: dict[str, str]) -> StreamSettings:
    return StreamSettings(**{name: float(query[name]) for name in StreamSettings.__slots__ if name in query})


def _breaking(send: Any, after: int) -> Any:
    """A middleware's `send` that fails in the middle of the body."""
    parts = 0

    async def broken(message: Any) -> None:
        nonlocal parts
        parts += bool(message.get("body"))
        if parts == after:
            raise RuntimeError("the middleware failed")
        await send(message)

    return broken


def _look(what: str, query: dict[str, str]) -> Any:
    name = query.get("name", "")
    if what == "state":
        return PROBES[name].figures
    if what == "states":
        return [probe.figures for key, probe in PROBES.items() if key.startswith(name)]
    if what == "release":
        PROBES[name].released.set()
    elif what == "drain":
        return drain_streams()
    return {**stream_statistics()._asdict(), "pid": os.getpid(), "tasks": len(asyncio.all_tasks())}


async def _answer(send: Any, value: Any) -> None:
    body = json.dumps(value).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _live(receive: Any, send: Any) -> None:
    await receive()
    if os.environ.get("STREAM_DRAIN"):
        for number in (signal.SIGTERM, signal.SIGINT):
            _drain_before(number)
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})


def _drain_before(number: signal.Signals) -> None:
    """What the how-to tells an application to do: end the streams, then what the server does."""
    before = signal.getsignal(number)

    def handle(received: int, frame: Any) -> None:
        drain_streams()
        if callable(before):
            before(received, frame)

    signal.signal(number, handle)

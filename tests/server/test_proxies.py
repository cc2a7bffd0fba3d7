"""Streams through nginx and Caddy as they come: the first event is not held back, heartbeats pass, leaving is seen."""

from __future__ import annotations

import http.client
import re
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from support.proxies import PROXIES, running_proxy
from support.servers import ServerProcess, running_hub, wait_until

FIRST_EVENT_WITHIN = 0.2
HEARTBEAT = 0.25


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("hub")
    with running_hub(folder, env={"ECHOSTREAM_STREAMS__HEARTBEAT": str(HEARTBEAT)}) as server:
        yield server


@pytest.fixture(scope="module", params=PROXIES)
def proxy(
    request: pytest.FixtureRequest, hub: ServerProcess, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[int]:
    """The port of a proxy in front of the hub."""
    folder = tmp_path_factory.mktemp(request.param)
    with running_proxy(request.param, upstream=hub.port, folder=folder) as server:
        yield server.port


@contextmanager
def stream(port: int, path: str, **headers: str) -> Iterator[http.client.HTTPResponse]:
    """An open stream; each read has 5 seconds."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        response = connection.getresponse()
        assert response.status == 200, response.read()
        yield response
    finally:
        connection.close()


def publish(port: int, topic: str, data: str) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("POST", f"/topics/{topic}", body=data, headers={"Content-Type": "text/plain"})
        assert connection.getresponse().status == 201
    finally:
        connection.close()


def read_until(response: http.client.HTTPResponse, wanted: bytes) -> list[bytes]:
    """Lines up to the one that begins with `wanted`, that one included."""
    lines: list[bytes] = []
    while not (lines and lines[-1].startswith(wanted)):
        line = response.readline()
        assert line, f"ended without {wanted!r}: {lines}"
        lines.append(line.rstrip(b"\n"))
    return lines


def first_event_seconds(
    hub: ServerProcess, proxy: int, path: str, *, topic: str, opening: bytes, first: bytes
) -> float:
    """How long after it is published the first event of a new stream arrives through the proxy."""
    with stream(proxy, path) as response:
        read_until(response, opening)
        began = time.perf_counter()
        publish(hub.port, topic, "hi")
        read_until(response, first)
        return time.perf_counter() - began


@pytest.mark.parametrize(
    ("path", "opening", "first"),
    [
        ("/topics/first/a", b"data: {", b"data: hi"),
        ("/stream?topic=first/*", b"data: {", b'data: {"id"'),
        ("/topics/first/a?format=ndjson", b'{"stream"', b'{"id"'),
    ],
    ids=["sse", "sse-envelope", "ndjson"],
)
def test_first_event_comes_at_once(hub: ServerProcess, proxy: int, path: str, opening: bytes, first: bytes) -> None:
    """Five readers, each new: a proxy that buffers would hold every one of them back, a busy machine does not."""
    took = [first_event_seconds(hub, proxy, path, topic="first/a", opening=opening, first=first) for _ in range(5)]
    assert statistics.median(took) < FIRST_EVENT_WITHIN, took


def test_heartbeats_pass_one_by_one(proxy: int) -> None:
    with stream(proxy, "/topics/silent") as response:
        read_until(response, b"data: {")
        read_until(response, b":")
        began = time.perf_counter()
        for _ in range(3):
            read_until(response, b":")
        assert time.perf_counter() - began > 2 * HEARTBEAT, "they came in a lump"


def test_resume_through_the_proxy(hub: ServerProcess, proxy: int) -> None:
    topic = f"resume/{proxy}"
    with stream(proxy, f"/topics/{topic}") as response:
        opened = read_until(response, b"data: {")
        position = next(line for line in opened if line.startswith(b"id: ")).removeprefix(b"id: ").decode()
    publish(hub.port, topic, "while away")
    with stream(proxy, f"/topics/{topic}", Last_Event_ID=position) as response:
        assert b'"resume":"resumed"' in read_until(response, b"data: {")[-1]
        read_until(response, b"data: while away")


def test_publishing_through_the_proxy(proxy: int) -> None:
    publish(proxy, "through", "hi")


def test_a_reader_that_leaves_the_proxy_leaves_the_hub(hub: ServerProcess, proxy: int) -> None:
    wait_until(lambda: readers(hub) == 0, within=10, what="no readers before")
    with stream(proxy, "/topics/leaving") as response:
        read_until(response, b"data: {")
        assert readers(hub) == 1
    wait_until(lambda: readers(hub) == 0, within=10, what="the reader has left the hub")


def readers(hub: ServerProcess) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", hub.port, timeout=5)
    try:
        connection.request("GET", "/metrics")
        found = re.search(rb"^echostream_readers (\d+)", connection.getresponse().read(), re.MULTILINE)
        assert found is not None
        return int(float(found[1]))
    finally:
        connection.close()

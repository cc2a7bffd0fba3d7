"""Thousands of readers that connect and leave: no task, no descriptor and no memory stays behind."""

from __future__ import annotations

import http.client
import json
import socket
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from support.servers import ServerProcess, running_asgi, running_hub, wait_until

GROWTH = 5 * 1024 * 1024


class Asker:
    """Asks for the figures over one connection: each new one would itself be a descriptor and some tasks."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)

    def __call__(self) -> dict[str, int]:
        try:
            self._connection.request("GET", "/statistics")
            figures: dict[str, int] = json.loads(self._connection.getresponse().read())
            return figures
        except (http.client.HTTPException, ConnectionError):  # the server closed it when it was idle
            self._connection.close()
            return self()

    def close(self) -> None:
        self._connection.close()


def cycle(server: ServerProcess, number: int) -> None:
    """Connect, read the beginning of the stream, and leave: politely, by reset, or before the head came."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as peer:
        # A topic of its own: what is remembered per topic name must go as well.
        path = f"/topics/churn/{number}" if number % 2 else "/topics/shared?format=ndjson"
        peer.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        if number % 5:
            seen = b""
            while b"epoch" not in seen:
                some = peer.recv(4096)
                assert some, seen
                seen += some
        if number % 3 == 0:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")


def resources(server: ServerProcess) -> tuple[int, int]:
    """Descriptors and resident bytes of the server and its workers."""
    process = psutil.Process(server.pid)
    family = [process, *process.children(recursive=True)]
    return sum(one.num_fds() for one in family), sum(one.memory_info().rss for one in family)


@pytest.mark.soak
@pytest.mark.timeout(240)
@pytest.mark.parametrize(("name", "cycles"), [("uvicorn", 2000), ("hypercorn", 300), ("granian", 300)])
def test_nothing_stays_behind(name: str, cycles: int, tmp_path: Path, soak: bool):
    cycles *= 5 if soak else 1
    with (
        running_asgi(name, "support.topic_app:app", folder=tmp_path) as server,
        closing(Asker(server.port)) as ask,
    ):
        for number in range(cycles // 5):  # warm: caches, pools and the allocator's arenas
            cycle(server, number)
        wait_until(lambda: ask()["readers"] == 0, within=15, what="all readers are forgotten")
        before = ask()
        descriptors, memory = resources(server)
        for number in range(cycles):
            cycle(server, number)
        wait_until(lambda: ask()["readers"] == 0, within=15, what="all readers are forgotten")
        # A server closes its own tasks and sockets some seconds after the connection (keep-alive).
        wait_until(lambda: resources(server)[0] <= descriptors, within=20, what="no more descriptors than before")
        wait_until(lambda: ask()["tasks"] <= before["tasks"], within=20, what="no more tasks than before")
        assert ask()["topics_followed"] == 0
        grown = resources(server)[1] - memory
        print(f"\n{name}: {cycles} readers came and went, memory grew by {grown / 1024:.0f} KiB")
    assert grown < GROWTH


@pytest.mark.soak
@pytest.mark.timeout(240)
def test_nothing_stays_behind_in_the_hub(tmp_path: Path, soak: bool):
    cycles = 10_000 if soak else 2_000
    with running_hub(tmp_path, log="memory://") as hub:
        for number in range(cycles // 5):
            cycle(hub, number)
        wait_until(lambda: figures(hub)["echostream_readers"] == 0, within=15, what="all readers are forgotten")
        descriptors, memory = resources(hub)
        for number in range(cycles):
            cycle(hub, number)
        wait_until(lambda: figures(hub)["echostream_readers"] == 0, within=15, what="all readers are forgotten")
        wait_until(lambda: resources(hub)[0] <= descriptors, within=20, what="no more descriptors than before")
        after = figures(hub)
        grown = resources(hub)[1] - memory
        print(f"\nhub: {cycles} readers came and went, memory grew by {grown / 1024:.0f} KiB")
    assert after["echostream_topics_followed"] == 0
    assert after["echostream_client_addresses"] == 0
    assert grown < GROWTH


def figures(hub: ServerProcess) -> dict[str, float]:
    """The hub's metrics by name."""
    with closing(http.client.HTTPConnection("127.0.0.1", hub.port, timeout=10)) as connection:
        connection.request("GET", "/metrics")
        lines = connection.getresponse().read().decode().splitlines()
    pairs = [line.rsplit(" ", 1) for line in lines if not line.startswith("#")]
    return {name: float(value) for name, value in pairs}

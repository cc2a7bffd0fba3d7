"""A full disk, seen over HTTP: publishers are told 507, readers go on, and room again is enough."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from echostream.client import Backoff, Publisher, Receipt
from echostream.log.sqlite import SqliteLog
from support.faultydisk import FaultyDisk
from support.inside import Inside, read_until, serving
from support.servers import wait_until

BATCH = {"Content-Type": "application/x-ndjson"}


@pytest.fixture
def disk() -> Iterator[FaultyDisk]:
    disk = FaultyDisk("faulty-http")
    yield disk
    disk.unregister()


@pytest.fixture
def hub(tmp_path: Path, disk: FaultyDisk) -> Iterator[Inside]:
    with serving(SqliteLog(tmp_path / "log.db", _vfs=disk.name)) as inside:
        yield inside


def fill(disk: FaultyDisk) -> None:
    disk.fault = lambda what, file: apsw.FullError() if what == "write" else None


def kept(hub: Inside, topic: str) -> list[str]:
    return [event["data"] for event in hub.ask("GET", f"/topics/{topic}?format=json").json]


def test_publishers_are_told_and_readers_go_on(hub: Inside, disk: FaultyDisk) -> None:
    assert hub.ask("POST", "/topics/a", "one").status == 201
    with hub.stream("/topics/a") as reader:
        read_until(reader, b"stream-open")
        fill(disk)
        for body, headers in (("lost", {}), ('{"data":"lost"}\n' * 3, BATCH), ("two", {"Idempotency-Key": "k"})):
            answer = hub.ask("POST", "/topics/a", body, headers)
            assert (answer.status, answer.code) == (507, "log-full")
        assert hub.ask("GET", "/readyz").code == "log-full"
        assert hub.ask("GET", "/healthz").status == 200
        assert kept(hub, "a") == ["one"]
        with hub.stream("/topics/a?since=earliest") as late:
            read_until(late, b"data: one")
            assert hub.ask("POST", "/topics/a?ephemeral=1", "passing").status == 202
            read_until(late, b"data: passing")
        read_until(reader, b"data: passing")

        disk.fault = None
        wait_until(lambda: hub.ask("GET", "/readyz").status == 200, within=5, what="ready again")
        assert hub.ask("POST", "/topics/a", "two", {"Idempotency-Key": "k"}).status == 201
        assert hub.ask("POST", "/topics/a", "three").status == 201
        seen = read_until(reader, b"data: three")
        assert seen.count(b"data: ") == 2, "the same stream, nothing lost and nothing that was refused"
    assert kept(hub, "a") == ["one", "two", "three"]


def test_a_client_waits_for_room(hub: Inside, disk: FaultyDisk) -> None:
    fill(disk)
    heard: list[str] = []
    receipts: list[Receipt] = []

    def publish() -> None:
        url = f"http://127.0.0.1:{hub.port}"
        with Publisher(url, on_retry=lambda why, _: heard.append(why), backoff=Backoff(first=0.02, cap=0.1)) as client:
            receipts.append(client.publish("a", "patient"))

    thread = threading.Thread(target=publish)
    thread.start()
    wait_until(lambda: len(heard) >= 2, within=10, what="it was refused twice")
    disk.fault = None
    thread.join(10)
    assert [receipt.durability for receipt in receipts] == ["full"]
    assert "log-full" in heard[0]
    assert kept(hub, "a") == ["patient"]

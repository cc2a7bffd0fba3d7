"""The end of a hub: readers are told to come back, the exit code is 0, and a second signal does not wait."""

from __future__ import annotations

import http.client
import re
import signal
import socket
import time
from pathlib import Path

import pytest

from support.servers import ServerProcess, running_hub, wait_until

MEMORY = {"log": "memory://"}


def read(connection: socket.socket, until: bytes | None = None) -> bytes:
    """Up to and including `until`; None: to the end."""
    seen = b""
    while until is None or until not in seen:
        part = connection.recv(65536)
        if not part:
            assert until is None, f"ended before {until!r}: {seen!r}"
            break
        seen += part
    return seen


def subscribe(hub: ServerProcess, path: str, accept: str = "text/event-stream") -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", hub.port), timeout=10)
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept: {accept}\r\n\r\n".encode())
    return connection


def publish(hub: ServerProcess, topic: str, data: str) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", hub.port, timeout=10)
    connection.request("POST", f"/topics/{topic}", body=data)
    assert connection.getresponse().status == 201
    connection.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_streams_end_at_an_event_boundary_to_be_resumed(tmp_path: Path, number: int) -> None:
    with running_hub(tmp_path, **MEMORY) as hub:
        with subscribe(hub, "/topics/a") as sse, subscribe(hub, "/topics/a", "application/x-ndjson") as lines:
            read(sse, b"stream-open")
            read(lines, b'"open"')
            publish(hub, "a", "one")
            last = re.search(rb"id: (\S+)\ndata: one\n\n", read(sse, b"data: one\n\n"))
            assert last is not None
            began = time.monotonic()
            hub.signal(number)
            ending = read(sse)
            assert b"event: stream-end\n" in ending
            assert b'data: {"reason":"drain"}\n\n' in ending
            assert b"id: " + last[1] + b"\n" in ending
            assert (retry := re.search(rb"retry: (\d+)\n", ending)) is not None
            assert int(retry[1]) > 0
            assert ending.endswith(b"0\r\n\r\n"), "the body is whole"
            assert b'"stream":"end"' in read(lines)
        assert hub.wait() == 0
        assert time.monotonic() - began < 3
        assert "reason=drain" in hub.output
        assert "Traceback" not in hub.output


def test_retries_differ_so_that_readers_do_not_come_back_together(tmp_path: Path) -> None:
    with running_hub(tmp_path, **MEMORY) as hub:
        readers = [subscribe(hub, "/topics/a") for _ in range(8)]
        for reader in readers:
            read(reader, b"stream-open")
        hub.signal(signal.SIGTERM)
        endings = [read(reader) for reader in readers]
        for reader in readers:
            reader.close()
        assert hub.wait() == 0
    retries = {re.findall(rb"retry: (\d+)\n", ending)[-1] for ending in endings}
    assert len(retries) > 1


def stall(hub: ServerProcess) -> socket.socket:
    """A reader that reads nothing, with more to read than its socket takes."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.settimeout(10)
    connection.connect(("127.0.0.1", hub.port))
    connection.sendall(b"GET /topics/big?since=earliest HTTP/1.1\r\nHost: localhost\r\n\r\n")
    return connection


def test_not_ready_at_once_while_a_stalled_reader_delays_the_end_but_not_for_ever(tmp_path: Path) -> None:
    with running_hub(tmp_path, **MEMORY, env={"ECHOSTREAM_SERVER__DRAIN_SECONDS": "2"}) as hub:
        for _ in range(40):
            publish(hub, "big", "x" * 200_000)
        kept = http.client.HTTPConnection("127.0.0.1", hub.port, timeout=10)

        def ready() -> int:
            kept.request("GET", "/readyz")
            response = kept.getresponse()
            response.read()
            return response.status

        with stall(hub):
            wait_until(lambda: ready() == 200, within=5, what="ready")
            began = time.monotonic()
            hub.signal(signal.SIGTERM)
            wait_until(lambda: ready() == 503, within=0.5, what="not ready")
            wait_until(lambda: refused(hub.port), within=1, what="the listener is closed")
            assert ready() == 503
            assert hub.wait() == 0
            assert 1 < time.monotonic() - began < 2.5
        kept.close()
        assert "Traceback" not in hub.output


def refused(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except ConnectionRefusedError:
        return True
    return False


@pytest.mark.parametrize(("first", "second"), [(signal.SIGTERM, signal.SIGTERM), (signal.SIGINT, signal.SIGINT)])
def test_a_second_signal_ends_it_at_once(tmp_path: Path, first: int, second: int) -> None:
    with running_hub(tmp_path, **MEMORY) as hub:
        for _ in range(40):
            publish(hub, "big", "x" * 200_000)
        with stall(hub) as reader:
            read(reader, b"stream-open")
            hub.signal(first)
            wait_until(lambda: refused(hub.port), within=2, what="the end has begun")
            assert hub.running, "a stalled reader keeps it"
            began = time.monotonic()
            hub.signal(second)
            assert hub.wait(within=2) == 128 + second
            assert time.monotonic() - began < 1


def test_a_publication_under_way_is_still_answered(tmp_path: Path) -> None:
    with running_hub(tmp_path) as hub:
        with socket.create_connection(("127.0.0.1", hub.port), timeout=10) as publisher:
            publisher.sendall(b"POST /topics/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\no")
            publish(hub, "b", "the one before has been read as far as it came")
            hub.signal(signal.SIGTERM)
            wait_until(lambda: refused(hub.port), within=2, what="the end has begun")
            publisher.sendall(b"ne")
            assert read(publisher).startswith(b"HTTP/1.1 201")
        assert hub.wait() == 0
    with running_hub(tmp_path) as again, subscribe(again, "/topics/a?since=earliest") as reader:
        assert read(reader, b"data: one")


def test_a_publication_that_does_not_arrive_is_told_to_come_back(tmp_path: Path) -> None:
    with running_hub(tmp_path, **MEMORY, env={"ECHOSTREAM_SERVER__DRAIN_SECONDS": "1"}) as hub:
        with socket.create_connection(("127.0.0.1", hub.port), timeout=10) as publisher:
            publisher.sendall(b"POST /topics/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\no")
            publish(hub, "b", "the one before has been read as far as it came")
            hub.signal(signal.SIGTERM)
            answer = read(publisher)
        assert answer.startswith(b"HTTP/1.1 503")
        assert b'"code":"draining"' in answer
        assert b"retry-after: " in answer
        assert hub.wait() == 0
        assert "Traceback" not in hub.output


def test_the_next_process_takes_over_where_readers_were(tmp_path: Path) -> None:
    with running_hub(tmp_path) as hub:
        publish(hub, "a", "one")
        with subscribe(hub, "/topics/a?since=earliest") as reader:
            read(reader, b"data: one\n\n")
            hub.signal(signal.SIGTERM)
            last = re.findall(rb"id: (\S+)\n", read(reader))[-1].decode()
        assert hub.wait() == 0
        hub.start()
        publish(hub, "a", "two")
        with subscribe(hub, f"/topics/a?last_event_id={last}") as reader:
            seen = read(reader, b"data: two\n\n")
            assert b'"resume":"resumed"' in seen
            assert b"data: one" not in seen

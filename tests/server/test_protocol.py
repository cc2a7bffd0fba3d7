"""What a hostile peer does below HTTP's meaning: endless and slow heads, requests behind requests, upgrades."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator

import pytest

from echostream.server.protocol import MAX_PIPELINED, HubProtocol
from echostream.server.request import MAX_HEAD_BYTES, MAX_HEAD_FIELDS
from support.inside import Inside, serving
from support.servers import wait_until

GET = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"


@pytest.fixture(scope="module")
def hub() -> Iterator[Inside]:
    with serving(streams={"heartbeat": 0.2}) as inside:
        yield inside


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Heads have 0.3 s instead of 10."""
    monkeypatch.setattr(HubProtocol, "head_seconds", 0.3)


def read_all(connection: socket.socket) -> bytes:
    parts: list[bytes] = []
    try:
        while part := connection.recv(65536):
            parts.append(part)
    except ConnectionError:
        pass
    return b"".join(parts)


def read_answer(connection: socket.socket) -> None:
    """One answer of /healthz."""
    seen = b""
    while not seen.endswith(b"}\n"):
        seen += connection.recv(65536)


def test_a_head_may_be_so_large_and_no_larger(hub: Inside) -> None:
    filling = MAX_HEAD_BYTES - len("/healthz") - len("HostlocalhostX") - 8
    assert hub.raw(GET + b"X: " + b"a" * filling + b"\r\n\r\n").status == 200
    for request in (
        GET + b"X: " + b"a" * (filling + 1) + b"\r\n\r\n",
        GET + b"".join(b"X%d: y\r\n" % n for n in range(MAX_HEAD_FIELDS)) + b"\r\n",
        b"GET /healthz?" + b"a" * MAX_HEAD_BYTES + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ):
        answer = hub.raw(request)
        assert (answer.status, answer.code) == (431, "head-too-large")


def poured(connection: socket.socket, piece: bytes) -> int:
    """How many bytes of the same piece again and again are taken before the connection is cut."""
    sent = 0
    with contextlib.suppress(ConnectionError):
        while sent < 100 * MAX_HEAD_BYTES:
            connection.sendall(piece)
            sent += len(piece)
            time.sleep(0.001)  # one read each
    return sent


@pytest.mark.parametrize("start", [GET + b"X: ", b"GET /", GET + b"X"])
def test_a_head_that_never_ends_is_not_kept(hub: Inside, start: bytes) -> None:
    with hub.connect() as connection:
        connection.sendall(start)
        assert poured(connection, b"a" * 4096) < 20 * MAX_HEAD_BYTES
    assert hub.ask("GET", "/healthz").status == 200


def test_an_endless_head_behind_a_stream_ends_the_connection(hub: Inside) -> None:
    with hub.connect() as connection:
        connection.sendall(b"GET /topics/a HTTP/1.1\r\nHost: localhost\r\n\r\n")
        connection.recv(65536)
        try:
            for _ in range(100):
                connection.sendall(b"G" + b"a" * 4096)
                time.sleep(0.001)
        except ConnectionError:
            pass
        assert b"431" not in read_all(connection), "nothing is said in the middle of a stream"
    wait_until(lambda: hub.app.slots.counts().streams == 0, within=5, what="the slot is free")


CHUNKED = b"Host: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("start", "piece"),
    [
        (b"POST /topics/t HTTP/1.1\r\n" + CHUNKED + b"1\r\nx\r\n0\r\n", b"A: b\r\n" * 512),
        (b"POST /topics/t HTTP/1.1\r\n" + CHUNKED + b"1\r\nx\r\n0\r\nA: ", b"b" * 4096),
        (b"POST /topics/t HTTP/1.1\r\n" + CHUNKED + b"1;", b"b" * 4096),
        (b"GET /topics/t HTTP/1.1\r\n" + CHUNKED + b"0\r\n", b"A: b\r\n" * 512),
    ],
)
def test_trailers_and_extensions_that_never_end_are_not_kept(hub: Inside, start: bytes, piece: bytes) -> None:
    with hub.connect() as connection:
        connection.sendall(start)
        assert poured(connection, piece) < 20 * MAX_HEAD_BYTES
    wait_until(lambda: hub.app.slots.counts().streams == 0, within=5, what="the slot is free")
    assert hub.app.slots.counts().publications == 0


def test_a_trailer_is_no_header(hub: Inside) -> None:
    def publish(head: bytes, trailer: bytes) -> int:
        chunks = b"1\r\nx\r\n0\r\n" + trailer + b"\r\n\r\n"
        return hub.raw(
            b"POST /topics/trailer HTTP/1.1\r\n" + head + b"Transfer-Encoding: chunked\r\n\r\n" + chunks
        ).status

    assert publish(b"", b"Host: localhost") == 400
    host = b"Host: localhost\r\n"
    for trailer in (b"Content-Type: image/png", b"Origin: https://evil.example", b"Expect: 100-continue"):
        assert publish(host, trailer) == 201


def test_a_long_body_in_pieces_is_no_head(hub: Inside) -> None:
    with hub.connect() as connection:
        connection.sendall(b"POST /topics/long HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n")
        for _ in range(100):
            connection.sendall(b"x" * 1000)
            time.sleep(0.001)
        assert connection.recv(12) == b"HTTP/1.1 201"


@pytest.mark.usefixtures("hurried")
def test_a_head_has_its_time() -> None:
    with serving() as hub:
        with hub.connect() as slow:
            slow.sendall(GET)
            assert read_all(slow).startswith(b"HTTP/1.1 408 ")
        with hub.connect() as silent:
            assert read_all(silent) == b""
        with hub.connect() as kept:
            kept.sendall(GET + b"\r\n")
            read_answer(kept)
            kept.sendall(b"GET /he")
            assert read_all(kept).startswith(b"HTTP/1.1 408 ")
        with hub.connect() as blank:
            began = time.monotonic()
            blank.sendall(GET + b"\r\n")
            read_answer(blank)
            try:
                while time.monotonic() - began < 5:
                    blank.sendall(b"\r\n")
                    time.sleep(0.02)
            except ConnectionError:
                pass
            assert time.monotonic() - began < 2, "line ends between requests keep no connection"


@pytest.mark.usefixtures("hurried")
def test_a_stream_is_longer_than_a_heads_time() -> None:
    with serving(streams={"heartbeat": 0.1}) as hub, hub.stream("/topics/a") as response:
        began = time.monotonic()
        while time.monotonic() - began < 0.8:
            assert response.readline()


def test_a_stream_with_a_request_behind_it_is_not_kept_for_ever(hub: Inside) -> None:
    for behind in (1, 3):
        connection = hub.connect()
        connection.sendall(b"GET /topics/a HTTP/1.1\r\nHost: localhost\r\n\r\n" + (GET + b"\r\n") * behind)
        assert connection.recv(12) == b"HTTP/1.1 200"
        wait_until(lambda: hub.app.slots.counts().streams == 1, within=5, what="the stream is open")
        connection.close()
        wait_until(lambda: hub.app.slots.counts().streams == 0, within=5, what="the slot is free")
        wait_until(lambda: hub.app.hub.statistics().readers == 0, within=5, what="the reader is gone")
    wait_until(lambda: not hub.server.server_state.tasks, within=5, what="no task is left")


def test_requests_behind_each_other_are_answered_in_order(hub: Inside) -> None:
    with hub.connect() as connection:
        post = b"POST /topics/p HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\n"
        connection.sendall(b"".join(post + b"%d" % n for n in range(5)) + GET + b"Connection: close\r\n\r\n")
        answers = read_all(connection)
    assert answers.count(b"HTTP/1.1 201") == 5
    assert answers.endswith(b'{"status":"ok"}\n')


def test_a_queue_of_requests_is_bounded(hub: Inside) -> None:
    with hub.connect() as connection:
        connection.sendall(b"GET /topics/a HTTP/1.1\r\nHost: localhost\r\n\r\n" + (GET + b"\r\n") * (MAX_PIPELINED + 5))
        read_all(connection)
    wait_until(lambda: hub.app.slots.counts().streams == 0, within=5, what="the slot is free")


def test_an_offer_to_upgrade_never_loses_an_event(hub: Inside) -> None:
    offer = b"Host: localhost\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 3\r\n\r\nabc"
    for query in (b"", b"?end=1"):
        answer = hub.raw(b"POST /topics/up" + query + b" HTTP/1.1\r\n" + offer)
        assert (answer.status, answer.code) == (400, "upgrade")
    assert hub.ask("POST", "/topics/up", "x").status == 201, "the topic was not ended"
    offered = GET + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    assert hub.raw(offered).status == 200


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"POST /topics/a HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /topics/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        b"POST /topics/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: -3\r\n\r\nabc",
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n: x\r\n\r\n",
        b"GET /topics/\xc3\xbc HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /topics/a#b HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"\x16\x03\x01\x02\x00",
    ],
)
def test_what_is_not_http_is_400(hub: Inside, request_bytes: bytes) -> None:
    answer = hub.raw(request_bytes)
    assert (answer.status, answer.code) == (400, "not-http")
    assert hub.ask("GET", "/healthz").status == 200


def test_nothing_is_written_into_a_stream_that_is_not_its_own(hub: Inside) -> None:
    with hub.connect() as connection:
        connection.sendall(b"GET /topics/a HTTP/1.1\r\nHost: localhost\r\n\r\n")
        seen = connection.recv(65536)
        connection.sendall(b"this is not HTTP\r\n\r\n")
        seen += read_all(connection)
    assert seen.count(b"HTTP/1.1") == 1
    wait_until(lambda: hub.app.slots.counts().streams == 0, within=5, what="the slot is free")

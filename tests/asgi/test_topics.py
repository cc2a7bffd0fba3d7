"""TopicResponse inside an application, on real sockets under each ASGI server."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from echostream.wire import SseDecoder
from support.servers import ASGI_SERVERS, LENDING, ServerProcess, running_asgi, wait_until


@pytest.fixture(params=sorted([*ASGI_SERVERS, *LENDING]))
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ServerProcess]:
    env = {"HEARTBEAT": "0.2", "SEND_TIMEOUT": "1"}
    with running_asgi(request.param, "support.topic_app:app", folder=tmp_path, env=env) as server:
        wait_until(lambda: ask(server, "GET", "/statistics")[0] == 200, within=10, what="the application answers")
        yield server


def ask(server: ServerProcess, method: str, path: str, body: str = "", **headers: str) -> tuple[int, Any, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    try:
        connection.request(method, path, body.encode() or None, {k.replace("_", "-"): v for k, v in headers.items()})
        response = connection.getresponse()
        return response.status, response.headers, response.read()
    finally:
        connection.close()


def statistics(server: ServerProcess) -> dict[str, Any]:
    figures: dict[str, Any] = json.loads(ask(server, "GET", "/statistics")[2])
    return figures


def subscribe(server: ServerProcess, path: str = "/topics/a", headers: str = "") -> socket.socket:
    peer = socket.create_connection(("127.0.0.1", server.port), timeout=10)
    peer.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n".encode())
    return peer


def read_until(peer: socket.socket, wanted: bytes) -> bytes:
    seen = b""
    while wanted not in seen:
        some = peer.recv(65536)
        assert some, f"closed before {wanted!r}: {seen!r}"
        seen += some
    return seen


def read_all(peer: socket.socket) -> bytes:
    seen = b""
    try:
        while some := peer.recv(65536):
            seen += some
    except ConnectionResetError:
        pass  # one way in which a body can be cut
    return seen


def test_it_streams_resumes_and_ends(server: ServerProcess):
    with subscribe(server) as peer:
        head = read_until(peer, b"stream-open").lower()
        for wanted in (b" 200 ", b"content-type: text/event-stream; charset=utf-8", b"x-accel-buffering: no"):
            assert wanted in head
        assert b"echostream-resume: live" in head
        first = json.loads(ask(server, "POST", "/topics/a", "one")[2])[0]
        assert f"id: {first}\ndata: one\n\n".encode() in read_until(peer, b"one\n\n")
        read_until(peer, b":\n\n")  # a heartbeat
    ask(server, "POST", "/topics/a", "two")
    ask(server, "DELETE", "/topics/a")
    status, headers, body = ask(server, "GET", "/topics/a", last_event_id=first)
    assert (status, headers["echostream-resume"]) == (200, "resumed")
    messages = SseDecoder().feed(body)
    assert [m.event for m in messages] == ["stream-open", "message", "stream-end"]
    assert ask(server, "GET", "/topics/a", last_event_id=messages[-1].last_event_id)[0] == 204


@pytest.mark.parametrize("how", ["fin", "rst"])
def test_a_reader_that_leaves_is_forgotten(server: ServerProcess, how: str):
    peers = [subscribe(server) for _ in range(20)]
    for peer in peers:
        read_until(peer, b"stream-open")
    assert statistics(server)["readers"] == 20
    for peer in peers:
        if how == "rst":
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        peer.close()
    wait_until(lambda: statistics(server)["readers"] == 0, within=10, what="all readers are forgotten")
    assert statistics(server)["topics_followed"] == 0


def test_a_stalled_reader_is_bounded_and_does_not_hold_the_others(server: ServerProcess):
    with socket.socket() as stalled, subscribe(server) as quick:
        stalled.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stalled.connect(("127.0.0.1", server.port))
        stalled.sendall(b"GET /topics/a HTTP/1.1\r\nHost: localhost\r\n\r\n")
        read_until(quick, b"stream-open")
        wait_until(lambda: statistics(server)["readers"] == 2, within=10, what="both are readers")

        def one_is_left() -> bool:
            # Until every socket buffer between the two is full: how much they take is the kernel's affair.
            ask(server, "POST", "/topics/a?count=20", "x" * 10_000)
            ask(server, "POST", "/topics/a", "the last")
            read_until(quick, b"the last\n\n")
            return statistics(server)["readers"] == 1

        wait_until(one_is_left, within=25, what="the send timeout ends the stalled one")


def test_a_body_that_cannot_tell_a_loss_is_cut(server: ServerProcess):
    with socket.socket() as peer:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        peer.settimeout(10)
        peer.connect(("127.0.0.1", server.port))
        peer.sendall(b"GET /topics/a?format=text HTTP/1.1\r\nHost: localhost\r\n\r\n")
        wait_until(lambda: statistics(server)["live"] == 1, within=10, what="it is live")
        for _ in range(60):  # far more than the log keeps and the sockets take, faster than the send timeout
            ask(server, "POST", "/topics/a?count=20", "x" * 10_000)
        seen = read_all(peer)
        assert b" 200 " in seen
        assert not seen.endswith(b"0\r\n\r\n"), "a cut body must not look complete"


def test_drain_ends_streams_so_that_they_come_back(server: ServerProcess):
    with subscribe(server) as peer:
        read_until(peer, b"stream-open")
        ask(server, "POST", "/drain")
        end = read_until(peer, b'{"reason":"drain"}')
        assert b"retry: " in end
        native = ask(server, "GET", "/topics/a", accept="text/event-stream")
        assert native[0] == 200
        (message,) = SseDecoder().feed(native[2])
        assert (message.event, json.loads(message.data)["code"]) == ("stream-error", "draining")
        client = ask(server, "GET", "/topics/a", accept="text/event-stream, application/problem+json")
        assert client[0] == 503
        assert client[1]["retry-after"]


@pytest.mark.parametrize(
    ("query", "headers", "status", "code"),
    [
        ("?since=tomorrow", {}, 400, "invalid-since"),
        ("?format=xml", {}, 400, "invalid-input"),
        ("?live=perhaps", {}, 400, "invalid-input"),
        ("?envelope=2", {}, 400, "invalid-input"),
        ("?format=json&live=1", {}, 400, "invalid-input"),
        ("?since=%ff", {}, 400, "invalid-input"),
        ("", {"accept": "image/png"}, 406, "not-acceptable"),
    ],
)
def test_what_cannot_be_answered_is_a_problem(
    server: ServerProcess, query: str, headers: dict[str, str], status: int, code: str
):
    got, got_headers, body = ask(server, "GET", f"/topics/a{query}", **headers)
    problem = json.loads(body)
    assert (got, problem["status"], problem["code"]) == (status, status, code)
    assert got_headers["content-type"] == "application/problem+json"


def test_only_reading_opens_a_stream(server: ServerProcess):
    # Mounted as an application, as a framework's router passes it every method.
    status, headers, body = ask(server, "DELETE", "/mounted")
    assert (status, headers["allow"], json.loads(body)["code"]) == (405, "GET, HEAD", "method-not-allowed")
    assert ask(server, "HEAD", "/mounted")[0] == 200
    assert statistics(server)["readers"] == 0


def test_each_format(server: ServerProcess):
    for text in ("one", "two"):
        ask(server, "POST", "/topics/a", text)
    assert ask(server, "GET", "/topics/a?format=text&live=0")[2] == b"one\ntwo\n"
    as_json = ask(server, "GET", "/topics/a", accept="application/json")
    assert as_json[1]["content-type"] == "application/json"
    assert [item["data"] for item in json.loads(as_json[2])] == ["one", "two"]
    lines = ask(server, "GET", "/topics/a?live=0", accept="application/x-ndjson")[2].splitlines()
    assert [json.loads(line).get("data") for line in lines] == [None, "one", "two", None]
    assert json.loads(lines[-1]) == {"stream": "end", "id": json.loads(lines[2])["id"], "reason": "caught-up"}
    status, headers, body = ask(server, "HEAD", "/topics/a")
    assert (status, headers["content-type"], body) == (200, "text/event-stream; charset=utf-8", b"")

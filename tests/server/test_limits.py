"""Bounds on what is open: told when they are reached, and given back whatever way a peer leaves."""

from __future__ import annotations

import contextlib
import socket

import pytest

from echostream.server.limits import Slots, fit_connections, raise_file_limit
from echostream.server.problem import HttpProblem
from support.inside import read_until, serving, settings_of
from support.servers import wait_until


def slots(**limits: int) -> Slots:
    return Slots(settings_of(limits=limits), connections=limits.get("connections", 0))


def test_streams_of_the_hub_are_bounded() -> None:
    counter = slots(connections=2)
    with counter.stream(None), counter.stream(None):
        with pytest.raises(HttpProblem, match=r"limits\.connections") as caught, counter.stream(None):
            pass
        assert (caught.value.status, caught.value.code) == (503, "too-many-connections")
    with counter.stream(None):
        assert counter.counts().streams == 1
    assert counter.counts() == (0, 0, 0, 1, 0)


def test_one_address_is_bounded_across_streams_and_publications() -> None:
    counter = slots(connections_per_address=2)
    with counter.stream("192.0.2.1"), counter.publication("192.0.2.1"), counter.stream("192.0.2.2"):
        assert counter.counts().addresses == 2
        with (
            pytest.raises(HttpProblem, match=r"limits\.connections_per_address") as caught,
            counter.stream("192.0.2.1"),
        ):
            pass
        assert caught.value.status == 429
        with contextlib.ExitStack() as many:
            for _ in range(5):
                many.enter_context(counter.stream(None))  # loopback is not counted
    assert counter.counts()[:3] == (0, 0, 0)


def test_zero_is_no_bound() -> None:
    counter = slots(connections=0, connections_per_address=0, publications=0)
    with contextlib.ExitStack() as many:
        for _ in range(500):
            many.enter_context(counter.stream("192.0.2.1"))
            many.enter_context(counter.publication("192.0.2.1"))


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, GeneratorExit])
def test_a_slot_is_given_back_whatever_happens(error: type[BaseException]) -> None:
    counter = slots()
    with pytest.raises(error), counter.stream("192.0.2.1"):
        raise error
    assert counter.counts()[:3] == (0, 0, 0)


@pytest.mark.parametrize(
    ("asked", "files", "allowed"),
    [(10_000, None, 10_000), (10_000, 1_048_576, 10_000), (10_000, 1024, 640), (0, 1024, 640), (0, None, 0)],
)
def test_connections_fit_the_file_limit(asked: int, files: int | None, allowed: int) -> None:
    assert fit_connections(settings_of(limits={"connections": asked}), files) == allowed


def test_the_file_limit_is_raised() -> None:
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(256, hard), hard))
        raised = raise_file_limit()
        assert raised == resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        assert raised is not None
        assert raised > 256 or hard == 256
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_full_hub_refuses_readers_and_still_takes_publications() -> None:
    with serving(limits={"connections": 2}) as hub, hub.stream("/topics/a") as one, hub.stream("/topics/a") as two:
        read_until(one, b"stream-open")
        read_until(two, b"stream-open")
        native = hub.ask("GET", "/topics/a", headers={"Accept": "text/event-stream"})
        assert native.status == 200
        assert b"too-many-connections" in native.body
        assert b"retry:" in native.body
        real = hub.ask("GET", "/topics/a", headers={"Accept": "text/event-stream, application/problem+json"})
        assert (real.status, real.code) == (503, "too-many-connections")
        assert int(real.headers["retry-after"]) >= 1
        assert hub.ask("POST", "/topics/a", "x").status == 201
        read_until(one, b"data: x")
        assert hub.ask("HEAD", "/topics/a").status == 503


def test_clients_behind_a_trusted_proxy_are_counted_by_address() -> None:
    tables = {"limits": {"connections_per_address": 1}, "proxies": {"trusted": ["127.0.0.0/8"]}}
    with serving(**tables) as hub, hub.stream("/topics/a", X_Forwarded_For="192.0.2.1") as one:
        read_until(one, b"stream-open")
        refused = hub.ask("GET", "/topics/a", headers={"X-Forwarded-For": "192.0.2.1"})
        assert (refused.status, refused.code) == (429, "too-many-from-address")
        assert "retry-after" in refused.headers
        publication = hub.ask("POST", "/topics/a", "x", headers={"X-Forwarded-For": "192.0.2.1"})
        assert publication.status == 429
        with hub.stream("/topics/a", X_Forwarded_For="192.0.2.2") as other:
            read_until(other, b"stream-open")


def leave_by_reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    connection.close()


def test_slots_of_peers_who_vanish_are_given_back() -> None:
    with serving(limits={"connections": 3}) as hub:
        for round_number in range(12):
            connection = hub.connect()
            connection.sendall(f"GET /topics/a HTTP/1.1\r\nHost: 127.0.0.1:{hub.port}\r\n\r\n".encode())
            if round_number % 3:
                assert connection.recv(12) == b"HTTP/1.1 200"
            if round_number % 2:
                leave_by_reset(connection)
            else:
                connection.close()
            wait_until(lambda: hub.app.slots.counts().streams == 0, within=5, what="the slot is free")
        wait_until(lambda: hub.app.hub.statistics().readers == 0, within=5, what="the readers are gone")


def test_publications_in_flight_are_bounded() -> None:
    with serving(limits={"publications": 1}) as hub, hub.connect() as slow:
        slow.sendall(f"POST /topics/a HTTP/1.1\r\nHost: 127.0.0.1:{hub.port}\r\nContent-Length: 9\r\n\r\nx".encode())
        wait_until(lambda: hub.app.slots.counts().publications == 1, within=5, what="the publication is being read")
        answer = hub.ask("POST", "/topics/a", "x")
        assert (answer.status, answer.code) == (503, "too-many-publications")
        slow.sendall(b"12345678")
        assert slow.recv(12) == b"HTTP/1.1 201"
        wait_until(lambda: hub.app.slots.counts().publications == 0, within=5, what="the slot is free")

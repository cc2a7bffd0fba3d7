"""Readers that behave badly, on real sockets under each server: each frees its source, and a stalled one bounds it.

`docs/reference/servers.md` has what is printed here.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator

import pytest

from support.queues import in_kernel
from support.servers import ASGI_SERVERS, MORE_ASGI_SERVERS
from support.stream_client import Client, StreamServer, numbers, streaming

MEBI = 1024 * 1024
SMALL = 4096
"""A receive buffer as small as it gets: what a stalled reader takes is then what its server's side holds."""


@pytest.fixture(scope="module", params=MORE_ASGI_SERVERS)
def running(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StreamServer]:
    with streaming(request.param, tmp_path_factory.mktemp(request.param)) as server:
        yield server


@pytest.fixture
def server(running: StreamServer) -> Iterator[StreamServer]:
    yield running
    running.leave()
    running.wait_idle()


BOUNDING = pytest.mark.parametrize("running", ASGI_SERVERS, indirect=True)
"""Servers whose `send` waits for the socket. For the other see `test_stream_daphne.py`."""


@BOUNDING
def test_a_stalled_reader_stalls_its_source_after_a_bounded_number_of_bytes(
    server: StreamServer, record_property: Callable[[str, object], None]
):
    kinds = [f"{thread}{form}/endless" for thread in ("", "sync/") for form in ("sse", "text")]
    clients = [server.open(kind, large=1, receive_buffer=SMALL) for kind in kinds]
    clients.append(server.open("text/endless", large=1))
    for kind, client in zip([*kinds, "default buffer"], clients, strict=True):
        made = server.until_blocked(client)
        inside = made - in_kernel(server.process.port, client.port)
        print(
            f"\n{server.name}: {kind}: {made / MEBI:.2f} MiB were made, {inside / MEBI:.2f} of them not in the kernel"
        )
        record_property(f"{server.name} {kind}", (made, inside))
        assert made < 16 * MEBI  # the kernel's part is the kernel's affair
        assert inside < MEBI or inside == made
        assert not server.source(client)["closed"]


@BOUNDING
def test_the_send_timeout_frees_the_source_of_who_takes_nothing_or_too_little(server: StreamServer):
    query = {"large": 1, "send_timeout": 1, "receive_buffer": SMALL}
    paths = [f"{thread}{form}/endless" for form in ("sse", "ndjson", "csv") for thread in ("", "sync/")]
    stalled, dripping = ([server.open(path, **query) for path in paths] for _ in range(2))
    while not all(server.source(client)["closed"] for client in [*stalled, *dripping]):
        # A byte a second, only quicker: the server takes more when a good part of what it has sent is read.
        for client in dripping:
            assert len(client.socket.recv(1)) == 1
        time.sleep(0.05)
    for client in [*stalled, *dripping]:
        server.wait(client, closed=True, reason="stalled")
    for client in stalled:
        assert client.rest().ending == "cut"


@BOUNDING
def test_how_much_a_slow_reader_must_take_until_its_server_takes_more(
    server: StreamServer, record_property: Callable[[str, object], None]
):
    client = server.open("text/endless", large=1)
    made, step = server.until_blocked(client), 0
    while server.source(client)["size"] == made:
        step += len(client.socket.recv(16 * 1024))
    print(f"\n{server.name}: after {step / MEBI:.2f} MiB were read it took more")
    record_property(f"{server.name} step", step)
    assert step < 16 * MEBI


@BOUNDING
def test_a_reader_that_pauses_gets_everything(server: StreamServer):
    for thread in ("", "sync/"):
        client = server.open(f"{thread}text/whole", large=1, at=2000)
        assert server.until_blocked(client) < 20_000_000
        answer = client.rest()
        assert (answer.ending, len(answer.body)) == ("whole", 20_000_000)


@pytest.mark.parametrize("how", [Client.close, Client.reset, Client.finish_sending])
def test_a_reader_that_leaves_frees_its_source(server: StreamServer, how: Callable[[Client], None]):
    quiet = {"commit_after": 0.01}
    clients = [server.open(path, pause=0.01) for path in ("sse/endless", "sync/sse/endless", "csv/endless")]
    clients += [server.open(path, **quiet) for path in ("sse/silent", "csv/silent")]
    for client in clients:
        assert client.response.status == 200
    for client in clients:
        left = time.monotonic()
        how(client)
        source = server.wait(client, closed=True, reason="gone")
        assert source["told"] >= left
        learned, closing = source["told"] - left, source["closing"] - source["told"]
        print(f"\n{server.name}: told after {learned * 1000:.1f} ms, closing {closing * 1000:.1f} ms later")


def test_a_reader_that_leaves_before_the_head_frees_its_source(server: StreamServer):
    for kind in ("sse", "csv"):
        client = server.open(f"{kind}/silent", commit_after=60)
        server.wait(client, begun=True)
        client.close()
        server.wait(client, closed=True, reason="gone")


@BOUNDING
@pytest.mark.parametrize("how", [Client.close, Client.reset])
def test_a_stalled_reader_that_leaves_frees_its_source(server: StreamServer, how: Callable[[Client], None]):
    client = server.open("text/endless", large=1, receive_buffer=SMALL)
    server.until_blocked(client)
    how(client)
    server.wait(client, closed=True, reason="gone")


@BOUNDING
def test_a_stalled_reader_that_finishes_sending_is_known_to_leave_but_on_uvicorn(server: StreamServer):
    client = server.open("text/endless", large=1, receive_buffer=SMALL, send_timeout=1)
    server.until_blocked(client)
    client.finish_sending()
    # uvicorn closes its side when all that it holds has left, and tells only then.
    server.wait(client, closed=True, reason="stalled" if server.name == "uvicorn" else "gone")


@BOUNDING
def test_a_reader_that_vanishes_is_a_stalled_one(server: StreamServer):
    """No FIN, no RST, no acknowledgement: the bytes in flight stay where they are, and so the rest waits."""
    clients = [server.open(f"{thread}text/endless", large=1, send_timeout=1) for thread in ("", "sync/")]
    for client in clients:
        client.read_until(b"x" * 100)
        client.vanish()
    for client in clients:
        source = server.wait(client, closed=True, reason="stalled")
        assert source["told"] is None


def test_a_vanished_reader_of_a_quiet_stream_is_freed_by_the_deadline(server: StreamServer):
    client = server.open("sse/silent", commit_after=0.01, heartbeat=0.05, deadline=1)
    client.read_until(b":\n\n")
    client.vanish()
    source = server.wait(client, closed=True, reason="deadline")
    assert source["told"] is None


def test_a_client_of_http_1_0_gets_what_tells_its_own_end(server: StreamServer):
    for form in ("sse", "ndjson"):
        answer = server.open(f"{form}/whole", at=3, version="1.0").rest()
        # uvicorn answers in chunks all the same; else the end is that of the connection.
        assert answer.ending == ("whole" if server.name == "uvicorn" else "closed")
        assert numbers(form, answer.body) == [1, 2, 3]
        assert b'"reason":"finished"' in answer.body.splitlines()[-1 if form == "ndjson" else -2]
    for form in ("json", "csv", "text", "bytes"):
        client = server.open(f"{form}/whole", at=3, version="1.0")
        answer = client.rest()
        assert (answer.status, json.loads(answer.body)["code"]) == (505, "http-version")
        assert not server.source(client)["begun"]

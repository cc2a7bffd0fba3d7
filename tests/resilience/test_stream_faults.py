"""Sources that go wrong, in responses of their own on real sockets under each server: what the reader sees of it.

What comes before the head is a real status; what comes after it ends in order where the format can say
so, and is cut everywhere else. daphne cannot cut: see `test_stream_daphne.py`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest

from echostream.wire import SseDecoder
from support.servers import ASGI_SERVERS, MORE_ASGI_SERVERS
from support.stream_client import Answer, StreamServer, numbers, streaming

FORMATS = ("sse", "ndjson", "json", "csv", "text", "bytes")
BEATING = ("sse", "ndjson", "json")
BOTH = ("", "sync/")
SECRET = b"secret"


@pytest.fixture(scope="module", params=MORE_ASGI_SERVERS)
def running(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StreamServer]:
    with streaming(request.param, tmp_path_factory.mktemp(request.param)) as server:
        yield server


@pytest.fixture
def server(running: StreamServer) -> Iterator[StreamServer]:
    yield running
    running.leave()
    running.wait_idle()


CUTTING = pytest.mark.parametrize("running", ASGI_SERVERS, indirect=True)
"""Servers that drop the connection when the application raises."""


def check_cut(form: str, answer: Answer) -> None:
    """A body that failed after its head: server-sent events say so in order, the others are cut."""
    assert answer.status == 200
    assert SECRET not in answer.body
    if form == "sse":
        assert answer.ending == "whole"
        last = SseDecoder().feed(answer.body)[-1]
        assert last.event == "stream-error"
        assert last.last_event_id.endswith(".end")
        assert json.loads(last.data)["message"]
        return
    assert answer.ending == "cut"
    if form == "ndjson":
        assert json.loads(answer.body.splitlines()[-1])["stream"] == "error"


def test_what_fails_before_anything_was_made_is_a_real_status(server: StreamServer):
    faults = [("unencodable", {}), ("raises", {}), ("raises", {"early": 1}), ("whole", {"wide": 1})]
    clients = [
        server.open(f"{thread}{form}/{kind}", **query)
        for kind, query in faults
        for form in (FORMATS if "wide" not in query else ("csv",))
        for thread in BOTH
    ]
    assert len(clients) == 38
    for client in clients:
        answer = client.rest()
        assert (answer.status, answer.ending) == (500, "whole")
        assert "csv" not in answer.headers.get("content-type", "")
        assert SECRET not in answer.body
        source = server.source(client)
        assert source["reason"] == "failed"
        assert source["closed"] == source["begun"]
    assert SECRET in server.process.output.encode(), "the server's log has the reason, the reader has not"


@CUTTING
def test_what_fails_after_items_delivers_them_and_does_not_look_whole(server: StreamServer):
    for kind, at in (("unencodable", 1000), ("raises", 2)):
        clients = [(form, server.open(f"{thread}{form}/{kind}", at=at)) for form in FORMATS for thread in BOTH]
        for form, client in clients:
            answer = client.rest()
            assert numbers(form, answer.body) == list(range(1, at))
            check_cut(form, answer)
            server.wait(client, closed=True, reason="failed")
    assert SECRET in server.process.output.encode()


@CUTTING
def test_a_row_that_is_wider_than_the_header_cuts_the_body_before_it(server: StreamServer):
    for thread in BOTH:
        client = server.open(f"{thread}csv/whole", at=5, wide=1)
        answer = client.rest()
        assert answer.body == b"number,text\r\n1,a\r\n2,a\r\n3,a\r\n4,a\r\n"
        check_cut("csv", answer)
        assert "row of 3 cells" in server.process.output


@CUTTING
def test_a_middleware_that_fails_mid_stream_cuts_the_body_and_closes_the_source(server: StreamServer):
    clients = [
        (form, server.open(f"{thread}{form}/endless", pause=0.01, **{"break": 5}))
        for form in FORMATS
        for thread in BOTH
    ]
    for form, client in clients:
        answer = client.rest()
        assert (answer.status, answer.ending) == (200, "cut")
        assert numbers(form, answer.body)[:4] == [1, 2, 3, 4]
        server.wait(client, closed=True, reason="cancelled")


def test_a_cell_that_begins_a_formula_is_made_text(server: StreamServer):
    for thread in BOTH:
        answer = server.open(f"{thread}csv/whole", at=2).rest()
        assert (answer.ending, answer.body) == ("whole", b"number,text\r\n1,'=row 1\r\n2,'=row 2\r\n")


def test_a_source_that_never_yields_has_its_head_after_a_second_and_heartbeats(server: StreamServer):
    began = time.monotonic()
    abandoned = server.ask("statistics")["abandoned"]
    query = {"heartbeat": 0.1, "close_timeout": 0.3}
    clients = {(thread, form): server.open(f"{thread}{form}/silent", **query) for form in FORMATS for thread in BOTH}
    for (_, form), client in clients.items():
        assert client.response.status == 200
        assert time.monotonic() - began > 0.9
        if form in BEATING:
            assert client.read_until(*([b":\n\n:\n\n"] if form == "sse" else [b"\n\n"])).strip(b":\n") == b""
    for client in clients.values():
        client.close()
    for (thread, _), client in clients.items():
        server.wait(client, reason="gone", closed=not thread)
    # `next()` cannot be woken: these threads are left to themselves, counted, and end when they can.
    assert server.ask("statistics")["abandoned"] == abandoned + len(FORMATS)
    for (thread, _), client in clients.items():
        if thread:
            server.ask("release", client.name)
            server.wait(client, closed=True)


def test_formats_without_heartbeats_are_silent(server: StreamServer):
    clients = [server.open(f"{form}/silent", heartbeat=0.05, commit_after=0.05) for form in FORMATS]
    for form, client in zip(FORMATS, clients, strict=True):
        if form not in BEATING:
            answer = client.rest(silence=0.1)
            assert (answer.status, answer.body, answer.ending) == (200, b"", "open")


def test_a_source_that_never_stops_is_closed_when_its_reader_leaves(server: StreamServer):
    clients = [server.open(f"{thread}{form}/endless", large=1, pause=0.001) for form in FORMATS for thread in BOTH]
    for client in clients:
        client.read_until(b"x" * 100)
        client.close()
        server.wait(client, closed=True, reason="gone")


def test_a_source_that_swallows_its_cancellation_is_abandoned_and_counted(server: StreamServer):
    abandoned = server.ask("statistics")["abandoned"]
    client = server.open("ndjson/stubborn", close_timeout=0.2)
    client.read_until(b'{"n":1}')
    client.close()
    source = server.wait(client, reason="gone")
    assert source["swallowed"] >= 1
    assert not source["closed"]
    assert server.ask("statistics")["abandoned"] == abandoned + 1
    assert "is abandoned" in server.process.output
    server.ask("release", client.name)
    server.wait(client, closed=True)


def test_a_generator_on_a_thread_that_swallows_its_close_ends_nevertheless(server: StreamServer):
    abandoned = server.ask("statistics")["abandoned"]
    client = server.open("sync/ndjson/stubborn", pause=0.01)
    client.read_until(b'{"n":1}')
    client.close()
    assert server.wait(client, reason="gone")["swallowed"] >= 1
    assert server.ask("statistics")["abandoned"] == abandoned
    assert "generator ignored GeneratorExit" in server.process.output
    server.ask("release", client.name)


def test_a_source_that_yields_in_its_finally_is_over_all_the_same(server: StreamServer):
    abandoned = server.ask("statistics")["abandoned"]
    waiting = server.open("ndjson/lingering", at=1)
    writing = server.open("ndjson/lingering", at=1_000_000_000)
    threaded = server.open("sync/ndjson/lingering", pause=0.001)
    for client in (waiting, writing, threaded):
        assert 0 not in numbers("ndjson", client.read_until(b'{"n":1}'))
        client.close()
    for client in (waiting, writing, threaded):
        assert server.wait(client, reason="gone")["swallowed"] == 1
    assert server.ask("statistics")["abandoned"] == abandoned


def test_a_source_that_blocks_the_loop_delays_others_and_loses_nothing(server: StreamServer):
    ticking = server.open("text/whole", at=30, pause=0.01)
    blocking = server.open("text/blocking", at=4, pause=0.15)
    for client, count in ((ticking, 30), (blocking, 4)):
        answer = client.rest()
        assert (answer.ending, numbers("text", answer.body)) == ("whole", list(range(1, count + 1)))


def test_a_source_that_blocks_its_thread_delays_nobody(server: StreamServer):
    blocking = server.open("sync/text/blocking", at=3)
    assert numbers("text", blocking.read_until(b"line 2\n")) == [1, 2]
    # What ends this wait is a request that is answered meanwhile: were the loop blocked, it never would be.
    assert server.open("text/whole", at=30, pause=0.01).rest().ending == "whole"
    server.ask("release", blocking.name)
    answer = blocking.rest()
    assert (answer.ending, numbers("text", answer.body)) == ("whole", [3])

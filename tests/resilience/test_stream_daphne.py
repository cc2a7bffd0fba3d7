"""What daphne cannot promise, seen on it, so that the reference tells the truth and is corrected when it changes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.stream_client import StreamServer, numbers, streaming


@pytest.fixture
def server(tmp_path: Path) -> Iterator[StreamServer]:
    with streaming("daphne", tmp_path) as server:
        yield server


def test_a_body_that_is_cut_stays_open_and_no_failure_is_answered_after_it(server: StreamServer):
    """It takes the error for one before the head, fails itself, and never again looks after its applications."""
    client = server.open("csv/raises", at=2)
    answer = client.rest(silence=1.5)  # it looks once a second
    assert (answer.ending, numbers("csv", answer.body)) == ("open", [1])
    server.wait(client, closed=True, reason="failed")
    answer = server.open("text/endless", pause=0.01, **{"break": 5}).rest(silence=0.5)
    assert (answer.ending, numbers("text", answer.body)) == ("open", [1, 2, 3, 4])
    client = server.open("csv/raises")
    client.socket.settimeout(1.5)
    with pytest.raises(TimeoutError):
        _ = client.response
    server.wait(client, closed=True, reason="failed")
    assert server.open("csv/whole", at=2).rest().ending == "whole"


def test_a_stalled_reader_bounds_nothing(server: StreamServer):
    """`send` returns at once, so all that a source makes is held in memory; `max_bytes` is what bounds it."""
    client = server.open("text/whole", large=1, at=3000, send_timeout=0.5)
    server.wait(client, closed=True, reason="finished", made=3000)
    client = server.open("sse/endless", large=1, max_bytes=1_000_000)
    assert server.wait(client, closed=True, reason="quota")["size"] <= 1_010_000


def test_its_own_timeout_ends_half_a_body_as_if_it_were_whole(tmp_path: Path):
    with streaming("daphne", tmp_path, options=("--http-timeout", "1")) as server:
        client = server.open("csv/endless", pause=0.05)
        assert client.rest().ending == "whole"
        server.wait(client, closed=True, reason="gone")

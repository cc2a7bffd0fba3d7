"""A server is told to stop in the middle of streams that have no end: what its readers and its sources see of it."""

from __future__ import annotations

import http.client
import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from echostream.wire import SseDecoder
from support.servers import wait_until
from support.stream_client import Answer, Client, StreamServer, streaming

STREAMS = {
    "events": "sse/endless",
    "lines": "ndjson/silent",
    "rows": "csv/endless",
    "threaded": "sync/csv/endless",
}
ON_LOOP = {"events", "lines", "rows"}


class Stage:
    """The clients, and what was noted of their sources."""

    def __init__(self, clients: dict[str, Client], notes: Path) -> None:
        self.clients = clients
        self._notes = notes

    def answers(self) -> dict[str, Answer]:
        """All that came, now that the server has ended."""
        return {name: client.rest() for name, client in self.clients.items()}

    def noted(self, word: str) -> set[str]:
        lines = self._notes.read_text().splitlines() if self._notes.exists() else []
        return {line.split()[1] for line in lines if line.startswith(f"{word} ")}


@contextmanager
def streams(name: str, folder: Path, *options: str, drain: bool = False) -> Iterator[tuple[StreamServer, Stage]]:
    """A server with four open streams."""
    notes = folder / "notes"
    env = {"STREAM_NOTES": str(notes), **({"STREAM_DRAIN": "1"} if drain else {})}
    with streaming(name, folder, options=options, env=env) as server:
        clients = {
            stream: server.open(path, name=stream, pause=0.02, commit_after=0.1, heartbeat=0.05)
            for stream, path in STREAMS.items()
        }
        for client in clients.values():
            assert client.response.status == 200
        yield server, Stage(clients, notes)


@pytest.mark.parametrize(
    ("name", "options", "number"),
    [
        ("uvicorn", (), signal.SIGTERM),
        ("uvicorn", (), signal.SIGINT),
        ("hypercorn", ("--workers", "0"), signal.SIGTERM),
        ("granian", (), signal.SIGTERM),
    ],
)
def test_an_application_that_drains_on_the_signal_ends_its_streams_in_order(
    name: str, options: tuple[str, ...], number: signal.Signals, tmp_path: Path
):
    with streams(name, tmp_path, *options, drain=True) as (server, stage):
        server.process.signal(number)
        server.process.wait(within=15)
        answers = stage.answers()
        end = SseDecoder().feed(answers["events"].body)[-1]
        assert (end.event, json.loads(end.data), end.last_event_id) == ("stream-end", {"reason": "drain"}, "")
        assert answers["events"].ending == "whole"
        assert json.loads(answers["lines"].body.splitlines()[-1]) == {"stream": "end", "reason": "drain"}
        assert {answers[name].ending for name in ("lines", "rows", "threaded")} == {"cut"}
        assert stage.noted("closed") == stage.noted("drain") == set(STREAMS)


@pytest.mark.parametrize(
    ("name", "options", "closed"),
    [
        # These cancel, and may end before a source on a thread has: what a `finally` awaits may not happen.
        ("uvicorn", ("--timeout-graceful-shutdown", "1"), ON_LOOP),
        ("hypercorn", ("--graceful-timeout", "1"), ON_LOOP),
        # Kills the worker.
        ("granian", ("--workers-kill-timeout", "1"), set()),
        # Has no such option: it cancels at once.
        ("daphne", (), ON_LOOP),
    ],
)
def test_the_limit_of_the_server_cuts_all_bodies(name: str, options: tuple[str, ...], closed: set[str], tmp_path: Path):
    # hypercorn's worker is not told by a signal, so that its application cannot drain there.
    with streams(name, tmp_path, *options, drain=name == "hypercorn") as (server, stage):
        server.process.signal(signal.SIGTERM)
        server.process.wait(within=15)
        assert {answer.ending for answer in stage.answers().values()} == {"cut"}
        assert closed <= stage.noted("closed")
        assert bool(stage.noted("closed")) == bool(closed)
        assert not stage.noted("drain")


@pytest.mark.parametrize("name", ["uvicorn", "granian"])
def test_without_either_these_wait_for_the_end_of_endless_streams(name: str, tmp_path: Path):
    with streams(name, tmp_path) as (server, stage):
        server.process.signal(signal.SIGTERM)
        wait_until(lambda: not listens(server), within=10, what=f"{name} takes no new connections")
        for stream in ("events", "rows"):
            for _ in range(20):
                assert stage.clients[stream].response.read1(65536)
        assert server.process.running
        assert not stage.noted("closed")
        if name == "uvicorn":  # a second Ctrl-C is for the impatient
            server.process.signal(signal.SIGINT)
            server.process.wait(within=15)
            assert {answer.ending for answer in stage.answers().values()} == {"cut"}


def listens(server: StreamServer) -> bool:
    try:
        connection = http.client.HTTPConnection("127.0.0.1", server.process.port, timeout=2)
        connection.connect()
        connection.close()
    except OSError:
        return False
    return True

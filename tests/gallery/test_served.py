"""The gallery as its page says: under uvicorn, read by curl, with other programs behind it. Real time, real sockets."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
from collections.abc import Iterator

import pytest

from support.arriving import arriving
from support.servers import ServerProcess, running_asgi, wait_until


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with running_asgi("uvicorn", "echostream.gallery:app", folder=tmp_path_factory.mktemp("gallery")) as running:
        yield running


def shell(command: str) -> str:
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_text_arrives_line_by_line(server: ServerProcess):
    pieces = arriving(f"{server.url}/chunked_text")
    assert [piece.count(b"\n") for _, piece in pieces] == [1] * 4
    for expected, (moment, _) in enumerate(pieces):
        # Late on a busy machine, but never early: nothing was held back to be given with what came before.
        assert expected - 0.3 < moment < expected + 3


@pytest.mark.parametrize("path", ["updates", "updates/writer"])
def test_updates_arrive_one_by_one(server: ServerProcess, path: str):
    pieces = arriving(f"{server.url}/{path}")
    lines = b"".join(piece for _, piece in pieces).splitlines()
    assert [json.loads(line)["done"] for line in lines] == list(range(1, 11))
    assert len(pieces) > 2, "not when the job is done"


def test_heartbeats_arrive_while_nothing_else_does(server: ServerProcess):
    pieces = arriving(f"{server.url}/named_events?algorithm=sha256&algorithm=sha512")
    heartbeats = [moment for moment, piece in pieces if piece == b":\n\n"]
    [complete] = [moment for moment, piece in pieces if b"event: complete" in piece]
    assert heartbeats
    assert 0.1 < heartbeats[0] < complete
    assert complete > 0.9, "two algorithms of half a second each"


def test_work_stops_when_curl_ends(server: ServerProcess):
    assert shell(f"curl -sN {server.url}/stops | head -n 3") == "2\n3\n5\n"

    def count() -> dict[str, int]:
        counted: dict[str, int] = json.loads(shell(f"curl -s {server.url}/stops/count"))
        return counted

    wait_until(lambda: count()["stopped"] == 1, within=10, what="the generator is closed")
    assert count()["running"] == 0
    assert count() == count()


def test_other_programs_read_what_is_sent(server: ServerProcess):
    assert "echostream/gallery/binary.py" in shell(f"curl -s {server.url}/binary | tar tz").splitlines()
    assert len(json.loads(shell(f"curl -s '{server.url}/search?q=socket'"))) > 20
    assert len(list(csv.reader(shell(f"curl -s {server.url}/csv_export").splitlines()))) > 1000
    if shutil.which("file") is not None:  # where it is not, test_binary.py has looked at the bytes themselves
        assert "gzip compressed data" in shell(f"curl -s {server.url}/binary | file -")
        assert "PNG image data, 384 x 256, 8-bit grayscale" in shell(f"curl -s {server.url}/picture | file -")


@pytest.mark.parametrize(
    ("path", "exit_code"),
    [
        *(("ndjson/before", 22), ("csv/at", 22), ("sse/after", 0)),
        *(("ndjson/after", 18), ("json/after", 18), ("csv/after", 18), ("text/after", 18), ("bytes/after", 18)),
    ],
)
def test_curl_calls_a_failure_an_error(server: ServerProcess, path: str, exit_code: int):
    """22: a status, with --fail. 18: the body was cut. Events end in order, and say it in the stream."""
    done = subprocess.run(
        ["curl", "-sNf", f"{server.url}/failing/{path}"], capture_output=True, timeout=10, check=False
    )
    assert done.returncode == exit_code
    assert (b"row" in done.stdout) == path.endswith("after")

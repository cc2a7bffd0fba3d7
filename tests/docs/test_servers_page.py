"""The samples of the page about servers run as printed, and do what the page says of them."""

from __future__ import annotations

import re
import signal
import sys
from pathlib import Path

import pytest

from echostream.wire import SseDecoder
from support.servers import free_port, running, running_asgi
from support.stream_client import Client, StreamServer

MEBI = 1024 * 1024
PAGE = (Path(__file__).resolve().parents[2] / "docs" / "reference" / "servers.md").read_text()


def sample(name: str) -> str:
    [found] = re.findall(rf"^```python\n(# {name}\n.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    return found


@pytest.fixture
def listener(tmp_path: Path) -> str:
    """The server of the page, with the tests' application, and 1 s instead of 30."""
    return sample("serve.py").replace("from app import", "from support.stream_app import").replace("30_000", "1_000")


def test_a_listening_socket_of_ones_own_bounds_a_stalled_reader_and_frees_a_vanished_one(listener: str, tmp_path: Path):
    port = free_port()
    (tmp_path / "serve.py").write_text(listener.replace("8000", str(port)))
    with running([sys.executable, "serve.py"], port=port, folder=tmp_path, name="listener") as process:
        server = StreamServer("uvicorn", process)
        slow = server.open("text/endless", large=1)
        made, step = server.until_blocked(slow), 0
        while server.source(slow)["size"] == made:
            step += len(slow.socket.recv(16 * 1024))
        stalled = server.open("text/endless", large=1)
        quiet = server.open("sse/silent", commit_after=0.01, heartbeat=0.05)
        quiet.read_until(b":\n\n")
        quiet.vanish()
        server.wait(quiet, closed=True, reason="gone")
        server.wait(stalled, closed=True, reason="gone")
        size = server.source(stalled)["size"]
        print(f"\n{size / MEBI:.2f} MiB were made; a slow reader had to take {step / MEBI:.2f} MiB")
        assert max(size, step) < 1.5 * MEBI
        server.leave()


def test_the_application_of_the_page_ends_its_streams_in_order_when_it_is_told_to_stop(tmp_path: Path):
    (tmp_path / "app.py").write_text(sample("app.py"))
    env = {"PYTHONPATH": str(tmp_path)}
    with running_asgi("uvicorn", "app:app", folder=tmp_path, env=env) as process:
        client = Client(process.port, "/clock", "clock")
        assert client.read_until(b"tick")
        process.signal(signal.SIGTERM)
        process.wait(within=15)
        answer = client.rest()
        assert answer.ending == "whole"
        assert SseDecoder().feed(answer.body)[-1].event == "stream-end"

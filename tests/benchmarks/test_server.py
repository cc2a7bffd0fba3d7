"""Processes under test: started, asked, ended."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import psutil
import pytest
from benchmarks.server import ServerFailed, serving

LISTENING = """
import socket, sys, time
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
hoard = b"x" * int(sys.argv[2])
until = time.process_time() + float(sys.argv[3])
while time.process_time() < until: pass
hoard = None
print("worked", flush=True)
while True: listener.accept()
"""


def command(program: str, *words: str) -> list[str]:
    return [sys.executable, "-c", program, "{port}", *words]


def wait_ended(pid: int) -> None:
    deadline = time.monotonic() + 30
    while psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_it_listens_and_is_ended(tmp_path: Path) -> None:
    with serving("quiet", command(LISTENING, "0", "0"), tmp_path) as server:
        assert psutil.pid_exists(server.pid)
        assert server.threads() == 1
    assert not psutil.pid_exists(server.pid)


def test_it_is_ended_whatever_happened(tmp_path: Path) -> None:
    with pytest.raises(KeyError), serving("quiet", command(LISTENING, "0", "0"), tmp_path) as server:
        raise KeyError
    assert not psutil.pid_exists(server.pid)


def test_what_it_costs(tmp_path: Path) -> None:
    size = 50_000_000
    with serving("busy", command(LISTENING, str(size), "0.3"), tmp_path) as server:
        deadline = time.monotonic() + 30
        while "worked" not in server.output:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert 0.3 <= server.cpu() < 10
        assert server.peak() > size
        assert server.resident() < size
        server.forget_peak()
        assert server.peak() < size


def test_one_that_ends_at_once_says_why(tmp_path: Path) -> None:
    program = "raise SystemExit('no rows given')"
    with (
        pytest.raises(ServerFailed, match="lazy ended with 1\nno rows given"),
        serving("lazy", command(program), tmp_path),
    ):
        pass


def test_one_that_ends_meanwhile_is_told(tmp_path: Path) -> None:
    program = "import socket, sys; socket.create_server(('127.0.0.1', int(sys.argv[1]))).accept(); sys.exit('enough')"
    server = serving("brief", command(program), tmp_path)
    wait_ended(server.__enter__().pid)
    with pytest.raises(ServerFailed, match="brief ended with 1\nenough"):
        server.__exit__(None, None, None)

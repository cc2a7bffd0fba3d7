"""How `echostream serve` starts, and everything that can keep it from starting: one clear line, never a traceback."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import resource
import signal
import socket
import sqlite3
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from support.servers import free_port, running_hub, wait_until
from support.tls import certificate

SERVE = [sys.executable, "-m", "echostream", "serve"]


def environment(**extra: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ECHOSTREAM_")}
    return {**kept, **extra}


def fails(folder: Path, *options: str, code: int = 1, **env: str) -> str:
    """The line that a hub which cannot start says."""
    done = subprocess.run(
        [*SERVE, *options], cwd=folder, env=environment(**env), capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("echostream: ")
    return lines[0]


@contextlib.contextmanager
def started(folder: Path, *options: str, **env: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, object]]]:
    """A hub on a free port, and what it says of itself."""
    with subprocess.Popen(
        [*SERVE, "--port", "0", "--json", *options],
        cwd=folder,
        env=environment(**env),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            yield process, json.loads(process.stdout.readline())
        finally:
            process.kill()


def test_it_says_where_it_is_and_what_to_try(tmp_path: Path) -> None:
    with running_hub(tmp_path) as hub:
        assert hub.url in hub.output
        assert f"curl -N {hub.url}/topics/hello" in hub.output
        assert "WARNING" not in hub.output
        assert hub.terminate() == 0
        assert "Traceback" not in hub.output


def test_port_0_takes_a_free_one_and_says_so_to_programs(tmp_path: Path) -> None:
    with started(tmp_path, "--log", "memory://") as (process, facts):
        assert facts["url"] == f"http://127.0.0.1:{facts['port']}"
        assert (facts["pid"], facts["log"], facts["durability"]) == (process.pid, "memory://", "memory")
        connection = http.client.HTTPConnection("127.0.0.1", int(str(facts["port"])), timeout=5)
        connection.request("GET", "/readyz")
        assert connection.getresponse().status == 200
        connection.close()


def test_the_port_is_in_use(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        line = fails(tmp_path, "--port", str(port), "--log", "memory://")
    assert f"server.port: {port} on 127.0.0.1 is in use" in line
    assert "--port" in line


@pytest.mark.parametrize(
    ("host", "words"),
    [
        ("192.0.2.1", ["server.host", "not an address of this machine"]),
        ("no such.invalid", ["server.host", "resolved"]),
    ],
)
def test_a_host_that_is_not_ours(tmp_path: Path, host: str, words: list[str]) -> None:
    line = fails(tmp_path, "--host", host, "--port", "0", "--log", "memory://")
    assert [word for word in words if word not in line] == []


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("mysql://x", ["log", "mysql", "sqlite://"]),
        ("sqllite:///x.db", ["did you mean sqlite?"]),
        ("sqlite:///nowhere/x.db", ["nowhere"]),
        ("sqlite:///folder", ["folder"]),
        ("sqlite:///other.db", ["other.db"]),
        ("sqlite:///text.db", ["text.db"]),
        ("sqlite:///x.db?durabilty=full", ["durabilty", "did you mean durability?"]),
    ],
)
def test_a_log_that_cannot_be_used(tmp_path: Path, url: str, words: list[str]) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "text.db").write_text("these are the notes of somebody else\n" * 100)
    with contextlib.closing(sqlite3.connect(tmp_path / "other.db")) as other:
        other.execute("create table accounts (id)")
        other.commit()
    before = (tmp_path / "other.db").read_bytes(), (tmp_path / "text.db").read_bytes()
    line = fails(tmp_path, "--port", "0", "--log", url)
    assert [word for word in words if word not in line] == [], line
    assert ((tmp_path / "other.db").read_bytes(), (tmp_path / "text.db").read_bytes()) == before


def test_a_folder_that_may_not_be_written(tmp_path: Path) -> None:
    folder = tmp_path / "closed"
    folder.mkdir(mode=0o500)
    if os.geteuid() == 0:  # may write everywhere but here
        folder = Path("/proc")
    line = fails(tmp_path, "--port", "0", "--log", f"sqlite:///{folder}/x.db")
    assert f"{folder}/x.db" in line
    assert "writable" in line


def test_two_processes_do_not_share_a_database(tmp_path: Path) -> None:
    with running_hub(tmp_path) as hub:
        line = fails(tmp_path, "--port", str(free_port()), "--log", f"sqlite:///{tmp_path / 'echostream.db'}")
        assert "echostream.db" in line
        assert hub.terminate() == 0
    with running_hub(tmp_path):
        pass


def test_unknown_settings(tmp_path: Path) -> None:
    (tmp_path / "hub.toml").write_text("[limits]\nconections = 1\n")
    assert "did you mean connections?" in fails(tmp_path, "--config", "hub.toml")
    assert "did you mean connections?" in fails(tmp_path, ECHOSTREAM_CONFIG="hub.toml")
    assert "ECHOSTREAM_LIMIT__X" in fails(tmp_path, ECHOSTREAM_LIMIT__X="1")
    assert "none.toml cannot be read" in fails(tmp_path, "--config", "none.toml")


def test_settings_of_a_file_and_the_environment_are_used(tmp_path: Path) -> None:
    (tmp_path / "hub.toml").write_text('[log]\nurl = "memory://"\n[limits]\nevent_bytes = 5\n')
    with started(tmp_path, "--config", "hub.toml", ECHOSTREAM_LIMITS__EVENT_BYTES="50") as (_, facts):
        assert facts["log"] == "memory://"
        for size, status in ((40, 201), (60, 413)):
            connection = http.client.HTTPConnection("127.0.0.1", int(str(facts["port"])), timeout=5)
            connection.request("POST", "/topics/a", body="x" * size)
            assert connection.getresponse().status == status
            connection.close()


def test_usage_is_exit_code_2(tmp_path: Path) -> None:
    done = subprocess.run(
        [*SERVE, "--prot", "1"],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 2
    assert "--port" in done.stderr


def test_beyond_loopback_it_warns_loudly(tmp_path: Path) -> None:
    with started(tmp_path, "--host", "0.0.0.0", "--log", "memory://") as (process, facts):
        assert facts["url"] == f"http://127.0.0.1:{facts['port']}"
        process.send_signal(signal.SIGTERM)
        assert process.wait(15) == 0
        assert process.stderr is not None
        told = process.stderr.read()
    assert "WARNING: listening on 0.0.0.0" in told
    assert "no access control" in told


def test_the_file_limit_is_raised(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(256, hard), hard))
    try:
        with started(tmp_path, "--log", "memory://") as (process, _):
            raised = psutil.Process(process.pid).rlimit(psutil.RLIMIT_NOFILE)[0]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert raised == hard or raised > 256


# -- TLS


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1, made now, and its key."""
    return certificate(tmp_path_factory.mktemp("tls"))


def test_https(tmp_path: Path, pair: tuple[Path, Path]) -> None:
    cert, key = pair
    with started(tmp_path, "--tls-cert", str(cert), "--tls-key", str(key), "--log", "memory://") as (process, facts):
        assert str(facts["url"]).startswith("https://127.0.0.1:")
        context = ssl.create_default_context(cafile=str(cert))
        port = int(str(facts["port"]))
        reader = http.client.HTTPSConnection("localhost", port, timeout=10, context=context)
        reader.request("GET", "/topics/a", headers={"Accept": "text/event-stream"})
        stream = reader.getresponse()
        assert stream.readline() == b"event: stream-open\n"
        writer = http.client.HTTPSConnection("localhost", port, timeout=10, context=context)
        writer.request("POST", "/topics/a", body="x", headers={"Origin": f"https://localhost:{port}"})
        assert writer.getresponse().status == 201
        while stream.readline() != b"data: x\n":
            pass
        process.send_signal(signal.SIGTERM)
        began = time.monotonic()
        assert b"event: stream-end\n" in stream.read()
        assert process.wait(15) == 0
        assert time.monotonic() - began < 3, "idle peers who do not answer TLS's goodbye are not waited for"
        reader.close()
        writer.close()


def test_certificates_that_cannot_be_used(tmp_path: Path, pair: tuple[Path, Path]) -> None:
    cert, key = pair
    use = ["--port", "0", "--log", "memory://"]
    assert "tls.key: is missing" in fails(tmp_path, *use, "--tls-cert", str(cert))
    assert "tls.cert: none.pem cannot be read" in fails(tmp_path, *use, "--tls-cert", "none.pem", "--tls-key", str(key))
    assert "no pair" in fails(tmp_path, *use, "--tls-cert", str(cert), "--tls-key", str(cert))
    # an encrypted key must not make it ask the terminal and wait
    assert "unencrypted" in fails(
        tmp_path, *use, "--tls-cert", str(cert), "--tls-key", str(key.with_name("locked.pem"))
    )


def test_plain_http_to_a_tls_port_is_harmless(tmp_path: Path, pair: tuple[Path, Path]) -> None:
    cert, key = pair
    with started(tmp_path, "--tls-cert", str(cert), "--tls-key", str(key), "--log", "memory://") as (process, facts):
        with socket.create_connection(("127.0.0.1", int(str(facts["port"]))), 5) as plain:
            plain.sendall(b"GET / HTTP/1.1\r\n\r\n")
            with contextlib.suppress(ConnectionError):
                plain.recv(100)
        wait_until(lambda: process.poll() is None, within=1, what="it goes on")
        process.send_signal(signal.SIGTERM)
        assert process.wait(15) == 0

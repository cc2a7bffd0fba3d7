"""Real servers as processes: the hub, and an ASGI application under uvicorn, hypercorn, granian or daphne.

Each is started on a free loopback port, waited for until it answers, its output kept in a file, and ended with its
whole process group whatever the test did.
"""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

__all__ = [
    "ASGI_SERVERS",
    "LENDING",
    "MORE_ASGI_SERVERS",
    "ServerProcess",
    "free_port",
    "running",
    "running_asgi",
    "running_hub",
    "wait_until",
]

TESTS = Path(__file__).resolve().parent.parent
START_WITHIN = 15.0

ASGI_SERVERS: dict[str, tuple[str, ...]] = {
    "uvicorn": ("-m", "uvicorn", "--host", "127.0.0.1", "--port", "{port}", "{app}"),
    "hypercorn": ("-m", "hypercorn", "--bind", "127.0.0.1:{port}", "{app}"),
    "granian": ("-m", "granian", "--interface", "asgi", "--host", "127.0.0.1", "--port", "{port}", "{app}"),
}

LENDING = {
    "uvicorn, lending": (*ASGI_SERVERS["uvicorn"], "--http", "echostream.asgi.uvicorn:StreamProtocol"),
}
"""uvicorn with our protocol, which lends its transport to those who ask."""

MORE_ASGI_SERVERS: dict[str, tuple[str, ...]] = {
    **ASGI_SERVERS,
    "daphne": ("-m", "daphne", "-b", "127.0.0.1", "-p", "{port}", "{app}"),
}
"""With one that neither bounds nor cuts a body: what holds without that holds there."""


def free_port() -> int:
    """A loopback port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until(condition: Callable[[], object], *, within: float, what: str) -> None:
    """Returns once `condition()` is true; fails with `what` after `within` seconds. For states of other processes."""
    deadline = time.monotonic() + within
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within} s: {what}")
        time.sleep(0.01)


class ServerProcess:
    """One server: may be killed and started again on the same port. `output` is all it wrote, restarts included."""

    def __init__(
        self, command: Sequence[str], *, port: int, folder: Path, name: str, env: Mapping[str, str], ready: str | None
    ) -> None:
        self.command = list(command)
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.folder = folder
        self.name = name
        self._env = dict(env)
        self._ready = ready
        self._output = folder / f"{name}-{port}.out"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def process(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, f"{self.name} was not started"
        return self._process

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def output(self) -> str:
        return self._output.read_text(errors="replace") if self._output.exists() else ""

    def start(self, *, within: float = START_WITHIN) -> None:
        """Starts it, and returns when it answers. Fails with its output when it ends or is silent for too long."""
        assert not self.running, f"{self.name} runs already"
        with self._output.open("ab") as output:
            self._process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                env=self._env,
                start_new_session=True,  # so that worker processes end with it
            )
        deadline = time.monotonic() + within
        while not self._answers():
            if not self.running or time.monotonic() > deadline:
                state = "does not answer" if self.running else f"ended with {self.process.returncode}"
                self.kill()
                raise AssertionError(f"{self.name} {state}\n{' '.join(self.command)}\n{self.output}")
            time.sleep(0.01)

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def wait(self, *, within: float = 15.0) -> int:
        """Its exit code. Fails when it has not ended `within` seconds."""
        try:
            return self.process.wait(within)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.name} has not ended within {within} s\n{self.output}") from None

    def terminate(self, *, within: float = 15.0) -> int:
        """SIGTERM, then its exit code."""
        self.signal(signal.SIGTERM)
        return self.wait(within=within)

    def kill(self) -> None:
        """`kill -9` to it and all it started; returns when it is gone."""
        if self._process is None:
            return
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self._process.wait(15)

    def _answers(self) -> bool:
        try:
            if self._ready is None:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return True
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=1)
            try:
                connection.request("GET", self._ready)
                return connection.getresponse().status == 200
            finally:
                connection.close()
        except (OSError, http.client.HTTPException):
            return False


def _environment(extra: Mapping[str, str] | None) -> dict[str, str]:
    # A developer's own settings must not reach the server under test.
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ECHOSTREAM_")}
    return {**kept, "PYTHONUNBUFFERED": "1", "PYTHONPATH": str(TESTS), **(extra or {})}


@contextmanager
def running(
    command: Sequence[str],
    *,
    port: int,
    folder: Path,
    name: str,
    env: Mapping[str, str] | None = None,
    ready: str | None = None,
) -> Iterator[ServerProcess]:
    """Any server. `ready` is a path that answers 200 once it works; None: accepting a connection is enough."""
    server = ServerProcess(command, port=port, folder=folder, name=name, env=_environment(env), ready=ready)
    try:
        server.start()
        yield server
    finally:
        server.kill()


def running_hub(
    folder: Path,
    *options: str,
    log: str | None = None,
    port: int | None = None,
    env: Mapping[str, str] | None = None,
) -> AbstractContextManager[ServerProcess]:
    """`echostream serve` in `folder`, ready. `log` defaults to a SQLite log in `folder`, so that it survives `kill`."""
    port = port or free_port()
    log = log or f"sqlite:///{folder / 'echostream.db'}"
    command = [sys.executable, "-m", "echostream", "serve", "--port", str(port), "--log", log, *options]
    return running(command, port=port, folder=folder, name="hub", env=env, ready="/readyz")


def running_asgi(
    server: str,
    app: str,
    *,
    folder: Path,
    port: int | None = None,
    options: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
) -> AbstractContextManager[ServerProcess]:
    """`app` (`module:name`, found from tests/ or the environment) under one of `MORE_ASGI_SERVERS`."""
    port = port or free_port()
    words = [word.format(port=port, app=app) for word in {**MORE_ASGI_SERVERS, **LENDING}[server]]
    return running([sys.executable, *words, *options], port=port, folder=folder, name=server, env=env)

"""A process under test: started on a free loopback port, asked what it costs, and ended by us whatever happened."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil

__all__ = ["ROOT", "Server", "ServerFailed", "serving", "uvicorn"]

ROOT = Path(__file__).resolve().parent.parent
# A peer makes its rows before it listens.
START_WITHIN = 60.0
END_WITHIN = 5.0


class ServerFailed(Exception):
    """The process under test did not start, or ended by itself; the text has what it wrote."""


class Server:
    """A running process that listens on `port`."""

    def __init__(self, name: str, port: int, process: subprocess.Popen[bytes], output: Path) -> None:
        self.name = name
        self.port = port
        self.pid = process.pid
        self._process = process
        self._output = output

    @property
    def output(self) -> str:
        """All that it wrote so far."""
        return self._output.read_text(errors="replace")

    def cpu(self) -> float:
        """Seconds of user and system CPU that it has used."""
        if sys.platform == "linux":
            # The process's own clock, as clock_getcpuclockid(3) makes it of a pid: /proc/PID/stat counts in 10 ms.
            return time.clock_gettime((~self.pid << 3) | 2)
        times = psutil.Process(self.pid).cpu_times()
        return times.user + times.system

    def resident(self) -> int:
        """Bytes of it that are in memory now."""
        if sys.platform == "linux":
            # Exact: the counter in /proc/PID/status lags by up to 64 pages for each thread.
            for line in Path(f"/proc/{self.pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Rss:"):
                    return int(line.split()[1]) * 1024
        return psutil.Process(self.pid).memory_info().rss

    def forget_peak(self) -> None:
        """Begin anew with `peak`."""
        if sys.platform == "linux":
            Path(f"/proc/{self.pid}/clear_refs").write_text("5")

    def peak(self) -> int:
        """The most bytes of it that were in memory, as the kernel saw it; where it does not say, what they are now."""
        if sys.platform == "linux":
            for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) * 1024
        return self.resident()

    def threads(self) -> int:
        """How many threads it has now."""
        return psutil.Process(self.pid).num_threads()

    def check(self) -> None:
        """Raises `ServerFailed` when it has ended."""
        code = self._process.poll()
        if code is not None:
            raise ServerFailed(f"{self.name} ended with {code}\n{self.output}")

    def wait_ready(self) -> None:
        """Returns once it accepts connections. Raises `ServerFailed` when it ends, or takes longer than a minute."""
        deadline = time.monotonic() + START_WITHIN
        while True:
            self.check()
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                if time.monotonic() > deadline:
                    raise ServerFailed(
                        f"{self.name} does not listen after {START_WITHIN:.0f} s\n{self.output}"
                    ) from None
                time.sleep(0.02)

    def end(self) -> None:
        """SIGTERM, and SIGKILL to it and all it started when it takes longer than five seconds."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(END_WITHIN)
            except subprocess.TimeoutExpired:
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait()


@contextmanager
def serving(name: str, command: Sequence[str], folder: Path, env: Mapping[str, str] | None = None) -> Iterator[Server]:
    """Run `command`, in which `{port}` stands for the port; it writes to a file in `folder`. Ended on the way out."""
    port = _free_port()
    output = folder / f"{name}.log"
    with output.open("wb") as file:
        process = subprocess.Popen(
            [word.replace("{port}", str(port)) for word in command],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            cwd=ROOT,
            env={**os.environ, **(env or {})},
            start_new_session=True,  # so that what it starts ends with it
        )
    server = Server(name, port, process, output)
    try:
        server.wait_ready()
        yield server
        server.check()
    finally:
        server.end()


def uvicorn(app: str) -> list[str]:
    """The command that serves `app` (`module:name` below the project's root) as fast as uvicorn can."""
    options = ["--http", "httptools", "--loop", "uvloop", "--lifespan", "off", "--log-level", "warning"]
    return [
        *(sys.executable, "-m", "uvicorn", app, "--host", "127.0.0.1", "--port", "{port}"),
        *("--no-access-log", *options),
    ]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port

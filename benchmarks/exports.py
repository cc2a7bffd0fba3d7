"""exports: many large CSV exports at once, each from its own SQLite cursor, and the memory that they need.

Buffered whole they would need their whole size. Every reader stops at its first MiB until all
have come so far: then all are open, each as full as its bounds allow, and only then they read on.
`make_database`, `exporting` and `measure` are the core, for tests in smaller sizes.
"""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from .crowd import Crowd
from .figures import percentile
from .options import Options
from .orders import COLUMNS, orders
from .reader import body
from .report import Report, Table
from .server import Server, serving, uvicorn

__all__ = ["GOAL", "WHAT", "Outcome", "exporting", "make_database", "measure", "run"]

WHAT = "100 CSV exports of 50 MB at once, each from its own SQLite cursor: memory and first byte"
READERS, BYTES = 100, 50_000_000
QUICK_READERS, QUICK_BYTES = 20, 10_000_000
GOAL = 100_000_000
# Of one row as CSV, a little below the real one.
ROW_BYTES = 90


@dataclass(frozen=True, slots=True)
class Outcome:
    """Bytes and seconds. `idle` is the server's resident memory after a warm-up, `peak` the most while exporting.

    `held` is what it was with every reader stopped, `first_bytes` counts from each request.
    """

    readers: int
    body_bytes: int
    idle: int
    held: int
    peak: int
    threads: int
    first_bytes: tuple[float, ...]
    seconds: float
    cpu: float
    client_cpu: float

    @property
    def above_idle(self) -> int:
        return self.peak - self.idle

    @property
    def throughput(self) -> float:
        """Bytes of bodies a second, all readers together."""
        return self.readers * self.body_bytes / self.seconds


def make_database(path: Path, size: int) -> int:
    """A table `orders` whose CSV is at least `size` bytes; how many rows it has."""
    count = size // ROW_BYTES + 1
    connection = sqlite3.connect(path)
    with connection:
        connection.execute(f"create table orders ({', '.join(COLUMNS)})")
        connection.executemany(f"insert into orders values ({', '.join('?' * len(COLUMNS))})", orders(count))
    connection.close()
    return count


@contextmanager
def exporting(folder: Path, database: Path) -> Iterator[Server]:
    """A server that gives the table as CSV at any path, each request from a connection and a cursor of its own."""
    env = {"BENCH_DATABASE": str(database)}
    with serving("exports", uvicorn("benchmarks.peers.echostream_exports:app"), folder, env) as server:
        yield server


def measure(server: Server, *, readers: int, rows: int, say: Callable[[str], None] = lambda text: None) -> Outcome:
    """Warm the server up with one export, then read `readers` at once.

    Raises `ValueError` when a body is not whole, or when not all were open together.
    """
    whole = body(server.port, "/")
    size, found = len(whole), whole.count(b"\r\n") - 1
    if found != rows:
        raise ValueError(f"the export has {found} rows instead of {rows}")
    del whole
    server.forget_peak()
    idle, cpu = server.resident(), server.cpu()
    with Crowd(server.port, readers, "/") as crowd:
        samples: list[int] = []
        crowd.read_to_hold(lambda: samples.append(server.resident()))
        held, threads = server.resident(), server.threads()
        say(f"all {readers} are open; {(held - idle) / 1e6:.1f} MB above idle")
        crowd.read_to_end(lambda: samples.append(server.resident()), say)
    if short := [at for at, read in enumerate(crowd.wire_bytes) if read < size]:
        raise ValueError(f"the bodies of readers {short} are shorter than {size} bytes")
    return Outcome(
        readers=readers,
        body_bytes=size,
        idle=idle,
        held=held,
        peak=max(*samples, held, server.peak()),
        threads=threads,
        first_bytes=tuple(crowd.first_bytes),
        seconds=crowd.seconds,
        cpu=server.cpu() - cpu,
        client_cpu=crowd.own_cpu,
    )


def run(options: Options, say: Callable[[str], None]) -> Report:
    """Measure once: a hundred first bytes are figures enough."""
    readers, size = (QUICK_READERS, QUICK_BYTES) if options.quick else (READERS, BYTES)
    with tempfile.TemporaryDirectory(prefix="bench-exports-") as name:
        folder = Path(name)
        say(f"making a database of {size / 1e6:.0f} MB")
        rows = make_database(folder / "orders.db", size)
        with exporting(folder, folder / "orders.db") as server:
            say("warming up")
            outcome = measure(server, readers=readers, rows=rows, say=say)
    reached = "reached" if outcome.above_idle <= GOAL else "missed"
    data = {**asdict(outcome), "above_idle": outcome.above_idle, "throughput": outcome.throughput}
    return Report("exports", [_table(outcome)], [f"Goal: at most {GOAL / 1e6:.0f} MB above idle: {reached}."], data)


def _table(outcome: Outcome) -> Table:
    first = [f"{percentile(outcome.first_bytes, share) * 1000:.0f}" for share in (0.5, 0.99, 1)]
    return Table(
        title=f"{outcome.readers} exports of {outcome.body_bytes / 1e6:.0f} MB at once",
        headings=["", "figure", "unit"],
        rows=[
            ["server idle, after a warm-up", f"{outcome.idle / 1e6:.1f}", "MB"],
            ["above idle, all readers stopped at 1 MiB", f"{(outcome.held - outcome.idle) / 1e6:.1f}", "MB"],
            ["above idle, peak", f"{outcome.above_idle / 1e6:.1f}", "MB"],
            ["the same for one export", f"{outcome.above_idle / outcome.readers / 1e3:.0f}", "kB"],
            ["buffered whole it would be", f"{outcome.readers * outcome.body_bytes / 1e6:.0f}", "MB"],
            ["first byte, median", first[0], "ms"],
            ["first byte, p99", first[1], "ms"],
            ["first byte, latest", first[2], "ms"],
            ["from the first request to the last byte", f"{outcome.seconds:.1f}", "s"],
            ["throughput", f"{outcome.throughput / 1e6:.0f}", "MB/s"],
            ["server CPU", f"{outcome.cpu:.1f}", "s"],
            ["client CPU", f"{outcome.client_cpu:.1f}", "s"],
            ["threads of the server", f"{outcome.threads}", ""],
        ],
    )

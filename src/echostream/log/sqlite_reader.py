"""The readers: a small pool of named threads, each with its own connection.

Every question is one short read transaction, so its parts agree with each other: what
was trimmed, and the rows. Short also keeps the WAL bounded.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import apsw

from .sqlite_errors import translated
from .sqlite_schema import connect

__all__ = ["Reader"]

THREADS = 2
T = TypeVar("T")


class Reader:
    """Runs functions of a connection, each in one snapshot."""

    def __init__(self, path: Path, *, vfs: str | None) -> None:
        self._path = path
        self._vfs = vfs
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="echostream-log-read")
        self._local = threading.local()
        self._connections: list[apsw.Connection] = []  # append is atomic; closed once the pool is still

    def hold_open(self) -> None:
        """Connect now, in the caller's thread: a connection that stays open until `close`. Raises `apsw.Error`."""
        connection = self._connect()
        connection.execute("SELECT count(*) FROM log").fetchall()

    def submit(self, ask: Callable[[apsw.Connection], T]) -> Future[T]:
        """`ask(connection)` in a thread of the pool. The future raises `LogError`s."""
        return self._pool.submit(self._run, ask)

    def _run(self, ask: Callable[[apsw.Connection], T]) -> T:
        try:
            connection: apsw.Connection | None = getattr(self._local, "connection", None)
            if connection is None:
                connection = self._local.connection = self._connect()
            connection.execute("BEGIN")
            try:
                return ask(connection)
            finally:
                with contextlib.suppress(apsw.Error):
                    connection.execute("ROLLBACK")
        except apsw.Error as error:
            raise translated(error, self._path) from error

    def _connect(self) -> apsw.Connection:
        connection = connect(str(self._path), vfs=self._vfs, readonly=True)
        self._connections.append(connection)
        return connection

    def close(self) -> None:
        """Wait for what runs, then close the connections. Not in the event loop."""
        self._pool.shutdown(wait=True)
        for connection in self._connections:
            with contextlib.suppress(apsw.Error):
                connection.close()
        self._connections.clear()

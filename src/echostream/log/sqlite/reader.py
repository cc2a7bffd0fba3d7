"""The readers: a small pool of named threads, each with its own connection.

Every question is one short read transaction, so its parts agree with each other: what
was trimmed, and the rows. Short also keeps the WAL bounded.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import apsw

from ...exceptions import LogCorrupt
from .database import Database
from .errors import translated
from .schema import connect_to_read

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
        self._databases: list[Database] = []  # closed once the pool is still

    def hold_open(self) -> None:
        """Connect and read now, in the caller's thread: a connection that stays until `close`. Raises `apsw.Error`."""
        self._connect().value("SELECT epoch FROM log")

    def submit(self, ask: Callable[[Database], T]) -> Future[T]:
        """`ask(database)` in a thread of the pool. The future raises `LogError`s; `RuntimeError` when closed."""
        return self._pool.submit(self._run, ask)

    def _run(self, ask: Callable[[Database], T]) -> T:
        try:
            database: Database | None = getattr(self._local, "database", None)
            if database is None:
                database = self._local.database = self._connect()
            with database.snapshot():
                return ask(database)
        except apsw.Error as error:
            raise translated(error, self._path) from error
        except (AttributeError, TypeError, ValueError) as error:  # a damaged row can hold anything
            raise LogCorrupt(f"the log {self._path} is damaged: {error}") from error

    def _connect(self) -> Database:
        database = connect_to_read(self._path, vfs=self._vfs)
        self._databases.append(database)
        return database

    def close(self) -> None:
        """Wait for what runs, then close the connections. Not in the event loop."""
        self._pool.shutdown(wait=True)
        for database in self._databases:
            database.close()
        self._databases.clear()

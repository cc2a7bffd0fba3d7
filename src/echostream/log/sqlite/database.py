"""Database: one connection to SQLite, as few verbs as the log needs, and typed.

Each verb runs its statement to the end, so no cursor stays open and no read lasts longer
than its question. All raise `apsw.Error`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Sequence
from typing import Any, TypeAlias

import apsw

__all__ = ["Database", "Value"]

BUSY_MS = 5_000  # another program (sqlite3's shell, a backup) may hold the file for a moment
Value: TypeAlias = str | int | None


class Database:
    """A connection to the file `path`, for one thread at a time."""

    def __init__(self, path: str, *, vfs: str | None, create: bool = False) -> None:
        flags = apsw.SQLITE_OPEN_READWRITE | (apsw.SQLITE_OPEN_CREATE if create else 0)
        self._connection: Any = apsw.Connection(path, flags=flags, vfs=vfs)
        self._connection.set_busy_timeout(BUSY_MS)
        self.pragma("trusted_schema", 0)  # a schema from elsewhere runs no functions of ours
        self.pragma("cell_size_check", 1)

    def pragma(self, name: str, value: Value = None) -> Any:
        return self._connection.pragma(name, value)

    def run(self, sql: str, values: Sequence[Value] | dict[str, Value] = ()) -> int:
        """Run one or more statements; how many rows the last one changed."""
        self._connection.execute(sql, values or None).fetchall()
        return self._connection.changes()

    def value(self, sql: str, values: Sequence[Value] | dict[str, Value] = ()) -> Any:
        """The first column of the first row; None without a row."""
        row = self.row(sql, values)
        return None if row is None else row[0]

    def row(self, sql: str, values: Sequence[Value] | dict[str, Value] = ()) -> tuple[Any, ...] | None:
        """The first row, or None."""
        cursor = self._connection.execute(sql, values or None)
        try:
            return cursor.fetchone()
        finally:
            cursor.close(True)

    def rows(self, sql: str, values: Sequence[Value] | dict[str, Value] = ()) -> list[tuple[Any, ...]]:
        """All rows."""
        return self._connection.execute(sql, values or None).fetchall()

    def each(self, sql: str, values: Sequence[Value] = ()) -> Generator[tuple[Any, ...], None, None]:
        """Row by row: what comes before an error is given."""
        yield from self._connection.execute(sql, values or None)

    @contextlib.contextmanager
    def writing(self) -> Generator[None, None, None]:
        """A write transaction: committed at the end, rolled back on an error."""
        self.run("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self.roll_back()
            raise
        self.run("COMMIT")

    @contextlib.contextmanager
    def snapshot(self) -> Generator[None, None, None]:
        """A read transaction: everything read in it is of one moment."""
        self.run("BEGIN")
        try:
            yield
        finally:
            self.roll_back()

    def roll_back(self) -> None:
        """End a transaction, when there is one. Does not raise: after some errors SQLite has done it itself."""
        with contextlib.suppress(apsw.Error):
            if self._connection.in_transaction:
                self.run("ROLLBACK")

    def on_commit(self, note: Callable[[int], None]) -> None:
        """Call `note(frames)` with the WAL's size after each commit. The log checkpoints itself, at its own time."""

        def hook(_connection: Any, _name: str, frames: int) -> int:
            note(frames)
            return apsw.SQLITE_OK

        self._connection.set_wal_hook(hook)  # this also turns SQLite's own checkpoints off

    def checkpoint(self, *, restart: bool) -> None:
        """Copy the WAL into the file; with `restart` wait for readers, so that the WAL begins anew."""
        mode = apsw.SQLITE_CHECKPOINT_RESTART if restart else apsw.SQLITE_CHECKPOINT_PASSIVE
        self._connection.wal_checkpoint(mode=mode)

    @property
    def system_error(self) -> int:
        """The `errno` of the last failed call to the system."""
        return self._connection.system_errno

    def close(self) -> None:
        """Close; does not raise, since there is nothing left that a caller could do."""
        self.roll_back()
        with contextlib.suppress(apsw.Error):
            self._connection.close()

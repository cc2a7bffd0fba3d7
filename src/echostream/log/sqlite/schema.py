"""The file's shape: its tables, its one row of state, and how a connection to it is set up.

`application_id` and `user_version` in the file's header say that it is ours and which
version. The state row is read once at open and written once per transaction, so nothing
that a log knows of itself needs a scan.
"""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from ...exceptions import LogCorrupt
from .database import Database

__all__ = [
    "APPLICATION_ID",
    "VERSION",
    "State",
    "connect_to_read",
    "connect_to_write",
    "create",
    "load_state",
    "save_state",
]

APPLICATION_ID = 0x65636873  # "echs"
VERSION = 1
WAL_LIMIT = 16 * 1024 * 1024

# `topic` ends each row of the index with the row's offset, so the index alone gives a topic's offsets in order.
# Topic ids are never used again (`log.topic_ids`), so that a reader's memory of an id stays true.
_TABLES = f"""
CREATE TABLE log (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1), epoch TEXT NOT NULL, clean INTEGER NOT NULL,
    oldest INTEGER NOT NULL, newest INTEGER NOT NULL, time INTEGER NOT NULL, bytes INTEGER NOT NULL,
    floor INTEGER NOT NULL, topic_ids INTEGER NOT NULL, fence INTEGER NOT NULL
) STRICT;
CREATE TABLE entries (
    offset INTEGER PRIMARY KEY, topic INTEGER NOT NULL, size INTEGER NOT NULL, time INTEGER NOT NULL, body TEXT NOT NULL
) STRICT;
CREATE INDEX entries_by_topic ON entries (topic);
CREATE TABLE topics (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, newest INTEGER NOT NULL, finished INTEGER,
    kept INTEGER NOT NULL, trimmed INTEGER NOT NULL
) STRICT;
CREATE INDEX topics_empty ON topics (trimmed) WHERE kept = 0;
CREATE TABLE keys (
    first INTEGER PRIMARY KEY, events INTEGER NOT NULL, time INTEGER NOT NULL, scope TEXT NOT NULL UNIQUE,
    digest TEXT NOT NULL
) STRICT;
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {VERSION};
"""


class State(msgspec.Struct):
    """The state row. `time` is the newest entry's; `bytes` what is kept; `floor` the last trimmed offset of
    all topics that were forgotten; `clean` is 0 while a run below full durability may lose what it acknowledged."""

    epoch: str
    clean: int = 1
    oldest: int = 1
    newest: int = 0
    time: int = 0
    bytes: int = 0
    floor: int = 0
    topic_ids: int = 0
    fence: int = 0


_COLUMNS = ", ".join(State.__struct_fields__)
_SAVE = f"UPDATE log SET ({_COLUMNS}) = ({', '.join('?' * len(State.__struct_fields__))})"  # noqa: S608 - constants only
_LOAD = f"SELECT {_COLUMNS} FROM log"  # noqa: S608 - constants only
_EPOCH = re.compile(r"[a-z0-9]{1,32}", re.ASCII)


def connect_to_write(path: Path, *, vfs: str | None) -> Database:
    """The writer's connection to a file that exists, at full durability. Raises `apsw.Error`."""
    database = Database(str(path), vfs=vfs)
    database.pragma("journal_mode", "wal")
    database.pragma("journal_size_limit", WAL_LIMIT)
    database.pragma("fullfsync", 1)  # macOS: fsync alone does not reach the disk there
    database.pragma("synchronous", "full")
    return database


def connect_to_read(path: Path, *, vfs: str | None) -> Database:
    """A reader's connection. Raises `apsw.Error`."""
    database = Database(str(path), vfs=vfs)
    database.pragma("query_only", 1)
    return database


def create(path: Path, epoch: str, *, vfs: str | None) -> None:
    """A whole new file at `path`, synced. Raises `apsw.Error`."""
    database = Database(str(path), vfs=vfs, create=True)
    try:
        database.pragma("fullfsync", 1)
        database.pragma("synchronous", "extra")
        with database.writing():
            database.run(_TABLES)
            database.run("INSERT INTO log VALUES (1, ?, 1, 1, 0, 0, 0, 0, 0, 0)", (epoch,))
        database.pragma("journal_mode", "wal")
    finally:
        database.close()


def load_state(database: Database) -> State:
    """The state row. Raises `LogCorrupt` when it cannot be one, and `apsw.Error`."""
    row = database.row(_LOAD)
    try:
        state = msgspec.convert(dict(zip(State.__struct_fields__, row or (), strict=True)), State)
    except (msgspec.ValidationError, ValueError) as error:
        raise LogCorrupt(f"the log's state row cannot be read: {error}") from error
    counts = (state.newest, state.bytes, state.floor, state.topic_ids)
    if not _EPOCH.fullmatch(state.epoch) or min(counts) < 0 or not 1 <= state.oldest <= state.newest + 1:
        raise LogCorrupt("the log's state row contradicts itself")
    return state


def save_state(database: Database, state: State) -> None:
    """Write the state row, within the transaction under way."""
    database.run(_SAVE, msgspec.structs.astuple(state))

"""Reading a file that is damaged: what is good is given, what is not is named, nothing is made up.

Three kinds of damage are seen. A body whose CRC does not fit; rows that are missing although
offsets are consecutive; and pages that SQLite itself cannot read. Each becomes a `LogCorrupt`
with the last damaged offset, after which a reader can go on.
"""

from __future__ import annotations

import json

import apsw

from ...exceptions import LogCorrupt
from ..base import Entry
from .database import Database
from .errors import is_corruption
from .rows import DamagedError, decode

__all__ = ["Walked", "entries_before_damage", "walk"]

Walked = list[tuple[int, int, int]]
"""(offset, size, topic id) of consecutive entries."""

_WALK = """SELECT json_group_array(json_array(offset, size, topic)) FROM
    (SELECT offset, size, topic FROM entries WHERE offset > ? ORDER BY offset LIMIT ?)"""
_WALK_ROWS = "SELECT offset, size, topic FROM entries WHERE offset > ? ORDER BY offset LIMIT ?"
_BODY = "SELECT CAST(body AS BLOB) FROM entries WHERE offset = ?"


def walk(database: Database, after: int, limit: int, newest: int) -> Walked:
    """The next entries, up to a hole. Raises `LogCorrupt` when they begin with one, and `apsw.Error`."""
    try:
        rows: Walked = json.loads(database.value(_WALK, (after, limit)))
    except apsw.Error as error:
        if not is_corruption(error):
            raise
        rows = _rows_before_damage(database, after, limit)
    whole = 0
    while whole < len(rows) and rows[whole][0] == after + 1 + whole:
        whole += 1
    if not whole:
        # A damaged tree may give any number here, also one that is behind or beyond.
        hole = rows[0][0] - 1 if rows else 0
        end = hole if after < hole <= newest else _damaged_until(database, after, newest)
        raise LogCorrupt(f"entries {after + 1} to {end} are damaged; reading can go on after them", end)
    return rows[:whole]


def entries_before_damage(database: Database, wanted: list[int], epoch: str) -> list[Entry]:
    """The entries up to the first damaged one. Raises `LogCorrupt` when that is the first, and `apsw.Error`."""
    entries: list[Entry] = []
    for offset in wanted:
        try:
            entries.append(_entry(database, offset, epoch))
        except (apsw.Error, DamagedError) as error:
            if isinstance(error, apsw.Error) and not is_corruption(error):
                raise
            if not entries:
                raise LogCorrupt(f"entry {offset} is damaged; reading can go on after it", offset) from error
            break
    return entries


def _entry(database: Database, offset: int, epoch: str) -> Entry:
    entries = decode(database.value(_BODY, (offset,)) or b"", epoch)
    if len(entries) != 1 or entries[0].offset != offset:
        raise DamagedError
    return entries[0]


def _rows_before_damage(database: Database, after: int, limit: int) -> Walked:
    rows: Walked = []
    try:
        for offset, size, topic in database.each(_WALK_ROWS, (after, limit)):
            rows.append((offset, size, topic))
    except apsw.Error as error:
        if not is_corruption(error):
            raise
    return rows


def _damaged_until(database: Database, after: int, newest: int) -> int:
    """The last offset of the damage that begins after `after`: found by doubling, then halving."""

    def readable(offset: int) -> bool:
        try:
            row = database.row(_WALK_ROWS, (offset, 1))
            return row is not None and offset < row[0] <= newest
        except apsw.Error as error:
            if not is_corruption(error):
                raise
            return False

    bad, step = after, 1
    while bad + step < newest and not readable(bad + step):
        bad, step = bad + step, step * 2
    good = min(bad + step, newest)
    while good - bad > 1:
        middle = (good + bad) // 2
        if readable(middle):
            good = middle
        else:
            bad = middle
    return good

"""The questions a reader asks of the file: plain functions of a connection in a snapshot.

Which way a read goes:

- all topics: by offset;
- up to 256 topics (named, or known topics that match the patterns): each topic's next
  offsets from the index, merged, so that a quiet topic costs the same beside a noisy one;
- more: a bounded walk by offset that keeps what matches and moves `scanned_to`.

First offsets and sizes, then the bodies of as many as fit in 4 MiB, as one text. When a
page of rows does not hold together it is read again row by row up to the damage: what is
good before it is given, the next read names what is damaged.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from typing import Any, NamedTuple

import apsw

from ..exceptions import LogCorrupt, PositionGone
from ..topic import TopicSet
from .base import Entry, Page, TopicInfo
from .sqlite_errors import is_corruption
from .sqlite_rows import DamagedError, decode

__all__ = ["Matches", "at_time", "last", "read", "topic", "topics_after"]

PAGE_BYTES = 4 * 1024 * 1024
SCAN = 20_000
FEW = 256
MERGED = 10_000

_OFFSETS = """SELECT json_group_array(json(
    (SELECT json_group_array(offset) FROM (SELECT offset FROM entries
     WHERE topic = wanted.value AND offset > :after ORDER BY offset LIMIT :limit))
)) FROM json_each(:ids) AS wanted"""
_LAST_OFFSETS = """SELECT json_group_array(json(
    (SELECT json_group_array(offset) FROM (SELECT offset FROM entries
     WHERE topic = wanted.value ORDER BY offset DESC LIMIT :limit))
)) FROM json_each(:ids) AS wanted"""
_WALK = """SELECT json_group_array(json_array(offset, size, topic)) FROM
    (SELECT offset, size, topic FROM entries WHERE offset > ? ORDER BY offset LIMIT ?)"""
_WALK_BACK = """SELECT json_group_array(json_array(offset, topic)) FROM
    (SELECT offset, topic FROM entries WHERE offset < ? ORDER BY offset DESC LIMIT ?)"""
_SIZES = """SELECT json_group_array(json_array(offset, size)) FROM
    (SELECT offset, size FROM entries WHERE offset IN (SELECT value FROM json_each(?)) ORDER BY offset)"""
_BODIES = """SELECT CAST(group_concat(body, ',') AS BLOB) FROM
    (SELECT body FROM entries WHERE offset IN (SELECT value FROM json_each(?)) ORDER BY offset)"""
_BODIES_BETWEEN = """SELECT CAST(group_concat(body, ',') AS BLOB) FROM
    (SELECT body FROM entries WHERE offset BETWEEN ? AND ? ORDER BY offset)"""
_NAMES = "SELECT json_group_object(id, name) FROM topics WHERE id IN (SELECT value FROM json_each(?))"


class _View(NamedTuple):
    epoch: str
    oldest: int
    newest: int
    floor: int


def _view(connection: apsw.Connection) -> _View:
    row: Any = connection.execute("SELECT epoch, oldest, newest, floor FROM log").fetchone()
    return _View(*row)


class Matches:
    """Which topic ids a `TopicSet` means. Remembered, and brought up to date from the topics added since.

    A topic's id is never used for another, so an id that is remembered too long only finds nothing.
    """

    def __init__(self, limit: int = 128) -> None:
        self._limit = limit
        self._known: OrderedDict[TopicSet, tuple[int, tuple[int, ...] | None]] = OrderedDict()

    def ids(self, connection: apsw.Connection, topics: TopicSet) -> tuple[int, ...] | None:
        """The ids, or None when they are more than a few."""
        if not topics.patterns:
            rows: Any = connection.execute(
                "SELECT id FROM topics WHERE name IN (SELECT value FROM json_each(?))",
                (json.dumps(sorted(topics.names)),),
            )
            return tuple(row[0] for row in rows.fetchall())
        # Two threads may do this at once for one set; each stores a true answer.
        seen, ids = self._known.get(topics, (0, ()))
        if ids is not None:
            seen, ids = _newer(connection, topics, seen, ids)
        self._known[topics] = (seen, ids)
        while len(self._known) > self._limit:
            self._known.popitem(last=False)
        return ids


def _newer(
    connection: apsw.Connection, topics: TopicSet, seen: int, ids: tuple[int, ...]
) -> tuple[int, tuple[int, ...] | None]:
    listed: Any = connection.execute(
        "SELECT json_group_array(json_array(id, name)) FROM (SELECT id, name FROM topics WHERE id > ? ORDER BY id)",
        (seen,),
    ).get
    found = list(ids)
    for number, name in json.loads(listed):
        seen = number
        if topics.matches(name):
            found.append(number)
    return seen, tuple(found) if len(found) <= FEW else None


def read(connection: apsw.Connection, matches: Matches, after: int, limit: int, topics: TopicSet | None) -> Page:
    """As `Log.read`. Raises `PositionGone`, `LogCorrupt`, `apsw.Error`."""
    view = _view(connection)
    if after < view.oldest - 1:
        if topics is None or _trimmed_after(connection, view, topics, after):
            raise PositionGone(view.oldest)
        after = view.oldest - 1
    if after >= view.newest or limit <= 0:
        return Page([], after, view.epoch)
    if topics is None:
        walked = _walk(connection, view, after, limit)
        wanted = _fitting([(offset, size) for offset, size, _ in walked])
        return _page(connection, view, wanted, after, wanted[-1])
    try:
        ids = matches.ids(connection, topics)
        if ids is not None:
            return _read_few(connection, view, after, limit, ids)
    except apsw.Error as error:
        if not is_corruption(error):
            raise
    return _read_many(connection, view, after, limit, topics)


def _read_few(connection: apsw.Connection, view: _View, after: int, limit: int, ids: tuple[int, ...]) -> Page:
    listed: Any = connection.execute(_OFFSETS, {"after": after, "limit": limit, "ids": json.dumps(ids)}).get
    offsets = sorted(offset for of_topic in json.loads(listed) for offset in of_topic)
    scanned_to = view.newest if len(offsets) < limit else offsets[limit - 1]
    if not offsets:
        return Page([], scanned_to, view.epoch)
    return _page_of(connection, view, offsets[:limit], after, scanned_to)


def _read_many(connection: apsw.Connection, view: _View, after: int, limit: int, topics: TopicSet) -> Page:
    walked = _walk(connection, view, after, SCAN)
    names: Any = json.loads(connection.execute(_NAMES, (json.dumps(sorted({topic for _, _, topic in walked})),)).get)  # type: ignore[arg-type]
    good = {int(number) for number, name in names.items() if topics.matches(name)}
    found = [(offset, size) for offset, size, topic in walked if topic in good]
    scanned_to = walked[-1][0] if len(found) <= limit else found[limit - 1][0]
    if not found:
        return Page([], scanned_to, view.epoch)
    wanted = _fitting(found[:limit])
    return _page(connection, view, wanted, after, scanned_to if len(wanted) == len(found[:limit]) else wanted[-1])


def _page_of(connection: apsw.Connection, view: _View, offsets: list[int], after: int, scanned_to: int) -> Page:
    sizes: Any = connection.execute(_SIZES, (json.dumps(offsets),)).get
    wanted = _fitting([(offset, size) for offset, size in json.loads(sizes)])
    if not wanted:
        raise LogCorrupt(f"entry {offsets[0]} is missing from the log", offsets[0])
    return _page(connection, view, wanted, after, scanned_to if len(wanted) == len(offsets) else wanted[-1])


def _fitting(found: list[tuple[int, int]]) -> list[int]:
    """The offsets of as many as fit in a page, at least one."""
    total = 0
    fitting: list[int] = []
    for offset, size in found:
        total += size
        if fitting and total > PAGE_BYTES:
            break
        fitting.append(offset)
    return fitting


def _page(connection: apsw.Connection, view: _View, wanted: list[int], after: int, scanned_to: int) -> Page:
    try:
        if wanted[-1] - wanted[0] == len(wanted) - 1:
            joined: Any = connection.execute(_BODIES_BETWEEN, (wanted[0], wanted[-1])).get
        else:
            joined = connection.execute(_BODIES, (json.dumps(wanted),)).get
        entries = decode(joined or b"", view.epoch)
        if [entry.offset for entry in entries] == wanted:
            return Page(entries, scanned_to, view.epoch)
    except DamagedError:
        pass
    except apsw.Error as error:
        if not is_corruption(error):
            raise
    return _row_by_row(connection, view, wanted)


def _row_by_row(connection: apsw.Connection, view: _View, wanted: list[int]) -> Page:
    entries: list[Entry] = []
    for offset in wanted:
        try:
            body: Any = connection.execute("SELECT CAST(body AS BLOB) FROM entries WHERE offset = ?", (offset,)).get
            [entry] = decode(body or b"", view.epoch)
            if entry.offset != offset:
                raise DamagedError
        except (apsw.Error, DamagedError, ValueError) as error:
            if isinstance(error, apsw.Error) and not is_corruption(error):
                raise
            if not entries:
                raise LogCorrupt(f"entry {offset} is damaged; reading can go on after it", offset) from error
            break
        entries.append(entry)
    return Page(entries, entries[-1].offset, view.epoch)


def _walk(connection: apsw.Connection, view: _View, after: int, limit: int) -> list[tuple[int, int, int]]:
    """(offset, size, topic id) of the next entries, without a hole: offsets are consecutive. Raises `LogCorrupt`."""
    try:
        listed: Any = connection.execute(_WALK, (after, limit)).get
        rows: list[tuple[int, int, int]] = json.loads(listed)
    except apsw.Error as error:
        if not is_corruption(error):
            raise
        rows = _walk_to_damage(connection, after, limit)
    if not rows or rows[0][0] != after + 1:
        # Entries that are not there: lost pages. All of them are named at once, so that a reader passes in one step.
        end = rows[0][0] - 1 if rows else _readable_after(connection, after, view.newest)
        raise LogCorrupt(f"entries {after + 1} to {end} are damaged; reading can go on after them", end)
    for index, row in enumerate(rows):
        if row[0] != after + 1 + index:
            return rows[:index]
    return rows


def _walk_to_damage(connection: apsw.Connection, after: int, limit: int) -> list[tuple[int, int, int]]:
    rows: list[tuple[int, int, int]] = []
    try:
        found: Any = connection.execute(
            "SELECT offset, size, topic FROM entries WHERE offset > ? ORDER BY offset LIMIT ?", (after, limit)
        )
        for row in found:
            rows.append(row)  # noqa: PERF402 - what came before the error is kept
    except apsw.Error as error:
        if not is_corruption(error):
            raise
    return rows


def _readable_after(connection: apsw.Connection, after: int, newest: int) -> int:
    """The last offset of the damage that begins after `after`: found by doubling, then halving."""

    def readable(offset: int) -> bool:
        try:
            sql = "SELECT offset, size, topic FROM entries WHERE offset > ? ORDER BY offset LIMIT 1"
            return connection.execute(sql, (offset,)).fetchone() is not None
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
        good, bad = (middle, bad) if readable(middle) else (good, middle)
    return good


def _trimmed_after(connection: apsw.Connection, view: _View, topics: TopicSet, after: int) -> bool:
    """Whether an entry that matches, with an offset over `after`, may have been trimmed."""
    names = json.dumps(sorted(topics.names))
    known: Any = connection.execute(
        "SELECT name, trimmed FROM topics WHERE name IN (SELECT value FROM json_each(?))", (names,)
    ).fetchall()
    if any(trimmed > after for _, trimmed in known):
        return True
    if view.floor > after and (topics.patterns or len(known) < len(topics.names)):
        return True
    if not topics.patterns:
        return False
    listed: Any = connection.execute("SELECT json_group_array(name) FROM topics WHERE trimmed > ?", (after,)).get
    return any(topics.matches(name) for name in json.loads(listed))


def at_time(connection: apsw.Connection, time: int) -> int:
    """As `Seek.at_time`. Entries' times never go back, so halving finds the place."""
    view = _view(connection)
    low, high = view.oldest, view.newest + 1  # the first entry at or after `time` is in low..high
    while low < high:
        middle = (low + high) // 2
        found: Any = connection.execute(
            "SELECT time FROM entries WHERE offset >= ? ORDER BY offset LIMIT 1", (middle,)
        ).get
        if found is not None and found < time:
            low = middle + 1
        else:
            high = middle
    return low - 1


def last(
    connection: apsw.Connection, matches: Matches, n: int, topics: TopicSet, before: int | None
) -> tuple[int, int, int]:
    """One step of `Seek.last`: the first of the entries counted, how many are still wanted, where to look next.

    When few topics match it is the only step. `before` is None in the first step. The answer's
    first part is 0 when no entry was found in this step; its last is 0 when all was looked at.
    """
    view = _view(connection)
    if before is None:
        before = view.newest + 1
        ids = matches.ids(connection, topics)
        if ids is not None and n <= MERGED:
            listed: Any = connection.execute(_LAST_OFFSETS, {"limit": n, "ids": json.dumps(ids)}).get
            offsets = sorted((offset for of_topic in json.loads(listed) for offset in of_topic), reverse=True)[:n]
            return (offsets[-1] if offsets else 0), 0, view.newest
    walked: Any = json.loads(connection.execute(_WALK_BACK, (before, SCAN)).get)  # type: ignore[arg-type]
    names: Any = json.loads(connection.execute(_NAMES, (json.dumps(sorted({topic for _, topic in walked})),)).get)  # type: ignore[arg-type]
    good = {int(number) for number, name in names.items() if topics.matches(name)}
    found = [offset for offset, topic in walked if topic in good][:n]
    at_end = len(walked) < SCAN
    return (found[-1] if found else 0), n - len(found), 0 if at_end else walked[-1][0]


def topic(connection: apsw.Connection, name: str) -> TopicInfo | None:
    """As `Topics.topic`."""
    row: Any = connection.execute("SELECT name, newest, finished FROM topics WHERE name = ?", (name,)).fetchone()
    return None if row is None else TopicInfo(*row)


def topics_after(connection: apsw.Connection, name: str, limit: int) -> list[TopicInfo]:
    """As `Topics.topics`."""
    rows: Any = connection.execute(
        "SELECT name, newest, finished FROM topics WHERE name > ? ORDER BY name LIMIT ?", (name, max(limit, 0))
    ).fetchall()
    return [TopicInfo(*row) for row in rows]

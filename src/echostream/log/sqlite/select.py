"""The read of a log: a function of a connection in a snapshot.

Which way it goes:

- all topics: by offset;
- up to 256 topics (named, or known topics that match the patterns): each topic's next
  offsets from the index, merged, so that a quiet topic costs the same beside a noisy one;
- more, or close to the end of a log of many topics: a bounded walk by offset that keeps what matches
  and moves `scanned_to`.

First offsets and sizes, then the bodies of as many as fit in 4 MiB, as one text. When what
came does not hold together, it is read again row by row up to the damage (`damage`).
"""

from __future__ import annotations

import json

import apsw

from ...exceptions import LogCorrupt, PositionGone
from ...topic import TopicSet
from ..base import Page
from .damage import entries_before_damage, walk
from .database import Database
from .errors import is_corruption
from .match import Matches, View, matching, trimmed_after, view
from .rows import DamagedError, decode

__all__ = ["SCAN", "read"]

PAGE_BYTES = 4 * 1024 * 1024
SCAN = 20_000

_OFFSETS = """SELECT json_group_array(json(
    (SELECT json_group_array(offset) FROM (SELECT offset FROM entries
     WHERE topic = wanted.value AND offset > :after ORDER BY offset LIMIT :limit))
)) FROM json_each(:ids) AS wanted"""
_SIZES = """SELECT json_group_array(json_array(offset, size)) FROM
    (SELECT offset, size FROM entries WHERE offset IN (SELECT value FROM json_each(?)) ORDER BY offset)"""
_BODIES = """SELECT CAST(group_concat(body, ',') AS BLOB) FROM
    (SELECT body FROM entries WHERE offset IN (SELECT value FROM json_each(?)) ORDER BY offset)"""
_BODIES_BETWEEN = """SELECT CAST(group_concat(body, ',') AS BLOB) FROM
    (SELECT body FROM entries WHERE offset BETWEEN ? AND ? ORDER BY offset)"""

Found = list[tuple[int, int]]  # (offset, size)


def read(database: Database, matches: Matches, after: int, limit: int, topics: TopicSet | None) -> Page:
    """As `Log.read`. Raises `PositionGone`, `LogCorrupt`, `apsw.Error`."""
    seen = view(database)
    if after < seen.oldest - 1:
        if topics is None or trimmed_after(database, seen, topics, after):
            raise PositionGone(seen.oldest)
        after = seen.oldest - 1
    if after >= seen.newest or limit <= 0:
        return Page([], after, seen.epoch)
    if topics is None:
        walked = walk(database, after, limit, seen.newest)
        return _page(database, seen, [(offset, size) for offset, size, _ in walked], walked[-1][0])
    try:
        ids = matches.ids(database, topics, seen, seen.newest - after)
        if ids is not None:
            found, scanned_to = _few(database, seen, after, limit, ids)
            return _page(database, seen, found, scanned_to)
    except apsw.Error as error:
        if not is_corruption(error):
            raise
        # A damaged index is no reason to stop: the walk does not use it, and names the damage exactly.
    found, scanned_to = _many(database, seen, after, limit, topics)
    return _page(database, seen, found, scanned_to)


def _few(database: Database, seen: View, after: int, limit: int, ids: tuple[int, ...]) -> tuple[Found, int]:
    offsets, scanned_to = _merged(database, seen, after, limit, ids)
    if not offsets:
        return [], scanned_to
    found: Found = json.loads(database.value(_SIZES, (json.dumps(offsets),)))
    if len(found) == len(offsets):
        return found, scanned_to
    held = {offset for offset, _ in found}
    missing = next(offset for offset in offsets if offset not in held)
    if missing == offsets[0]:
        raise LogCorrupt(f"entry {missing} is missing from the log; reading can go on after it", missing)
    return [(offset, size) for offset, size in found if offset < missing], missing - 1


def _merged(database: Database, seen: View, after: int, limit: int, ids: tuple[int, ...]) -> tuple[list[int], int]:
    """The next offsets of the topics. At first only each one's share is asked for: of 256 equal topics that is
    all that is needed, and where one topic has most of the entries asking again costs little."""
    share = min(limit, max(16, 2 * limit // max(len(ids), 1)))
    while True:
        listed = database.value(_OFFSETS, {"after": after, "limit": share, "ids": json.dumps(ids)})
        of_topics: list[list[int]] = json.loads(listed)
        # Beyond the last offset of a topic that gave its whole share, more of it may stand between the others.
        sure = min((offsets[-1] for offsets in of_topics if len(offsets) == share), default=seen.newest)
        # The bounds are those of the statement; a damaged index does not keep to them.
        offsets = sorted({o for offsets in of_topics for o in offsets if after < o <= min(sure, seen.newest)})
        if len(offsets) >= limit:
            return offsets[:limit], offsets[limit - 1]
        if sure >= seen.newest or share == limit:
            return offsets, max(after + 1, min(sure, seen.newest))
        share = min(limit, share * 4)


def _many(database: Database, seen: View, after: int, limit: int, topics: TopicSet) -> tuple[Found, int]:
    """What matches among the next 20,000 entries; walked in growing steps, since most pages are full early."""
    found: Found = []
    scanned_to, step = after, limit
    while len(found) < limit and scanned_to < min(after + SCAN, seen.newest):
        try:
            walked = walk(database, scanned_to, min(step, after + SCAN - scanned_to), seen.newest)
        except LogCorrupt:
            if scanned_to == after:
                raise
            break  # what came before it is given first
        good = matching(database, topics, {topic for _, _, topic in walked})
        found += [(offset, size) for offset, size, topic in walked if topic in good]
        scanned_to = walked[-1][0]
        step *= 4
    if len(found) <= limit:
        return found, scanned_to
    return found[:limit], found[limit - 1][0]


def _page(database: Database, seen: View, found: Found, scanned_to: int) -> Page:
    """The page of as many of `found` as fit; `scanned_to` when that is all of them."""
    if not found:
        return Page([], scanned_to, seen.epoch)
    wanted = _fitting(found)
    if len(wanted) < len(found):
        scanned_to = wanted[-1]
    try:
        entries = decode(_bodies(database, wanted), seen.epoch)
        if [entry.offset for entry in entries] == wanted:
            return Page(entries, scanned_to, seen.epoch)
    except DamagedError:
        pass
    except apsw.Error as error:
        if not is_corruption(error):
            raise
    entries = entries_before_damage(database, wanted, seen.epoch)
    return Page(entries, entries[-1].offset, seen.epoch)


def _bodies(database: Database, wanted: list[int]) -> bytes:
    if wanted[-1] - wanted[0] == len(wanted) - 1:
        return database.value(_BODIES_BETWEEN, (wanted[0], wanted[-1])) or b""
    return database.value(_BODIES, (json.dumps(wanted),)) or b""


def _fitting(found: Found) -> list[int]:
    total = 0
    fitting: list[int] = []
    for offset, size in found:
        total += size
        if fitting and total > PAGE_BYTES:
            break
        fitting.append(offset)
    return fitting

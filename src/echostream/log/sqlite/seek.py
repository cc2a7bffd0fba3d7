"""Where to begin, and what topics there are: functions of a connection in a snapshot."""

from __future__ import annotations

import json
from typing import NamedTuple

from ...exceptions import LogCorrupt
from ...topic import TopicSet
from ..base import TopicInfo
from .database import Database, Value
from .match import Matches, matching, view

__all__ = ["Step", "at_time", "last", "topic", "topics_after"]

SCAN = 20_000
MERGED = 200_000
"""Up to how many offsets `last` takes from the index at once (0.3 s); where topics keep more it walks back,
and since they keep so many it is soon there."""

_LAST_OFFSETS = """SELECT json_group_array(json(
    (SELECT json_group_array(offset) FROM (SELECT offset FROM entries
     WHERE topic = wanted.value ORDER BY offset DESC LIMIT :limit))
)) FROM json_each(:ids) AS wanted"""
_COUNTED = "SELECT sum(min(kept, :limit)) FROM topics WHERE id IN (SELECT value FROM json_each(:ids))"
_WALK_BACK = """SELECT json_group_array(json_array(offset, topic)) FROM
    (SELECT offset, topic FROM entries WHERE offset < ? ORDER BY offset DESC LIMIT ?)"""


def at_time(database: Database, time: int) -> int:
    """As `Seek.at_time`. Entries' times never go back, so halving finds the place."""
    seen = view(database)
    low, high = seen.oldest, seen.newest + 1  # the first entry at or after `time` is in low..high
    while low < high:
        middle = (low + high) // 2
        found = database.value("SELECT time FROM entries WHERE offset >= ? ORDER BY offset LIMIT 1", (middle,))
        if found is not None and found < time:
            low = middle + 1
        else:
            high = middle
    return low - 1


class Step(NamedTuple):
    """What one step of looking back found: the first of the entries counted (0: none), how many are still
    wanted, and before which offset to look next (0: nothing is left)."""

    first: int
    wanted: int
    before: int


def last(database: Database, matches: Matches, n: int, topics: TopicSet, before: int | None) -> Step:
    """One step of `Seek.last`, at most 20,000 entries; `before` is None in the first. For few topics it is the only."""
    if before is None:
        seen = view(database)
        before = seen.newest + 1
        ids = matches.ids(database, topics, seen, before - seen.oldest)
        asked: dict[str, Value] = {"limit": min(n, seen.newest), "ids": json.dumps(ids)}
        if ids is not None and (database.value(_COUNTED, asked) or 0) <= MERGED:
            listed = database.value(_LAST_OFFSETS, asked)
            offsets = sorted((offset for of_topic in json.loads(listed) for offset in of_topic), reverse=True)
            return Step(offsets[:n][-1] if offsets else 0, 0, 0)
    walked: list[tuple[int, int]] = json.loads(database.value(_WALK_BACK, (before, SCAN)))
    good = matching(database, topics, {number for _, number in walked})
    found = [offset for offset, number in walked if number in good][:n]
    following = walked[-1][0] if len(walked) == SCAN else 0
    if following >= before:  # a damaged tree can go in circles
        raise LogCorrupt(f"entries before {before} are damaged; begin after {before - 1}", before - 1)
    return Step(found[-1] if found else 0, n - len(found), following)


def topic(database: Database, name: str) -> TopicInfo | None:
    """As `Topics.topic`."""
    row = database.row("SELECT name, newest, finished FROM topics WHERE name = ?", (name,))
    return None if row is None else TopicInfo(*row)


def topics_after(database: Database, name: str, limit: int) -> list[TopicInfo]:
    """As `Topics.topics`."""
    sql = "SELECT name, newest, finished FROM topics WHERE name > ? ORDER BY name LIMIT ?"
    return [TopicInfo(*row) for row in database.rows(sql, (name, max(limit, 0)))]

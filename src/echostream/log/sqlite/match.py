"""Which topics of the file a `TopicSet` means, and whether it lost any of them."""

from __future__ import annotations

import json
from collections import OrderedDict
from typing import NamedTuple

from ...topic import TopicSet
from .database import Database

__all__ = ["Matches", "View", "matching", "trimmed_after", "view"]

FEW = 256
NEAR = 5_000

_IDS = "SELECT id FROM topics WHERE name IN (SELECT value FROM json_each(?))"
_ADDED = """SELECT json_group_array(json_array(id, name)) FROM
    (SELECT id, name FROM topics WHERE id > ? ORDER BY id)"""
_NAMES = "SELECT json_group_object(id, name) FROM topics WHERE id IN (SELECT value FROM json_each(?))"
_TRIMMED = "SELECT trimmed FROM topics WHERE name IN (SELECT value FROM json_each(?))"
_TRIMMED_NAMES = "SELECT json_group_array(name) FROM topics WHERE trimmed > ?"


class View(NamedTuple):
    """The log's bounds as a snapshot has them. `floor`: up to where forgotten topics may have lost entries;
    `topic_ids`: the last topic's id."""

    epoch: str
    oldest: int
    newest: int
    floor: int
    topic_ids: int


def view(database: Database) -> View:
    """The bounds of the snapshot."""
    row = database.row("SELECT epoch, oldest, newest, floor, topic_ids FROM log")
    return View(*(row or ()))


class Matches:
    """The topic ids of each `TopicSet`: remembered, and brought up to date from the topics added since.

    A topic's id is never used for another, so an id that is remembered too long only finds
    nothing. Two threads may bring one set up to date at once: both store a true answer.
    """

    def __init__(self, limit: int = 128) -> None:
        self._limit = limit
        self._known: OrderedDict[TopicSet, tuple[int, tuple[int, ...] | None]] = OrderedDict()

    def ids(self, database: Database, topics: TopicSet, bounds: View, entries: int) -> tuple[int, ...] | None:
        """The ids; None when they are more than a few, or when walking the `entries` that are left costs less.

        So readers of ever other patterns who are close to the end, as all are after a restart, do not each go
        through 100,000 topics (200 ms).
        """
        if not topics.patterns:
            return tuple(row[0] for row in database.rows(_IDS, (json.dumps(sorted(topics.names)),)))
        seen, ids = self._known.get(topics, (0, ()))
        if entries < min(bounds.topic_ids - seen, NEAR):
            return None
        if ids is not None:
            seen, ids = _with_added(database, topics, seen, ids)
        self._known[topics] = (seen, ids)
        if len(self._known) > self._limit:
            self._known.popitem(last=False)
        return ids


def _with_added(
    database: Database, topics: TopicSet, seen: int, ids: tuple[int, ...]
) -> tuple[int, tuple[int, ...] | None]:
    found = list(ids)
    for number, name in json.loads(database.value(_ADDED, (seen,))):
        seen = number
        if topics.matches(name):
            found.append(number)
            if len(found) > FEW:
                break
    return seen, tuple(found) if len(found) <= FEW else None


def matching(database: Database, topics: TopicSet, ids: set[int]) -> set[int]:
    """Those of `ids` whose topics match."""
    names: dict[str, str] = json.loads(database.value(_NAMES, (json.dumps(sorted(ids)),)))
    return {int(number) for number, name in names.items() if topics.matches(name)}


def trimmed_after(database: Database, seen: View, topics: TopicSet, after: int) -> bool:
    """Whether an entry that matches, with an offset over `after`, may have been trimmed."""
    known = database.rows(_TRIMMED, (json.dumps(sorted(topics.names)),))
    if any(trimmed > after for (trimmed,) in known):
        return True
    if seen.floor > after and (topics.patterns or len(known) < len(topics.names)):
        return True  # a topic that was forgotten may be among them
    if not topics.patterns:
        return False
    return any(topics.matches(name) for name in json.loads(database.value(_TRIMMED_NAMES, (after,))))

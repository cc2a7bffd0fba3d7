"""What one transaction of the log does: take appends, keep their entries, trim, remember.

A refused append (finished topic, conflicting key, too big) costs the others of its group
nothing: it is refused before a row of it exists. Everything that is taken is committed
together or not at all.

Rows go in by multi-row statements, for the same reason as they are read as one text: few
steps, since each may wait for the interpreter's lock.
"""

from __future__ import annotations

import json
from asyncio import Future
from collections.abc import Sequence
from typing import Any

import msgspec

from ...event import MAX_TIME, Event
from ...exceptions import EchostreamError, LogFull, TopicFinished
from ...position import MAX_OFFSET
from ..base import IDEMPOTENCY_KEYS, IDEMPOTENCY_SECONDS, Entry, IdempotencyKey
from ..idempotency import Remembered
from ..memory_topics import MAX_EMPTY_TOPICS
from .database import Database
from .rows import encode
from .schema import State, save_state

__all__ = ["ROW_OVERHEAD", "Append", "Retention", "Transaction", "Writing"]

ROW_OVERHEAD = 64
"""About what a row and its place in the index take beside the body."""
TRIM_ROWS = 500
"""Rows trimmed per transaction beyond as many as it adds: bounded work, and always ahead of what comes in."""
TOPICS_CACHED = 10_000
FORGET_EVERY = 1_000
CHUNKS = (64, 8, 1)

_REMEMBERED = """SELECT scope, digest, first, events, time FROM keys
    WHERE scope IN (SELECT value FROM json_each(?))"""
_FORGET_SCOPES = "DELETE FROM keys WHERE scope IN (SELECT value FROM json_each(?))"  # too old, so used again
_FORGET_KEYS = "DELETE FROM keys WHERE first IN (SELECT first FROM keys ORDER BY first LIMIT ?) AND time <= ?"
_OLDEST_TIME = "SELECT time FROM entries WHERE offset >= ? ORDER BY offset LIMIT 1"
_OLDEST = """SELECT json_group_array(json_array(offset, size, time)) FROM
    (SELECT offset, size, time FROM entries WHERE offset >= ? ORDER BY offset LIMIT ?)"""
_NOTE_TRIMMED = """UPDATE topics SET kept = kept - gone.entries, trimmed = gone.last FROM
    (SELECT topic, count(*) AS entries, max(offset) AS last FROM entries WHERE offset <= ? GROUP BY topic) AS gone
    WHERE topics.id = gone.topic"""
_FORGET_TOPICS = """DELETE FROM topics WHERE id IN
    (SELECT id FROM topics WHERE kept = 0 ORDER BY trimmed LIMIT ?) RETURNING name, trimmed"""


class Append(msgspec.Struct):
    """One call of `append`, waiting for its transaction. Its future belongs to the event loop.

    Without events it is a probe: it writes, so that its answer says whether writing works now.
    """

    events: Sequence[Event]
    size: int
    future: Future[list[int]]
    key: IdempotencyKey | None = None
    scope: str = ""
    digest: bytes = b""


class Retention(msgspec.Struct, frozen=True):
    """What is kept: `max_bytes` bytes and `max_age` milliseconds; 0 is no bound."""

    max_bytes: int
    max_age: int


class _Topic(msgspec.Struct):
    id: int
    finished: int | None


class Writing:
    """What the writer knows between transactions. Forgotten (`reset`) when one fails."""

    def __init__(self, empty_topics: int = MAX_EMPTY_TOPICS) -> None:
        self.empty_topics = empty_topics
        self.reset(State(""), 0)

    def reset(self, state: State, keys: int) -> None:
        self.state = state
        self.keys = keys
        self.trimmed = 0  # entries trimmed since topics were last forgotten
        self.topics: dict[str, _Topic] = {}

    def know(self, name: str, topic: _Topic) -> None:
        """Keep a topic at hand. Bounded, since publishing under ever new names must not fill memory."""
        if len(self.topics) >= TOPICS_CACHED and name not in self.topics:
            self.topics.clear()
        self.topics[name] = topic


class Transaction:
    """One group of appends, between BEGIN and COMMIT. `now` is milliseconds since 1970."""

    def __init__(self, database: Database, writing: Writing, retention: Retention, now: int) -> None:
        self._database = database
        self._writing = writing
        self._retention = retention
        self._now = min(now, MAX_TIME)  # a clock gone wild must not make entries that no event can be
        self.state = msgspec.structs.replace(writing.state)
        self.state.time = max(self.state.time, self._now)  # never back, so that at_time can search
        self._rows: list[tuple[int, int, int, int, str]] = []
        self._changed: dict[str, tuple[_Topic, int, int]] = {}  # name: (topic, newest, entries added)
        self._remembered: dict[str, Remembered] = {}
        self._new_keys: list[str] = []
        self.entries: list[Entry] = []
        self.changed = False
        self.size = 0

    def run(self, appends: Sequence[Append]) -> list[list[int] | EchostreamError]:
        """Take all, write all; what each is answered once this is committed. Raises `apsw.Error`."""
        self._look_up([append.scope for append in appends if append.key is not None])
        answers: list[list[int] | EchostreamError] = []
        for append in appends:
            try:
                answers.append(self._take(append))
            except EchostreamError as refusal:
                answers.append(refusal)
        if self._rows:
            self._write()
        elif not all(append.events for append in appends):
            self.state.fence += 1
            save_state(self._database, self.state)
            self.changed = True
        return answers

    def _take(self, append: Append) -> list[int]:
        if append.key is not None:
            known = self._remembered.get(append.scope)
            if known is not None:
                return known.offsets(append.key, append.digest)
        topics = self._check_topics(append.events)
        rows: list[tuple[int, int, int, int, str]] = []
        for offset, event in enumerate(append.events, self.state.newest + 1):
            body = encode(offset, self.state.time, event)
            topic = topics[event.topic or ""]
            rows.append((offset, topic.id, len(body) + ROW_OVERHEAD, self.state.time, body))
        size = sum(row[2] for row in rows)
        if 0 < self._retention.max_bytes < size:
            limit = self._retention.max_bytes
            raise LogFull(f"this append takes {size} bytes and the log keeps {limit}; raise max_bytes")
        self._accept(append, rows, size, topics)
        return [row[0] for row in rows]

    def _check_topics(self, events: Sequence[Event]) -> dict[str, _Topic]:
        topics: dict[str, _Topic] = {}
        ended: set[str] = set()
        for event in events:
            name = event.topic or ""
            topic = topics.get(name)
            if topic is None:
                topic = topics[name] = self._topic(name) or _Topic(0, None)
            if topic.finished is not None or name in ended:
                raise TopicFinished(name)
            if event.end:
                ended.add(name)
        for topic in topics.values():
            if topic.id == 0:  # ids are given only now, when nothing can be refused any more but for size
                self.state.topic_ids += 1
                topic.id = self.state.topic_ids
        return topics

    def _topic(self, name: str) -> _Topic | None:
        if name in self._changed:
            return self._changed[name][0]
        topic = self._writing.topics.get(name)
        if topic is None:
            row = self._database.row("SELECT id, finished FROM topics WHERE name = ?", (name,))
            if row is not None:
                topic = _Topic(*row)
                self._writing.know(name, topic)
        return topic

    def _accept(
        self, append: Append, rows: list[tuple[int, int, int, int, str]], size: int, topics: dict[str, _Topic]
    ) -> None:
        for row, event in zip(rows, append.events, strict=True):
            name = event.topic or ""
            topic = topics[name]
            self._writing.know(name, topic)
            if event.end:
                topic.finished = row[0]
            self._changed[name] = (topic, row[0], self._changed.get(name, (topic, 0, 0))[2] + 1)
            kept = event.stamped(id=f"{self.state.epoch}.{row[0]}", topic=event.topic or "", time=self.state.time)
            self.entries.append(Entry(row[0], kept))
        if append.key is not None:
            self._remembered[append.scope] = Remembered(append.digest, rows[0][0], len(rows), self._now)
            self._new_keys.append(append.scope)
        self._rows += rows
        self.state.newest += len(rows)
        self.state.bytes += size
        self.size += size

    def _write(self) -> None:
        self.changed = True
        self._insert("INSERT INTO entries (offset, topic, size, time, body) VALUES", "", self._rows)
        self._insert(
            "INSERT INTO topics (id, name, newest, finished, kept, trimmed) VALUES",
            "ON CONFLICT (id) DO UPDATE SET newest = excluded.newest, finished = excluded.finished, "
            "kept = kept + excluded.kept",
            [
                (topic.id, name, newest, topic.finished, added, self.state.floor)
                for name, (topic, newest, added) in self._changed.items()
            ],
        )
        if self._new_keys:
            self._write_keys()
        self._trim()
        save_state(self._database, self.state)

    def _insert(self, statement: str, tail: str, rows: list[Any]) -> None:
        width = len(rows[0])
        done = 0
        for chunk in CHUNKS:
            group = ", ".join([f"({', '.join('?' * width)})"] * chunk)
            while len(rows) - done >= chunk:
                values = [value for row in rows[done : done + chunk] for value in row]
                self._database.run(f"{statement} {group} {tail}", values)
                done += chunk

    def _look_up(self, scopes: list[str]) -> None:
        if not scopes:
            return
        found = self._database.rows(_REMEMBERED, (json.dumps(scopes),))
        for scope, fingerprint, first, events, time in found:
            if self._now - time < IDEMPOTENCY_SECONDS * 1000:
                self._remembered[scope] = Remembered(bytes.fromhex(fingerprint), first, events, time)

    def _write_keys(self) -> None:
        rows: list[Any] = []
        for scope in self._new_keys:
            known = self._remembered[scope]
            rows.append((known.first, known.events, known.time, scope, known.digest.hex()))
        keys = self._writing.keys + len(rows) - self._database.run(_FORGET_SCOPES, (json.dumps(self._new_keys),))
        self._insert("INSERT INTO keys (first, events, time, scope, digest) VALUES", "", rows)
        expired = self._now - IDEMPOTENCY_SECONDS * 1000
        keys -= self._database.run(_FORGET_KEYS, (TRIM_ROWS + len(rows), expired))
        if keys > IDEMPOTENCY_KEYS:
            # Whatever their time: a clock that was set back leaves keys of its future.
            keys -= self._database.run(_FORGET_KEYS, (keys - IDEMPOTENCY_KEYS, MAX_OFFSET))
        self._writing.keys = keys

    def _trim(self) -> None:
        """Oldest first: what is over `max_bytes`, and what is older than `max_age`."""
        state = self.state
        if not self._over(state.bytes, None):
            age = self._database.value(_OLDEST_TIME, (state.oldest,)) if self._retention.max_age else None
            if not self._over(state.bytes, age):
                return
        last = 0
        for offset, size, time in json.loads(
            self._database.value(_OLDEST, (state.oldest, TRIM_ROWS + len(self._rows)))
        ):
            if not self._over(state.bytes, time):
                break
            state.bytes -= size
            last = offset
        if last:
            self._database.run(_NOTE_TRIMMED, (last,))
            self._database.run("DELETE FROM entries WHERE offset <= ?", (last,))
            self._writing.trimmed += last + 1 - state.oldest
            state.oldest = last + 1
            self._forget()

    def _over(self, size: int, time: int | None) -> bool:
        keep = self._retention
        if 0 < keep.max_bytes < size:
            return True
        return bool(keep.max_age) and time is not None and time < self._now - keep.max_age

    def _forget(self) -> None:
        """Now and then, merge topics that keep nothing, the ones trimmed longest ago, into the floor."""
        if self._writing.trimmed < FORGET_EVERY:
            return
        self._writing.trimmed = 0
        over = self._database.value("SELECT count(*) FROM topics WHERE kept = 0") - self._writing.empty_topics
        if over <= 0:
            return
        for name, last in self._database.rows(_FORGET_TOPICS, (over,)):
            self.state.floor = max(self.state.floor, last)
            self._writing.topics.pop(name, None)

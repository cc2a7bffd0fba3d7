"""KnownTopics: what a log in memory remembers of each topic.

A topic's last trimmed offset is what tells a gap from silence: a reader of a quiet topic
whose position is far behind has lost nothing when nothing of its topic was trimmed after
it. At most 100,000 topics that keep no entry are remembered; the ones trimmed longest ago
are forgotten first and merge into one floor, which then stands for all of them. A topic
that was forgotten, or never known, may have lost entries up to the floor.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from heapq import nsmallest

import msgspec

from ..event import Event
from ..exceptions import TopicFinished
from ..topic import TopicSet, check_topic
from .base import TopicInfo

__all__ = ["MAX_EMPTY_TOPICS", "KnownTopics"]

MAX_EMPTY_TOPICS = 100_000
"""Publishing under ever new names must not fill memory: topics that keep nothing are bounded by this."""


class _Topic(msgspec.Struct):
    name: str
    newest: int = 0
    finished: int | None = None
    kept: int = 0
    trimmed: int = 0


class KnownTopics:
    """Each topic's newest, finished and last trimmed offset."""

    def __init__(self, limit: int = MAX_EMPTY_TOPICS) -> None:
        self._limit = limit
        self._topics: dict[str, _Topic] = {}
        self._trims: OrderedDict[str, _Topic] = OrderedDict()  # by last trimmed offset
        self._empty: OrderedDict[str, _Topic] = OrderedDict()  # that keep nothing, the longest first
        self._floor = 0

    def check_unfinished(self, events: Sequence[Event]) -> None:
        """Raises `TopicFinished` when an event follows its topic's end, also an end within `events`; `InvalidTopic`."""
        ending: set[str] = set()
        for event in events:
            name = event.topic or ""
            topic = self._topics.get(name)
            if topic is None:
                check_topic(name)
            if name in ending or (topic is not None and topic.finished is not None):
                raise TopicFinished(name)
            if event.end:
                ending.add(name)

    def appended(self, event: Event, offset: int) -> str:
        """Note an entry; answers the name as one shared object, so that entries do not each hold a copy."""
        name = event.topic or ""
        topic = self._topics.get(name)
        if topic is None:
            topic = self._topics[name] = _Topic(name, trimmed=self._floor)
        topic.newest = offset
        topic.kept += 1
        self._empty.pop(name, None)
        if event.end:
            topic.finished = offset
        return topic.name

    def trimmed(self, name: str, offset: int) -> None:
        """Note that the topic's oldest entry was trimmed."""
        topic = self._topics[name]
        topic.trimmed = offset
        topic.kept -= 1
        self._trims[name] = topic
        self._trims.move_to_end(name)
        if topic.kept == 0:
            self._empty[name] = topic
            if len(self._empty) > self._limit:
                self._forget_one()

    def _forget_one(self) -> None:
        name, topic = self._empty.popitem(last=False)
        self._floor = max(self._floor, topic.trimmed)
        del self._topics[name], self._trims[name]

    def trimmed_after(self, topics: TopicSet, after: int) -> bool:
        """Whether an entry that matches, with an offset over `after`, may have been trimmed."""
        for name in topics.names:
            topic = self._topics.get(name)
            if (self._floor if topic is None else topic.trimmed) > after:
                return True
        if not topics.patterns:
            return False
        if self._floor > after:
            return True
        for topic in reversed(self._trims.values()):
            if topic.trimmed <= after:
                return False
            if topics.matches(topic.name):
                return True
        return False

    def get(self, name: str) -> TopicInfo | None:
        topic = self._topics.get(name)
        return None if topic is None else _info(topic)

    def after(self, name: str, limit: int) -> list[TopicInfo]:
        """At most `limit` topics whose names follow `name`, by name."""
        names = nsmallest(max(limit, 0), (known for known in self._topics if known > name))
        return [_info(self._topics[known]) for known in names]


def _info(topic: _Topic) -> TopicInfo:
    return TopicInfo(topic.name, topic.newest, topic.finished)

"""Groups: who follows what. Everyone with the same topics and format is in one group; a group only routes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Protocol

from ..event import Event
from ..exceptions import EchostreamError
from ..topic import TopicSet
from ..wire.base import Encoder
from ..wire.control import StreamGap
from .body import Body
from .chunk import framed
from .outlet import Outlet

__all__ = ["Follower", "Group", "Groups", "Live", "Waiter"]

logger = logging.getLogger("echostream.hub")

MAX_ROUTES = 20_000
"""Topic names whose groups are remembered; past it the memory is begun anew."""


class Follower(Protocol):
    """What the fan-out needs of a reader. `group` is the one that it entered."""

    stream: str
    body: Body
    outlet: Outlet
    group: Group

    def advance(self) -> None:
        """Go on from its own position."""
        ...

    def fall_behind(self, offset: int) -> None:
        """Its outlet is full, and everything up to `offset` was written to it."""
        ...

    def tell_gap(self, gap: StreamGap) -> None: ...

    def end(self, reason: str) -> None: ...

    def fail(self, error: EchostreamError) -> None: ...

    def break_off(self) -> None:
        """Something raised: cut it where it is."""
        ...


class Waiter(Protocol):
    """Someone in this process who wants to know that there is something to read."""

    def wake(self) -> None: ...

    def pass_by(self, event: Event) -> None:
        """Take an ephemeral event now, or never."""
        ...


class Live:
    """The readers that stand at `flushed`, and the bound writes by which a flush reaches them."""

    __slots__ = ("_framed", "_plain")

    def __init__(self) -> None:
        self._plain: dict[Follower, Callable[[bytes], None]] = {}
        self._framed: dict[Follower, Callable[[bytes], None]] = {}

    def __len__(self) -> int:
        return len(self._plain) + len(self._framed)

    def __iter__(self) -> Iterator[Follower]:
        yield from self._plain
        yield from self._framed

    def add(self, reader: Follower) -> None:
        """Write to this reader from now on."""
        writes = self._framed if reader.outlet.framed else self._plain
        writes[reader] = reader.outlet.push

    def discard(self, reader: Follower) -> None:
        """No more to this one."""
        self._plain.pop(reader, None)
        self._framed.pop(reader, None)

    def clear(self) -> None:
        """To nobody."""
        self._plain.clear()
        self._framed.clear()

    def write(self, data: bytes) -> list[Follower]:
        """Write to everyone; the readers whose outlet raised, who are left out from now on."""
        broken: list[Follower] = []
        if self._plain:
            _write_to_all(self._plain, data, broken)
        if self._framed:
            _write_to_all(self._framed, framed(data), broken)
        for reader in broken:
            self.discard(reader)
        return broken


def _write_to_all(writes: dict[Follower, Callable[[bytes], None]], data: bytes, broken: list[Follower]) -> None:
    for reader, write in writes.items():  # the hot loop
        try:
            write(data)
        except Exception:
            logger.exception("the outlet of stream %s raised; it is cut", reader.stream)
            broken.append(reader)


class Group:
    """Everyone who follows the same topics in the same format (None: events, in this process)."""

    __slots__ = (
        "bytes",
        "encoder",
        "ends",
        "events",
        "filled",
        "fresh",
        "last_offset",
        "last_write",
        "live",
        "members",
        "topics",
        "waiting",
    )

    def __init__(self, topics: TopicSet, encoder: Encoder | None, now: float) -> None:
        self.topics = topics
        self.encoder = encoder
        self.live = Live()
        self.filled: list[Follower] = []  # live ones whose outlet has become full since the last write
        self.fresh: set[Follower] = set()  # live ones who have not had an event yet
        self.waiting: set[Waiter] = set()
        self.members = 0
        self.ends: dict[str, int] = {}
        self.events = 0  # written to each live reader so far: a reader's share is a difference
        self.bytes = 0
        self.last_write = now
        self.last_offset = 0

    @property
    def end_offset(self) -> int | None:
        """Where the last of the topics was ended; None while one is open, or with patterns."""
        if self.topics.patterns or len(self.ends) < len(self.topics.names):
            return None
        return max(self.ends.values())

    def note_end(self, slot_topic: str | None, offset: int) -> None:
        """A topic was ended at `offset`."""
        if slot_topic in self.topics.names:
            self.ends[str(slot_topic)] = offset


class Groups:
    """All groups of one hub, and which of them a topic concerns. Iterate over it for all of them."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._groups: dict[tuple[TopicSet, Encoder | None], Group] = {}
        self._by_name: dict[str, set[Group]] = {}
        self._by_pattern: set[Group] = set()
        self._routes: dict[str, tuple[Group, ...]] = {}

    def __iter__(self) -> Iterator[Group]:
        return iter(self._groups.values())

    def enter(self, topics: TopicSet, encoder: Encoder | None) -> Group:
        """The group of that kind, with one member more."""
        key = (topics, encoder)
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = Group(topics, encoder, self._clock())
            for name in topics.names:
                self._by_name.setdefault(name, set()).add(group)
                self._routes.pop(name, None)
            if topics.patterns:
                self._by_pattern.add(group)
                self._routes.clear()
        group.members += 1
        return group

    def leave(self, group: Group) -> None:
        """One member less; a group without members is forgotten."""
        group.members -= 1
        if group.members:
            return
        del self._groups[(group.topics, group.encoder)]
        for name in group.topics.names:
            groups = self._by_name[name]
            groups.discard(group)
            if not groups:
                del self._by_name[name]
            self._routes.pop(name, None)
        if group.topics.patterns:
            self._by_pattern.discard(group)
            self._routes.clear()

    def dismiss(self, group: Group, waiter: Waiter) -> None:
        """Take someone who waits out of a group that they entered."""
        group.waiting.discard(waiter)
        self.leave(group)

    def routes(self, topic: str) -> tuple[Group, ...]:
        """The groups that follow a topic of this name."""
        groups = self._routes.get(topic)
        if groups is None:
            if len(self._routes) >= MAX_ROUTES:
                self._routes.clear()
            found = set(self._by_name.get(topic, ()))
            found.update(group for group in self._by_pattern if group.topics.matches(topic))
            groups = self._routes[topic] = tuple(found)
        return groups

    @property
    def topics_followed(self) -> int:
        """How many names and patterns are followed by someone."""
        patterns = {pattern for group in self._by_pattern for pattern in group.topics.patterns}
        return len(self._by_name) + len(patterns)

    @property
    def live(self) -> int:
        """How many readers stand at `flushed`."""
        return sum(len(group.live) for group in self._groups.values())

"""Subscription: the events of some topics as an async iterator, inside this process.

Like every subscriber it is a position. It borrows events from the ring as it goes, keeps no
queue, and reads the log when it has fallen out of the ring.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Iterator
from typing import Protocol, Self
from weakref import WeakSet

from ..event import Event
from ..exceptions import EpochChanged, HubClosed, LogCorrupt, PositionGone
from ..log.base import Entry, Log
from ..position import Position
from ..topic import TopicSet
from .fanout import FanOut
from .groups import Group
from .ring import Slot
from .start import Start, find_start, finished_at

__all__ = ["Inbox", "Subscription"]

BORROWED = 100
"""Events taken from the ring or the log at once."""

EPHEMERAL_WAITING = 256
"""Ephemeral events that may wait for the loop that iterates; the oldest are dropped past it, counted."""


class _Home(Protocol):
    """What a subscription needs of its hub."""

    log: Log
    subscriptions: WeakSet[Subscription]

    @property
    def fanout(self) -> FanOut: ...

    def check_open(self) -> None: ...


class Inbox:
    """What the fan-out leaves for a subscription: ephemeral events, and word that there is something to read.

    The fan-out holds this and not the subscription, so that one that was dropped is noticed. One
    that waits is held by its task, and the task by the future in here.
    """

    def __init__(self) -> None:
        self.ephemeral: deque[Event] = deque()
        self.dropped = 0
        self._wake: asyncio.Future[None] | None = None

    def wake(self) -> None:
        """There is something to read."""
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

    def pass_by(self, event: Event) -> None:
        """Take an ephemeral event."""
        if len(self.ephemeral) >= EPHEMERAL_WAITING:
            self.ephemeral.popleft()
            self.dropped += 1
        self.ephemeral.append(event)
        self.wake()

    async def wait(self) -> None:
        """Return when there may be something to read."""
        self._wake = asyncio.get_running_loop().create_future()
        await self._wake


class Subscription:
    """Iterate over it: `async for event in hub.subscribe("a", "b/*")`.

    It begins at the first step, or at `async with`, which tells `start` before the first event:
    `start.resume` is live, resumed, gap or reset. The iteration ends when all its topics (names,
    no patterns) are finished, or when the hub is closed. When events are trimmed before they were
    read, `PositionGone` is raised once; iterating again goes on from the oldest kept. A
    subscription that nobody holds any more is closed.

    Raises `InvalidSince` when it begins, `HubClosed`, `EpochChanged` (it ends: subscribe anew), and
    what the log raises.
    """

    def __init__(self, hub: _Home, topics: TopicSet, *, since: str, last_event_id: str | None) -> None:
        self.topics = topics
        self.start: Start | None = None
        self._hub = hub
        self._since = since
        self._last_event_id = last_event_id
        self._group: Group | None = None
        self._offset = 0
        self._borrowed: Iterator[Slot | Entry] = iter(())
        self._scanned_to = 0
        self._inbox = Inbox()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._done = False

    @property
    def dropped(self) -> int:
        """Ephemeral events that this subscription was too slow for."""
        return self._inbox.dropped

    @property
    def position(self) -> Position:
        """Everything up to here was given."""
        if self.start is None:
            raise HubClosed("the subscription has not begun; use `async with` or iterate")
        return Position(self.start.epoch, self._offset)

    async def open(self) -> Self:
        """Find the start; `async with` and the first step do it by themselves."""
        if self.start is None and not self._done:
            self._hub.check_open()
            fanout = self._hub.fanout
            self._loop = asyncio.get_running_loop()
            self._group = group = fanout.groups.enter(self.topics, None)
            group.waiting.add(self._inbox)
            self._hub.subscriptions.add(self)
            try:
                start = await find_start(
                    self._hub.log,
                    self.topics,
                    fanout.ring,
                    since=self._since,
                    last_event_id=self._last_event_id,
                )
                group.ends.update(await finished_at(self._hub.log, self.topics))
            except BaseException:  # also a cancellation: the first step may be taken again
                self._leave()
                raise
            self.start = start
            self._offset = self._scanned_to = start.offset
        return self

    def close(self) -> None:
        """Leave. Idempotent; an iteration under way ends."""
        self._done = True
        self._leave()
        self._inbox.wake()

    def _leave(self) -> None:
        self._hub.subscriptions.discard(self)
        if self._group is not None:
            self._hub.fanout.groups.dismiss(self._group, self._inbox)
            self._group = None

    def __del__(self) -> None:
        # `async for` does not close what it iterates over: a break, an error, a cancelled task just drop it.
        # The garbage collector may call this from any thread.
        if self._group is not None and self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed, and all is over
                self._loop.call_soon_threadsafe(self._hub.fanout.groups.dismiss, self._group, self._inbox)

    # -- iterating

    def __aiter__(self) -> AsyncIterator[Event]:
        return self

    async def __anext__(self) -> Event:
        await self.open()
        while not self._done:
            if self._inbox.ephemeral:
                return self._inbox.ephemeral.popleft()
            for item in self._borrowed:
                self._offset = item.offset
                if item.event.data is not None:
                    return item.event
            self._offset = max(self._offset, self._scanned_to)
            if not await self._borrow():
                break
        self.close()
        raise StopAsyncIteration

    async def _borrow(self) -> bool:
        """Take the next events, or wait until there may be some; False when there will be none."""
        group, fanout = self._group, self._hub.fanout
        if group is None or self.start is None:
            return False
        if self.start.epoch != fanout.epoch:
            self.close()
            raise EpochChanged(fanout.epoch)
        if self._offset < fanout.ring.floor:
            await self._borrow_from_log()
            return True
        if self._offset < fanout.ring.end:
            slots = fanout.ring.between(self._offset, fanout.ring.end, BORROWED)
            self._scanned_to = slots[-1].offset if len(slots) == BORROWED else fanout.ring.end
            mine = [slot for slot in slots if self.topics.matches(slot.event.topic or "")]
            for slot in mine:
                if slot.event.end:
                    group.note_end(slot.event.topic, slot.offset)
            self._borrowed = iter(mine)
            return True
        if group.end_offset is not None and self._offset >= group.end_offset:
            return False
        await self._inbox.wait()
        return True

    async def _borrow_from_log(self) -> None:
        try:
            page = await self._hub.log.read(self._offset, BORROWED, self.topics)
        except PositionGone as gone:
            self._offset = self._scanned_to = max(self._offset, gone.oldest - 1)
            raise
        except LogCorrupt as damage:
            if damage.offset is not None:
                self._offset = self._scanned_to = damage.offset
            raise
        self._borrowed = iter(page.entries)
        self._scanned_to = page.scanned_to

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(self, *_: object) -> None:
        self.close()

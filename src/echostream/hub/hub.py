"""Hub: publish and subscribe over one log, in this process.

    publish ─► log ─► tail ─► ring ─► fan-out ─► outlets

All state is on the instance: several hubs live side by side in one process, each in the
event loop that opened it.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any, NamedTuple, Self
from weakref import WeakSet

import msgspec

from ..event import Event
from ..exceptions import HubClosed, InvalidEvent, InvalidInput, LogUnavailable, TooLarge, TopicReserved
from ..log import open_log
from ..log.base import Bounds, IdempotencyKey, Log, Page, Readiness
from ..topic import HUB_PREFIX, TopicSet, check_topic
from ..wire.base import Encoder
from .body import StreamReport
from .fanout import FanOut
from .outlet import Outlet
from .reader import Reader
from .ring import Ring
from .settings import HubSettings, StreamSettings
from .start import Start, find_start, finished_at
from .subscription import Subscription
from .tail import Tail
from .timers import Timers

__all__ = ["Beginning", "Hub", "HubStatistics", "Published"]

TIMER_GRAIN = 0.05
"""Seconds by which a heartbeat, deadline or send timeout may be late."""


class Published(NamedTuple):
    """The answer to a publication: the events' ids (none for ephemeral ones) and how durable they are."""

    ids: tuple[str, ...]
    topic: str
    durability: str


class HubStatistics(NamedTuple):
    """Figures of one hub since it was opened."""

    epoch: str
    newest: int
    readers: int
    live: int
    subscriptions: int
    topics_followed: int
    published: int
    published_bytes: int
    delivered: int
    delivered_bytes: int
    ephemeral_dropped: int
    ring_bytes: int


class Beginning(NamedTuple):
    """Where a stream will begin, and which of its topics were ended at which offset."""

    start: Start
    ends: dict[str, int]
    newest: int
    """The log's last offset then: where a stream ends that is not to follow."""
    finished: bool
    """The reader's place is past the ends of all its topics: there is nothing to open a stream for, not even a loss."""


class Hub:
    """Publish to topics, subscribe to them, resume after a loss.

    `log` is a URL (`memory://`, `sqlite:///file.db`) or a `Log`. Use it as `async with Hub(...)`,
    or give `hub.lifespan` to an ASGI application.

    Raises, when opened, what the log raises: `LogInUse`, `LogForeign`, `LogCorrupt`, `LogUnavailable`.
    """

    def __init__(self, log: str | Log = "memory://", *, settings: HubSettings | None = None) -> None:
        self.log: Log = open_log(log) if isinstance(log, str) else log
        self.settings = settings or HubSettings()
        self.draining = False
        self.subscriptions: WeakSet[Subscription] = WeakSet()
        self._timers: Timers | None = None
        self._fanout: FanOut | None = None
        self._tail: Tail | None = None
        self._tail_task: asyncio.Task[None] | None = None
        self._flush_timer: asyncio.TimerHandle | None = None
        self._last_flush = 0.0
        self._closed = False
        self._published = 0
        self._published_bytes = 0

    # -- its life

    async def open(self) -> Self:
        """Open the log and begin to follow it. Once; `async with` does it."""
        if self._closed or self._fanout is not None:
            raise HubClosed("a hub is opened once; make another one")
        await self.log.open()
        try:
            epoch, _, newest = await self.log.bounds()
        except BaseException:
            await self.log.aclose()
            raise
        loop = asyncio.get_running_loop()
        self._timers = Timers(loop, TIMER_GRAIN)
        ring = Ring(self.settings.ring_bytes, start=newest)
        self._fanout = FanOut(ring, epoch=epoch, chunk_bytes=self.settings.flush_bytes, clock=loop.time)
        self._tail = Tail(self.log, newest, on_page=self._take_page, on_loss=self._lose, on_epoch=self._start_over)
        self._tail_task = loop.create_task(self._tail.run(), name="echostream-tail")
        return self

    def drain(self, reason: str = "drain") -> None:
        """Begin no more streams, and end each one at an event boundary. Publishing goes on until `aclose`."""
        self.draining = True
        if self._fanout is not None:
            for reader in list(self._fanout.readers):
                reader.end(reason)

    async def aclose(self) -> None:
        """End every stream and subscription, and close the log. Idempotent."""
        if self._closed:
            return
        self.drain()
        self._closed = True
        for subscription in list(self.subscriptions):
            subscription.close()
        if self._flush_timer is not None:
            self._flush_timer.cancel()
        if self._timers is not None:
            self._timers.stop()
        try:
            await self.log.aclose()  # ends `follow`, and so the tail
        finally:
            if self._tail_task is not None:
                self._tail_task.cancel()
                await asyncio.gather(self._tail_task, return_exceptions=True)

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    @contextlib.asynccontextmanager
    async def lifespan(self, _app: object = None) -> AsyncGenerator[None, None]:
        """An ASGI lifespan: `Starlette(lifespan=hub.lifespan)`, `FastAPI(lifespan=hub.lifespan)`."""
        async with self:
            yield

    @property
    def fanout(self) -> FanOut:
        """Who follows what. Raises `HubClosed` before the hub is opened."""
        if self._fanout is None:
            raise HubClosed("the hub is not open; use `async with hub`")
        return self._fanout

    def check_open(self) -> None:
        """Raises `HubClosed` when no stream can begin."""
        if self._closed or self.draining:
            raise HubClosed("the hub is shutting down; try again soon")
        if self._fanout is None:
            raise HubClosed("the hub is not open; use `async with hub`")

    async def ready(self) -> None:
        """Return when streams can begin and events be kept; raises `HubClosed` or the `LogError` that says why not."""
        self.check_open()
        if self._tail is not None and self._tail.error is not None:
            raise self._tail.error
        if self._tail_task is not None and self._tail_task.done():
            raise LogUnavailable("the log is no longer followed")
        if isinstance(self.log, Readiness):
            await self.log.ready()

    # -- publishing

    async def publish(
        self,
        topic: str,
        data: Any,
        *,
        event: str | None = None,
        key: str | None = None,
        end: bool = False,
        ephemeral: bool = False,
        idempotency_key: str | None = None,
    ) -> Published:
        """Publish one event: a `str` as text, an `Event` as it is, anything else as JSON.

        `end` finishes the topic; `data` may be None then. `ephemeral` skips the log: whoever is
        there gets it. Raises as `append`.
        """
        given: dict[str, Any] = {"event": event, "key": key, "end": end or None}
        fields = {name: value for name, value in given.items() if value is not None}
        item = Event(data=None, **fields) if data is None and end else Event.of(data, **fields)
        item = msgspec.structs.replace(item, topic=topic, id=None)
        return await self.append([item], ephemeral=ephemeral, idempotency_key=idempotency_key)

    async def append(
        self,
        events: Sequence[Event],
        *,
        ephemeral: bool = False,
        idempotency_key: str | None = None,
        publisher: str = "",
    ) -> Published:
        """Publish events, each with its `topic`: all or none, in order.

        Returns when they are as durable as the log's level says. Raises `InvalidTopic`,
        `TopicReserved`, `TooLarge`, `TopicFinished`, `IdempotencyConflict`, `LogFull`, `LogUnavailable`, `HubClosed`;
        `InvalidEvent` for no events, `InvalidInput` for a bad key and for what an ephemeral event cannot have.
        """
        self._check(events)
        if ephemeral:
            _check_ephemeral(events, idempotency_key)
            for event in events:
                self._pass_by(event)
            return Published((), events[0].topic or "", "none")
        key = None if idempotency_key is None else IdempotencyKey.checked(idempotency_key, publisher)
        offsets = await self.log.append(events, key)
        self._published += len(events)
        self._published_bytes += sum(event.size for event in events)
        epoch = self.fanout.epoch
        return Published(tuple(f"{epoch}.{offset}" for offset in offsets), events[0].topic or "", self.log.durability)

    def publish_own(self, topic: str, data: Any, *, event: str | None = None) -> None:
        """An ephemeral event of the hub's own, on a topic under `hub/`. Costs nothing when nobody listens."""
        if self.listening(topic):
            fields: dict[str, Any] = {} if event is None else {"event": event}
            self._pass_by(Event.of(data, topic=check_topic(topic), **fields))

    def listening(self, topic: str) -> bool:
        """Whether anyone follows the topic now."""
        return self._fanout is not None and bool(self._fanout.groups.routes(topic))

    # -- subscribing

    def subscribe(self, *topics: str, since: str = "latest", last_event_id: str | None = None) -> Subscription:
        """The events of some topics as an async iterator. Raises `InvalidTopic`, `TooLarge`."""
        return Subscription(self, TopicSet(topics), since=since, last_event_id=last_event_id)

    async def find_beginning(self, topics: TopicSet, *, since: str, last_event_id: str | None) -> Beginning:
        """Where a stream of these topics begins. Raises `InvalidSince`, `HubClosed`, and what the log raises."""
        self.check_open()
        start = await find_start(self.log, topics, self.fanout.ring, since=since, last_event_id=last_event_id)
        ends = await finished_at(self.log, topics)
        ended = not topics.patterns and len(ends) == len(topics.names)
        finished = ended and start.gap is None and start.offset >= max(ends.values())
        return Beginning(start, ends, (await self.log.bounds()).newest, finished)

    def attach(
        self,
        topics: TopicSet,
        encoder: Encoder,
        outlet: Outlet,
        beginning: Beginning,
        *,
        settings: StreamSettings | None = None,
        until: int | None = None,
        on_end: Callable[[StreamReport], None] | None = None,
    ) -> Reader:
        """A reader that writes to `outlet`; `reader.begin()` sets it going. With `until` it ends at that offset.

        Raises `HubClosed`.
        """
        self.check_open()
        reader = Reader(
            self.fanout,
            topics,
            encoder,
            outlet,
            beginning.start,
            log=self.log,
            timers=self._timers_at_work,
            settings=settings or StreamSettings(),
            until=until,
            on_end=on_end,
        )
        reader.group.ends.update(beginning.ends)
        return reader

    async def bounds(self) -> Bounds:
        """What the log keeps now."""
        return await self.log.bounds()

    def statistics(self) -> HubStatistics:
        """Figures since the hub was opened; cheap."""
        fanout = self.fanout
        return HubStatistics(
            epoch=fanout.epoch,
            newest=fanout.ring.end,
            readers=len(fanout.readers),
            live=fanout.groups.live,
            subscriptions=len(self.subscriptions),
            topics_followed=fanout.groups.topics_followed,
            published=self._published,
            published_bytes=self._published_bytes,
            delivered=fanout.tally.events,
            delivered_bytes=fanout.tally.bytes,
            ephemeral_dropped=fanout.ephemeral_dropped,
            ring_bytes=fanout.ring.size,
        )

    # -- private

    @property
    def _timers_at_work(self) -> Timers:
        if self._timers is None:
            raise HubClosed("the hub is not open; use `async with hub`")
        return self._timers

    def _check(self, events: Sequence[Event]) -> None:
        if self._closed or self._fanout is None:
            raise HubClosed("the hub is not open")
        if not events:
            raise InvalidEvent("data", "there is no event to publish")
        if len(events) > self.settings.batch_events:
            raise TooLarge("batch", size=len(events), limit=self.settings.batch_events, unit="events")
        for event in events:
            topic = check_topic(event.topic or "")
            if topic.startswith(HUB_PREFIX):
                raise TopicReserved(topic)
            if event.size > self.settings.event_bytes:
                raise TooLarge("event", size=event.size, limit=self.settings.event_bytes)

    def _pass_by(self, event: Event) -> None:
        self.fanout.pass_by(event.stamped(id=None, topic=event.topic or "", time=time.time_ns() // 1_000_000))

    def _take_page(self, page: Page) -> None:
        fanout = self.fanout
        fanout.ring.extend(page.entries, page.scanned_to, flushed=fanout.flushed)
        if fanout.ring.size > fanout.ring.max_bytes:
            self._flush()  # what is not flushed cannot be trimmed: a flood must not outgrow the ring for a tick
            return
        if self._flush_timer is not None:
            return
        loop = asyncio.get_running_loop()
        wait = self._last_flush + self.settings.tick - loop.time()
        if wait <= 0:
            self._flush()
        else:
            self._flush_timer = loop.call_later(wait, self._flush)

    def _flush(self) -> None:
        if self._flush_timer is not None:
            self._flush_timer.cancel()
            self._flush_timer = None
        self.fanout.flush()
        self._last_flush = asyncio.get_running_loop().time()

    def _lose(self, oldest: int, dropped: int | None, reason: str) -> None:
        self.fanout.skip_to(oldest, dropped=dropped, reason=reason)

    def _start_over(self, epoch: str, newest: int) -> None:
        self.fanout.start_over(epoch, newest)


def _check_ephemeral(events: Sequence[Event], idempotency_key: str | None) -> None:
    if any(event.end for event in events):
        raise InvalidInput("ephemeral", "cannot go with end: an end is kept, an ephemeral event is not")
    if idempotency_key is not None:
        raise InvalidInput("Idempotency-Key", "cannot go with ephemeral: nothing is kept to compare with")

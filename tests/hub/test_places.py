"""The ids that control events carry, and what a reader is told when the ground under it moves."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator

import pytest

from echostream.event import Event
from echostream.exceptions import EchostreamError, EpochChanged, LogCorrupt, LogUnavailable
from echostream.hub import Hub, HubSettings, Reader
from echostream.hub.reader import State
from echostream.log import Bounds, Entry, MemoryLog, Page
from echostream.topic import TopicSet
from echostream.wire import NDJSON, SSE, Encoder, SseMessage
from support.outlets import HandOutlet
from support.settle import until


async def attach(
    hub: Hub, *topics: str, since: str = "latest", encoder: Encoder = SSE, live: bool = True, high_mark: int = 2**40
) -> tuple[Reader, HandOutlet]:
    outlet = HandOutlet(high_mark)
    beginning = await hub.find_beginning(TopicSet(topics), since=since, last_event_id=None)
    reader = hub.attach(TopicSet(topics), encoder, outlet, beginning, until=None if live else beginning.newest)
    reader.begin()
    return reader, outlet


async def flushed(hub: Hub) -> None:
    newest = (await hub.bounds()).newest
    await until(lambda: hub.fanout.flushed == newest)


def last(outlet: HandOutlet, name: str) -> SseMessage:
    return [message for message in outlet.events() if message.event == name][-1]


async def test_an_end_that_is_caught_up_names_no_position_past_what_it_gave():
    """The log's page may reach further than the reader wants to go."""
    async with Hub(settings=HubSettings(ring_bytes=500)) as hub:
        for number in range(100):
            await hub.publish("a", str(number))
        await flushed(hub)
        reader, outlet = await attach(hub, "a", since="earliest", live=False)
        for number in range(100, 120):
            await hub.publish("a", str(number))
        await until(lambda: reader.state is State.ENDED)
        assert len(outlet.data()) == 100
        assert last(outlet, "stream-end").last_event_id == f"{hub.fanout.epoch}.100"


async def test_a_stream_that_is_drained_before_it_began_names_its_start():
    async with Hub() as hub:
        for number in range(3):
            await hub.publish("a", str(number))
        place = f"{hub.fanout.epoch}.2"
        beginning = await hub.find_beginning(TopicSet(["a"]), since="latest", last_event_id=place)
        outlet = HandOutlet()
        reader = hub.attach(TopicSet(["a"]), SSE, outlet, beginning)
        hub.drain()  # while the response's head is on its way
        reader.begin()
        assert last(outlet, "stream-end").last_event_id == place
        assert outlet.ending == "clean"


class ReplacedLog(MemoryLog):
    """A log that becomes another one while it is followed, as one on a server can."""

    def __init__(self) -> None:
        super().__init__()
        self.replaced = asyncio.Event()
        self.told = False
        self.failures = 0

    def replace(self, epoch: str) -> None:
        self._epoch = epoch
        self._entries.clear()
        self._newest = 0
        for offset in range(1, 4):
            self._entries.append(Entry(offset, Event(data=f"new {offset}", topic="a", id=f"{epoch}.{offset}")))
        self._newest = 3
        self._feed.newest = 3
        self.replaced.set()

    async def bounds(self) -> Bounds:
        if self.replaced.is_set() and self.failures:
            self.failures -= 1
            raise LogUnavailable("away for a moment")
        return await super().bounds()

    async def follow(self, after: int) -> AsyncGenerator[Page, None]:
        pages = super().follow(after)
        try:
            while True:
                step = asyncio.ensure_future(anext(pages))
                change = asyncio.ensure_future(self.replaced.wait())
                try:
                    await asyncio.wait([step] if self.told else [step, change], return_when=asyncio.FIRST_COMPLETED)
                finally:
                    change.cancel()
                if not self.told and self.replaced.is_set():
                    self.told = True
                    step.cancel()
                    await asyncio.gather(step, return_exceptions=True)
                    raise EpochChanged(self._epoch)
                try:
                    yield step.result()
                except StopAsyncIteration:
                    return
        finally:
            await pages.aclose()


async def test_readers_of_a_log_that_was_replaced_come_back_with_the_old_epoch():
    """An id of the new epoch would say that what the new log holds was read."""
    log = ReplacedLog()
    async with Hub(log) as hub:
        old = hub.fanout.epoch
        _, live = await attach(hub, "a")
        _, full = await attach(hub, "a", high_mark=10)
        await hub.publish("a", "of the old log")
        await flushed(hub)
        log.replace("another")
        await until(lambda: live.ending and full.ending)
        assert last(live, "stream-error").last_event_id == f"{old}.1"
        assert json.loads(last(live, "stream-error").data)["code"] == "epoch-changed"
        assert last(full, "stream-error").last_event_id == f"{old}.0"
        reader, again = await attach(hub, "a", since=f"{old}.1")
        await until(lambda: reader.state is State.LIVE)
        assert again.controls() == ["stream-open", "stream-gap"]
        assert again.data() == ["new 1", "new 2", "new 3"]
        await hub.publish("a", "goes on")
        await flushed(hub)
        assert again.data()[-1] == "goes on"


async def test_a_subscription_to_a_log_that_was_replaced_is_told():
    log = ReplacedLog()
    async with Hub(log) as hub, hub.subscribe("a") as subscription:
        waiting = asyncio.ensure_future(anext(subscription))
        await asyncio.sleep(0)
        log.replace("another")
        with pytest.raises(EpochChanged):
            await waiting


async def test_a_log_that_is_away_just_when_it_was_replaced_is_followed_again():
    log = ReplacedLog()
    async with Hub(log) as hub:
        log.failures = 2
        log.replace("another")
        await until(lambda: hub.fanout.epoch == "another")
        await until(lambda: log.failures == 0)
        await hub.ready()


async def test_a_reader_that_began_between_two_epochs_is_told():
    log = ReplacedLog()
    async with Hub(log) as hub:
        beginning = await hub.find_beginning(TopicSet(["a"]), since="latest", last_event_id=None)
        log.replace("another")
        await until(lambda: hub.fanout.epoch == "another")
        outlet = HandOutlet()
        hub.attach(TopicSet(["a"]), SSE, outlet, beginning).begin()
        assert outlet.controls() == ["stream-error"]


class DamagedLog(MemoryLog):
    """A log of which one entry cannot be followed."""

    damaged: int | None = None
    error: Exception | None = None

    async def follow(self, after: int) -> AsyncGenerator[Page, None]:
        async for page in super().follow(after):
            if self.error is not None:
                error, self.error = self.error, None
                raise error
            if self.damaged is not None and after < self.damaged <= page.scanned_to:
                raise LogCorrupt("damaged", self.damaged)
            yield page


@pytest.mark.parametrize("encoder", [SSE, NDJSON])
async def test_what_the_tail_loses_is_told_to_everyone(encoder: Encoder):
    log = DamagedLog()
    async with Hub(log) as hub:
        _, live = await attach(hub, "a", encoder=encoder)
        ahead, waits = await attach(hub, "a", encoder=encoder)
        # As one that read the log past what the tail had come to:
        hub.fanout.forget(ahead)
        ahead.state, ahead.position = State.CATCHING, 1
        hub.fanout.readers.add(ahead)
        hub.fanout.wait_for_flush(ahead)
        async with hub.subscribe("a") as subscription:
            log.damaged = 1
            await hub.publish("a", "never followed")
            await until(lambda: hub.fanout.flushed == 1)
            assert b"corrupt" in live.take()
            assert ahead.state is State.LIVE
            waits.take()
            step = asyncio.ensure_future(anext(subscription))
            await hub.publish("a", "next")
            await flushed(hub)
            assert (await step).data in ("never followed", "next")
            assert waits.take().count(b'"next"' if encoder is NDJSON else b"next") == 1


@pytest.mark.parametrize("error", [RuntimeError("a bug"), LogUnavailable("away"), EchostreamError("odd")])
async def test_the_tail_goes_on_after_an_error_of_any_kind(error: Exception):
    log = DamagedLog()
    async with Hub(log) as hub:
        _, outlet = await attach(hub, "a")
        log.error = error
        await hub.publish("a", "1")
        await hub.publish("a", "2")
        await flushed(hub)
        assert outlet.data() == ["1", "2"]
        await hub.ready()
        assert len(log._feed._followers) == 1


async def test_a_log_that_was_away_is_well_again_though_nothing_is_published():
    class Away(MemoryLog):
        times = 2

        async def follow(self, after: int) -> AsyncGenerator[Page, None]:
            self.times -= 1
            if self.times >= 0:
                raise LogUnavailable("away for a moment")
            async for page in super().follow(after):
                yield page

    async with Hub(Away()) as hub:
        failures: list[EchostreamError] = []

        async def well() -> bool:
            try:
                await hub.ready()
            except LogUnavailable as error:
                failures.append(error)
                return False
            return bool(failures)

        async with asyncio.timeout(10):
            while not await well():
                await asyncio.sleep(0.01)


async def test_a_hub_that_cannot_open_leaves_its_log_closed():
    class Away(MemoryLog):
        closed = False

        async def bounds(self) -> Bounds:
            raise LogUnavailable("away")

        async def aclose(self) -> None:
            self.closed = True

    log = Away()
    with pytest.raises(LogUnavailable):
        async with Hub(log):
            pass
    assert log.closed


async def test_a_log_that_cannot_close_leaves_no_tail_behind():
    class Stuck(MemoryLog):
        async def aclose(self) -> None:
            raise LogUnavailable("cannot close")

    before = len(asyncio.all_tasks())
    hub = await Hub(Stuck()).open()
    with pytest.raises(LogUnavailable):
        await hub.aclose()
    assert len(asyncio.all_tasks()) == before


async def test_catching_up_on_large_events_reads_each_of_them_about_once():
    class Counting(MemoryLog):
        entries = 0

        async def read(self, after: int, limit: int, topics: TopicSet | None = None) -> Page:
            page = await super().read(after, limit, topics)
            self.entries += len(page.entries)
            return page

    log = Counting(max_bytes=2**30)
    async with Hub(log, settings=HubSettings(ring_bytes=500)) as hub:
        for _ in range(300):
            await hub.publish("a", "x" * 100_000)
        await flushed(hub)
        log.entries = 0
        reader, outlet = await attach(hub, "a", since="earliest", high_mark=64 * 1024)
        await until(lambda: (outlet.take(), reader.state is State.LIVE)[1])
        assert outlet.sent.count(b"data: x") == 300
        assert log.entries < 3 * 300

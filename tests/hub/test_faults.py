"""What raises, or calls back, in the middle of a flush: nobody else may lose anything by it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from echostream.event import Event
from echostream.hub import Hub, HubSettings, Reader, StreamReport, StreamSettings
from echostream.hub.reader import State
from echostream.hub.timers import Timers
from echostream.log import MemoryLog, Page
from echostream.topic import TopicSet
from echostream.wire import NDJSON, SSE, SseEncoder
from support.outlets import HandOutlet
from support.readers import attach, flushed
from support.settle import until


class Fussy(SseEncoder):
    """An encoder with a bug."""

    def event(self, event: Event) -> bytes:
        if event.data == "bad":
            raise RuntimeError("a bug in an encoder")
        return super().event(event)


class Broken(HandOutlet):
    """An outlet with a bug, once told so."""

    broken = False

    def write(self, data: bytes) -> None:
        if self.broken:
            raise RuntimeError("a bug in an outlet")
        super().write(data)


async def test_an_encoder_that_raises_cuts_its_own_readers_alone(hub: Hub):
    reports: list[StreamReport] = []
    _, before = await attach(hub, "a", encoder=NDJSON)
    _, fussy = await attach(hub, "a", encoder=Fussy(envelope=False), on_end=reports.append)
    _, after = await attach(hub, "a")
    for data in ("1", "bad", "2"):
        await hub.publish("a", data)
    await flushed(hub)
    assert after.data() == ["1", "bad", "2"]
    assert before.take().count(b'"data"') == 3
    assert fussy.ending == "aborted"
    assert [report.reason for report in reports] == ["error"]
    await hub.ready()


async def test_an_encoder_that_raises_cuts_a_reader_that_reads_the_log():
    async with Hub(settings=HubSettings(ring_bytes=500)) as hub:
        for data in ("1", "bad", *map(str, range(20))):
            await hub.publish("a", data)
        await flushed(hub)
        reader, outlet = await attach(hub, "a", encoder=Fussy(envelope=False), since="earliest")
        assert reader.state is State.READING
        await until(lambda: reader.state is State.ENDED)
        assert outlet.ending == "aborted"


async def test_an_outlet_that_raises_is_cut_alone(hub: Hub):
    outlets = [Broken() if number == 3 else HandOutlet() for number in range(7)]
    for outlet in outlets:
        await attach(hub, "a", outlet=outlet)
    broken = outlets.pop(3)
    assert isinstance(broken, Broken)
    broken.broken = True
    await hub.publish("a", "1")
    await hub.publish("a", "2")
    await flushed(hub)
    assert [outlet.data() for outlet in outlets] == [["1", "2"]] * 6
    assert broken.ending == "aborted"
    assert hub.statistics().readers == 6
    await hub.ready()


async def test_a_callback_that_raises_disturbs_nobody(hub: Hub):
    def complain(_report: StreamReport) -> None:
        raise RuntimeError("a bug in the application")

    _, first = await attach(hub, "a", on_end=complain)
    _, second = await attach(hub, "a", on_end=complain)
    _, other = await attach(hub, "a", "b")
    await hub.publish("a", "last", end=True)
    await hub.publish("b", "goes on")
    await flushed(hub)
    assert first.ending == second.ending == "clean"
    assert other.data() == ["last", "goes on"]
    await hub.ready()


async def test_an_event_of_the_hubs_own_in_the_middle_of_a_flush_takes_nobodys_place(hub: Hub):
    """A stream that ends in a flush is told on `hub/streams`; readers of both topics may not have had the flush yet."""

    def tell(_report: StreamReport) -> None:
        hub.publish_own("hub/streams", "closed")

    watchers: list[tuple[Reader, HandOutlet]] = []
    for other in ("t", "u", "v", "w", "x", "y"):  # groups of their own, flushed before and after the ending one
        if other == "w":
            await attach(hub, "a", on_end=tell)
        watchers.append(await attach(hub, "a", other, "hub/streams", outlet=HandOutlet(high_mark=200)))
    for _, outlet in watchers:
        outlet.take()
        outlet.high_mark = 1
    await hub.publish("a", "last", end=True)
    await flushed(hub)
    for reader, outlet in watchers:
        await until(lambda reader=reader, outlet=outlet: (outlet.take(), reader.state is State.LIVE)[1])
        assert [data for data in outlet.data() if data != "closed"] == ["last"]


async def test_a_reader_that_begins_in_the_middle_of_a_flush_gets_an_event_once(hub: Hub):
    begun: list[HandOutlet] = []
    place = str(hub.fanout.epoch) + ".0"
    beginning = await hub.find_beginning(TopicSet(["a", "b"]), since=place, last_event_id=None)

    def begin(_report: StreamReport) -> None:
        outlet = HandOutlet()
        begun.append(outlet)
        hub.attach(TopicSet(["a", "b"]), SSE, outlet, beginning).begin()

    for topics in (["a", "b"], ["a", "b", "c"]):
        await attach(hub, *topics)
    await attach(hub, "a", on_end=begin)
    _, last = await attach(hub, "b", "a", encoder=NDJSON)
    await hub.publish("a", "last", end=True)
    await flushed(hub)
    assert last.take().count(b'"last"') == 1
    assert [outlet.data() for outlet in begun] == [["last"]]


class StuckLog(MemoryLog):
    """A log that does not answer reads once it is told so."""

    stuck = False

    async def read(self, after: int, limit: int, topics: TopicSet | None = None) -> Page:
        if self.stuck:
            await asyncio.get_running_loop().create_future()
        return await super().read(after, limit, topics)


@pytest.mark.parametrize("how", ["gone", "drained"])
async def test_a_reader_that_ends_while_the_log_is_read_leaves_no_task(how: str):
    log = StuckLog()
    async with Hub(log, settings=HubSettings(ring_bytes=500)) as hub:
        for number in range(20):
            await hub.publish("a", str(number))
        await flushed(hub)
        log.stuck = True
        before = asyncio.all_tasks()
        reader, outlet = await attach(hub, "a", since="earliest")
        assert reader.state is State.READING
        await asyncio.sleep(0)
        outlet.on_gone() if how == "gone" else hub.drain()
        await until(lambda: asyncio.all_tasks() <= before)
        assert reader.state is State.ENDED


async def test_a_timer_that_raises_stops_no_other(hub: Hub):
    outlet = Broken()
    await attach(hub, "a", outlet=outlet, settings=StreamSettings(heartbeat=0.01))
    outlet.take()
    outlet.broken = True
    await until(lambda: outlet.ending is not None)
    _, healthy = await attach(hub, "a", settings=StreamSettings(heartbeat=0.01))
    await until(lambda: (healthy.take(), healthy.sent.count(b":\n\n") > 2)[1])


async def test_a_timer_of_another_kind_that_raises_stops_no_other():
    class Item:
        bucket: int | None = None
        calls = 0

        def __init__(self, *, bad: bool) -> None:
            self.bad = bad

        def due(self, now: float) -> None:
            self.calls += 1
            if self.bad:
                raise RuntimeError("a bug")

    loop = asyncio.get_running_loop()
    complaints: list[Any] = []
    loop.set_exception_handler(lambda _loop, context: complaints.append(context))
    timers = Timers(loop, 0.001)
    items = [Item(bad=number < 3) for number in range(6)]
    for item in items:
        timers.schedule(item, loop.time())
    await until(lambda: all(item.calls for item in items))
    late = Item(bad=False)
    timers.schedule(late, loop.time())
    await until(lambda: late.calls)
    timers.stop()

"""A reader's life on an outlet in the test's hands: joining, falling behind, coming back, ending."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable

import pytest

from echostream.event import Event
from echostream.exceptions import LogCorrupt, LogUnavailable
from echostream.hub import FanOut, Hub, HubSettings, Reader, StreamReport, StreamSettings
from echostream.hub.reader import State
from echostream.hub.ring import Ring
from echostream.hub.start import Start
from echostream.log import Entry, MemoryLog, Page
from echostream.topic import TopicSet
from echostream.wire import JSON_ARRAY, NDJSON, SSE, TEXT, Encoder, SseDecoder
from support.outlets import HandOutlet, HandTimers
from support.readers import attach, flushed
from support.settle import until


async def test_a_live_reader_gets_what_is_published_and_nothing_else(hub: Hub):
    reader, outlet = await attach(hub, "a", "b/*")
    for topic in ("a", "b/1", "c", "b/1/2", "a"):
        await hub.publish(topic, f"for {topic}")
    await flushed(hub)
    assert outlet.data() == ["for a", "for b/1", "for a"]
    assert reader.state is State.LIVE
    assert outlet.controls() == ["stream-open"]


async def test_overlapping_topics_give_an_event_once(hub: Hub):
    _, outlet = await attach(hub, "a/b", "a/*", "**")
    await hub.publish("a/b", "once")
    await flushed(hub)
    assert outlet.data() == ["once"]


async def test_the_bytes_are_the_same_object_for_every_reader(hub: Hub):
    outlets = [(await attach(hub, "a"))[1] for _ in range(3)]
    await hub.publish("a", "shared")
    await flushed(hub)
    first, second, third = (outlet.writes[-1] for outlet in outlets)
    assert first is second is third


async def test_events_of_one_tick_leave_as_one_write(hub: Hub):
    _, outlet = await attach(hub, "a")
    await hub.publish("a", "0")  # idle: leaves at once, and begins a tick
    for number in range(1, 50):
        await hub.publish("a", str(number))
    await flushed(hub)
    assert outlet.data() == [str(number) for number in range(50)]
    assert len(outlet.writes) < 25


async def test_a_write_is_at_most_64_kib_or_one_event(hub: Hub):
    _, outlet = await attach(hub, "a")
    await hub.publish("a", "x" * 200_000)
    await hub.publish("a", "x" * 40_000)
    await hub.publish("a", "x" * 40_000)
    await flushed(hub)
    sizes = [len(write) for write in outlet.writes]
    assert max(size for size in sizes if size < 200_000) <= 64 * 1024
    assert len(outlet.data()) == 3


async def test_a_full_reader_keeps_a_number_and_comes_back_without_loss(hub: Hub):
    reader, outlet = await attach(hub, "a", outlet=HandOutlet(1000))
    other, quick = await attach(hub, "a")
    for number in range(500):
        await hub.publish("a", f"event {number}")
    await flushed(hub)
    assert reader.state is State.FULL
    assert outlet.waiting < 1000 + 64 * 1024
    assert reader not in reader.group.live
    assert outlet.data() == quick.data() == [f"event {number}" for number in range(500)]
    assert reader.state is State.LIVE
    await hub.publish("a", "after")
    await flushed(hub)
    assert outlet.data()[-1] == "after"
    assert other.state is State.LIVE


async def test_a_reader_far_behind_reads_from_the_log():
    async with Hub(MemoryLog(), settings=HubSettings(ring_bytes=2000)) as hub:
        for number in range(300):
            await hub.publish("a" if number % 3 else "b", str(number))
        await flushed(hub)
        assert hub.fanout.ring.floor > 200
        reader, outlet = await attach(hub, "a", since="earliest")
        await until(lambda: reader.state is State.LIVE)
        assert outlet.data() == [str(number) for number in range(300) if number % 3]


async def test_what_is_published_while_the_log_is_read_comes_once():
    async with Hub(MemoryLog(), settings=HubSettings(ring_bytes=500)) as hub:
        for number in range(100):
            await hub.publish("a", str(number))
        await flushed(hub)
        reader, outlet = await attach(hub, "a", since="earliest")
        assert reader.state is State.READING
        for number in range(100, 150):
            await hub.publish("a", str(number))
        await until(lambda: reader.state is State.LIVE)
        assert outlet.data() == [str(number) for number in range(150)]


async def test_a_reader_ahead_of_the_flush_waits_for_it(hub: Hub):
    published = await hub.publish("a", "before")
    # The id is known to the publisher; the flush of that tick may not have come yet.
    reader, outlet = await attach(hub, "a", since=published.ids[0])
    await hub.publish("a", "after")
    await flushed(hub)
    await until(lambda: reader.state is State.LIVE)
    assert outlet.data() == ["after"]


async def test_trimmed_entries_are_told_as_a_gap_in_the_middle():
    async with Hub(MemoryLog(max_bytes=20_000), settings=HubSettings(ring_bytes=500)) as hub:
        reader, outlet = await attach(hub, "a", outlet=HandOutlet(100))
        await hub.publish("a", "first")
        await flushed(hub)
        for number in range(200):
            await hub.publish("a", f"filler {number}")
        await flushed(hub)
        oldest = (await hub.bounds()).oldest
        assert oldest > 10
        await until(lambda: bool(outlet.take()) or reader.state is State.LIVE)
        await until(lambda: (outlet.take(), reader.state is State.LIVE)[1])
        data = outlet.data()
        gaps = [json.loads(message.data) for message in outlet.events() if message.event == "stream-gap"]
        assert len(gaps) == 1
        assert gaps[0]["oldest"] == f"{hub.fanout.epoch}.{oldest}"
        assert gaps[0]["reason"] == "trimmed"
        assert data[-1] == "filler 199"
        told_after = int(gaps[0]["after"].split(".")[1])
        got = [int(m.last_event_id.split(".")[1]) for m in outlet.events() if not m.event.startswith("stream-")]
        assert set(range(1, 202)) - set(got) == set(range(told_after + 1, oldest))


@pytest.mark.parametrize(("encoder", "ending"), [(SSE, None), (NDJSON, None), (TEXT, "cut")])
async def test_a_format_that_cannot_tell_a_gap_is_cut(encoder: Encoder, ending: str | None):
    async with Hub(MemoryLog(max_bytes=20_000), settings=HubSettings(ring_bytes=500)) as hub:
        reader, outlet = await attach(hub, "a", encoder=encoder, outlet=HandOutlet(100))
        for number in range(200):
            await hub.publish("a", f"filler {number}")
        await flushed(hub)
        await until(lambda: (outlet.take(), reader.state in (State.LIVE, State.ENDED))[1])
        assert outlet.ending == ending


async def test_ephemeral_events_reach_who_is_live_and_are_counted_for_who_is_not(hub: Hub):
    _, live = await attach(hub, "a")
    stuck, stalled = await attach(hub, "a", outlet=HandOutlet(10))  # full with its stream-open
    assert stuck.state is State.FULL
    published = await hub.publish("a", "typing", ephemeral=True)
    assert published.ids == ()
    (message,) = [m for m in live.events() if m.data == "typing"]
    assert "id:" not in live.sent.decode().split("typing")[0].rsplit("\n\n", 1)[-1]
    assert message.last_event_id == f"{hub.fanout.epoch}.0"
    assert stalled.data() == []
    assert hub.statistics().ephemeral_dropped == 1


async def test_a_finished_topic_ends_its_readers_live_and_behind(hub: Hub):
    reports: list[StreamReport] = []
    _, live = await attach(hub, "a", on_end=reports.append)
    _, behind = await attach(hub, "a", outlet=HandOutlet(10), on_end=reports.append)
    _, both = await attach(hub, "a", "b")
    _, pattern = await attach(hub, "*")
    await hub.publish("a", "last", end=True)
    await flushed(hub)
    for outlet in (live, behind):
        assert outlet.data() == ["last"]
        assert outlet.controls() == ["stream-open", "stream-end"]
        assert outlet.ending == "clean"
    assert both.ending is pattern.ending is None
    await hub.publish("b", None, end=True)
    await flushed(hub)
    assert both.data() == ["last"]
    assert both.ending == "clean"
    assert pattern.ending is None
    assert [report.reason for report in reports] == ["finished", "finished"]
    assert [report.events for report in reports] == [1, 1]


async def test_an_end_that_another_reader_knows_of_does_not_end_who_has_not_come_there():
    timed = Timed()
    timed.reader.group.ends["a"] = 2  # as a reader that begins now, and asks the log, would say
    events = [Event(data="1", topic="a", id="e.1"), Event(data="2", topic="a", id="e.2", end=True)]
    for offset, event in enumerate(events, 1):
        assert timed.outlet.ending is None
        timed.fanout.ring.extend([Entry(offset, event)], scanned_to=offset, flushed=timed.fanout.flushed)
        timed.fanout.flush()
    assert timed.outlet.ending == "clean"
    assert timed.outlet.data() == ["1", "2"]


async def test_a_reader_without_live_ends_with_what_is_kept(hub: Hub):
    for number in range(3):
        await hub.publish("a", str(number))
    await flushed(hub)
    for encoder, whole in ((TEXT, b"0\n1\n2\n"), (JSON_ARRAY, None)):
        _, outlet = await attach(hub, "a", encoder=encoder, since="earliest", live=False)
        outlet.take()
        assert outlet.ending == "clean"
        if whole is None:
            assert [item["data"] for item in json.loads(outlet.sent)] == ["0", "1", "2"]
        else:
            assert outlet.sent == whole


async def test_an_empty_array_is_an_array(hub: Hub):
    _, outlet = await attach(hub, "nothing", encoder=JSON_ARRAY, since="earliest", live=False)
    assert outlet.take() == b"[]"


async def test_an_array_over_many_full_outlets_is_one_array():
    async with Hub(MemoryLog(), settings=HubSettings(ring_bytes=3000)) as hub:
        for number in range(200):
            await hub.publish("a", str(number))
        await flushed(hub)
        reader, outlet = await attach(hub, "a", encoder=JSON_ARRAY, since="earliest", live=False, outlet=HandOutlet(50))
        await until(lambda: (outlet.take(), reader.state is State.ENDED)[1])
        outlet.take()
        assert [item["data"] for item in json.loads(outlet.sent)] == [str(number) for number in range(200)]


@pytest.mark.parametrize(("encoder", "ending"), [(SSE, "clean"), (NDJSON, "clean"), (TEXT, "cut")])
async def test_drain_ends_at_an_event_boundary_and_nothing_looks_whole_that_is_not(
    hub: Hub, encoder: Encoder, ending: str
):
    _, outlet = await attach(hub, "a", encoder=encoder)
    await hub.publish("a", "x")
    await flushed(hub)
    hub.drain()
    outlet.take()
    assert outlet.ending == ending
    if encoder is SSE:
        (end,) = [m for m in SseDecoder().feed(outlet.sent) if m.event == "stream-end"]
        assert json.loads(end.data) == {"reason": "drain"}
        assert end.last_event_id == f"{hub.fanout.epoch}.1"
        assert b"retry: " in outlet.sent.split(b"stream-end")[1]


async def test_a_peer_that_goes_leaves_nothing_behind(hub: Hub):
    reports: list[StreamReport] = []
    _, outlet = await attach(hub, "a", "b/**", on_end=reports.append)
    await hub.publish("a", "x")
    await flushed(hub)
    outlet.on_gone()
    assert outlet.ending is None
    (report,) = reports
    assert (report.reason, report.events, report.topics) == ("gone", 1, 2)
    assert report.bytes == len(outlet.take())
    assert report.first_event is not None
    fanout = hub.fanout
    assert not fanout.readers
    assert fanout.groups.topics_followed == 0
    assert not hub.listening("a")


class BadLog(MemoryLog):
    """A log whose reads fail as told; everything else is real."""

    damage: Callable[[int], Awaitable[None]] | None = None

    async def read(self, after: int, limit: int, topics: TopicSet | None = None) -> Page:
        if self.damage is not None:
            await self.damage(after)
        return await super().read(after, limit, topics)


async def test_a_damaged_entry_is_told_and_never_served():
    log = BadLog()
    async with Hub(log, settings=HubSettings(ring_bytes=500)) as hub:
        for number in range(1, 101):
            await hub.publish("a", str(number))
        await flushed(hub)
        real = MemoryLog.read

        async def damage_7(after: int) -> None:
            if after == 6:
                raise LogCorrupt("entry 7 is damaged", 7)

        async def read(after: int, limit: int, topics: TopicSet | None = None) -> Page:
            await damage_7(after)
            page = await real(log, after, limit, topics)
            before = [entry for entry in page.entries if not (after < 7 <= entry.offset)]
            return page if len(before) == len(page.entries) else Page(before, 6, page.epoch)

        log.read = read  # type: ignore[method-assign]
        reader, outlet = await attach(hub, "a", since="earliest")
        await until(lambda: reader.state is State.LIVE)
        assert outlet.data() == [str(number) for number in range(1, 101) if number != 7]
        (gap,) = [json.loads(m.data) for m in outlet.events() if m.event == "stream-gap"]
        assert (gap["reason"], gap["dropped"]) == ("corrupt", None)


async def test_a_log_that_fails_ends_the_stream_with_its_code():
    log = BadLog()
    async with Hub(log, settings=HubSettings(ring_bytes=500)) as hub:
        for number in range(100):
            await hub.publish("a", str(number))
        await flushed(hub)

        async def fail(_after: int) -> None:
            raise LogUnavailable("the disk is away")

        log.damage = fail
        for encoder, ending in ((SSE, "clean"), (NDJSON, "cut"), (TEXT, "cut")):
            reader, outlet = await attach(hub, "a", since="earliest", encoder=encoder)
            await until(lambda reader=reader: reader.state is State.ENDED)
            outlet.take()
            assert outlet.ending == ending
            assert (b"log-unavailable" in outlet.sent) == (encoder is not TEXT)


class Timed:
    """A reader of an idle fan-out on a clock that the test turns."""

    def __init__(self, encoder: Encoder = SSE, high_mark: int = 2**40, **settings: float) -> None:
        self.timers = HandTimers()
        self.fanout = FanOut(Ring(1000, start=0), epoch="e", chunk_bytes=1000, clock=self.timers.clock)
        self.outlet = HandOutlet(high_mark)
        self.reports: list[StreamReport] = []
        self.reader = Reader(
            self.fanout,
            TopicSet(["a"]),
            encoder,
            self.outlet,
            Start("e", 0, "live"),
            log=MemoryLog(),
            timers=self.timers,  # type: ignore[arg-type]
            settings=StreamSettings(**settings),
            on_end=self.reports.append,
        )
        self.reader.begin()

    def publish(self, data: str) -> None:
        offset = self.fanout.ring.end + 1
        entry = Entry(offset, Event(data=data, topic="a", id=f"e.{offset}"))
        self.fanout.ring.extend([entry], scanned_to=offset, flushed=self.fanout.flushed)
        self.fanout.flush()

    def pass_other_entries(self, to: int) -> None:
        self.fanout.ring.extend([], scanned_to=to, flushed=self.fanout.flushed)
        self.fanout.flush()


async def test_a_heartbeat_is_sent_only_when_nothing_else_was():
    timed = Timed(heartbeat=15)
    timed.outlet.take()
    timed.timers.advance(14.9)
    assert timed.outlet.take() == b""
    timed.timers.advance(15.2)
    assert timed.outlet.take() == b":\n\n"
    timed.timers.advance(30.3)
    assert timed.outlet.take() == b":\n\n"


async def test_a_position_that_moved_is_told_instead_of_a_heartbeat():
    timed = Timed(heartbeat=15)
    timed.outlet.take()
    timed.pass_other_entries(to=7)
    timed.timers.advance(15.2)
    assert timed.outlet.take() == b"event: stream-at\nid: e.7\ndata: {}\n\n"
    timed.timers.advance(30.5)
    assert timed.outlet.take() == b":\n\n"


async def test_a_format_without_heartbeats_gets_none():
    timed = Timed(encoder=TEXT, heartbeat=1)
    timed.timers.advance(10)
    assert timed.outlet.take() == b""


async def test_a_deadline_ends_at_an_event_boundary_within_ten_per_cent():
    timed = Timed(deadline=100, heartbeat=1000)
    timed.timers.advance(89.9)
    assert timed.outlet.ending is None
    timed.timers.advance(110.1)
    assert timed.outlet.ending == "clean"
    assert timed.outlet.controls()[-1] == "stream-end"
    assert timed.reports[0].reason == "deadline"


async def test_a_full_socket_is_cut_after_the_send_timeout():
    timed = Timed(high_mark=10, send_timeout=30, heartbeat=15)
    assert timed.reader.state is State.FULL
    timed.timers.advance(29.9)
    assert timed.outlet.ending is None
    timed.timers.advance(30.2)
    assert timed.outlet.ending == "aborted"
    assert timed.reports[0].reason == "send-timeout"


async def test_a_socket_that_drains_in_time_is_not_cut_and_has_heartbeats_again():
    timed = Timed(high_mark=10, send_timeout=30, heartbeat=15)
    timed.timers.advance(29)
    timed.outlet.take()
    assert timed.reader.state is State.LIVE
    timed.timers.advance(31)
    timed.outlet.take()
    timed.timers.advance(59)
    assert timed.outlet.ending is None


async def test_bytes_that_wait_below_the_high_mark_are_covered_too():
    # A heartbeat to a peer that has vanished never fills the outlet; the send timeout still ends it.
    timed = Timed(send_timeout=30, heartbeat=15)
    timed.timers.advance(31)
    assert timed.outlet.ending == "aborted"


async def test_a_peer_that_took_what_waited_is_not_cut_for_having_been_slow():
    timed = Timed(send_timeout=30, heartbeat=15)
    timed.timers.advance(16)  # bytes have waited for longer than a heartbeat
    timed.outlet.take()
    timed.timers.advance(31)
    assert timed.outlet.ending is None
    assert timed.outlet.take() == b":\n\n"


async def test_a_peer_that_takes_a_part_in_time_is_not_cut():
    timed = Timed(send_timeout=30, heartbeat=15)
    timed.timers.advance(16)
    timed.outlet.take()
    timed.timers.advance(29)
    timed.publish("just before it would have been cut")
    timed.timers.advance(31)
    assert timed.outlet.ending is None
    timed.timers.advance(75)
    assert timed.outlet.ending == "aborted"

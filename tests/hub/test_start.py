"""Where a subscription begins, and what is told of it."""

from __future__ import annotations

import pytest

from echostream.exceptions import InvalidSince
from echostream.hub import Hub, HubSettings, Start
from echostream.hub.start import Since, parse_since
from echostream.log import MemoryLog
from echostream.position import Position
from echostream.topic import TopicSet
from support.settle import until


@pytest.mark.parametrize(
    ("text", "since"),
    [
        ("latest", Since()),
        ("earliest", Since(earliest=True)),
        ("10m", Since(span_ms=600_000)),
        ("30s", Since(span_ms=30_000)),
        ("250ms", Since(span_ms=250)),
        ("7d", Since(span_ms=604_800_000)),
        ("-20", Since(last=20)),
        ("abc123.42", Since(position=Position("abc123", 42))),
    ],
)
def test_since_is_read(text: str, since: Since):
    assert parse_since(text) == since


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "10",
        "-0",
        "-1000001",
        "10M",
        "1.5h",
        "m",
        "abc.",
        ".1",
        "abc.01",
        "ABC.1",
        "abc.-1",
        "٣m",
        "x" * 9999,
        "a.9223372036854775808",
    ],
)
def test_nonsense_in_since_is_an_error_that_says_what_is_possible(text: str):
    with pytest.raises(InvalidSince, match="latest, earliest, an event's id") as caught:
        parse_since(text)
    assert caught.value.field == "since"
    assert len(str(caught.value)) < 400


async def start(hub: Hub, *topics: str, since: str = "latest", last_event_id: str | None = None) -> Start:
    return (await hub.find_beginning(TopicSet(topics), since=since, last_event_id=last_event_id)).start


async def test_each_way_to_begin():
    now = 1_000_000
    async with Hub(MemoryLog(now=lambda: now)) as hub:
        for number in range(10):
            await hub.publish("a" if number % 2 else "b", str(number))
        epoch = hub.fanout.epoch
        assert await start(hub, "a") == Start(epoch, 10, "live")
        assert await start(hub, "a", since="earliest") == Start(epoch, 0, "live")
        assert (await start(hub, "a", since="-2")).offset == 7
        assert (await start(hub, "a", since="-99")).offset <= 1
        assert await start(hub, "a", since=f"{epoch}.4") == Start(epoch, 4, "resumed")
        assert await start(hub, "a", last_event_id=f"{epoch}.10") == Start(epoch, 10, "resumed")


@pytest.mark.parametrize("told", ["otherepoch.3", "EPOCH.99999", "garbage", "\x00", "x.end", "🙂" * 100])
async def test_an_id_that_means_nothing_here_is_a_reset_from_the_oldest(told: str):
    async with Hub(MemoryLog()) as hub:
        await hub.publish("a", "kept")
        begun = await start(hub, "a", last_event_id=told.replace("EPOCH", hub.fanout.epoch))
        assert (begun.offset, begun.resume) == (0, "reset")
        assert begun.gap is not None
        assert begun.gap.reason == "reset"


async def test_a_trimmed_position_is_a_gap_only_for_who_lost_something():
    async with Hub(MemoryLog(max_bytes=20_000), settings=HubSettings(ring_bytes=500)) as hub:
        await hub.publish("quiet", "q1")
        for number in range(200):
            await hub.publish("noisy", str(number))
        epoch, oldest, newest = await hub.bounds()
        await until(lambda: hub.fanout.flushed == newest)
        assert oldest > 50
        lost = await start(hub, "noisy", last_event_id=f"{epoch}.2")
        assert (lost.resume, lost.offset) == ("gap", oldest - 1)
        assert lost.gap is not None
        assert (lost.gap.after, lost.gap.oldest) == (f"{epoch}.2", f"{epoch}.{oldest}")
        assert (await start(hub, "quiet", last_event_id=f"{epoch}.1")).resume == "resumed"
        assert (await start(hub, "quiet", last_event_id=f"{epoch}.0")).resume == "gap"
        assert (await start(hub, "never", last_event_id=f"{epoch}.0")).resume == "resumed"


async def test_past_the_ends_of_all_its_topics_there_is_nothing_to_open():
    async with Hub() as hub:
        await hub.publish("a", "x", end=True)
        await hub.publish("b", "y")
        for topics, finished in ((("a",), True), (("a", "b"), False), (("*",), False)):
            beginning = await hub.find_beginning(TopicSet(topics), since="latest", last_event_id=None)
            assert beginning.finished is finished
        again = await hub.find_beginning(TopicSet(["a"]), since="earliest", last_event_id=None)
        assert again.finished is False

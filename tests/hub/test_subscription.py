"""Subscriptions in this process: an async iterator that is a position."""

from __future__ import annotations

import asyncio

import pytest

from echostream.event import Event
from echostream.exceptions import HubClosed, InvalidSince, InvalidTopic, PositionGone, TooLarge
from echostream.hub import Hub, HubSettings
from echostream.log import MemoryLog
from support.settle import until


async def test_it_gives_what_was_kept_and_then_what_comes_as_one_sequence():
    async with Hub() as hub:
        for number in range(5):
            await hub.publish("a", str(number))
        async with hub.subscribe("a", since="-3") as subscription:
            assert subscription.start is not None
            assert subscription.start.resume == "live"
            got = [(await anext(subscription)).data for _ in range(3)]
            waiting = asyncio.ensure_future(anext(subscription))
            await hub.publish("b", "not mine")
            await hub.publish("a", "new")
            assert got == ["2", "3", "4"]
            assert (await waiting).data == "new"
            assert subscription.position.offset == 7


async def test_events_carry_id_topic_and_time():
    async with Hub() as hub:
        async with hub.subscribe("a/*") as subscription:
            published = await hub.publish("a/1", {"n": 1}, event="added", key="k")
            event = await anext(subscription)
        assert event.id == published.ids[0]
        assert (event.topic, event.event, event.key, event.data, event.json) == ("a/1", "added", "k", '{"n":1}', True)
        assert event.time is not None
        assert event.time > 1.7e12


async def test_it_resumes_after_the_last_id_it_gave():
    async with Hub() as hub:
        for number in range(5):
            await hub.publish("a", str(number))
        async with hub.subscribe("a", since="earliest") as first:
            await anext(first)
            await anext(first)
            place = str(first.position)
        async with hub.subscribe("a", last_event_id=place) as second:
            assert second.start is not None
            assert second.start.resume == "resumed"
            assert (await anext(second)).data == "2"


async def test_it_ends_with_its_topics():
    async with Hub() as hub:
        await hub.publish("a", "one")
        await hub.publish("a", "two", end=True)
        assert [event.data async for event in hub.subscribe("a", since="earliest")] == ["one", "two"]
        assert [event.data async for event in hub.subscribe("a")] == []
        subscription = hub.subscribe("b")
        waiting = asyncio.ensure_future(anext(subscription, None))
        await until(lambda: hub.listening("b"))
        await hub.publish("b", None, end=True)
        assert await waiting is None
        assert not hub.subscriptions


async def test_what_was_trimmed_is_raised_once_and_the_iteration_can_go_on():
    async with Hub(MemoryLog(max_bytes=20_000), settings=HubSettings(ring_bytes=500)) as hub:
        async with hub.subscribe("a") as subscription:
            for number in range(200):
                await hub.publish("a", str(number))
            await until(lambda: hub.fanout.ring.floor > 100)
            with pytest.raises(PositionGone) as gone:
                await anext(subscription)
            assert (await anext(subscription)).data == str(gone.value.oldest - 1)
            assert [(await anext(subscription)).data for _ in range(3)]


async def test_ephemeral_events_come_too_and_are_counted_when_nobody_takes_them():
    async with Hub() as hub, hub.subscribe("a") as subscription:
        for number in range(300):
            await hub.publish("a", str(number), ephemeral=True)
        assert subscription.dropped == 300 - 256
        event = await anext(subscription)
        assert (event.data, event.id) == ("44", None)


async def test_closing_the_hub_ends_it():
    hub = await Hub().open()
    subscription = hub.subscribe("a")
    waiting = asyncio.ensure_future(anext(subscription, "ended"))
    await until(lambda: hub.listening("a"))
    await hub.aclose()
    assert await waiting == "ended"
    with pytest.raises(HubClosed):
        await anext(hub.subscribe("a"))


async def test_a_cancelled_step_loses_nothing():
    async with Hub() as hub, hub.subscribe("a") as subscription:
        for _ in range(3):
            waiting = asyncio.ensure_future(anext(subscription))
            await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
        await hub.publish("a", "still there")
        assert (await anext(subscription)).data == "still there"


async def test_leaving_leaves_nothing_behind():
    async with Hub() as hub:
        async with hub.subscribe("a", "b/*"):
            assert hub.statistics().subscriptions == 1
        assert hub.statistics().subscriptions == 0
        assert hub.statistics().topics_followed == 0


async def test_what_cannot_be_subscribed_to_is_said_at_once():
    async with Hub() as hub:
        with pytest.raises(InvalidTopic):
            hub.subscribe("a//b")
        with pytest.raises(InvalidTopic):
            hub.subscribe()
        with pytest.raises(TooLarge, match="limit is 64"):
            hub.subscribe(*(f"t{number}" for number in range(65)))
        with pytest.raises(InvalidSince):
            await anext(hub.subscribe("a", since="yesterday"))
        assert hub.statistics().subscriptions == 0


async def test_several_hubs_live_side_by_side():
    async with Hub() as one, Hub() as two, one.subscribe("a") as first, two.subscribe("a") as second:
        await one.publish("a", "one")
        await two.publish("a", "two")
        assert (await anext(first)).data == "one"
        assert (await anext(second)).data == "two"


async def test_an_event_may_be_given_ready_made():
    async with Hub() as hub, hub.subscribe("a") as subscription:
        await hub.publish("a", Event.from_json('{ "n": 1.10 }', event="raw"))
        event = await anext(subscription)
        assert (event.data, event.event) == ('{ "n": 1.10 }', "raw")

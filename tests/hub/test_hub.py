"""The hub itself: what it takes, what it refuses, its life."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.applications import Starlette

from echostream.asgi import TopicResponse
from echostream.event import Event
from echostream.exceptions import (
    HubClosed,
    IdempotencyConflict,
    InvalidEvent,
    InvalidInput,
    InvalidTopic,
    TooLarge,
    TopicFinished,
    TopicReserved,
)
from echostream.hub import Hub, HubSettings
from support.settle import until


async def test_published_tells_ids_and_durability():
    async with Hub() as hub:
        first = await hub.publish("a", "x")
        second = await hub.append([Event.of("y", topic="a"), Event.of("z", topic="a")])
        assert first.ids == (f"{hub.fanout.epoch}.1",)
        assert second.ids == (f"{hub.fanout.epoch}.2", f"{hub.fanout.epoch}.3")
        assert (first.topic, first.durability) == ("a", "memory")


@pytest.mark.parametrize(
    "topic", ["", "/a", "a/", "a//b", "a/../b", ".", "a*", "*", "a/**", "a\nb", "a\x00", "\ud800", "ä" * 129]
)
async def test_malformed_topics_are_refused(topic: str):
    async with Hub() as hub:
        with pytest.raises(InvalidTopic) as caught:
            await hub.publish(topic, "x")
        assert caught.value.field == "topic"
        assert (await hub.bounds()).newest == 0


async def test_the_hubs_own_topics_are_refused():
    async with Hub() as hub:
        for ephemeral in (False, True):
            with pytest.raises(TopicReserved):
                await hub.publish("hub/machine", "x", ephemeral=ephemeral)


async def test_the_bounds_are_kept_and_nothing_is_appended():
    async with Hub(settings=HubSettings(event_bytes=100, batch_events=3)) as hub:
        with pytest.raises(TooLarge, match="limit is 100"):
            await hub.publish("a", "x" * 101)
        with pytest.raises(TooLarge, match="limit is 3"):
            await hub.append([Event.of("x", topic="a")] * 4)
        with pytest.raises(TooLarge):
            await hub.append([Event.of("small", topic="a"), Event.of("x" * 101, topic="a")])
        with pytest.raises(InvalidEvent):
            await hub.append([])
        assert (await hub.bounds()).newest == 0


@pytest.mark.parametrize(
    ("field", "fields"),
    [
        ("event", {"event": "a\nid: 1"}),
        ("event", {"event": "a\r"}),
        ("event", {"event": "a\0"}),
        ("event", {"event": "stream-open"}),
        ("event", {"event": "x" * 257}),
        ("key", {"key": "a\nb"}),
        ("data", {"data": "\udfff"}),
        ("data", {"data": object()}),
    ],
)
async def test_a_field_that_no_format_can_carry_is_named(field: str, fields: dict[str, Any]):
    async with Hub() as hub:
        with pytest.raises(InvalidEvent) as caught:
            await hub.publish("a", **{"data": "x", **fields})
        assert caught.value.field == field
        assert (await hub.bounds()).newest == 0


async def test_a_finished_topic_takes_nothing_more():
    async with Hub() as hub:
        await hub.publish("a", None, end=True)
        with pytest.raises(TopicFinished):
            await hub.publish("a", "late")


async def test_a_repeated_idempotency_key_publishes_once():
    async with Hub() as hub:
        first = await hub.publish("a", "x", idempotency_key="k")
        assert await hub.publish("a", "x", idempotency_key="k") == first
        with pytest.raises(IdempotencyConflict):
            await hub.publish("a", "other", idempotency_key="k")
        for bad in ("", "x" * 257, "a\nb"):
            with pytest.raises(InvalidInput, match="Idempotency-Key"):
                await hub.publish("a", "x", idempotency_key=bad)
        assert (await hub.bounds()).newest == 1


@pytest.mark.parametrize(
    ("field", "given"), [("ephemeral", {"end": True}), ("Idempotency-Key", {"idempotency_key": "k"})]
)
async def test_what_an_ephemeral_event_cannot_have_is_refused(field: str, given: dict[str, Any]):
    async with Hub() as hub, hub.subscribe("a") as subscription:
        with pytest.raises(InvalidInput) as caught:
            await hub.publish("a", "x", ephemeral=True, **given)
        assert caught.value.field == field
        await hub.publish("a", "kept")
        assert (await anext(subscription)).data == "kept"


async def test_bytes_are_no_data():
    async with Hub() as hub:
        for data in (b"text", bytearray(b"text"), memoryview(b"text")):
            with pytest.raises(InvalidEvent, match="decode"):
                await hub.publish("a", data)  # as JSON they would be base64, which nobody asked for


async def test_one_string_is_not_a_list_of_topics():
    with pytest.raises(InvalidTopic, match="list"):
        TopicResponse(Hub(), "orders")  # would follow o, r, d, e and s


async def test_a_closed_hub_says_so():
    hub = Hub()
    with pytest.raises(HubClosed):
        await hub.publish("a", "x")
    async with hub:
        assert hub.statistics().newest == 0
    await hub.aclose()
    with pytest.raises(HubClosed):
        await hub.publish("a", "x")
    with pytest.raises(HubClosed):
        await hub.open()


async def test_statistics_count_what_happened():
    async with Hub() as hub, hub.subscribe("a"):
        await hub.publish("a", "four")
        await until(lambda: hub.fanout.flushed == 1)
        figures = hub.statistics()
        assert (figures.newest, figures.published, figures.subscriptions, figures.topics_followed) == (1, 1, 1, 1)
        assert figures.published_bytes == len("four") + len("a")


async def test_publishing_on_the_hubs_own_topics_costs_nothing_when_nobody_listens():
    async with Hub() as hub:
        hub.publish_own("hub/machine", object())  # would raise if it were encoded
        async with hub.subscribe("hub/machine") as subscription:
            hub.publish_own("hub/machine", {"cpu": 1}, event="sample")
            event = await anext(subscription)
            assert (event.data, event.event, event.id) == ('{"cpu":1}', "sample", None)
            assert event.time is not None
        async with hub.subscribe("**"):
            assert not hub.listening("hub/machine")


async def test_it_is_an_asgi_lifespan():
    hub = Hub()
    app = Starlette(lifespan=hub.lifespan)
    async with app.router.lifespan_context(app):
        await hub.ready()
    with pytest.raises(HubClosed):
        await hub.ready()

"""The ids that control events carry, and what a reader is told when the ground under it moves."""

from __future__ import annotations

from echostream.hub import Hub, HubSettings, Reader
from echostream.hub.reader import State
from echostream.topic import TopicSet
from echostream.wire import SSE, Encoder, SseMessage
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

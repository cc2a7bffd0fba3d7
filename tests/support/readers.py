"""Readers of a hub whose outlets are in the test's own hands."""

from __future__ import annotations

from collections.abc import Callable

from echostream.hub import Hub, Reader, StreamReport, StreamSettings
from echostream.topic import TopicSet
from echostream.wire import SSE, Encoder
from support.outlets import HandOutlet
from support.settle import until

__all__ = ["attach", "flushed"]


async def attach(
    hub: Hub,
    *topics: str,
    encoder: Encoder = SSE,
    since: str = "latest",
    last_event_id: str | None = None,
    outlet: HandOutlet | None = None,
    live: bool = True,
    settings: StreamSettings | None = None,
    on_end: Callable[[StreamReport], None] | None = None,
) -> tuple[Reader, HandOutlet]:
    """A reader that has begun, and its outlet; `live` is that of the request."""
    outlet = outlet or HandOutlet()
    beginning = await hub.find_beginning(TopicSet(topics), since=since, last_event_id=last_event_id)
    end = None if live else beginning.newest
    reader = hub.attach(TopicSet(topics), encoder, outlet, beginning, settings=settings, until=end, on_end=on_end)
    reader.begin()
    return reader, outlet


async def flushed(hub: Hub) -> None:
    """Return when everything that the log has was written to whoever is live."""
    newest = (await hub.bounds()).newest
    await until(lambda: hub.fanout.flushed == newest)

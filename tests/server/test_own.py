"""The hub's own topics: real figures when someone listens, nothing at all when nobody does."""

from __future__ import annotations

import json
from typing import Any

import psutil
import pytest

from echostream.event import Event
from echostream.hub import Hub, StreamReport, Subscription
from echostream.server.own import MACHINE, STREAMS, Machine, OwnTopics
from support.inside import read_until, serving

REPORT = StreamReport("secret-stream", 2, "sse", 3, 400, 1.23456, 0.01, "gone")


async def following(hub: Hub, topic: str) -> Subscription:
    return await hub.subscribe(topic).open()


def data(event: Event) -> dict[str, Any]:
    assert event.json
    assert event.data is not None
    return dict(json.loads(event.data))


async def test_nothing_is_sampled_while_nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    async with Hub("memory://") as hub:
        own = OwnTopics(hub)
        monkeypatch.setattr(psutil, "cpu_times", lambda: pytest.fail("sampled for nobody"))
        monkeypatch.setattr(hub, "statistics", lambda: pytest.fail("counted for nobody"))
        own.tick(1.0)
        own.opened(1, "sse")
        own.closed(REPORT)


async def test_the_machine_is_told_each_second() -> None:
    async with Hub("memory://") as hub:
        own = OwnTopics(hub)
        subscription = await following(hub, MACHINE)
        own.tick(1.0)
        own.tick(2.0)
        event = await anext(subscription)
        assert (event.topic, event.event, event.id) == (MACHINE, None, None)
        facts = data(event)
        assert list(facts) == ["cpu", "memory", "memory_used", "memory_total", "load", "received", "sent"]
        assert 0 <= facts["cpu"] <= 100
        assert 0 < facts["memory_used"] < facts["memory_total"]
        subscription.close()


def test_a_mean_is_never_over_the_time_when_nobody_looked() -> None:
    machine = Machine()
    assert machine.sample() is None
    assert machine.sample() is not None
    machine.forget()
    assert machine.sample() is None


async def test_streams_are_told_without_names() -> None:
    async with Hub("memory://") as hub:
        own = OwnTopics(hub)
        subscription = await following(hub, STREAMS)
        own.opened(2, "sse")
        own.closed(REPORT)
        own.tick(10.0)
        for _ in range(3):
            await hub.publish("orders", "x")
        own.tick(12.0)
        opened, closed, stats = [await anext(subscription) for _ in range(3)]
        assert (opened.event, data(opened)) == ("open", {"topics": 2, "format": "sse", "readers": 0})
        assert closed.event == "close"
        assert data(closed) == {
            "topics": 2,
            "format": "sse",
            "events": 3,
            "bytes": 400,
            "seconds": 1.235,
            "reason": "gone",
            "readers": 0,
        }
        assert stats.event == "stats"
        assert data(stats)["published"] == 1.5
        assert data(stats)["newest"].split(".")[0] == hub.statistics().epoch
        subscription.close()


def test_they_flow_from_a_served_hub() -> None:
    with serving() as hub, hub.stream("/stream?topic=hub/*") as response:
        seen = read_until(response, b"hub/machine") + read_until(response, b'"event":"stats"')
        with hub.stream("/topics/private/name") as other:
            read_until(other, b"stream-open")
        seen += read_until(response, b'"event":"close"')
    assert b'"event":"open"' in seen
    assert b"private" not in seen

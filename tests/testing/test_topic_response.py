"""TopicResponse driven message by message, in virtual time: what on sockets takes minutes takes none."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from echostream.asgi import StreamReport, TopicResponse, TopicSettings
from echostream.hub import Hub
from echostream.testing import VirtualLoop, drive

SETTINGS = TopicSettings(heartbeat=15.0, send_timeout=30.0)


@pytest.fixture(scope="module")
def anyio_backend() -> Any:
    return "asyncio", {"loop_factory": VirtualLoop}


@pytest.fixture(autouse=True)
def takes_no_time() -> Iterator[None]:
    began = time.monotonic()
    yield
    assert time.monotonic() - began < 10


@pytest.fixture
async def hub() -> Any:
    async with Hub("memory://") as hub:
        yield hub


def now() -> float:
    return asyncio.get_running_loop().time()


def open_event(text: str) -> Any:
    return json.loads(text)["resume"]


async def test_it_streams_resumes_and_ends(hub: Hub) -> None:
    app = TopicResponse(hub, ["a"])
    async with drive(app) as response:
        status, headers = await response.head()
        assert (status, headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
        assert headers["echostream-resume"] == "live"
        (opened,) = await response.events(1)
        assert (opened.event, open_event(opened.data)) == ("stream-open", "live")
        await hub.publish("a", "one")
        (one,) = await response.events(1)
        assert one.data == "one"
    assert response.exception is None
    assert hub.statistics().readers == 0
    await hub.publish("a", "two")
    await hub.publish("a", None, end=True)
    async with drive(app, headers={"last-event-id": one.last_event_id}) as response:
        assert (await response.head()).headers["echostream-resume"] == "resumed"
        events = await response.events()
        assert [event.event for event in events] == ["stream-open", "message", "stream-end"]
        assert await response.ended() == "complete"
    async with drive(app, headers={"last-event-id": events[-1].last_event_id}) as response:
        assert (await response.head()).status == 204
        assert await response.ended() == "complete"


async def test_ndjson(hub: Hub) -> None:
    await hub.publish("a", {"n": 1})
    async with drive(TopicResponse(hub, ["a"]), path="/?format=ndjson&since=earliest") as response:
        opened, event = await response.lines(2)
        assert (opened["stream"], event["data"]) == ("open", {"n": 1})


async def test_heartbeats(hub: Hub) -> None:
    async with drive(TopicResponse(hub, ["a"], settings=SETTINGS), within=60) as response:
        await response.events(1)
        for beat in (1, 2, 3):
            assert await response.read_until(b"\n\n") == b":\n\n"
            assert now() == pytest.approx(15 * beat, abs=0.2)
        await asyncio.sleep(10)
        await hub.publish("a", "x")
        await response.events(1)
        spoke = now()
        assert await response.read_until(b"\n\n") == b":\n\n"
        assert now() == pytest.approx(spoke + 15, abs=0.1), "a heartbeat only when nothing else was sent"


async def test_the_deadline(hub: Hub) -> None:
    app = TopicResponse(hub, ["a"], settings=TopicSettings(heartbeat=1000.0, deadline=3600.0))
    async with drive(app, within=5000) as response:
        *_, end = [event for event in await response.events() if event.event == "stream-end"]
        assert json.loads(end.data) == {"reason": "deadline"}
        assert 3240 <= now() <= 3961
        assert await response.ended() == "complete"


@pytest.mark.parametrize("much", [True, False], ids=["over the high mark", "under it"])
async def test_a_stalled_client_is_cut_after_the_send_timeout(hub: Hub, much: bool) -> None:
    reports: list[StreamReport] = []
    app = TopicResponse(hub, ["a"], settings=SETTINGS, on_end=reports.append)
    async with drive(app, within=100) as response:
        await response.events(1)
        response.stall()
        for _ in range(20 if much else 1):
            await hub.publish("a", "x" * 10_000)
        assert await response.ended() == "aborted"
        assert now() == pytest.approx(30, abs=0.2)
        assert response.waiting > 0
    assert [report.reason for report in reports] == ["send-timeout"]
    assert hub.statistics().readers == 0


async def test_a_stalled_client_that_resumes_in_time_misses_nothing(hub: Hub) -> None:
    async with drive(TopicResponse(hub, ["a"], settings=SETTINGS)) as response:
        await response.events(1)
        response.stall()
        for number in range(50):
            await hub.publish("a", f"{number} " + "x" * 10_000)
        await asyncio.sleep(25)
        response.resume()
        events = await response.events(50)
        assert [event.data.split()[0] for event in events] == [str(number) for number in range(50)]


@pytest.mark.parametrize("after", ["raise", "ignore"])
@pytest.mark.parametrize("stalled", [True, False])
async def test_a_client_that_leaves_frees_its_reader(hub: Hub, after: Any, stalled: bool) -> None:
    async with drive(TopicResponse(hub, ["a"]), after_disconnect=after) as response:
        await response.events(1)
        assert hub.statistics().readers == 1
        if stalled:
            response.stall()
            await hub.publish("a", "x" * 200_000)
            await asyncio.sleep(1)
            assert response.waiting
        began = now()
        response.disconnect()
        assert await response.ended() == "gone"
        assert now() == began, "at once"
    assert hub.statistics().readers == 0
    assert hub.statistics().topics_followed == 0


async def test_a_body_that_cannot_tell_its_end_is_cut(hub: Hub) -> None:
    await hub.publish("a", "one")
    async with drive(TopicResponse(hub, ["a"]), path="/?format=text&since=earliest") as response:
        assert await response.read_until(b"one\n") == b"one\n"
        hub.drain()
        assert await response.ended() == "aborted"


async def test_its_refusals_keep_the_rules_of_http_2(hub: Hub) -> None:
    hub.drain()
    headers = {"accept": "text/event-stream"}
    async with drive(TopicResponse(hub, ["a"]), headers=headers, http_version="2") as response:
        (refusal,) = await response.events()
        assert json.loads(refusal.data)["code"] == "draining"
        assert await response.ended() == "complete"

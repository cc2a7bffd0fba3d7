"""AsgiOutlet and TopicResponse under servers and middleware that keep the letter of ASGI in their own ways."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from echostream.asgi import AsgiOutlet, TopicResponse, problem_response, refuse
from echostream.exceptions import HubClosed
from echostream.hub import Hub, HubSettings
from echostream.log import MemoryLog
from echostream.wire import SseDecoder
from support.settle import until


async def for_ever() -> dict[str, Any]:
    return await asyncio.get_running_loop().create_future()


async def take(_message: Any) -> None:
    """A socket that takes everything."""


def peer() -> tuple[asyncio.Event, Callable[[], Awaitable[dict[str, Any]]]]:
    """A peer that goes when the event is set, and its `receive`."""
    gone = asyncio.Event()

    async def receive() -> dict[str, Any]:
        await gone.wait()
        return {"type": "http.disconnect"}

    return gone, receive


async def test_a_receive_that_repeats_the_end_of_the_body_does_not_hold_the_loop():
    """Waiting for the disconnect, as ASGI says, is not what all do: doubles and adapters answer at once."""
    calls = 0

    async def receive() -> dict[str, Any]:
        nonlocal calls
        calls += 1
        if calls > 100:  # it would never let go of the loop
            await for_ever()
        return {"type": "http.request", "body": b"", "more_body": False}

    outlet = AsgiOutlet(take)
    running = asyncio.ensure_future(outlet.run(receive))
    await until(lambda: calls >= 2)
    outlet.close(clean=True)
    await running
    assert calls < 10


async def test_a_body_that_is_still_coming_is_passed_over_until_the_peer_goes():
    async def messages() -> Any:
        for _ in range(200):
            yield {"type": "http.request", "body": b"x", "more_body": True}
        yield {"type": "http.request", "body": b"x"}
        yield {"type": "http.disconnect"}

    arriving = messages()
    outlet = AsgiOutlet(take)
    await asyncio.wait_for(outlet.run(lambda: anext(arriving)), 5)


async def test_a_receive_that_raises_ends_the_stream():
    async def receive() -> dict[str, Any]:
        raise RuntimeError("the server is confused")

    outlet, gone = AsgiOutlet(take), []
    outlet.on_gone = lambda: gone.append(True)
    with pytest.raises(RuntimeError, match="confused"):
        await asyncio.wait_for(outlet.run(receive), 5)
    assert gone == [True]


async def test_our_own_interruption_is_undone_in_a_task_that_was_cancelled_before():
    """A wrapper that outlived a cancellation and did not count it down must not make ours look like another's."""
    gone, receive = peer()

    async def wrapper() -> int:
        try:
            await for_ever()
        except asyncio.CancelledError:
            await AsgiOutlet(take).run(receive)
        task = asyncio.current_task()
        assert task is not None
        return task.cancelling()

    running = asyncio.ensure_future(wrapper())
    await asyncio.sleep(0)
    running.cancel()
    await asyncio.sleep(0)
    gone.set()
    assert await running == 1


async def test_our_own_interruption_is_undone_when_send_turns_it_into_another_error():
    gone, receive = peer()

    async def send(_message: Any) -> None:
        try:
            await for_ever()
        except asyncio.CancelledError:
            raise OSError("closed") from None

    async def wrapper() -> int:
        outlet = AsgiOutlet(send)
        outlet.write(b"x")
        with pytest.raises(OSError, match="closed"):
            await outlet.run(receive)
        task = asyncio.current_task()
        assert task is not None
        return task.cancelling()

    running = asyncio.ensure_future(wrapper())
    await asyncio.sleep(0)
    gone.set()
    assert await running == 0


async def test_a_cancellation_from_outside_wins_over_a_peer_that_goes_at_the_same_time():
    gone, receive = peer()

    running = asyncio.ensure_future(AsgiOutlet(take).run(receive))
    await asyncio.sleep(0)
    gone.set()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_an_ending_before_the_head_is_out_leaves_no_timer():
    outlet = AsgiOutlet(take, linger=60)
    outlet.close(clean=True)
    assert outlet._lingering is None
    await outlet.run(for_ever)
    assert outlet._lingering is not None
    assert outlet._lingering.cancelled()


class Exchange:
    """One request to an application, in this process."""

    def __init__(self, app: Any, *, query: str = "", method: str = "GET", version: str = "1.1", **headers: str) -> None:
        self.sent: list[dict[str, Any]] = []
        self.gone = asyncio.Event()
        scope = {
            "type": "http",
            "method": method,
            "http_version": version,
            "path": "/",
            "query_string": query.encode(),
            "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()],
        }
        self.task = asyncio.ensure_future(app(scope, self.receive, self.send))

    async def receive(self) -> dict[str, Any]:
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        self.sent.append(message)

    @property
    def status(self) -> int:
        return self.sent[0]["status"]

    @property
    def headers(self) -> dict[bytes, bytes]:
        return dict(self.sent[0]["headers"])

    @property
    def body(self) -> bytes:
        return b"".join(message["body"] for message in self.sent[1:])

    @property
    def events(self) -> list[str]:
        return [message.event for message in SseDecoder().feed(self.body)]


async def test_a_reader_of_a_finished_topic_that_lost_something_is_told_before_it_is_stopped():
    log = MemoryLog(max_bytes=5000)
    async with Hub(log, settings=HubSettings(ring_bytes=500)) as hub:
        first = await hub.publish("a", "1")
        await hub.publish("a", "2", end=True)
        for number in range(50):
            await hub.publish("b", str(number))
        await until(lambda: hub.fanout.flushed == 52)
        app = TopicResponse(hub, ["a"])
        missed = Exchange(app, last_event_id=first.ids[0])
        await missed.task
        assert missed.status == 200
        assert missed.events == ["stream-open", "stream-gap", "stream-end"]
        again = Exchange(app, last_event_id=SseDecoder().feed(missed.body)[-1].last_event_id)
        await again.task
        assert again.status == 204
        foreign = Exchange(app, last_event_id="another.7")
        await foreign.task
        assert foreign.events == ["stream-open", "stream-gap", "stream-end"]


@pytest.mark.parametrize(("version", "closes"), [("1.1", True), ("1.0", True), ("2", False), ("3", False)])
async def test_a_refusal_in_a_stream_has_no_connection_header_where_that_is_malformed(version: str, closes: bool):
    """RFC 9113, section 8.2.2: hypercorn's HTTP/2 fails on such a response."""
    exchange = Exchange(refuse(503, "draining", "later", "text/event-stream"), version=version)
    await exchange.task
    assert (b"connection" in exchange.headers) == closes


async def test_a_callback_that_raises_sends_no_second_head():
    def refuse_it(_topics: int, _format: str) -> None:
        raise HubClosed("said too late")

    async with Hub() as hub:
        exchange = Exchange(TopicResponse(hub, ["a"], on_begin=refuse_it))
        with pytest.raises(HubClosed):
            await exchange.task
        assert [message["type"] for message in exchange.sent] == ["http.response.start"]
        assert hub.statistics().readers == 0


async def test_head_of_a_problem_has_no_body():
    exchange = Exchange(problem_response(HubClosed("later")), method="HEAD")
    await exchange.task
    assert exchange.status == 503
    assert exchange.body == b""


async def test_http_1_0_gets_what_says_its_own_end_and_nothing_else():
    async with Hub() as hub:
        app = TopicResponse(hub, ["a"])
        for query, status in (("live=0&format=json", 505), ("live=0&format=text", 505), ("live=0", 200)):
            exchange = Exchange(app, query=query, version="1.0")
            await exchange.task
            assert exchange.status == status, query

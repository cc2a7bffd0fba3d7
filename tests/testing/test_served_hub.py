"""What the plugin's fixtures give: a hub on a real socket whose faults a test can switch, and a client that waits."""

from __future__ import annotations

import http.client
import threading
import urllib.request
from collections.abc import Iterator

import pytest

from echostream.exceptions import TopicReserved
from echostream.server.for_tests import ServedHub, StreamingClient


@pytest.fixture
def hub() -> Iterator[ServedHub]:
    threads = set(threading.enumerate())
    with ServedHub() as hub:
        yield hub
    assert set(threading.enumerate()) <= threads


@pytest.fixture
def client(hub: ServedHub) -> Iterator[StreamingClient]:
    client = StreamingClient(hub.url, on_close=hub.cut)
    yield client
    client.close()


def post(hub: ServedHub, topic: str, data: bytes) -> int:
    status: int = urllib.request.urlopen(f"{hub.url}/topics/{topic}", data=data, timeout=10).status
    return status


def test_what_is_published_is_waited_for(hub: ServedHub, client: StreamingClient) -> None:
    stream = client.subscribe("orders/*", "logs")
    assert hub.statistics().readers == 1
    hub.publish("orders/1", {"state": "paid"}, event="paid")
    hub.publish("elsewhere", "unseen")
    assert post(hub, "logs", b"a line") == 201
    assert stream.wait_for_event({"state": "paid"}).event == "paid"
    assert stream.wait_for_event("a line").topic == "logs"
    assert [event.topic for event in stream.events] == ["orders/1", "logs"]


def test_events_are_passed_over_and_looked_at_once(hub: ServedHub, client: StreamingClient) -> None:
    stream = client.subscribe("a")
    for number in range(5):
        hub.publish("a", number)
    assert stream.wait_for_event(lambda event: int(event.data or "") > 2).data == "3"
    with pytest.raises(AssertionError, match=r"no event 3 within 0.2 s; what came \(1\): \['a: 4'\]"):
        stream.wait_for_event(3, within=0.2)


def test_an_event_that_does_not_come_tells_what_did(hub: ServedHub, client: StreamingClient) -> None:
    stream = client.subscribe("a")
    with pytest.raises(AssertionError, match=r"no event 'x' within 0.1 s; nothing came; besides: \['opened \(live\)'"):
        stream.wait_for_event("x", within=0.1)


def test_a_stream_that_ends_for_good_is_not_waited_for(hub: ServedHub, client: StreamingClient) -> None:
    stream = client.subscribe("a")
    hub.publish("a", "last", end=True)
    assert stream.wait_for_event("last").data == "last"
    with pytest.raises(AssertionError, match="the stream has ended: for good"):
        stream.wait_for_event("more", within=60)


def test_a_refusal_is_told(client: StreamingClient) -> None:
    with pytest.raises(AssertionError, match=r"not opened 1 times.*invalid-topic"):
        client.subscribe("a//b")


def test_earlier_events_can_be_asked_for(hub: ServedHub, client: StreamingClient) -> None:
    first = hub.publish("a", "one").ids[0]
    hub.publish("a", "two")
    assert client.subscribe("a", since="earliest").wait_for_event("one").id == first
    stream = client.subscribe("a", last_event_id=first)
    stream.wait_for_event("two")
    assert len(stream.events) == 1


def test_cut_streams_come_back_and_miss_nothing(hub: ServedHub, client: StreamingClient) -> None:
    streams = [client.subscribe("a") for _ in range(3)]
    for number in range(3):
        hub.publish("a", number)
        for stream in streams:
            stream.wait_for_event(number)
        assert hub.cut() >= 3
        hub.publish("a", "while away")
        for stream in streams:
            stream.wait_for_event("while away")
    assert all(stream.opened >= 2 and not stream.gaps for stream in streams)


def test_publishing_stalls_and_goes_on(hub: ServedHub, client: StreamingClient) -> None:
    stream = client.subscribe("a")
    hub.stall_publishing()
    publishing = threading.Thread(target=post, args=(hub, "a", b"late"))
    publishing.start()
    with pytest.raises(AssertionError, match="nothing came"):
        stream.wait_for_event("late", within=0.2)
    hub.resume_publishing()
    stream.wait_for_event("late")
    publishing.join()


def test_a_restart_keeps_the_log_and_the_address(hub: ServedHub, client: StreamingClient) -> None:
    stream = client.subscribe("a")
    url, first = hub.url, hub.publish("a", "before").ids[0]
    stream.wait_for_event("before")
    hub.restart()
    assert (hub.url, hub.statistics().published) == (url, 0)
    second = hub.publish("a", "after").ids[0]
    assert stream.wait_for_event("after").id == second
    assert second.partition(".")[0] == first.partition(".")[0]
    assert stream.opened >= 2
    assert stream.gaps == []


def test_it_ends_though_publications_are_stalled(hub: ServedHub) -> None:
    hub.stall_publishing()
    connection = http.client.HTTPConnection("127.0.0.1", hub.port, timeout=10)
    connection.request("POST", "/topics/a", b"never answered")
    hub.restart()
    with pytest.raises((ConnectionError, http.client.BadStatusLine)):
        connection.getresponse()
    connection.close()


def test_what_the_hub_refuses_is_raised(hub: ServedHub) -> None:
    with pytest.raises(TopicReserved):
        hub.publish("hub/own", "x")
